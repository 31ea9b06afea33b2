//! The simulator of the `fabric` example: its seeds, the scenarios that once failed, and that it notices what is broken.
#![allow(
    dead_code,
    missing_docs,
    unnameable_types,
    unreachable_pub,
    unused_imports,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_core,
    clippy::unwrap_used,
    reason = "code of the examples, which uses all of it and has std"
)]

mod common;

#[path = "../examples/fabric/chaos/mod.rs"]
mod chaos;

use std::process::Command;

use chaos::{Options, Outcome, Promise, Sabotage, Scenario, Violation, run, shrink, standard};
use common::FABRIC;

fn plays(scenario: &Scenario) -> Outcome {
    match run(scenario, &Options::default()).0 {
        Ok(outcome) => outcome,
        Err(failure) => panic!("seed {}: {failure}", scenario.seed),
    }
}

/// A few seeds; `.ci/run` plays more of them, optimised.
#[test]
fn promises_hold_whatever_happens() {
    for seed in 0..8 {
        plays(&standard(seed));
    }
}

/// Scenarios that once failed, cut down; each says by its name what it was.
#[test]
fn what_once_failed_does_no_more() {
    let mut played = 0;
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/chaos")).unwrap() {
        let path = file.unwrap().path();
        let scenario = Scenario::read(&std::fs::read_to_string(&path).unwrap()).unwrap();
        if let Err(failure) = run(&scenario, &Options::default()).0 {
            panic!("{}: {failure}", path.display());
        }
        played += 1;
    }
    assert!(played > 0);
}

#[test]
fn a_seed_is_one_run() {
    let mut hashes = Vec::new();
    for seed in [0, 1, u64::MAX] {
        let [first, second] = [(); 2].map(|()| plays(&standard(seed)));
        assert_eq!(first, second);
        assert!(!hashes.contains(&first.hash), "seed {seed}");
        hashes.push(first.hash);
    }
}

/// The network's chance stays with the event that caused a packet: cutting a scenario does not change what is left.
#[test]
fn a_scenario_survives_its_file() {
    let scenario = standard(5);
    let again = Scenario::read(&scenario.write().unwrap()).unwrap();
    assert_eq!(again, scenario);
    assert_eq!(plays(&again), plays(&scenario));
    assert!(Scenario::read("").is_err());
    assert!(Scenario::read("{}").is_err());
}

/// The first seed in which the chance is there, and what the simulator says.
fn sabotaged(promise: Promise) -> (Scenario, Options, Violation) {
    let options = Options { sabotage: Some(Sabotage::of(promise)), ..Options::default() };
    let found = (0..40).find_map(|seed| {
        let scenario = standard(seed);
        let failure = run(&scenario, &options).0.err()?;
        Some((scenario, failure.violation))
    });
    let (scenario, violation) = found.unwrap_or_else(|| panic!("{} was broken unnoticed", promise.name()));
    (scenario, options, violation)
}

#[test]
fn every_broken_promise_is_noticed() {
    for promise in Promise::ALL {
        let (_, _, violation) = sabotaged(promise);
        assert_eq!(violation.promise, promise, "{violation}");
    }
}

/// The large scenario, small.
#[test]
fn the_large_scenario_plays_in_every_phase() {
    let scenario = chaos::large::scenario(3, 20);
    let mut phases = Vec::new();
    let outcome = chaos::run_large(&scenario, &mut |phase| phases.push(phase.name)).unwrap();
    assert_eq!((phases.len(), outcome.tally.frames > 1000), (9, true));
}

#[test]
fn what_fails_is_cut_down() {
    let (scenario, options, violation) = sabotaged(Promise::TenantsApart);
    let small = shrink(&scenario, violation.promise, &options);
    assert!(small.events.len() < 10, "{} of {}", small.events.len(), scenario.events.len());
    let failure = run(&small, &options).0.unwrap_err();
    assert_eq!(failure.violation.promise, Promise::TenantsApart);
}

#[test]
fn the_command_replays_a_seed_and_a_file() {
    let path = |name: &str| std::env::temp_dir().join(format!("chaos-{}-{name}", std::process::id()));
    let (kept, pcap) = (path("kept"), path("pcap"));
    let play = |arguments: &[&str]| {
        let output = Command::new(&*FABRIC).args(arguments).arg("--pcap").arg(&pcap).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let kept_name = kept.to_str().unwrap();
    let (code, by_seed, errors) = play(&["--chaos", "3", "--keep", kept_name]);
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{by_seed}");
    let hash = format!("{:016x}", plays(&standard(3)).hash);
    assert!(by_seed.contains("all promises held") && by_seed.contains(&hash), "{by_seed}");
    assert!(std::fs::metadata(&pcap).unwrap().len() > 24);
    let (code, by_file, _) = play(&["--replay", kept_name]);
    assert_eq!((code, by_file), (Some(0), by_seed));
    let (code, output, errors) = play(&["--seeds", "0..9", "--sabotage", "not-back", "--keep", kept_name]);
    assert_eq!(code, Some(1), "{output}");
    assert!(errors.contains("FAILED: ") && errors.contains("not-back"), "{errors}");
    let (code, _, errors) = play(&["--replay", kept_name, "--sabotage", "not-back"]);
    assert!(code == Some(1) && errors.contains("not-back"), "{errors}");
    for bad in [&["--replay", "/nowhere"][..], &["--seeds", "3"], &["--sabotage", "nothing", "--chaos", "1"]] {
        assert_eq!(play(bad).0, Some(2), "{bad:?}");
    }
    std::fs::remove_file(kept).unwrap();
    std::fs::remove_file(pcap).unwrap();
}
