//! Single steps: the slowest ones, not the average.

use serde::{Deserialize, Serialize};

use crate::cases::overlay::{Overlay, Plan, Pool, Way};
use crate::cases::{Random, floor::PACKETS};
use crate::clock;
use crate::measure::Spread;
use vtep::table::WhenFull;

/// Cycles at some shares of all steps, the clock's own reading included.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Tail {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub worst: f64,
}

impl Tail {
    fn of(mut cycles: Vec<u32>) -> Self {
        cycles.sort_unstable();
        let at = |share: usize| f64::from(cycles[(cycles.len() - 1) * share / 1_000]);
        Self { p50: at(500), p99: at(990), p999: at(999), worst: at(1_000) }
    }
}

/// How a million entries are swept beside the packets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Sweep {
    None,
    /// As often as [`Engine::next_deadline`](vtep::engine::Engine::next_deadline) asks for it; the time it takes is the
    /// next step's.
    Due,
    /// Before each batch of 32 packets, far more often than it is asked for.
    Always,
}

pub const SWEEPS: [Sweep; 3] = [Sweep::None, Sweep::Due, Sweep::Always];

#[derive(Serialize, Deserialize)]
pub struct Ageing {
    pub entries: usize,
    /// One tail a round for each of [`SWEEPS`].
    pub rounds: Vec<[Tail; 3]>,
    /// Cycles of a sweep of 64 slots.
    pub tick: f64,
}

const STEPS: usize = 64 * 1024;
/// Steps in a row with one way of sweeping. Short, so that whatever else the machine does meets all of them.
const BLOCK: usize = 4 * PACKETS;

/// Decapsulation with learning among a million entries, with and without sweeping.
pub fn ageing(rounds: usize) -> Ageing {
    let plan = Plan { macs: 500_000, ..Plan::VXLAN };
    let mut overlay = Overlay::new(plan);
    let mut pool = Pool::new(plan, Way::Decap);
    let mut random = Random(5);
    let every = steps_between_sweeps(&mut overlay);
    let mut due_in = every;
    let mut ticks = Vec::new();
    let mut tails = Vec::new();
    for _ in 0..rounds {
        let mut cycles: [Vec<u32>; 3] = Default::default();
        for _ in 0..STEPS / BLOCK {
            let first = random.below(SWEEPS.len());
            for turn in 0..SWEEPS.len() {
                let which = (first + turn) % SWEEPS.len();
                for _ in 0..BLOCK / PACKETS {
                    pool.aim((0..PACKETS).map(|_| (random.below(plan.macs), random.below(plan.macs))));
                    for number in 0..PACKETS {
                        if SWEEPS[which] == Sweep::Always && number % 32 == 0 {
                            let start = clock::start();
                            overlay.engine.tick(overlay.now());
                            ticks.push((clock::stop() - start) as u32);
                        }
                        let mut tick = false;
                        if SWEEPS[which] == Sweep::Due {
                            // By the steps that are swept so: time goes on in the other blocks, too.
                            due_in -= 1;
                            tick = due_in == 0;
                            due_in = if tick { every } else { due_in };
                        }
                        let start = clock::start();
                        if tick {
                            overlay.engine.tick(overlay.now());
                        }
                        core::hint::black_box(overlay.step_one(&pool, number));
                        cycles[which].push((clock::stop() - start) as u32);
                    }
                }
            }
        }
        tails.push(cycles.map(Tail::of));
    }
    Ageing { entries: 2 * plan.macs, rounds: tails, tick: Tail::of(ticks).p50 }
}

/// Steps from one sweep to the next that the engine asks for, at the rate at which time goes on here.
fn steps_between_sweeps(overlay: &mut Overlay) -> u64 {
    let now = overlay.now();
    overlay.engine.tick(now);
    let deadline = overlay.engine.next_deadline().expect("entries age");
    (deadline.as_millis() - now.as_millis()) * Overlay::PACKETS_PER_MS
}

#[derive(Serialize, Deserialize)]
pub struct Pressure {
    pub name: String,
    pub slots: usize,
    pub tail: Tail,
}

const NEWCOMERS: usize = 8 * 1024;
const REPLAYS: usize = 7;

/// Frames from a port, each from a new station, into a full table. The same inputs are played several times, and of each
/// step the shortest time counts: the engine does the same every time, the machine's interruptions do not.
pub fn pressure() -> Vec<Pressure> {
    let policies = [(WhenFull::Evict, "the oldest makes room"), (WhenFull::Refuse, "nothing is learned")];
    let mut all = Vec::new();
    for macs in [7_373, 58_982] {
        for (when_full, name) in policies {
            let plan = Plan { macs, when_full, ..Plan::VXLAN };
            let mut least = vec![u32::MAX; NEWCOMERS];
            let mut slots = 0;
            for _ in 0..REPLAYS {
                let mut overlay = Overlay::new(plan);
                slots = overlay.engine.table().capacity();
                let mut pool = Pool::new(plan, Way::Encap);
                let mut random = Random(6);
                let mut first = 0;
                // What is free is taken first.
                while first < slots / 4 {
                    pool.strangers(&mut random);
                    overlay.step_only(&mut pool, false);
                    first += PACKETS;
                }
                for chunk in least.chunks_mut(PACKETS) {
                    pool.strangers(&mut random);
                    for (number, least) in chunk.iter_mut().enumerate() {
                        let start = clock::start();
                        core::hint::black_box(overlay.step_one(&pool, number));
                        *least = (*least).min((clock::stop() - start) as u32);
                    }
                }
            }
            all.push(Pressure { name: name.into(), slots, tail: Tail::of(least) });
        }
    }
    all
}

impl Ageing {
    /// The middle of the rounds, for one way of sweeping.
    pub fn spread(&self, sweep: Sweep, of: fn(&Tail) -> f64) -> Spread {
        let index = SWEEPS.iter().position(|other| *other == sweep).unwrap_or(0);
        Spread::of(self.rounds.iter().map(|round| of(&round[index])).collect())
    }

    /// p99.9 with over without, round by round.
    pub fn ratio(&self, sweep: Sweep) -> Spread {
        let index = SWEEPS.iter().position(|other| *other == sweep).unwrap_or(0);
        Spread::of(self.rounds.iter().map(|round| round[index].p999 / round[0].p999).collect())
    }
}
