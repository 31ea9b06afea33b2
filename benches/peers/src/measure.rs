//! Rounds: every case of a group once, in another order each time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cases::{Case, Random};
use crate::clock;

/// What a group of cases took, round by round.
#[derive(Serialize, Deserialize)]
pub struct Group {
    pub name: String,
    /// TSC cycles an operation: one for each round.
    pub cases: BTreeMap<String, Vec<f64>>,
}

/// What every group holds, so that its figures can be scaled: see the page. Of each round, the middle one of several copies.
pub const CALIBRATION: &str = "copy/50";

/// Operations that a case does before it is measured, and while it is.
const OPS: usize = 16 * 1024;

/// Measures the cases of a group in `rounds` rounds.
pub fn group(name: &str, rounds: usize, mut cases: Vec<Case>) -> Group {
    let mut copies = crate::cases::floor::copies(CALIBRATION, 50);
    let mut times: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut random = Random(rounds as u64);
    let mut order: Vec<usize> = (0..cases.len()).collect();
    for _ in 0..rounds {
        for last in (1..order.len()).rev() {
            order.swap(last, random.below(last + 1));
        }
        let mut calibration = Vec::new();
        // The copies are spread over the round, so that they meet what the cases meet.
        let each = order.len().div_ceil(copies.len()).max(1);
        let mut copy = copies.iter_mut();
        for chunk in order.chunks(each) {
            calibration.extend(copy.next().map(measured));
            for index in chunk {
                let case = &mut cases[*index];
                let cycles = measured(case);
                times.entry(case.name.clone()).or_default().push(cycles);
            }
        }
        calibration.extend(copy.map(measured));
        times.entry(CALIBRATION.into()).or_default().push(Spread::of(calibration).median);
    }
    Group { name: name.into(), cases: times }
}

/// Cycles an operation, after a turn that brings caches and predictors to where they were.
fn measured(case: &mut Case) -> f64 {
    turn(case);
    (turn(case) * 100.0).round() / 100.0
}

/// Cycles an operation, over all runs but those in which the processor did something else: a run that takes four times
/// as long as the middle one.
fn turn(case: &mut Case) -> f64 {
    let runs = OPS.div_ceil(case.ops);
    let mut cycles: Vec<u64> = (0..runs)
        .map(|_| {
            case.work.prepare();
            let start = clock::start();
            core::hint::black_box(case.work.run());
            clock::stop() - start
        })
        .collect();
    cycles.sort_unstable();
    let most = cycles[runs / 2] * 4;
    cycles.retain(|cycles| *cycles <= most);
    cycles.iter().sum::<u64>() as f64 / (cycles.len() * case.ops) as f64
}

/// A median, and between which values eight of ten lie.
#[derive(Clone, Copy)]
pub struct Spread {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

impl Spread {
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |share: usize| values[(values.len() - 1) * share / 10];
        Self { low: at(1), median: at(5), high: values[values.len() - 1 - (values.len() - 1) / 10] }
    }
}

impl Group {
    pub fn get(&self, case: &str) -> Option<Spread> {
        self.cases.get(case).map(|rounds| Spread::of(rounds.clone()))
    }

    /// One case over another, round by round.
    pub fn ratio(&self, case: &str, to: &str) -> Option<Spread> {
        let rounds = self.cases.get(case)?.iter().zip(self.cases.get(to)?);
        Some(Spread::of(rounds.map(|(a, b)| a / b).collect()))
    }

    /// Cycles as they would be where the calibrating copy takes what it took on the reference machine.
    pub fn scaled(&self, case: &str) -> Option<Spread> {
        let Spread { low, median, high } = self.ratio(case, CALIBRATION)?;
        let [low, median, high] = [low, median, high].map(|ratio| ratio * REFERENCE_COPY);
        Some(Spread { low, median, high })
    }
}

/// TSC cycles of the calibrating copy on the reference machine: 3.3 ns at 2.445 GHz.
pub const REFERENCE_COPY: f64 = 3.3 * 2.445;
