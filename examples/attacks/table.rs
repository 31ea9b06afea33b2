//! The table's text.

use core::fmt::Write;

use super::arena::Outcome;
use super::scenarios::Scenario;

pub const HEAD: &str = "\
| attack | defence | frames delivered | of these flooded | attack frames that reached tenant X, Y | entries lost in X, Y | peak / median step |
|---|---|---|---|---|---|---|";

/// How long steps took, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Peak {
    pub nanos: u64,
    pub median: u64,
}

/// One row; without a peak, it ends before that cell.
pub fn row(scenario: &Scenario, outcome: &Outcome, peak: Option<Peak>) -> String {
    let percent = |part: u64, whole: u64| match (part * 1000).checked_div(whole) {
        Some(share) if share % 10 == 0 => format!("{} %", share / 10),
        Some(share) => format!("{}.{} %", share / 10, share % 10),
        None => "–".to_owned(),
    };
    let [near, far] = outcome.suffered.map(|count| percent(count, outcome.attacks));
    let [in_x, in_y] = outcome.lost;
    let events = match outcome.events_lost {
        0 => String::new(),
        lost => format!("; {lost} events"),
    };
    let mut row = format!(
        "| {} | {} | {} | {} | {near}, {far} | {in_x}, {in_y}{events} |",
        scenario.attack,
        scenario.defence,
        percent(outcome.delivered(), outcome.sent),
        percent(outcome.flooded, outcome.sent),
    );
    if let Some(Peak { nanos, median }) = peak {
        let ratio = nanos as f64 / median.max(1) as f64;
        // Writing to a string does not fail.
        let _ = write!(row, " {ratio:.1} ({nanos} / {median} ns) |");
    }
    row
}
