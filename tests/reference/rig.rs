//! The engine and the plain bridge side by side.

use vtep::engine::{
    BridgeCounters, Command, CommandError, Config, Cursor, Engine, Event, Input, Profile, PuntReason, Verdict,
};
use vtep::table::{BridgeId, Destination, EndpointAddress, EndpointId, Instant, Owner, PortId};
use vtep::wire::{Edit, Encapsulation};

use super::bridge::{Copy, Expected, Model, To, coarse};
use super::command::Ending;
use super::ops::{Op, Scene};
use super::packet::Tunnelled;
use super::tables::Tables;

pub(crate) struct Rig<'a> {
    pub(crate) engine: Engine<'a>,
    pub(crate) model: Model,
    /// What the caller's clock shows, in milliseconds. It may go back, which the engine's does not.
    clock: u64,
}

/// A packet, what the engine does with it, and what it was expected to do: the copies, in order.
pub(crate) struct Handled {
    pub(crate) input: Vec<u8>,
    pub(crate) verdict: Verdict,
    pub(crate) copies: Vec<(Verdict, Copy)>,
}

impl<'a> Rig<'a> {
    pub(crate) fn new(tables: &'a mut Tables, scene: &Scene) -> Self {
        let config = Config::new(scene.profile, [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210]);
        let engine = Engine::new(tables.memory(), &config);
        let mut rig = Self { engine, model: Model::new(scene.profile), clock: 0 };
        for command in &scene.setup {
            rig.command(command);
        }
        rig
    }

    fn now(&self) -> Instant {
        Instant::from_millis(self.clock)
    }

    /// A packet made to fit what is there.
    pub(crate) fn aim(&self, op: &Op) -> Op {
        let Op::Aimed(at, packet) = op else { return op.clone() };
        let at = usize::from(*at);
        match &**packet {
            Op::Port(_, frame) if !self.model.ports.is_empty() => {
                let (id, port) = self.model.ports.iter().nth(at % self.model.ports.len()).unwrap();
                let mut frame = frame.clone();
                if let Some(vid) = port.vlan {
                    frame = if frame.tags.is_empty() { frame.pushed(vid) } else { frame.renumbered(vid) };
                }
                Op::Port(*id, frame)
            }
            Op::Underlay(packet) if !self.model.bridges.is_empty() => {
                let bridge = self.model.bridges.values().nth(at % self.model.bridges.len()).unwrap();
                Op::Underlay(Tunnelled {
                    underlay: 0,
                    dst_port: bridge.config.udp_port,
                    vni: bridge.config.vni.get(),
                    ..packet.clone()
                })
            }
            other => other.clone(),
        }
    }

    pub(crate) fn apply(&mut self, op: &Op) -> Option<Handled> {
        if let Op::Clock(step) = op {
            self.clock = self.clock.saturating_add_signed(*step);
            return None;
        }
        self.model.advance(self.clock);
        match op {
            Op::Clock(_) | Op::Aimed(..) => None,
            Op::Tick => {
                self.engine.tick(self.now());
                None
            }
            Op::Command(command) => {
                self.command(command);
                None
            }
            Op::Port(port, frame) => {
                let input = frame.bytes();
                let verdict = self.engine.step(self.now(), &Input::from_port(PortId(*port), &input));
                let expected = self.model.from_port(*port, frame);
                Some(self.compare(input, verdict, expected))
            }
            Op::Underlay(packet) => {
                let encapsulation = self.model.listening(packet.dst_port).unwrap_or(Encapsulation::Vxlan);
                let carrier = packet.bytes(encapsulation);
                let verdict = self.engine.step(self.now(), &carrier.input());
                let expected = self.model.from_underlay(packet);
                Some(self.compare(carrier.bytes, verdict, expected))
            }
        }
    }

    pub(crate) fn command(&mut self, command: &Command) {
        let ending = self.model.command(command);
        let done = self.engine.command(self.now(), command).map(|_| ());
        match ending {
            Ending::Must(expected) => assert_eq!(done, expected, "{command:?}"),
            Ending::MayLackEndpoint => {
                assert!(matches!(done, Ok(()) | Err(CommandError::NoSuchEndpoint)), "{command:?}: {done:?}");
            }
        }
    }

    /// Compares a verdict with what was expected.
    fn compare(&self, input: Vec<u8>, verdict: Verdict, expected: Expected) -> Handled {
        let copies = match (&verdict, &expected) {
            (Verdict::Drop(reason), Expected::Drop(wanted)) if reason == wanted => Vec::new(),
            (Verdict::Punt(punt), Expected::Punt(wanted)) if punt.reason == *wanted => Vec::new(),
            (Verdict::Punt(punt), Expected::Packet(wanted, packet)) if punt.reason == *wanted => {
                let bytes = punt.frame.of(&input).expect("within the input");
                let mut scratch = [0; Edit::MAX_PREFIX];
                let kind = punt.reason.frame_kind().expect("a packet that can be edited");
                let edited = punt.edit.apply(bytes, kind, &mut scratch).expect("an edit that fits");
                assert_eq!([&scratch[..edited.head], &bytes[edited.skip..]].concat(), *packet);
                Vec::new()
            }
            (Verdict::Deliver(_) | Verdict::Encapsulate(_), Expected::One(copy)) => vec![(verdict, copy.clone())],
            (Verdict::Flood(flood), Expected::Flood(wanted, too_big, host)) => {
                assert_eq!(flood.punt, host.then_some(PuntReason::HostCopy));
                let counters = self.engine.counters();
                let before = (counters.copies(), counters.copies_too_big());
                let mut cursor = Cursor::new();
                let copies = core::iter::from_fn(|| self.engine.next_copy(flood, &mut cursor));
                let copies: Vec<Verdict> = copies.map(|copy| copy.expect("nothing has changed since")).collect();
                assert_eq!(copies.len(), wanted.len(), "copies of {verdict:?}: {copies:?}, expected {wanted:?}");
                let after = (before.0 + copies.len() as u64, before.1 + too_big);
                assert_eq!((counters.copies(), counters.copies_too_big()), after);
                copies.into_iter().zip(wanted.iter().cloned()).collect()
            }
            _ => panic!("{verdict:?}, expected {expected:?}"),
        };
        for (copy, wanted) in &copies {
            assert_eq!(self.destination(copy), (wanted.to, wanted.vni));
        }
        Handled { input, verdict, copies }
    }

    /// Where a copy goes, and in which VNI.
    pub(crate) fn destination(&self, copy: &Verdict) -> (To, u32) {
        match copy {
            Verdict::Deliver(deliver) => (To::Port(deliver.port.id.0), 0),
            Verdict::Encapsulate(encapsulate) => {
                (To::Remote(self.address(encapsulate.endpoint.id)), encapsulate.vni.get())
            }
            other => panic!("no copy: {other:?}"),
        }
    }

    pub(crate) fn address(&self, id: EndpointId) -> EndpointAddress {
        *self.engine.endpoints().get(id).expect("an endpoint").address()
    }

    /// Compares the tables, the counters and the events.
    pub(crate) fn check(&mut self) {
        self.check_events();
        self.check_counters();
        self.check_fdb();
        self.check_endpoints();
    }

    fn check_events(&mut self) {
        let events = core::iter::from_fn(|| self.engine.poll_event());
        // When an entry is noticed to have aged, or to be no duplicate any more, is not the plain bridge's business.
        let late = |event: &Event| matches!(event, Event::Aged { .. } | Event::DuplicateCleared { .. });
        let events: Vec<Event> = events.filter(|event| !late(event)).collect();
        assert_eq!(events, core::mem::take(&mut self.model.events));
        assert_eq!(self.engine.lost_events(), 0);
    }

    fn check_counters(&self) {
        let counters = self.engine.counters();
        assert_eq!(counters.packets(), self.model.packets);
        assert_eq!(counters.iter().map(|(_, n)| n).sum::<u64>(), self.model.packets);
        assert!(counters.iter().eq(self.sorted(&self.model.counts)), "{:?}", counters.iter().collect::<Vec<_>>());
        for id in 0..3 {
            let (counters, bridge) = (self.engine.bridge_counters(BridgeId(id)), self.model.bridges.get(&id));
            let (Some(counters), Some(bridge)) = (counters, bridge) else {
                assert!(counters.is_none() && bridge.is_none());
                continue;
            };
            assert!(counters.iter().eq(self.sorted(&bridge.counts)), "bridge {id}");
            assert_eq!(counters.packets(), bridge.counts.values().sum::<u64>());
            assert_eq!([counters.bytes_from_ports(), counters.bytes_from_tunnels()], bridge.bytes);
        }
    }

    /// In the order of their codes, as counters come.
    fn sorted<'c>(
        &self,
        counts: &'c std::collections::BTreeMap<&'static str, u64>,
    ) -> impl Iterator<Item = (&'static str, u64)> + 'c {
        let kinds = vtep::engine::VerdictKind::FORWARDED.map(|kind| kind.name());
        let reasons = vtep::engine::DropReason::ALL.iter().map(|reason| reason.name());
        kinds.into_iter().chain(reasons).filter_map(|name| Some((name, *counts.get(name)?)))
    }

    fn check_fdb(&self) {
        let mut groups = 0;
        let mut entries = 0;
        for (bridge, mac, entry) in self.engine.fdb() {
            let plain = &self.model.bridges[&bridge.0];
            let to = match entry.destination() {
                Destination::Group(_) => {
                    assert!(mac.is_multicast() && plain.groups.contains_key(&mac), "{mac} of {bridge:?}");
                    groups += 1;
                    continue;
                }
                Destination::Port(port) => To::Port(port.0),
                Destination::Endpoint(id) => To::Remote(self.address(id)),
                Destination::Host => To::Host,
                Destination::Drop => To::Drop,
            };
            assert!(mac.is_station(), "{mac}");
            let wanted =
                plain.fdb.get(&mac).unwrap_or_else(|| panic!("{mac} of {bridge:?} is not expected: {entry:?}"));
            assert_eq!((to, entry.owner(), entry.sticky()), (wanted.to, wanted.owner, wanted.sticky), "{mac}");
            let age = coarse(self.model.now) - wanted.stamp;
            // What never ages stops counting at some point.
            if entry.owner() == Owner::Dynamic && age < 0x7000 {
                assert_eq!(coarse(entry.age().as_millis()), age, "age of {mac}");
            }
            entries += 1;
        }
        assert_eq!(entries, self.model.bridges.values().map(|b| b.fdb.len()).sum::<usize>());
        assert_eq!(groups, self.model.bridges.values().map(|b| b.groups.len()).sum::<usize>());
    }

    fn check_endpoints(&self) {
        let endpoints = self.engine.endpoints();
        for address in self.model.named() {
            assert!(endpoints.find(&address).is_some(), "{address:?} is missing");
        }
        for (address, config) in &self.model.configured {
            let id = endpoints.find(address).expect("configured");
            let endpoint = endpoints.get(id).unwrap();
            assert_eq!((endpoint.config(), endpoint.is_learned()), (config, false));
        }
        for (id, bridge) in &self.model.bridges {
            let list = self.engine.flood_list(BridgeId(*id)).map(|id| self.address(id));
            assert!(list.eq(bridge.list.iter().flatten().copied()), "flood list of {id}");
        }
    }
}
