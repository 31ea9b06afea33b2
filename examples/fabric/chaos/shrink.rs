//! Making a failing scenario small: events are dropped as long as the same promise is broken.

use super::scenario::{Event, Scenario};
use super::{Options, Promise, run};

/// Runs that a shrinking may take.
const RUNS: usize = 2000;

/// The smallest scenario found in which that promise is broken.
pub fn shrink(scenario: &Scenario, promise: Promise, options: &Options) -> Scenario {
    let mut best = scenario.clone();
    let mut runs = 0;
    let fails = |events: Vec<Event>| {
        let candidate = Scenario { events, ..scenario.clone() };
        let failure = run(&candidate, options).0.err().filter(|failure| failure.violation.promise == promise);
        (candidate, failure)
    };
    // What comes after the event at which it fails does not matter.
    let (_, failure) = fails(best.events.clone());
    if let Some(last) = failure.and_then(|failure| failure.event) {
        let end = best.events.iter().position(|event| event.id == last).map_or(best.events.len(), |at| at + 1);
        best.events.truncate(end);
    }
    let mut part = best.events.len().div_ceil(2);
    while part > 0 && runs < RUNS {
        let mut at = 0;
        let before = best.events.len();
        while at < best.events.len() && runs < RUNS {
            let end = (at + part).min(best.events.len());
            let kept = [&best.events[..at], &best.events[end..]].concat();
            runs += 1;
            match fails(kept) {
                (candidate, Some(_)) => best = candidate,
                (_, None) => at = end,
            }
        }
        part = if part == 1 && best.events.len() < before { 1 } else { part / 2 };
    }
    best
}
