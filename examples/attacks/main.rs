//! The attack table of `docs/security.md`, measured.
//!
//!     cargo run --release --example attacks
//!
//! Each attack is played against one VTEP while bystanders of two tenants talk on. A step is pure, so the same packets
//! take the same way each time: every play is repeated, and of each step the fastest time counts. The peak is the
//! slowest of these.

#![allow(
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    reason = "the library's rules are for code without std that must not panic"
)]

mod arena;
mod scenarios;
mod table;

use std::sync::OnceLock;
use std::time::Instant;

use scenarios::Scenario;
use table::Peak;

/// How often each attack is played.
const PLAYS: usize = 15;

fn main() {
    println!("{}", table::HEAD);
    for scenario in scenarios::all() {
        let (outcome, peak) = measure(&scenario);
        println!("{}", table::row(&scenario, &outcome, Some(peak)));
    }
}

fn measure(scenario: &Scenario) -> (arena::Outcome, Peak) {
    let overhead = (0..1000).map(|_| clock().abs_diff(clock())).min().unwrap_or(0);
    let first = scenario.play(clock);
    let mut costs = first.costs;
    for _ in 1..PLAYS {
        let again = scenario.play(clock);
        assert_eq!(again.outcome, first.outcome, "a play differs from the one before");
        for (cost, other) in costs.iter_mut().zip(again.costs) {
            *cost = (*cost).min(other);
        }
    }
    let mut times: Vec<u64> = costs.iter().map(|nanos| nanos.saturating_sub(overhead)).collect();
    times.sort_unstable();
    let peak = Peak { nanos: times.last().copied().unwrap_or(0), median: times[times.len() / 2] };
    (first.outcome, peak)
}

/// Nanoseconds since the first call.
fn clock() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}
