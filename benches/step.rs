//! Step and rewrite together: encapsulation and decapsulation with learning, random MACs.
//!
//! `cargo bench --bench step [-- FILTER]`. Each round measures every case once, beside a copy of 50 bytes, so that a
//! machine that changes its pace changes all of them. The last column is what that makes in TSC cycles of the machine on
//! which the copy takes 3.3 ns.
//!
//! Frames come from a pool that fits the first-level cache; their MACs are drawn anew, outside the measured time, before
//! each pass over the pool. Time goes on as at 10 million packets a second, so that entries are refreshed as often as
//! there.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use core::hint::black_box;
use core::net::{IpAddr, Ipv4Addr};

use vtep::engine::{Command, Config, Engine, Input, Profile, Remote, Verdict};
use vtep::table::{
    BridgeConfig, BridgeId, EndpointAddress, EndpointConfig, Instant, PortConfig, PortId, UnderlayConfig, UnderlayId,
    UnderlayLink,
};
use vtep::wire::{Depth, Encapsulation, MacAddr, Vni};

#[allow(dead_code)]
#[path = "../tests/common/packet.rs"]
mod packet;
#[allow(dead_code)]
#[path = "../tests/reference/tables.rs"]
mod tables;

use tables::{Sizes, Tables};

/// Unless `VTEP_ROUNDS` says otherwise, for a profiler for instance.
const ROUNDS: usize = 31;
/// Frames in the pool.
const POOL: usize = 192;
/// Packets measured in one round.
const PACKETS: usize = 50 * POOL;
const BURST: usize = 32;
const ROOM: usize = 192;
const HEAD: usize = 64;
const PORTS: u16 = 4;
const REMOTES: u8 = 8;
const VNI: u32 = 5000;
const US: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 100));

/// TSC cycles of the copy on the machine that figures are compared with: 3.3 ns at 2.445 GHz.
const COPY_CYCLES: f64 = 3.3 * 2.445;

/// Something with a name that measures itself, in nanoseconds a packet.
struct Case<'a> {
    name: String,
    run: Box<dyn FnMut() -> f64 + 'a>,
}

fn main() {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let sizes = [1, 10_000, 100_000, 1_000_000];
    let mut labs: Vec<Lab> = sizes.into_iter().map(Lab::new).filter(|lab| filter.contains(&name(lab.count))).collect();
    if labs.is_empty() {
        labs = sizes.into_iter().map(Lab::new).collect();
    }
    let mut cases = vec![Case { name: "copy 50 bytes".into(), run: Box::new(copy) }];
    for lab in &mut labs {
        let lab = core::cell::RefCell::new(lab.start());
        let lab = std::rc::Rc::new(lab);
        for (direction, way) in [(Direction::Encap, "encap"), (Direction::Decap, "decap")] {
            for (burst, how) in [(true, "burst of 32"), (false, "one by one")] {
                let lab = lab.clone();
                let name = format!("{way}, {}, {how}", name(lab.borrow().count));
                cases.push(Case { name, run: Box::new(move || lab.borrow_mut().measure(direction, burst)) });
            }
        }
    }
    cases.retain(|case| case.name.starts_with("copy") || case.name.contains(&filter));
    let mut rounds = vec![Vec::new(); cases.len()];
    let count = std::env::var("VTEP_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    for _ in 0..count {
        for (case, times) in cases.iter_mut().zip(&mut rounds) {
            times.push((case.run)());
        }
    }
    println!("{:36} {:>7}  {:>15}  {:>15}  {:>7}", "", "ns", "10 % to 90 %", "times the copy", "cycles");
    for (case, times) in cases.iter().zip(&rounds) {
        let ratios = times.iter().zip(&rounds[0]).map(|(a, b)| a / b).collect();
        let (low, middle, high) = spread(times.clone());
        let (_, ratio, _) = spread(ratios);
        let cycles = ratio * COPY_CYCLES;
        println!("{:36} {middle:7.1}  {low:6.1} {high:8.1}  {ratio:15.2}  {cycles:7.1}", case.name);
    }
}

fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 10], values[values.len() / 2], values[values.len() - 1 - values.len() / 10])
}

#[derive(Clone, Copy)]
enum Direction {
    Encap,
    Decap,
}

/// What calibrates: a copy of 50 bytes, whose length the compiler does not know, for each packet.
fn copy() -> f64 {
    let from = [[7_u8; HEAD]; POOL];
    let mut to = [[0_u8; HEAD]; POOL];
    let start = std::time::Instant::now();
    for _ in 0..PACKETS / POOL {
        for (from, to) in black_box(&from).iter().zip(black_box(&mut to)) {
            let at = HEAD - black_box(50);
            to[at..].copy_from_slice(&from[at..]);
        }
    }
    start.elapsed().as_nanos() as f64 / PACKETS as f64
}

/// A VTEP that knows `count` local and `count` remote MACs, and its memory.
struct Lab {
    count: u64,
    tables: Tables,
}

impl Lab {
    fn new(count: u64) -> Self {
        let slots = (count as usize * 2 * 10).div_ceil(9);
        let macs = slots.div_ceil(4).max(4);
        Self { count, tables: Tables::new(&Sizes { macs, events: 0, ..Sizes::AMPLE }) }
    }

    fn start(&mut self) -> Bench<'_> {
        let mut engine = Engine::new(self.tables.memory(), &Config::new(Profile::Rfc, [11, 12]));
        let mut command = |command| engine.command(Instant::ZERO, &command).expect("a sound command");
        let link = UnderlayLink { mac: MacAddr([2, 0, 0, 0, 0, 0xaa]), vlan: None, gateway: None };
        let config = UnderlayConfig { link: Some(link), ..UnderlayConfig::new(US) };
        command(Command::SetUnderlay { id: UnderlayId(0), config });
        let bridge = BridgeId(0);
        let config = BridgeConfig::new(Encapsulation::Vxlan, Vni::truncating(VNI));
        command(Command::AddBridge { id: bridge, config });
        for port in 0..PORTS {
            command(Command::AddPort { id: PortId(port), config: PortConfig::new(bridge) });
        }
        for remote in 0..REMOTES {
            let address = EndpointAddress {
                underlay: UnderlayId(0),
                address: peer(remote).into(),
                encapsulation: Encapsulation::Vxlan,
                port: 4789,
                vni: None,
            };
            let next_hop = Some(MacAddr([2, 0, 0, 0, 1, remote]));
            let config = EndpointConfig { next_hop, ..EndpointConfig::default() };
            command(Command::SetEndpoint { address, config });
            let remote = Remote {
                underlay: UnderlayId(0),
                address: peer(remote).into(),
                encapsulation: None,
                port: None,
                vni: None,
            };
            command(Command::FloodAdd { bridge, remote });
        }
        let mut bench = Bench { engine, count: self.count, state: 1, packets: 0, pools: Pools::new() };
        for start in (0..self.count).step_by(POOL) {
            let numbers: Vec<u64> = (start..self.count.min(start + POOL as u64)).collect();
            for direction in [Direction::Encap, Direction::Decap] {
                bench.pools.aim(direction, numbers.iter().map(|&n| (n, n)));
                bench.pass(direction, false, numbers.len());
            }
        }
        let known = bench.engine.fdb().count() as u64;
        assert!(known >= self.count * 2 - self.count / 1000, "{known} of {} MACs were learned", self.count * 2);
        bench
    }
}

struct Bench<'a> {
    engine: Engine<'a>,
    count: u64,
    state: u64,
    /// Packets so far, 10,000 a millisecond.
    packets: u64,
    pools: Pools,
}

fn name(count: u64) -> String {
    match count {
        1 => "1 MAC".into(),
        1_000_000 => "1 M + 1 M".into(),
        count => format!("{0} k + {0} k", count / 1000),
    }
}

impl Bench<'_> {
    fn measure(&mut self, direction: Direction, burst: bool) -> f64 {
        // Once to fill the caches, which the case before has emptied.
        self.passes(direction, burst);
        self.passes(direction, burst)
    }

    fn passes(&mut self, direction: Direction, burst: bool) -> f64 {
        let mut nanos = 0;
        for _ in 0..PACKETS / POOL {
            let (count, state) = (self.count, &mut self.state);
            self.pools.aim(direction, core::iter::from_fn(|| Some((random(state) % count, random(state) % count))));
            nanos += self.pass(direction, burst, POOL);
        }
        nanos as f64 / PACKETS as f64
    }

    /// The first `count` packets of a pool, once.
    fn pass(&mut self, direction: Direction, burst: bool, count: usize) -> u64 {
        self.packets += count as u64;
        let now = Instant::from_millis(self.packets / 10_000);
        let engine = &mut self.engine;
        let Pool { rooms, from, len } = match direction {
            Direction::Encap => &mut self.pools.encap,
            Direction::Decap => &mut self.pools.decap,
        };
        let range = HEAD..HEAD + *len;
        let mut sent = 0;
        let start = std::time::Instant::now();
        for (rooms, from) in rooms[..count].chunks_mut(BURST).zip(from.chunks(BURST)) {
            let mut verdicts = [Verdict::NOTHING; BURST];
            if burst {
                let inputs: [Input<'_>; BURST] =
                    core::array::from_fn(|i| direction.input(from[i], &rooms[i][range.clone()]));
                engine.step_batch(now, &inputs, &mut verdicts);
                for (room, verdict) in rooms.iter_mut().zip(&verdicts) {
                    sent +=
                        engine.rewrite(verdict, Depth::Ethernet, room, range.clone()).map_or(0, |out| out.bytes.start);
                }
            } else {
                for (room, from) in rooms.iter_mut().zip(from) {
                    let verdict = engine.step(now, &direction.input(*from, &room[range.clone()]));
                    sent +=
                        engine.rewrite(&verdict, Depth::Ethernet, room, range.clone()).map_or(0, |out| out.bytes.start);
                }
            }
        }
        black_box(sent);
        start.elapsed().as_nanos() as u64
    }
}

impl Direction {
    #[inline(always)]
    fn input(self, from: u16, bytes: &[u8]) -> Input<'_> {
        match self {
            Self::Encap => Input::from_port(PortId(from), bytes),
            Self::Decap => Input::from_underlay(UnderlayId(0), bytes),
        }
    }
}

struct Pools {
    encap: Pool,
    decap: Pool,
}

/// Packets with room in front of them, and the port each comes from.
struct Pool {
    rooms: Vec<[u8; ROOM]>,
    from: Vec<u16>,
    len: usize,
}

impl Pools {
    fn new() -> Self {
        let inner = inner();
        let outer = packet::frame(4789, &packet::vxlan(VNI, &inner));
        let pool = |bytes: &[u8]| {
            let mut room = [0; ROOM];
            room[HEAD..HEAD + bytes.len()].copy_from_slice(bytes);
            Pool { rooms: vec![room; POOL], from: vec![0; POOL], len: bytes.len() }
        };
        Self { encap: pool(&inner), decap: pool(&outer) }
    }

    /// Addresses packets: each from one station's number to another's.
    fn aim(&mut self, direction: Direction, pairs: impl Iterator<Item = (u64, u64)>) {
        match direction {
            Direction::Encap => {
                let packets = self.encap.rooms.iter_mut().zip(&mut self.encap.from);
                for ((room, from), (src, dst)) in packets.zip(pairs) {
                    *from = (src % u64::from(PORTS)) as u16;
                    room[HEAD..HEAD + 12]
                        .copy_from_slice(&[mac(Side::Remote, dst).0, mac(Side::Local, src).0].concat());
                }
            }
            Direction::Decap => {
                for (room, (src, dst)) in self.decap.rooms.iter_mut().zip(pairs) {
                    let remote = (src % u64::from(REMOTES)) as u8;
                    // From 192.0.2.1 to 192.0.2.2 so far: the last octets change, and the checksum with them.
                    let (sender, us) = (HEAD + 26, HEAD + 30);
                    room[sender..us].copy_from_slice(&peer(remote).octets());
                    room[us + 3] = 100;
                    room[HEAD + 24..HEAD + 26].fill(0);
                    let sum = vtep::wire::checksum::checksum(&room[HEAD + 14..HEAD + 34]);
                    room[HEAD + 24..HEAD + 26].copy_from_slice(&sum.to_be_bytes());
                    let inner = HEAD + 50;
                    room[inner..inner + 12]
                        .copy_from_slice(&[mac(Side::Local, dst).0, mac(Side::Remote, src).0].concat());
                }
            }
        }
    }
}

/// 64 bytes: UDP over IPv4 with 22 bytes of data.
fn inner() -> Vec<u8> {
    let mut frame = packet::frame(7, &[0x5a; 22]);
    frame.resize(64, 0);
    frame
}

#[derive(Clone, Copy)]
enum Side {
    Local,
    Remote,
}

/// A station's MAC: random, but always the same.
fn mac(side: Side, number: u64) -> MacAddr {
    let mut state = number << 1 | u64::from(matches!(side, Side::Remote));
    // Neither multicast nor another number's: 46 random bits are as good as unique, and misses would show.
    MacAddr::from_u64(random(&mut state) & 0xfcff_ffff_ffff | 0x0200_0000_0000)
}

fn peer(remote: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, 1 + remote)
}

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}
