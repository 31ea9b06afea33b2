//! A batch gives the verdicts of as many single steps, and leaves the same state: what a packet teaches holds for those
//! behind it.
#![allow(
    clippy::panic_in_result_fn,
    clippy::use_self,
    clippy::wrong_self_convention,
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic,
    clippy::std_instead_of_core,
    clippy::unreachable,
    clippy::unwrap_used
)]

mod common;
mod reference;

use proptest::prelude::*;
use reference::ops::{ops, scenes};
use reference::packet::Carrier;
use reference::tables::Sizes;
use reference::{Op, Scene, Tables, Tunnelled};
use vtep::engine::{Command, Config, Engine, Event, Input, Profile, Verdict};
use vtep::table::{BridgeConfig, BridgeId, Instant, PortConfig, PortId};
use vtep::wire::Encapsulation;

const SEED: [u64; 2] = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];

/// A packet's bytes and where they come from.
enum Packet {
    Port(u16, Vec<u8>),
    Underlay(Carrier),
}

impl Packet {
    fn input(&self) -> Input<'_> {
        match self {
            Self::Port(port, bytes) => Input::from_port(PortId(*port), bytes),
            Self::Underlay(carrier) => carrier.input(),
        }
    }
}

/// One engine steps, the other takes the same packets in batches.
struct Twins<'a> {
    single: Engine<'a>,
    batch: Engine<'a>,
    clock: u64,
    waiting: Vec<Packet>,
    verdicts: Vec<Verdict>,
}

impl<'a> Twins<'a> {
    fn new(tables: &'a mut [Tables; 2], profile: Profile) -> Self {
        let [single, batch] = tables;
        let config = Config::new(profile, SEED);
        Self {
            single: Engine::new(single.memory(), &config),
            batch: Engine::new(batch.memory(), &config),
            clock: 0,
            waiting: Vec::new(),
            verdicts: Vec::new(),
        }
    }

    fn now(&self) -> Instant {
        Instant::from_millis(self.clock)
    }

    fn packet(&mut self, packet: Packet) {
        let told = self.single.explain(self.now(), &packet.input()).verdict;
        let verdict = self.single.step(self.now(), &packet.input());
        // `explain` decides by the whole step, which a packet of the fast path never sees.
        if matches!(verdict, Verdict::Deliver(_) | Verdict::Encapsulate(_)) {
            assert_eq!(verdict, told);
        }
        self.verdicts.push(verdict);
        self.waiting.push(packet);
    }

    /// Lets the second engine catch up.
    fn flush(&mut self) {
        let inputs: Vec<Input<'_>> = self.waiting.iter().map(Packet::input).collect();
        let mut verdicts = vec![Verdict::NOTHING; inputs.len()];
        assert_eq!(self.batch.step_batch(Instant::from_millis(self.clock), &inputs, &mut verdicts), inputs.len());
        assert_eq!(verdicts, self.verdicts);
        self.waiting.clear();
        self.verdicts.clear();
        let events = |engine: &mut Engine<'_>| core::iter::from_fn(|| engine.poll_event()).collect::<Vec<Event>>();
        assert_eq!(events(&mut self.batch), events(&mut self.single));
        assert_eq!(self.batch.digest(), self.single.digest());
    }

    fn command(&mut self, command: &Command) {
        self.flush();
        let now = self.now();
        assert_eq!(self.batch.command(now, command), self.single.command(now, command));
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Clock(step) => {
                self.flush();
                self.clock = self.clock.saturating_add_signed(*step);
            }
            Op::Tick => {
                self.flush();
                let now = self.now();
                self.single.tick(now);
                self.batch.tick(now);
            }
            Op::Command(command) => self.command(command),
            Op::Port(port, frame) => self.packet(Packet::Port(*port, frame.bytes())),
            Op::Underlay(packet) => self.packet(Packet::Underlay(packet.bytes(self.listening(packet.dst_port)))),
            Op::Aimed(at, op) => match self.aim(usize::from(*at), op) {
                Op::Aimed(..) => {}
                op => self.apply(&op),
            },
        }
    }

    fn ports(&self) -> Vec<(u16, PortConfig)> {
        (0..6).filter_map(|id| Some((id, *self.single.port_config(PortId(id))?))).collect()
    }

    fn bridges(&self) -> Vec<BridgeConfig> {
        (0..3).filter_map(|id| self.single.bridge_config(BridgeId(id)).copied()).collect()
    }

    fn listening(&self, port: u16) -> Encapsulation {
        let config = self.bridges().into_iter().find(|config| config.udp_port == port);
        config.map_or(Encapsulation::Vxlan, |config| config.encapsulation)
    }

    /// A packet made to fit what is there.
    fn aim(&self, at: usize, op: &Op) -> Op {
        match op {
            Op::Port(_, frame) if !self.ports().is_empty() => {
                let (id, port) = self.ports()[at % self.ports().len()];
                let mut frame = frame.clone();
                if let Some(vid) = port.vlan {
                    frame = if frame.tags.is_empty() { frame.pushed(vid) } else { frame.renumbered(vid) };
                }
                Op::Port(id, frame)
            }
            Op::Underlay(packet) if !self.bridges().is_empty() => {
                let config = self.bridges()[at % self.bridges().len()];
                let (dst_port, vni) = (config.udp_port, config.vni.get());
                Op::Underlay(Tunnelled { underlay: 0, dst_port, vni, ..packet.clone() })
            }
            other => other.clone(),
        }
    }
}

fn run(sizes: &Sizes, scene: &Scene, ops: &[Op]) {
    let mut tables = [Tables::new(sizes), Tables::new(sizes)];
    let mut twins = Twins::new(&mut tables, scene.profile);
    scene.setup.iter().for_each(|command| twins.command(command));
    ops.iter().for_each(|op| twins.apply(op));
    twins.flush();
}

/// As many cases as `PROPTEST_CASES` says, or 100.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(100);
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_batch_is_so_many_steps(
        (scene, ops) in scenes().prop_flat_map(|scene| (Just(scene), ops(Profile::Rfc, 160))),
        linux in any::<bool>(),
        cramped in any::<bool>(),
    ) {
        let profile = if linux { Profile::Linux } else { Profile::Rfc };
        let sizes = if cramped { Sizes { macs: 2, endpoints: 5, ..Sizes::AMPLE } } else { Sizes::AMPLE };
        run(&sizes, &Scene { profile, ..scene }, &ops);
    }
}

#[test]
fn the_shorter_slice_counts() {
    let mut tables = Tables::new(&Sizes::AMPLE);
    let mut engine = Engine::new(tables.memory(), &Config::new(Profile::Rfc, SEED));
    let input = Input::from_port(PortId(0), &[]);
    for (inputs, places, done) in [(0, 0, 0), (0, 5, 0), (5, 0, 0), (40, 33, 33), (33, 70, 33), (100, 100, 100)] {
        let before = engine.counters().packets();
        let mut verdicts = vec![Verdict::NOTHING; places];
        assert_eq!(engine.step_batch(Instant::ZERO, &vec![input; inputs], &mut verdicts), done);
        assert_eq!(engine.counters().packets() - before, done as u64);
        assert_eq!(verdicts.iter().filter(|verdict| **verdict != Verdict::NOTHING).count(), done);
    }
}
