//! One VTEP under attack: two tenants, their stations, and what becomes of the stations' frames meanwhile.
//!
//! ```text
//!   port 0  attacker's ─┐            ┌─ host 1: the attacker's station, and some of tenant Y's
//!   port 1  tenant X's ─┤    VTEP    ├─ host 2: tenant X's stations
//!   port 2  tenant Y's ─┘            └─ (whoever else sends)
//! ```

use core::net::{IpAddr, Ipv4Addr};

use vtep::engine::{Command, Config, Cursor, Engine, Event, Input, Place, Profile, Remote, Storage, Verdict};
use vtep::table::{
    BridgeConfig, BridgeId, Duration, EndpointAddress, Instant, PortConfig, PortId, UnderlayConfig, UnderlayId,
};
use vtep::wire::{Datagram, Encapsulation, MacAddr, UdpChecksum, Vni};

/// Tenant X, in which the attacker sits.
pub const X: BridgeId = BridgeId(0);
/// Tenant Y, which has nothing to do with it.
pub const Y: BridgeId = BridgeId(1);
/// The attacker's port in tenant X.
pub const ATTACKER: PortId = PortId(0);
/// Stations behind each of the four places where bystanders are.
pub const STATIONS: u64 = 100;
/// Buckets of the FDB, four MACs each.
pub const BUCKETS: usize = 256;
/// The key of the hashes.
pub const SEED: [u64; 2] = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];

const ENDPOINTS: usize = 32;
type Tables = Storage<BUCKETS, 2, 3, ENDPOINTS, 4, 64, 64>;

/// The address of the VTEP under attack.
pub const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 254));

/// The address of a host.
pub const fn host(n: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, n))
}

/// The VNI of a tenant.
pub const fn vni(bridge: BridgeId) -> u32 {
    5000 + bridge.0 as u32
}

/// A station's MAC.
pub const fn mac(group: u64, n: u64) -> MacAddr {
    MacAddr::from_u64(0x0200_0000_0000 | group << 32 | n)
}

/// How the VTEP is configured; scenarios change what they are about.
pub struct Setup {
    pub config: Config,
    pub bridge: BridgeConfig,
    /// Most MACs on the attacker's port.
    pub port_macs: Option<u32>,
    pub commands: Vec<Command>,
}

impl Setup {
    /// The defaults of profile `Rfc`.
    pub fn new() -> Self {
        Self {
            config: Config::new(Profile::Rfc, SEED),
            bridge: BridgeConfig::new(Encapsulation::Vxlan, Vni::truncating(vni(X))),
            port_macs: None,
            commands: Vec::new(),
        }
    }
}

/// A packet on its way in.
#[derive(Clone)]
pub enum Packet {
    Port(PortId, Vec<u8>),
    Tunnel(Datagram, Vec<u8>),
}

impl Packet {
    /// A frame behind a port.
    pub fn on_port(port: PortId, dst: MacAddr, src: MacAddr) -> Self {
        Self::Port(port, frame(dst, src))
    }

    /// The same in VXLAN from a host.
    pub fn from_host(from: IpAddr, tenant: BridgeId, dst: MacAddr, src: MacAddr) -> Self {
        Self::tunnel(from, LOCAL, tenant, &frame(dst, src))
    }

    /// Any inner frame in VXLAN.
    pub fn tunnel(from: IpAddr, to: IpAddr, tenant: BridgeId, inner: &[u8]) -> Self {
        let [_, a, b, c] = vni(tenant).to_be_bytes();
        let mut bytes = vec![8, 0, 0, 0, a, b, c, 0];
        bytes.extend(inner);
        let datagram = Datagram {
            src: from,
            dst: to,
            src_port: 50_000,
            dst_port: 4789,
            tos: 0,
            ttl: 64,
            checksum: UdpChecksum::Good,
        };
        Self::Tunnel(datagram, bytes)
    }

    pub fn input(&self) -> Input<'_> {
        match self {
            Self::Port(port, bytes) => Input::from_port(*port, bytes),
            Self::Tunnel(datagram, bytes) => Input::from_socket(UnderlayId(0), *datagram, bytes),
        }
    }
}

/// 64 bytes between two stations.
pub fn frame(dst: MacAddr, src: MacAddr) -> Vec<u8> {
    let mut bytes = [dst.0, src.0].concat();
    bytes.extend([0x88, 0xb5]);
    bytes.resize(64, 0x5a);
    bytes
}

/// Two stations of one tenant, one behind a port, one behind a host.
#[derive(Clone, Copy)]
pub struct Pair {
    pub tenant: BridgeId,
    pub near: MacAddr,
    pub port: PortId,
    pub far: MacAddr,
    pub host: IpAddr,
}

impl Pair {
    /// Of the attacker's tenant, behind another host than his; of the other tenant, behind the same.
    pub fn all() -> impl Iterator<Item = Self> {
        let of = |tenant: BridgeId, port: u16, behind: u8| {
            (0..STATIONS).map(move |n| Self {
                tenant,
                near: mac(u64::from(tenant.0) << 4, n),
                port: PortId(port),
                far: mac(u64::from(tenant.0) << 4 | 1, n),
                host: host(behind),
            })
        };
        of(X, 1, 2).chain(of(Y, 2, 1))
    }

    fn owns(&self, bridge: BridgeId, mac: MacAddr) -> bool {
        self.tenant == bridge && (self.near == mac || self.far == mac)
    }
}

/// What became of the bystanders' frames and entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Packets of the attacker.
    pub attacks: u64,
    /// Copies of them that reached a bystander's port, in the attacker's tenant and in the other.
    pub suffered: [u64; 2],
    /// Unicast frames that bystanders sent.
    pub sent: u64,
    /// Those that went where they should, and nowhere else.
    pub direct: u64,
    /// Those that were flooded, and so arrived as well.
    pub flooded: u64,
    /// Bystanders' entries that were evicted, moved or missing at the end, by tenant.
    pub lost: [u64; 2],
    /// Events that found no place.
    pub events_lost: u64,
}

impl Outcome {
    /// Frames that arrived.
    pub fn delivered(&self) -> u64 {
        self.direct + self.flooded
    }
}

/// The VTEP, and what is kept about it.
pub struct Arena {
    pub engine: Engine<'static>,
    pub now: Instant,
    pub outcome: Outcome,
    /// Whether somebody reads the events.
    pub reads_events: bool,
    pairs: Vec<Pair>,
    next: usize,
    /// Told of every step how long it took.
    clock: fn() -> u64,
    pub costs: Vec<u64>,
}

impl Arena {
    /// With every bystander learned. `clock` reads nanoseconds, or nothing.
    pub fn new(setup: &Setup, clock: fn() -> u64) -> Self {
        let tables: &'static mut Tables = Box::leak(Box::new(Tables::new()));
        let mut arena = Self {
            engine: Engine::new(tables.memory(), &setup.config),
            now: Instant::from_millis(1_000_000),
            outcome: Outcome::default(),
            reads_events: true,
            pairs: Pair::all().collect(),
            next: 0,
            clock,
            // All of it at once: a copy in between would push the tables out of the caches.
            costs: Vec::with_capacity(1 << 15),
        };
        let mut underlay = UnderlayConfig::new(LOCAL);
        underlay.ipv6 = Some("2001:db8::fe".parse().expect("an address"));
        underlay.zero_checksum_v6 = true;
        arena.command(Command::SetUnderlay { id: UnderlayId(0), config: underlay });
        for id in [X, Y] {
            let config = BridgeConfig { vni: Vni::truncating(vni(id)), ..setup.bridge };
            arena.command(Command::AddBridge { id, config });
            for n in [1, 2] {
                arena.command(Command::FloodAdd { bridge: id, remote: Remote::at(host(n)) });
            }
        }
        for (port, bridge) in [(0, X), (1, X), (2, Y)] {
            let max_macs = setup.port_macs.filter(|_| PortId(port) == ATTACKER);
            let config = PortConfig { max_macs, ..PortConfig::new(bridge) };
            arena.command(Command::AddPort { id: PortId(port), config });
        }
        for command in &setup.commands {
            arena.command(*command);
        }
        for pair in arena.pairs.clone() {
            for packet in [
                Packet::on_port(pair.port, pair.far, pair.near),
                Packet::from_host(pair.host, pair.tenant, pair.near, pair.far),
            ] {
                arena.engine.step(arena.now, &packet.input());
                while arena.engine.poll_event().is_some() {}
            }
        }
        // Storms are measured from a full bucket on.
        arena.now = arena.now.saturating_add(Duration::from_secs(10));
        arena
    }

    pub fn command(&mut self, command: Command) {
        self.engine.command(self.now, &command).unwrap_or_else(|error| panic!("{command:?}: {error}"));
    }

    /// A packet of the attacker, a millisecond after the one before.
    pub fn attack(&mut self, packet: &Packet) -> Verdict {
        self.now = self.now.saturating_add(Duration::from_millis(1));
        let verdict = self.step(packet);
        self.outcome.attacks += 1;
        let reached = |port: PortId| match port {
            PortId(1) => Some(0),
            PortId(2) => Some(1),
            _ => None,
        };
        let copies = match &verdict {
            Verdict::Flood(flood) => {
                let mut cursor = Cursor::new();
                core::iter::from_fn(|| self.engine.next_copy(flood, &mut cursor)).flatten().collect()
            }
            Verdict::Deliver(_) => vec![verdict],
            _ => Vec::new(),
        };
        for copy in copies {
            if let Verdict::Deliver(deliver) = copy
                && let Some(tenant) = reached(deliver.port.id)
            {
                self.outcome.suffered[tenant] += 1;
            }
        }
        self.read_events();
        verdict
    }

    /// The next pair of bystanders say something to each other.
    pub fn bystanders(&mut self) {
        let pair = self.pairs[self.next % self.pairs.len()];
        self.next += 1;
        let out = self.step(&Packet::on_port(pair.port, pair.far, pair.near));
        let expected = match out {
            Verdict::Encapsulate(encapsulate) => {
                let endpoint = self.engine.endpoints().get(encapsulate.endpoint.id);
                endpoint.is_some_and(|endpoint| endpoint.address().address == pair.host)
            }
            _ => false,
        };
        self.judge(&out, expected);
        let packet = Packet::from_host(pair.host, pair.tenant, pair.near, pair.far);
        let back = self.step(&packet);
        let expected = matches!(back, Verdict::Deliver(deliver) if deliver.port.id == pair.port);
        self.judge(&back, expected);
        self.read_events();
    }

    fn judge(&mut self, verdict: &Verdict, expected: bool) {
        self.outcome.sent += 1;
        self.outcome.direct += u64::from(expected);
        self.outcome.flooded += u64::from(matches!(verdict, Verdict::Flood(_)));
    }

    fn step(&mut self, packet: &Packet) -> Verdict {
        let input = packet.input();
        let before = (self.clock)();
        let verdict = self.engine.step(self.now, &input);
        let after = (self.clock)();
        self.costs.push(after.saturating_sub(before));
        verdict
    }

    /// Entries of bystanders that went, as the events tell.
    fn read_events(&mut self) {
        if !self.reads_events {
            return;
        }
        while let Some(event) = self.engine.poll_event() {
            let (Event::Evicted { bridge, mac, .. } | Event::Moved { bridge, mac, .. }) = event else { continue };
            if self.pairs.iter().any(|pair| pair.owns(bridge, mac)) {
                self.outcome.lost[bridge.index()] += 1;
            }
        }
    }

    /// Looks at what is left.
    pub fn finish(&mut self) -> Outcome {
        self.read_events();
        for pair in &self.pairs {
            let place = |mac| {
                let entry = self.engine.lookup(pair.tenant, mac)?;
                self.engine.place(entry.destination())
            };
            let near = place(pair.near) == Some(Place::Port(pair.port));
            let far = matches!(place(pair.far), Some(Place::Remote(remote)) if remote.address == pair.host);
            self.outcome.lost[pair.tenant.index()] += u64::from(!near) + u64::from(!far);
        }
        self.outcome.events_lost = self.engine.lost_events();
        self.outcome
    }
}

/// A host as an endpoint of a tenant.
pub fn endpoint(n: u8) -> EndpointAddress {
    EndpointAddress {
        underlay: UnderlayId(0),
        address: host(n),
        encapsulation: Encapsulation::Vxlan,
        port: 4789,
        vni: None,
    }
}
