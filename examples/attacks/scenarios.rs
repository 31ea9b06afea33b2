//! The attacks, each with the defence that stands against it.

use core::net::IpAddr;

use vtep::engine::{Command, Place, Remote};
use vtep::table::{
    Admission, Bucket, Cuckoo, DuplicateAction, DuplicateDetection, EndpointConfig, Owner, Rate, StormControl, WhenFull,
};
use vtep::wire::{Datagram, Label, MacAddr, UdpChecksum};

use super::arena::{ATTACKER, Arena, BUCKETS, LOCAL, Packet, Pair, SEED, Setup, X, endpoint, frame, host, mac, vni};

/// One row of the table.
pub struct Scenario {
    /// What the attacker does.
    pub attack: &'static str,
    /// What is configured against it; nothing is the default.
    pub defence: &'static str,
    pub setup: fn(&mut Setup),
    /// The attacker's packet number `n`.
    pub packet: fn(u64) -> Packet,
    pub packets: u64,
    /// Whether nobody reads the events.
    pub deaf: bool,
}

impl Scenario {
    const fn new(
        attack: &'static str,
        defence: &'static str,
        setup: fn(&mut Setup),
        packet: fn(u64) -> Packet,
    ) -> Self {
        Self { attack, defence, setup, packet, packets: 20_000, deaf: false }
    }

    /// Plays it, with bystanders who talk on; `clock` reads nanoseconds, or nothing.
    pub fn play(&self, clock: fn() -> u64) -> Arena {
        let mut setup = Setup::new();
        (self.setup)(&mut setup);
        let mut arena = Arena::new(&setup, clock);
        arena.reads_events = !self.deaf;
        for n in 0..self.packets {
            arena.attack(&(self.packet)(n));
            if n % 10 == 9 {
                arena.bystanders();
            }
        }
        arena.finish();
        arena
    }
}

/// The other station that floods speak to: nobody.
const NOBODY: MacAddr = mac(0xee, 0);

fn nothing(_: &mut Setup) {}

fn fresh(n: u64) -> MacAddr {
    mac(0xa0, n)
}

fn flood_from_tunnel(n: u64) -> Packet {
    Packet::from_host(host(1), X, NOBODY, fresh(n))
}

fn flood_from_port(n: u64) -> Packet {
    Packet::on_port(ATTACKER, NOBODY, fresh(n))
}

/// Each packet from another host that does not exist.
fn flood_from_nowhere(n: u64) -> Packet {
    Packet::from_host(IpAddr::V4((0xcb00_7100 + (n % 251) as u32).into()), X, NOBODY, fresh(n))
}

/// MACs that are chosen for a guessed seed: with the bystanders' they fill 78 % of the table.
const CHOSEN: u64 = 400;

/// MACs that all meet in one pair of buckets, where the hash has this key.
pub fn colliding(seed: [u64; 2], n: u64) -> MacAddr {
    use std::sync::OnceLock;
    static KNOWN: OnceLock<Vec<MacAddr>> = OnceLock::new();
    static GUESSED: OnceLock<Vec<MacAddr>> = OnceLock::new();
    let (cell, count) = if seed == SEED { (&KNOWN, 64) } else { (&GUESSED, CHOSEN as usize) };
    let macs = cell.get_or_init(|| {
        let mut buckets = vec![Bucket::EMPTY; BUCKETS];
        let map = Cuckoo::new(&mut buckets, seed);
        // As the FDB makes its keys: the bridge above the MAC, its first octet highest.
        let key = |mac: MacAddr| u64::from(X.0) << 48 | mac.to_u64();
        let target = map.hash(key(mac(0xc0, 0)));
        let hits = (0..).map(|n| mac(0xc0, n)).filter(|mac| map.hash(key(*mac)) == target);
        hits.take(count).collect()
    });
    macs[n as usize % macs.len()]
}

fn known_seed(n: u64) -> Packet {
    Packet::on_port(ATTACKER, NOBODY, colliding(SEED, n))
}

fn unknown_seed(n: u64) -> Packet {
    Packet::on_port(ATTACKER, NOBODY, colliding([1, 2], n))
}

/// Tenant X's first stations, in turn: behind a port and behind host 2.
fn victim(n: u64) -> MacAddr {
    let pair = Pair::all().nth((n / 2 % 50) as usize).unwrap_or_else(|| unreachable!("there are more"));
    if n % 2 == 0 { pair.near } else { pair.far }
}

fn poison(n: u64) -> Packet {
    Packet::from_host(host(1), X, NOBODY, victim(n))
}

fn poison_from_outside(n: u64) -> Packet {
    Packet::from_host(host(9), X, NOBODY, victim(n))
}

fn pin_victims(setup: &mut Setup) {
    for pair in Pair::all().filter(|pair| pair.tenant == X) {
        let remote = Place::Remote(Remote::at(pair.host));
        for (mac, place) in [(pair.near, Place::Port(pair.port)), (pair.far, remote)] {
            setup.commands.push(Command::FdbReplace {
                bridge: X,
                mac,
                place,
                owner: Owner::Static,
                sticky: false,
                label: Label::NONE,
            });
        }
    }
}

fn detect_duplicates(setup: &mut Setup) {
    let config = DuplicateDetection { action: DuplicateAction::Drop, ..DuplicateDetection::RFC };
    setup.commands.push(Command::SetDuplicateDetection { bridge: X, config: Some(config) });
}

fn broadcast(n: u64) -> Packet {
    Packet::from_host(host(1), X, MacAddr::BROADCAST, mac(0xa0, n % 2))
}

fn unknown_unicast(n: u64) -> Packet {
    Packet::on_port(ATTACKER, mac(0xdd, n), mac(0xa0, 0))
}

fn control_storms(setup: &mut Setup) {
    let config = StormControl::each(Rate { per_second: 50, burst: 100 });
    setup.commands.push(Command::SetStormControl { bridge: X, config });
}

/// VXLAN in VXLAN in VXLAN …, 30 deep, addressed to us each time.
fn nested(n: u64) -> Packet {
    let mut inner = frame(NOBODY, mac(0xa0, n % 2));
    for _ in 0..30 {
        let mut outer = frame(NOBODY, mac(0xa0, n % 2));
        outer.truncate(12);
        outer.extend([0x08, 0x00]);
        let len = (inner.len() + 8 + 8 + 20) as u16;
        outer.extend([0x45, 0]);
        outer.extend(len.to_be_bytes());
        outer.extend([0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 254]);
        outer.extend([0xc3, 0x50, 0x12, 0xb5]);
        outer.extend((len - 20).to_be_bytes());
        outer.extend([0, 0, 8, 0, 0, 0]);
        outer.extend((vni(X) << 8).to_be_bytes());
        outer.extend(&inner);
        inner = outer;
    }
    Packet::tunnel(host(1), LOCAL, X, &inner)
}

/// Frames that fit no tunnel.
fn oversized(n: u64) -> Packet {
    let mut bytes = frame(mac(0x01, n % 100), mac(0xa0, 0));
    bytes.resize(9000, 0);
    Packet::Port(ATTACKER, bytes)
}

/// A bit of the IPv6 source address has flipped, and there is no checksum that would tell.
fn corrupted_source(n: u64) -> Packet {
    let source = 0x2001_0db8_u128 << 96 | 1;
    let from = IpAddr::V6((source ^ 1 << (n % 112)).into());
    let to = IpAddr::V6((0x2001_0db8_u128 << 96 | 0xfe).into());
    match Packet::tunnel(from, to, X, &frame(NOBODY, victim(n))) {
        Packet::Tunnel(datagram, bytes) => Packet::Tunnel(Datagram { checksum: UdpChecksum::Zero, ..datagram }, bytes),
        packet @ Packet::Port(..) => packet,
    }
}

/// All rows, in the order of the table.
pub fn all() -> Vec<Scenario> {
    let quota = |setup: &mut Setup| {
        let config = EndpointConfig { max_macs: Some(200), ..EndpointConfig::default() };
        setup.commands.push(Command::SetEndpoint { address: endpoint(1), config });
    };
    vec![
        Scenario::new("MAC flood from one tunnel", "eviction (default)", nothing, flood_from_tunnel),
        Scenario::new(
            "MAC flood from one tunnel",
            "refusal",
            |s| s.config.when_full = WhenFull::Refuse,
            flood_from_tunnel,
        ),
        Scenario::new("MAC flood from one tunnel", "200 MACs an endpoint", quota, flood_from_tunnel),
        Scenario::new("MAC flood from one port", "eviction (default)", nothing, flood_from_port),
        Scenario::new("MAC flood from one port", "10 MACs a port", |s| s.port_macs = Some(10), flood_from_port),
        Scenario::new("MAC flood from one port", "300 MACs a VNI", |s| s.bridge.max_macs = Some(300), flood_from_port),
        Scenario::new("MAC flood from 251 forged hosts", "eviction (default)", nothing, flood_from_nowhere),
        Scenario::new(
            "MAC flood from 251 forged hosts",
            "2 MACs an unconfigured endpoint",
            |s| {
                s.config.endpoint_macs = Some(2);
                for n in [1, 2] {
                    let config = EndpointConfig::default();
                    s.commands.push(Command::SetEndpoint { address: endpoint(n), config });
                }
            },
            flood_from_nowhere,
        ),
        Scenario::new(
            "MAC flood from 251 forged hosts",
            "admission: flood list",
            |s| s.bridge.admission = Admission::FloodList,
            flood_from_nowhere,
        ),
        Scenario {
            packets: CHOSEN,
            ..Scenario::new("chosen collisions, seed unknown", "secret seed", nothing, unknown_seed)
        },
        Scenario::new("chosen collisions, seed known", "bounded search", nothing, known_seed),
        Scenario::new("poisoning from a member", "none (default)", nothing, poison),
        Scenario::new("poisoning from a member", "static entries", pin_victims, poison),
        Scenario::new("poisoning from a member", "duplicate detection", detect_duplicates, poison),
        Scenario::new("poisoning from a stranger", "none (default)", nothing, poison_from_outside),
        Scenario::new(
            "poisoning from a stranger",
            "admission: configured",
            |s| s.bridge.admission = Admission::Configured,
            poison_from_outside,
        ),
        Scenario::new("broadcast storm", "none (default)", nothing, broadcast),
        Scenario::new("broadcast storm", "storm control 50/s", control_storms, broadcast),
        Scenario::new("unknown-unicast storm", "none (default)", nothing, unknown_unicast),
        Scenario::new("unknown-unicast storm", "storm control 50/s", control_storms, unknown_unicast),
        Scenario::new("tunnels nested 30 deep", "one header a step", nothing, nested),
        Scenario::new("frames beyond the MTU", "never fragmented", nothing, oversized),
        Scenario::new("flipped outer IPv6 source, no checksum", "RFC 6936 rules", nothing, corrupted_source),
        Scenario { deaf: true, ..Scenario::new("event queue overflow", "losses counted", nothing, flood_from_port) },
    ]
}
