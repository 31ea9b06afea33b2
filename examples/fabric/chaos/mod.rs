//! Chaos: many VTEPs, each the real engine, over a network that loses, duplicates, delays, reorders, corrupts and
//! partitions, while hosts move and operators err. What must always hold ([`Promise`]) is checked after every step.
//!
//! A seed makes a [`Scenario`], which is data; running one depends on nothing else. What a run did is a hash, so that two
//! runs can be held against each other. A scenario that fails is cut down by [`shrink`] and kept as a file.

mod actions;
mod books;
pub mod check;
mod events;
mod forge;
mod frame;
mod generate;
mod guards;
mod heal;
pub mod large;
mod network;
mod node;
mod packet;
mod policy;
mod protection;
mod random;
mod sabotage;
mod scenario;
mod shrink;
mod storm;
mod tables;
mod tally;
mod twin;
mod violation;
mod wires;
mod world;

use core::fmt;

pub use generate::standard;
use node::Node;
pub use random::Random;
pub use sabotage::Sabotage;
pub use scenario::{Micros, Scenario, What};
pub use shrink::shrink;
use tables::Tables;
pub use tally::Tally;
pub use violation::{Promise, Violation};
pub use world::World;

/// A run that ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Of every verdict, every byte that left and every final state.
    pub hash: u64,
    pub tally: Tally,
    /// Simulated time.
    pub took: Micros,
}

/// A run in which a promise was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub violation: Violation,
    /// The event at which it was; none if after the last.
    pub event: Option<u32>,
    pub at: Micros,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.event {
            Some(id) => write!(f, "event {id}, ")?,
            None => write!(f, "after the last event, ")?,
        }
        write!(f, "{} us: {}", self.at, self.violation)
    }
}

/// What a run does besides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub sabotage: Option<Sabotage>,
    /// Whether the underlay's packets are kept.
    pub capture: bool,
}

/// The underlay's packets, when they were sent.
pub type Captured = Vec<(Micros, Vec<u8>)>;

/// Plays a scenario.
pub fn run(scenario: &Scenario, options: &Options) -> (Result<Outcome, Failure>, Captured) {
    let mut arena = memory(scenario);
    let mut world = match World::new(scenario, &mut arena) {
        Ok(world) => world,
        Err(violation) => return (Err(Failure { violation, event: None, at: 0 }), Vec::new()),
    };
    world.sabotage = options.sabotage;
    if options.sabotage.is_some_and(|sabotage| sabotage.promise != Promise::BatchesAgree) {
        // Engines of whose sabotage they know nothing are no witnesses.
        world.nodes.iter_mut().for_each(Node::forget_twin);
    }
    world.captured = options.capture.then(Vec::new);
    let outcome = play(scenario, &mut world);
    (outcome, world.captured.take().unwrap_or_default())
}

fn play(scenario: &Scenario, world: &mut World<'_>) -> Result<Outcome, Failure> {
    for event in &scenario.events {
        let at = event.at;
        world.happen(event).map_err(|violation| Failure { violation, event: Some(event.id), at })?;
    }
    world.fall_silent().map_err(|violation| Failure { violation, event: None, at: world.now })?;
    Ok(Outcome { hash: world.trace.hash(), tally: world.tally, took: world.now })
}

/// Plays the large scenario of so many VTEPs; `tell` is told of each phase.
///
/// # Errors
/// The promise that was broken.
pub fn run_large(scenario: &Scenario, tell: &mut dyn FnMut(&large::Phase)) -> Result<Outcome, Failure> {
    // A second life for those that restart.
    let mut arena: Vec<Vec<Tables>> = Vec::new();
    arena.resize_with(scenario.shape.vteps.len(), || vec![Tables::default(), Tables::default()]);
    let broken = |violation, at| Failure { violation, event: None, at };
    let mut world = World::new(scenario, &mut arena).map_err(|violation| broken(violation, 0))?;
    large::play(&mut world, tell).map_err(|violation| broken(violation, world.now))?;
    Ok(Outcome { hash: world.trace.hash(), tally: world.tally, took: world.now })
}

/// Bytes of all VTEPs' tables.
pub fn table_bytes(scenario: &Scenario) -> usize {
    world::sizes(scenario).iter().map(tables::Sizes::bytes).sum()
}

/// Bytes of the first VTEP's tables, by what they are for.
pub fn table_parts(scenario: &Scenario) -> Vec<(&'static str, usize)> {
    world::sizes(scenario)
        .first()
        .map(|sizes| sizes.parts().into_iter().filter(|part| part.1 > 0).collect())
        .unwrap_or_default()
}

/// Memory for each life of each VTEP; not yet allocated.
fn memory(scenario: &Scenario) -> Vec<Vec<Tables>> {
    let count = scenario.shape.vteps.len();
    let mut lives = vec![1; count];
    for event in &scenario.events {
        match event.what {
            What::Restart { vtep, .. } => lives[usize::from(vtep) % count] += 1,
            What::Swap { a, b } => [a, b].iter().for_each(|vtep| lives[usize::from(*vtep) % count] += 1),
            _ => {}
        }
    }
    let engines = |vtep: usize| if scenario.shape.vteps[vtep].batches { 2 } else { 1 };
    let tables = |(vtep, lives)| (0..lives * engines(vtep)).map(|_| Tables::default()).collect();
    lives.into_iter().enumerate().map(tables).collect()
}
