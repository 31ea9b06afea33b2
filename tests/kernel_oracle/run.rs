//! The tests, and whether they can run here.

use std::fmt::Write;
use std::thread;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::compare::{add_up, compare, hex, report};
use crate::directed::GROUPS;
use crate::lab::{Lab, run as command};
use crate::scenario::{Op, Scenario};
use crate::{kernel, ours};

pub(crate) fn main() {
    let arguments = Arguments::from_args();
    let missing = if arguments.list { None } else { missing() };
    let live = std::env::var_os("VTEP_LIVE").is_some_and(|value| value == "1");
    if let Some(missing) = &missing {
        eprintln!("the kernel as oracle: {missing}");
    }
    let left_out = missing.is_some() && !live;
    let mut trials = Vec::new();
    for (name, scenarios) in GROUPS {
        let missing = missing.clone();
        trials.push(trial(name, move || match missing {
            Some(missing) => Err(missing.into()),
            None => directed(&scenarios()),
        }));
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
        for (step, fault) in &outcome.faults {
            let _ = writeln!(faults, "scenario {number} step {step}: {fault}\n    {}", op(scenario, *step));
        }
        if !outcome.faults.is_empty() {
            let _ = writeln!(faults, "    {:?}", scenario.device);
        }
        add_up(outcome);
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.into()) }
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
