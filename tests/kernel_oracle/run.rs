//! The tests, and whether they can run here.

use std::fmt::Write;
use std::thread;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::compare::{Outcome, add_up, compare, hex, report};
use crate::directed::{GROUPS, ageing};
use crate::lab::{Lab, run as command};
use crate::scenario::{Op, Scenario};
use crate::{kernel, misses, ours, random};

pub(crate) fn main() {
    let arguments = Arguments::from_args();
    let missing = if arguments.list { None } else { missing() };
    let live = std::env::var_os("VTEP_LIVE").is_some_and(|value| value == "1");
    let left_out = missing.is_some() && !live;
    let mut trials = Vec::new();
    let mut add = |name: &str, test: Box<dyn FnOnce() -> Result<(), Failed> + Send>| {
        let missing = missing.clone();
        trials.push(trial(name, move || missing.map_or_else(test, |missing| Err(missing.into()))));
    };
    // The slowest first.
    add("ageing", Box::new(|| directed(&ageing())));
    add("random cases", Box::new(random::run));
    add("l2miss", Box::new(misses::test));
    for (name, scenarios) in GROUPS {
        add(name, Box::new(|| directed(&scenarios())));
    }
    let trials = trials.into_iter().map(|trial| trial.with_ignored_flag(left_out)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    report();
    conclusion.exit();
}

/// A test in a thread of its own, which may change what threads share with others.
fn trial(name: &str, test: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    Trial::test(name, move || match thread::spawn(test).join() {
        Ok(result) => result,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            Err(text.unwrap_or_else(|| "panicked".to_owned()).into())
        }
    })
}

/// What is missing for a lab, if anything.
fn missing() -> Option<String> {
    if std::env::var_os("VTEP_LIVE").is_some_and(|value| value == "0") {
        return Some("switched off by VTEP_LIVE=0".to_owned());
    }
    if !nix::unistd::geteuid().is_root() {
        return Some("needs root".to_owned());
    }
    let name = format!("vtep-oracle-{}-probe", std::process::id());
    let result = command("ip", &["netns", "add", &name]).and_then(|_| {
        let result = command("ip", &["-n", &name, "link", "add", "vx", "type", "vxlan", "id", "1", "dstport", "4789"]);
        command("ip", &["netns", "del", &name])?;
        result.and_then(|_| command("bridge", &["-V"]))
    });
    result.err().map(|error| format!("needs network namespaces, vxlan and iproute2: {error}"))
}

fn directed(scenarios: &[Scenario]) -> Result<(), Failed> {
    let mut lab = Lab::new()?;
    let mut faults = String::new();
    for (number, scenario) in scenarios.iter().enumerate() {
        let kernel = kernel::run(&mut lab, scenario)?;
        let outcome = compare(scenario, &kernel, &ours::run(scenario));
        if !outcome.faults.is_empty() {
            let _ = writeln!(faults, "scenario {number}");
            faults += &describe(scenario, &outcome);
        }
        add_up(outcome);
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.into()) }
}

/// What differs, with the steps that lead there.
pub(crate) fn describe(scenario: &Scenario, outcome: &Outcome) -> String {
    let mut text = String::new();
    for (step, fault) in &outcome.faults {
        let _ = writeln!(text, "step {step}: {fault}\n    {}", op(scenario, *step));
    }
    if !outcome.faults.is_empty() {
        let _ = writeln!(text, "    {:?}", scenario.device);
    }
    if scenario.ops.len() <= 24 {
        for step in 0..scenario.ops.len() {
            let _ = writeln!(text, "    {step}: {}", op(scenario, step));
        }
    }
    text
}

/// A step in a form that fits a line.
fn op(scenario: &Scenario, step: usize) -> String {
    match scenario.ops.get(step) {
        Some(Op::Rx(frames)) => {
            let frames: Vec<String> = frames.iter().map(|frame| hex(frame)).collect();
            format!("rx {}", frames.join(" "))
        }
        Some(Op::Tx(frame)) => format!("tx {}", hex(frame)),
        Some(other) => format!("{other:?}"),
        None => "at the end".to_owned(),
    }
}
