//! The random cases: so many, from a seed that is printed, and made small where something differs.

use std::fmt::Write;
use std::time::{Duration, Instant, SystemTime};

use libtest_mimic::Failed;

use crate::compare::{Outcome, add_up, compare};
use crate::generate::{Random, scenario};
use crate::lab::Lab;
use crate::run::describe;
use crate::scenario::Scenario;
use crate::{kernel, ours};

const CASES: u64 = 20_000;
/// How long a scenario in which something differs is made smaller.
const SHRINKING: Duration = Duration::from_secs(60);
/// After so many scenarios in which something differs, the rest would not say more.
const ENOUGH: usize = 8;

fn variable(name: &str) -> Result<Option<u64>, Failed> {
    match std::env::var(name) {
        Ok(text) => text.parse().map(Some).map_err(|_| format!("{name}={text} is not a number").into()),
        Err(_) => Ok(None),
    }
}

pub(crate) fn run() -> Result<(), Failed> {
    let cases = variable("VTEP_ORACLE_CASES")?.unwrap_or(CASES);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let seed = variable("VTEP_ORACLE_SEED")?.unwrap_or(now.as_secs() << 16);
    println!("random cases: VTEP_ORACLE_SEED={seed} VTEP_ORACLE_CASES={cases}");
    let mut lab = Lab::new()?;
    let (mut done, mut number, mut found) = (0, 0, 0);
    let mut faults = String::new();
    while done < cases && found < ENOUGH {
        let of_scenario = seed.wrapping_add(number);
        let scenario = scenario(&mut Random::new(of_scenario), usize::try_from(cases - done)?);
        let outcome = both(&mut lab, &scenario)?;
        done += outcome.cases;
        number += 1;
        if !outcome.faults.is_empty() {
            found += 1;
            let _ = writeln!(faults, "VTEP_ORACLE_SEED={of_scenario} VTEP_ORACLE_CASES={}", outcome.cases);
            let small = shrink(&mut lab, scenario)?;
            let outcome = both(&mut lab, &small)?;
            faults += &describe(&small, &outcome);
        }
        add_up(outcome);
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.into()) }
}

fn both(lab: &mut Lab, scenario: &Scenario) -> Result<Outcome, Failed> {
    let kernel = kernel::run(lab, scenario)?;
    Ok(compare(scenario, &kernel, &ours::run(scenario)))
}

/// Takes away steps as long as something still differs.
fn shrink(lab: &mut Lab, mut scenario: Scenario) -> Result<Scenario, Failed> {
    let deadline = Instant::now() + SHRINKING;
    let mut chunk = scenario.ops.len().div_ceil(2);
    loop {
        let mut at = 0;
        while at < scenario.ops.len() && Instant::now() < deadline {
            let mut smaller = scenario.clone();
            let end = smaller.ops.len().min(at + chunk);
            smaller.ops.drain(at..end);
            if both(lab, &smaller)?.faults.is_empty() {
                at += chunk;
            } else {
                scenario = smaller;
            }
        }
        if chunk <= 1 || Instant::now() >= deadline {
            return Ok(scenario);
        }
        chunk = chunk.div_ceil(2);
    }
}
