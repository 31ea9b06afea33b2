//! An engine with many stations on both sides, and packets between them.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vtep::engine::{Command, Config, Engine, Input, LabelStorage, Profile, Remote, Verdict};
use vtep::table::{
    Action, BridgeConfig, BridgeId, EndpointAddress, EndpointConfig, Enforcement, GroupMatch, Instant, PortConfig,
    PortId, Rule, UnderlayConfig, UnderlayId, UnderlayLink, WhenFull,
};
use vtep::wire::checksum::Sum;
use vtep::wire::{Depth, Encapsulation, MacAddr, SecurityGroup, Vni, udp};

use super::floor::PACKETS;
use super::tables::{Sizes, Tables};
use super::world::build::{Checksum, Frame, Ip, Packet, geneve, geneve_option, inner_ip, udp as datagram, vxlan};
use super::{Random, mix, short};

pub const BURST: usize = 32;
/// More than the longest outer header that is written here: Ethernet, IPv6, UDP, Geneve with one option.
const HEAD: usize = 128;
const FRAME: usize = 64;
/// The longest packet here has 16 options.
const ROOM: usize = 384;
const FIRST_VNI: u32 = 5_000;
const UNDERLAY: UnderlayId = UnderlayId(0);
/// The security group of every station.
const GROUP: u32 = 7;

/// How an overlay looks.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub encapsulation: Encapsulation,
    pub ipv6: bool,
    /// Options of packets from the underlay, 8 bytes each; with `labels`, the first names the sender's security group.
    pub options: usize,
    /// Whether there is a UDP checksum.
    pub checksum: bool,
    /// Stations on each side.
    pub macs: usize,
    pub vnis: usize,
    /// Packets in a row between the same two stations.
    pub train: usize,
    /// Whether each packet is of a flow of its own.
    pub flows: bool,
    /// Endpoints, all of them on the flood list.
    pub remotes: usize,
    pub when_full: WhenFull,
    /// Whether frames are sent with an option that names the sender's security group, and options are read for it; what
    /// they say is learned.
    pub labels: bool,
    /// With `labels`: whether a policy is asked, of which one rule allows what there is.
    pub policy: bool,
}

impl Plan {
    pub const VXLAN: Self = Self {
        encapsulation: Encapsulation::Vxlan,
        ipv6: false,
        options: 0,
        checksum: false,
        macs: 10_000,
        vnis: 1,
        train: 1,
        flows: false,
        remotes: 8,
        when_full: WhenFull::Evict,
        labels: false,
        policy: false,
    };
    pub const GENEVE: Self = Self { encapsulation: Encapsulation::Geneve, ..Self::VXLAN };

    pub fn name(&self) -> String {
        let encapsulation = if self.encapsulation == Encapsulation::Geneve { "geneve" } else { "vxlan" };
        let mut name = format!("{encapsulation}/{}", if self.ipv6 { "v6" } else { "v4" });
        if self.options > 0 {
            name += &format!("/options-{}", self.options);
        }
        if self.labels {
            name += "/labels";
        }
        if self.policy {
            name += "/policy";
        }
        if self.checksum {
            name += "/checksum";
        }
        if self.train > 1 {
            name += &format!("/trains-{}", self.train);
        }
        if self.flows {
            name += "/flows";
        }
        if self.vnis > 1 {
            name += &format!("/vnis-{}", short(self.vnis));
        }
        format!("{name}/{}", short(self.macs))
    }

    fn us(&self) -> IpAddr {
        self.address(0xfffe)
    }

    fn remote(&self, number: usize) -> IpAddr {
        self.address(number + 1)
    }

    fn address(&self, number: usize) -> IpAddr {
        let [high, low] = u16::try_from(number).unwrap().to_be_bytes();
        if self.ipv6 {
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from_be_bytes([high, low])))
        } else {
            IpAddr::V4(Ipv4Addr::new(198, 18, high, low))
        }
    }

    fn endpoint(&self, number: usize) -> EndpointAddress {
        EndpointAddress {
            underlay: UNDERLAY,
            address: self.remote(number),
            encapsulation: self.encapsulation,
            port: self.encapsulation.default_port(),
            vni: None,
        }
    }

    /// A packet from a remote endpoint; its MACs, VNI and checksum are to be set.
    fn packet(&self, remote: usize) -> Vec<u8> {
        let option = |n| match (self.labels, n) {
            (true, 0) => geneve_option(0xff00, 0x80, &GROUP.to_be_bytes()),
            _ => geneve_option(0x0100, n as u8, &[9; 4]),
        };
        let options: Vec<u8> = (0..self.options).flat_map(option).collect();
        let tunnel = match self.encapsulation {
            Encapsulation::Geneve => geneve(0, self.labels, &options),
            _ => vxlan(0),
        };
        let port = self.encapsulation.default_port();
        let (src, dst) = (self.remote(remote), self.us());
        Packet { src, dst, checksum: Checksum::Zero, ..Packet::new(port, tunnel, &frame()) }.bytes()
    }
}

/// 64 bytes: UDP over IPv4.
pub fn frame() -> Vec<u8> {
    let packet = inner_ip(false);
    let payload = datagram(packet.src, packet.dst, 4000, 5000, Checksum::Right, &[0x5a; FRAME - 42]);
    let bytes = Frame::ip([0; 6], [0; 6], &Ip { payload, ..packet }).bytes();
    assert_eq!(bytes.len(), FRAME);
    bytes
}

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Encap,
    Decap,
}

pub struct Overlay {
    pub engine: Engine<'static>,
    pub plan: Plan,
    packets: u64,
}

#[derive(Clone, Copy)]
enum Side {
    Local,
    Remote,
}

fn mac(side: Side, number: usize) -> MacAddr {
    let number = mix((number as u64) << 1 | u64::from(matches!(side, Side::Remote)));
    MacAddr::from_u64(number & 0xfcff_ffff_ffff | 0x0200_0000_0000)
}

impl Overlay {
    /// With every station learned from a packet of its own; the FDB is 90 % full then.
    pub fn new(plan: Plan) -> Self {
        let Plan { macs, vnis, remotes, .. } = plan;
        let buckets = (macs * 2 * 10).div_ceil(9 * 4).max(4);
        let lists = vnis * remotes;
        let mut sizes = Sizes::AMPLE;
        sizes.macs = buckets;
        sizes.bridges = vnis;
        sizes.bridge_records = vnis;
        sizes.bridge_counters = vnis;
        sizes.vnis = vnis;
        sizes.ports = vnis;
        sizes.port_records = vnis;
        sizes.endpoints = remotes;
        sizes.endpoint_records = remotes;
        sizes.addresses = remotes;
        sizes.groups = vnis;
        sizes.group_records = vnis;
        sizes.members = lists;
        sizes.memberships = lists;
        sizes.underlays = 1;
        sizes.events = 0;
        sizes.guards = vnis;
        sizes.moves = 0;
        let memory = Box::leak(Box::new(Tables::new(&sizes))).memory();
        let config = Config { when_full: plan.when_full, ..Config::new(Profile::Rfc, [11, 12]) };
        let mut engine = Engine::new(memory, &config);
        if plan.labels {
            let labels: &mut LabelStorage<64, 64, 0> = Box::leak(Box::new(LabelStorage::new()));
            engine = engine.with_labels(labels.memory());
        }
        let mut overlay = Self { engine, plan, packets: 0 };
        overlay.configure();
        let mut pools = [Way::Encap, Way::Decap].map(|way| Pool::new(plan, way));
        for start in (0..macs).step_by(PACKETS) {
            let count = PACKETS.min(macs - start);
            for pool in &mut pools {
                pool.aim((start..start + count).map(|n| (n, n)));
                overlay.carry(pool, false);
            }
        }
        if plan.labels {
            let labelled = overlay.engine.fdb().filter(|(_, _, entry)| !overlay.engine.label(*entry).is_none()).count();
            assert!(labelled + macs / 1_000 >= macs, "{labelled} of {macs} remote MACs have a group");
        }
        let known = overlay.engine.fdb().count();
        assert!(known + macs / 1_000 >= macs * 2, "{known} of {} MACs were learned", macs * 2);
        let [mut encap, _] = pools;
        encap.aim([(0, 0)].into_iter());
        let verdicts = overlay.verdicts(&encap);
        let header = HEAD as u64 - overlay.rewrite(&mut encap, &verdicts);
        assert_eq!(header, if plan.ipv6 { 70 } else { 50 } + if plan.labels { 8 } else { 0 }, "an outer header");
        overlay
    }

    fn configure(&mut self) {
        let plan = self.plan;
        let link = UnderlayLink { mac: MacAddr([2, 0, 0, 0, 0, 0xaa]), vlan: None, gateway: None };
        let config = UnderlayConfig {
            link: Some(link),
            checksum_v4: Some(plan.checksum),
            checksum_v6: plan.checksum,
            zero_checksum_v6: !plan.checksum,
            ..UnderlayConfig::new(plan.us())
        };
        self.command(Command::SetUnderlay { id: UNDERLAY, config });
        for n in 0..plan.remotes {
            let next_hop = Some(MacAddr([2, 0, 0, 1, (n >> 8) as u8, n as u8]));
            let config = EndpointConfig { next_hop, ..EndpointConfig::default() };
            self.command(Command::SetEndpoint { address: plan.endpoint(n), config });
        }
        for n in 0..plan.vnis as u16 {
            let (bridge, vni) = (BridgeId(n), Vni::truncating(FIRST_VNI + u32::from(n)));
            let config = BridgeConfig {
                options: plan.labels,
                policy: plan.policy.then_some(Enforcement::DEFAULT),
                ..BridgeConfig::new(plan.encapsulation, vni)
            };
            self.command(Command::AddBridge { id: bridge, config });
            let group = SecurityGroup::new(GROUP).filter(|_| plan.labels).unwrap_or_default();
            if plan.policy {
                let (from, to) = (GroupMatch::Is(group), GroupMatch::Is(group));
                self.command(Command::SetRule { rule: Rule { bridge, from, to, action: Action::Allow } });
            }
            self.command(Command::AddPort { id: PortId(n), config: PortConfig { group, ..PortConfig::new(bridge) } });
            for remote in 0..plan.remotes {
                self.command(Command::FloodAdd { bridge, remote: Remote::at(plan.remote(remote)) });
            }
        }
    }

    fn command(&mut self, command: Command) {
        self.engine.command(Instant::ZERO, &command).unwrap_or_else(|error| panic!("{command:?}: {error:?}"));
    }

    /// At 10 million packets a second.
    pub const PACKETS_PER_MS: u64 = 10_000;

    /// The time.
    pub fn now(&self) -> Instant {
        Instant::from_millis(self.packets / Self::PACKETS_PER_MS)
    }

    /// Steps all packets of a pool and writes what becomes of them.
    #[inline(always)]
    pub fn carry(&mut self, pool: &mut Pool, batch: bool) -> u64 {
        if batch { self.carry_as::<true, true>(pool) } else { self.carry_as::<false, true>(pool) }
    }

    /// Steps all packets of a pool and leaves it at that.
    #[inline(always)]
    pub fn step_only(&mut self, pool: &mut Pool, batch: bool) -> u64 {
        if batch { self.carry_as::<true, false>(pool) } else { self.carry_as::<false, false>(pool) }
    }

    #[inline(always)]
    fn carry_as<const BATCH: bool, const REWRITE: bool>(&mut self, pool: &mut Pool) -> u64 {
        self.packets += pool.count as u64;
        let now = self.now();
        let range = HEAD..HEAD + pool.len;
        let (way, mut sum) = (pool.way, 0_u64);
        let mut write = |engine: &Engine<'_>, verdict: &Verdict, room: &mut [u8; ROOM]| {
            if REWRITE {
                let output = engine.rewrite(verdict, Depth::Ethernet, room, range.clone());
                sum = sum.wrapping_add(output.map_or(0, |output| output.bytes.start as u64));
            } else {
                sum = sum.wrapping_add(verdict.kind() as u64);
            }
        };
        if !BATCH {
            for (room, port) in pool.rooms.iter_mut().zip(&pool.ports).take(pool.count) {
                let verdict = self.engine.step(now, &way.input(*port, &room.0[HEAD..HEAD + pool.len]));
                write(&self.engine, &verdict, &mut room.0);
            }
            return sum;
        }
        let mut verdicts = [Verdict::NOTHING; BURST];
        for (rooms, ports) in pool.rooms[..pool.count].chunks_mut(BURST).zip(pool.ports.chunks(BURST)) {
            let mut inputs = [way.input(0, &[]); BURST];
            for ((room, port), input) in rooms.iter().zip(ports).zip(&mut inputs) {
                *input = way.input(*port, &room.0[HEAD..HEAD + pool.len]);
            }
            self.engine.step_batch(now, &inputs[..rooms.len()], &mut verdicts);
            for (room, verdict) in rooms.iter_mut().zip(&verdicts) {
                write(&self.engine, verdict, &mut room.0);
            }
        }
        sum
    }

    /// Steps one packet of a pool.
    #[inline(always)]
    pub fn step_one(&mut self, pool: &Pool, number: usize) -> Verdict {
        self.packets += 1;
        let now = self.now();
        let bytes = &pool.rooms[number].0[HEAD..HEAD + pool.len];
        self.engine.step(now, &pool.way.input(pool.ports[number], bytes))
    }

    /// Steps the pool's packets into `verdicts`, untimed, so that writing alone can be measured.
    pub fn verdicts(&mut self, pool: &Pool) -> Vec<Verdict> {
        let now = self.now();
        let packets = pool.rooms.iter().zip(&pool.ports).take(pool.count);
        packets
            .map(|(room, port)| self.engine.step(now, &pool.way.input(*port, &room.0[HEAD..HEAD + pool.len])))
            .collect()
    }

    /// Writes what becomes of a pool's packets.
    #[inline(always)]
    pub fn rewrite(&self, pool: &mut Pool, verdicts: &[Verdict]) -> u64 {
        let range = HEAD..HEAD + pool.len;
        pool.rooms.iter_mut().zip(verdicts).fold(0, |sum, (room, verdict)| {
            let output = self.engine.rewrite(verdict, Depth::Ethernet, &mut room.0, range.clone());
            output.map_or(0, |output| output.bytes.start as u64).wrapping_add(sum)
        })
    }
}

impl Way {
    #[inline(always)]
    fn input(self, port: u16, bytes: &[u8]) -> Input<'_> {
        match self {
            Self::Encap => Input::from_port(PortId(port), bytes),
            Self::Decap => Input::from_underlay(UNDERLAY, bytes),
        }
    }
}

#[derive(Clone, Copy)]
#[repr(align(64))]
pub struct Room(pub [u8; ROOM]);

/// Packets with room in front of them, and the port each comes from.
pub struct Pool {
    pub rooms: Vec<Room>,
    ports: Vec<u16>,
    /// Packets in use.
    pub count: usize,
    /// Bytes of each.
    pub len: usize,
    plan: Plan,
    way: Way,
    /// A packet from each remote endpoint.
    models: Vec<Vec<u8>>,
}

impl Pool {
    pub fn new(plan: Plan, way: Way) -> Self {
        let models: Vec<Vec<u8>> = match way {
            Way::Encap => vec![frame()],
            Way::Decap => (0..plan.remotes).map(|remote| plan.packet(remote)).collect(),
        };
        let len = models[0].len();
        let mut room = Room([0; ROOM]);
        room.0[HEAD..HEAD + len].copy_from_slice(&models[0]);
        Self { rooms: vec![room; PACKETS], ports: vec![0; PACKETS], count: PACKETS, len, plan, way, models }
    }

    /// Addresses packets, from one station's number to another's of the same VNI.
    pub fn aim(&mut self, pairs: impl Iterator<Item = (usize, usize)>) {
        let Self { rooms, ports, len, plan, models, .. } = self;
        self.count = 0;
        for ((room, port), (src, dst)) in rooms.iter_mut().zip(ports).zip(pairs) {
            self.count += 1;
            let vni = src % plan.vnis;
            *port = vni as u16;
            let packet = &mut room.0[HEAD..HEAD + *len];
            let inner = *len - FRAME;
            match self.way {
                Way::Encap => set_macs(&mut packet[inner..], mac(Side::Remote, dst), mac(Side::Local, src)),
                Way::Decap => {
                    packet.copy_from_slice(&models[src % plan.remotes]);
                    set_macs(&mut packet[inner..], mac(Side::Local, dst), mac(Side::Remote, src));
                    let vni = FIRST_VNI + vni as u32;
                    let tunnel = if plan.ipv6 { 62 } else { 42 };
                    packet[tunnel + 4..tunnel + 7].copy_from_slice(&vni.to_be_bytes()[1..]);
                    if plan.checksum {
                        let (src, dst) = (plan.remote(src % plan.remotes), plan.us());
                        set_checksum(&mut packet[tunnel - 8..], src, dst);
                    }
                }
            }
        }
    }
}

impl Pool {
    /// Gives every packet other UDP ports, inside and in front of it. There must be no outer checksum.
    pub fn draw_flows(&mut self, random: &mut Random) {
        let inner = HEAD + self.len - FRAME;
        for room in &mut self.rooms {
            let [a, b, c, d, e, f, ..] = random.next().to_ne_bytes();
            room.0[inner + 34..inner + 38].copy_from_slice(&[a, b, c, d]);
            if self.way == Way::Decap {
                room.0[HEAD + 34..HEAD + 36].copy_from_slice(&[e, f]);
            }
        }
    }

    /// Gives every packet another source, one that nobody has seen.
    pub fn strangers(&mut self, random: &mut Random) {
        self.aim((0..PACKETS).map(|_| (0, 0)));
        let inner = HEAD + self.len - FRAME;
        for room in &mut self.rooms {
            let stranger = MacAddr::from_u64(random.next() & 0xfcff_ffff_ffff | 0x0200_0000_0000);
            room.0[inner + 6..inner + 12].copy_from_slice(&stranger.0);
        }
    }
}

fn set_macs(frame: &mut [u8], dst: MacAddr, src: MacAddr) {
    frame[..6].copy_from_slice(&dst.0);
    frame[6..12].copy_from_slice(&src.0);
}

fn set_checksum(datagram: &mut [u8], src: IpAddr, dst: IpAddr) {
    datagram[6..8].fill(0);
    let pseudo: Sum = udp::pseudo(src, dst, datagram.len() as u32).unwrap();
    let sum = pseudo.add_bytes(datagram).finish_udp();
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
}
