//! What is measured: one list of cases for criterion (`benches/*.rs`), for the instruction counts
//! (`benches/instructions.rs`) and for the comparison with others (`benches/peers`).
//!
//! A case prepares a chunk of work, which is not measured, and does it, which is. Packets come from the tests' frame
//! builder, an engine's memory from the tests' tables.
#![allow(dead_code, unused_imports, unreachable_pub, reason = "not every harness uses all of it")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_core,
    clippy::unreachable,
    clippy::unwrap_used,
    clippy::use_self
)]

pub mod codec;
pub mod engine;
pub mod fdb;
pub mod flood;
pub mod floor;
pub mod overlay;
#[path = "../../tests/reference/tables.rs"]
pub mod tables;
#[path = "../../tests/common/world/mod.rs"]
pub mod world;

/// Something with a name that can be done again and again.
pub struct Case {
    /// Parts separated by `/`, the general ones first.
    pub name: String,
    /// How many operations (look-ups, packets, copies) one [`Work::run`] is.
    pub ops: usize,
    pub work: Box<dyn Work>,
}

pub trait Work {
    /// What happens between two runs and is not measured.
    fn prepare(&mut self) {}
    /// What is measured. The answer depends on all that was done.
    fn run(&mut self) -> u64;
}

impl<F: FnMut() -> u64> Work for F {
    fn run(&mut self) -> u64 {
        self()
    }
}

/// State with what happens to it between and during measurements.
pub struct Prepared<S, P, R> {
    pub state: S,
    pub prepare: P,
    pub run: R,
}

impl<S, P: FnMut(&mut S), R: FnMut(&mut S) -> u64> Work for Prepared<S, P, R> {
    fn prepare(&mut self) {
        (self.prepare)(&mut self.state);
    }

    fn run(&mut self) -> u64 {
        (self.run)(&mut self.state)
    }
}

impl Case {
    pub fn new(name: impl Into<String>, ops: usize, work: impl Work + 'static) -> Self {
        Self { name: name.into(), ops, work: Box::new(work) }
    }
}

/// Random numbers that are the same in every run (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    pub fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }
}

/// A number without structure for each number.
pub const fn mix(number: u64) -> u64 {
    let z = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// `1`, `10k`, `1M`.
pub fn short(count: usize) -> String {
    match count {
        0..1_000 => count.to_string(),
        1_000..1_000_000 => format!("{}k", count / 1_000),
        _ => format!("{}M", count / 1_000_000),
    }
}
