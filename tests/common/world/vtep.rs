//! An engine with its memory, and what a test asks of it.

use core::net::IpAddr;

use vtep::engine::{
    Command, CommandError, Config, Cursor, Done, DropReason, Egress, Engine, Event, Input, LabelStorage, Place,
    Profile, Remote, Storage, Verdict, VerdictKind,
};
use vtep::table::{
    BridgeConfig, BridgeId, Duration, Instant, Owner, PortConfig, PortId, UnderlayConfig, UnderlayId, UnderlayLink,
};
use vtep::wire::{Depth, Encapsulation, Label, MacAddr, Vni};

use super::{LOCAL, LOCAL6, OTHER_VNI, Read, VNI};

pub(crate) const PROFILES: [Profile; 2] = [Profile::Rfc, Profile::Linux];

/// Labels that a [`Vtep`] has room for: more than the kernel oracle has stations, each of which may have one of its own.
pub(crate) const LABELS: usize = 64;

type Memory = Storage<64, 4, 8, 32, 32, 64, 16>;

/// How a [`Vtep`] is set up; change what the test is about.
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) underlay: UnderlayConfig,
    /// Bridge 0, with ports 0 and 1; bridge 1, with port 2, is the same but for its VNI.
    pub(crate) bridge: BridgeConfig,
}

/// One endpoint of tunnels: underlay 0, bridges 0 and 1, ports 0 to 2.
pub(crate) struct Vtep {
    pub(crate) engine: Engine<'static>,
    pub(crate) profile: Profile,
    pub(crate) now: Instant,
}

pub(crate) const fn mac(octets: [u8; 6]) -> MacAddr {
    MacAddr(octets)
}

impl Vtep {
    /// The profile's defaults.
    pub(crate) fn new(profile: Profile, encapsulation: Encapsulation) -> Self {
        Self::with(profile, encapsulation, |_| {})
    }

    pub(crate) fn vxlan(profile: Profile) -> Self {
        Self::new(profile, Encapsulation::Vxlan)
    }

    pub(crate) fn geneve(profile: Profile) -> Self {
        Self::new(profile, Encapsulation::Geneve)
    }

    pub(crate) fn with(profile: Profile, encapsulation: Encapsulation, change: impl FnOnce(&mut Setup)) -> Self {
        let (IpAddr::V4(_), IpAddr::V6(local6)) = (LOCAL, LOCAL6) else { unreachable!() };
        let mut setup = Setup {
            config: Config::new(profile, [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210]),
            underlay: UnderlayConfig {
                ipv6: Some(local6),
                link: Some(UnderlayLink { mac: mac([2, 0xff, 0, 0, 0, 1]), vlan: None, gateway: None }),
                ..profile.underlay(LOCAL)
            },
            bridge: profile.bridge(encapsulation, Vni::truncating(VNI)),
        };
        change(&mut setup);
        let memory: &'static mut Memory = Box::leak(Box::new(Memory::new()));
        let labels: &'static mut LabelStorage<LABELS, 16, 2> = Box::leak(Box::new(LabelStorage::new()));
        let engine = Engine::new(memory.memory(), &setup.config).with_labels(labels.memory());
        let mut vtep = Self { engine, profile, now: Instant::ZERO };
        vtep.command(Command::SetUnderlay { id: UnderlayId(0), config: setup.underlay });
        vtep.command(Command::AddBridge { id: BridgeId(0), config: setup.bridge });
        let other = BridgeConfig { vni: Vni::truncating(OTHER_VNI), ..setup.bridge };
        vtep.command(Command::AddBridge { id: BridgeId(1), config: other });
        for (port, bridge) in [(0, 0), (1, 0), (2, 1)] {
            let config = PortConfig::new(BridgeId(bridge));
            vtep.command(Command::AddPort { id: PortId(port), config });
        }
        vtep
    }

    pub(crate) fn try_command(&mut self, command: Command) -> Result<Done, CommandError> {
        self.engine.command(self.now, &command)
    }

    pub(crate) fn command(&mut self, command: Command) -> Done {
        let done = self.try_command(command);
        done.unwrap_or_else(|error| panic!("{command:?}: {error:?}"))
    }

    /// Replaces port 0 by one that is attached to this VLAN.
    pub(crate) fn port_0_in_vlan(&mut self, vid: u16) {
        self.command(Command::RemovePort { id: PortId(0) });
        let config = PortConfig { vlan: Some(vid), ..PortConfig::new(BridgeId(0)) };
        self.command(Command::AddPort { id: PortId(0), config });
    }

    /// Bridge 0 floods there too.
    pub(crate) fn flood_to(&mut self, address: IpAddr) {
        self.command(Command::FloodAdd { bridge: BridgeId(0), remote: Remote::at(address) });
    }

    /// Bridge 0 has this static entry.
    pub(crate) fn station_at(&mut self, station: [u8; 6], remote: Remote) {
        let (place, owner) = (Place::Remote(remote), Owner::Static);
        self.command(Command::FdbReplace {
            bridge: BridgeId(0),
            mac: mac(station),
            place,
            owner,
            sticky: false,
            label: Label::NONE,
        });
    }

    pub(crate) fn step(&mut self, input: &Input<'_>) -> Verdict {
        let packets = self.engine.counters().packets();
        let verdict = self.engine.step(self.now, input);
        assert_eq!(self.engine.counters().packets(), packets + 1, "a packet counts once");
        verdict
    }

    pub(crate) fn on_port(&mut self, port: u16, frame: &[u8]) -> Verdict {
        self.step(&Input::from_port(PortId(port), frame))
    }

    pub(crate) fn on_underlay(&mut self, frame: &[u8]) -> Verdict {
        self.step(&Input::from_underlay(UnderlayId(0), frame))
    }

    /// Sends a frame into a port, and gives what left on the underlay. Copies to other ports are left out.
    pub(crate) fn sent(&mut self, port: u16, frame: &[u8]) -> Vec<Read> {
        let verdict = self.on_port(port, frame);
        let copies = self.copies(&verdict, frame);
        copies.iter().filter(|(to, _)| matches!(to, Egress::Underlay { .. })).map(|(_, b)| Read::ip(b)).collect()
    }

    /// The one packet that left on the underlay for a frame into port 0.
    pub(crate) fn sent_one(&mut self, frame: &[u8]) -> Read {
        let mut sent = self.sent(0, frame);
        assert_eq!(sent.len(), 1, "packets sent");
        sent.remove(0)
    }

    /// Takes a packet in from the underlay, and gives what ports got; nothing may leave on the underlay.
    pub(crate) fn delivered(&mut self, frame: &[u8]) -> Vec<(u16, Vec<u8>)> {
        let verdict = self.on_underlay(frame);
        let port = |to| match to {
            Egress::Port(port) => port.0,
            Egress::Underlay { .. } => panic!("from a tunnel into a tunnel"),
        };
        self.copies(&verdict, frame).into_iter().map(|(to, bytes)| (port(to), bytes)).collect()
    }

    /// All that leaves for a verdict, in order, from the IP header on.
    pub(crate) fn copies(&self, verdict: &Verdict, input: &[u8]) -> Vec<(Egress, Vec<u8>)> {
        self.copies_from(Depth::Ip, verdict, input)
    }

    pub(crate) fn copies_from(&self, depth: Depth, verdict: &Verdict, input: &[u8]) -> Vec<(Egress, Vec<u8>)> {
        let Verdict::Flood(flood) = verdict else {
            return match verdict {
                Verdict::Deliver(_) | Verdict::Encapsulate(_) => vec![self.write(depth, verdict, input)],
                _ => Vec::new(),
            };
        };
        let mut cursor = Cursor::new();
        let mut copies = Vec::new();
        while let Some(copy) = self.engine.next_copy(flood, &mut cursor) {
            copies.push(self.write(depth, &copy.unwrap(), input));
        }
        copies
    }

    /// Carries a verdict out in each of the three ways, which have to agree.
    fn write(&self, depth: Depth, verdict: &Verdict, input: &[u8]) -> (Egress, Vec<u8>) {
        let mut out = vec![0xa5; input.len() + 512];
        let output = self.engine.rewrite_into(verdict, depth, input, &mut out).unwrap();
        let bytes = out[output.bytes].to_vec();

        let mut head = vec![0xa5; 512];
        let gather = self.engine.rewrite_head(verdict, depth, input, &mut head).unwrap();
        assert_eq!(gather.to, output.to);
        assert_eq!([&head[..gather.head], &input[gather.rest]].concat(), bytes, "gathered");

        let (shared, edit) = match verdict {
            Verdict::Deliver(deliver) => (deliver.shared, deliver.edit),
            Verdict::Encapsulate(encapsulate) => (encapsulate.shared, encapsulate.edit),
            other => panic!("{other:?}"),
        };
        if !shared || edit.is_none() {
            let mut buffer = vec![0xa5; 512];
            buffer.extend(input);
            let range = 512..buffer.len();
            let in_place = self.engine.rewrite(verdict, depth, &mut buffer, range).unwrap();
            assert_eq!(in_place.to, output.to);
            assert_eq!(buffer[in_place.bytes], bytes, "in place");
        }
        (output.to, bytes)
    }

    /// Everything a packet can change but counters: FDB entries with their ages, endpoints.
    pub(crate) fn state(&self) -> Vec<String> {
        let mut state: Vec<String> = self.engine.fdb().map(|entry| format!("{entry:?}")).collect();
        state.extend(
            self.engine.endpoints().iter().map(|(id, e)| format!("{id:?} {:?} {}", e.address(), e.is_learned())),
        );
        state
    }

    /// Lets time pass, so that a refresh shows.
    pub(crate) fn later(&mut self) {
        self.now = self.now.saturating_add(Duration::from_secs(10));
        // A refused command moves the clock and nothing else.
        let nothing = self.engine.command(self.now, &Command::RemovePort { id: PortId(999) });
        assert_eq!(nothing, Err(CommandError::NoSuchPort));
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        core::iter::from_fn(|| self.engine.poll_event()).collect()
    }

    /// Where bridge 0 believes a station to be.
    pub(crate) fn place_of(&self, station: [u8; 6]) -> Option<Place> {
        self.place_in(0, station)
    }

    pub(crate) fn place_in(&self, bridge: u16, station: [u8; 6]) -> Option<Place> {
        let entry = self.engine.lookup(BridgeId(bridge), mac(station))?;
        Some(self.engine.place(entry.destination()).unwrap())
    }

    /// The remote address bridge 0 believes a station to be behind.
    pub(crate) fn remote_of(&self, station: [u8; 6]) -> Option<IpAddr> {
        match self.place_of(station)? {
            Place::Remote(remote) => Some(remote.address),
            other => panic!("{other:?}"),
        }
    }

    /// A packet from the underlay that is dropped for this reason, is counted under it, and changes nothing else.
    pub(crate) fn refuses(&mut self, frame: &[u8], reason: DropReason) {
        self.refuses_input(&Input::from_underlay(UnderlayId(0), frame), reason);
    }

    /// The same for a frame from a port.
    pub(crate) fn refuses_from_port(&mut self, port: u16, frame: &[u8], reason: DropReason) {
        self.refuses_input(&Input::from_port(PortId(port), frame), reason);
    }

    pub(crate) fn refuses_input(&mut self, input: &Input<'_>, reason: DropReason) {
        self.later();
        self.events();
        let before = self.state();
        self.drops(input, reason);
        assert_eq!(self.state(), before, "{reason:?} changed a table");
        assert_eq!(self.events(), [], "{reason:?} raised events");
    }

    /// A packet that is dropped for this reason and counted under it; tables may change.
    pub(crate) fn drops(&mut self, input: &Input<'_>, reason: DropReason) {
        let count = |vtep: &Self| {
            let counters = vtep.engine.counters();
            let bridge = vtep.engine.bridge_counters(BridgeId(0)).unwrap();
            (counters.drops(reason), counters.verdicts(VerdictKind::Drop), bridge.drops(reason))
        };
        let before = count(self);
        let verdict = self.step(input);
        assert_eq!(verdict, Verdict::Drop(reason), "profile {:?}", self.profile);
        let per_vni = u64::from(reason.has_vni());
        assert_eq!(count(self), (before.0 + 1, before.1 + 1, before.2 + per_vni), "{reason:?}");
    }
}
