//! Head-end replication: written in one go, a flood's copies are those that verdicts give.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_core,
    clippy::unwrap_used
)]

mod common;

use common::world::build::inner_ip;
use common::world::{B, Frame, LOCAL, Packet, Setup, Vtep, mac, replication, vxlan};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use proptest::prelude::*;
use vtep::engine::{Command, Cursor, Profile, Remote, RewriteError, Verdict};
use vtep::table::{BridgeId, EndpointConfig, PortId, UnderlayId, UnderlayLink};
use vtep::wire::{Depth, Df, Encapsulation, Tos, Ttl, Vni};

const BROADCAST: [u8; 6] = [0xff; 6];

/// Somebody on the flood list.
#[derive(Clone, Debug)]
struct Peer {
    ipv6: bool,
    encapsulation: Option<Encapsulation>,
    port: Option<u16>,
    vni: Option<u32>,
    split_horizon: u8,
    /// Without one it has the gateway's address.
    next_hop: bool,
}

/// An overlay to flood in; most of it as nearly all overlays are.
#[derive(Clone, Debug)]
struct Scene {
    profile: Profile,
    encapsulation: Encapsulation,
    mtu: u16,
    link: bool,
    vlan: bool,
    checksum: bool,
    inherit: [bool; 3],
    /// Whether port 1 is there, and gets copies too.
    second_port: bool,
    peers: Vec<Peer>,
}

/// A frame to be flooded.
#[derive(Clone, Debug)]
struct Sent {
    /// The peer that sends it, or port 0.
    from: Option<prop::sample::Index>,
    len: usize,
    ipv6: bool,
    tos: u8,
    tagged: bool,
}

fn encapsulation() -> impl Strategy<Value = Encapsulation> {
    prop_oneof![4 => Just(Encapsulation::Vxlan), 2 => Just(Encapsulation::Geneve), 1 => Just(Encapsulation::Gpe)]
}

fn peer() -> impl Strategy<Value = Peer> {
    let rarely = |odds| prop::bool::weighted(odds);
    let encapsulation = prop::option::weighted(0.15, encapsulation());
    let port = prop::option::weighted(0.15, 1..=u16::MAX);
    let vni = prop::option::weighted(0.3, 0..0x100_0000_u32);
    (rarely(0.15), encapsulation, port, vni, 0..3_u8, rarely(0.5)).prop_map(
        |(ipv6, encapsulation, port, vni, split_horizon, next_hop)| Peer {
            ipv6,
            encapsulation,
            port,
            vni,
            split_horizon,
            next_hop,
        },
    )
}

fn scene() -> impl Strategy<Value = Scene> {
    let profile = prop_oneof![Just(Profile::Rfc), Just(Profile::Linux)];
    let mtu = prop_oneof![Just(1500_u16), Just(1280)];
    let switches = (
        prop::bool::weighted(0.9),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
        any::<[bool; 3]>(),
        any::<bool>(),
    );
    (profile, encapsulation(), mtu, switches, prop::collection::vec(peer(), 0..7)).prop_map(
        |(profile, encapsulation, mtu, (link, vlan, checksum, inherit, second_port), peers)| Scene {
            profile,
            encapsulation,
            mtu,
            link,
            vlan,
            checksum,
            inherit,
            second_port,
            peers,
        },
    )
}

fn sent() -> impl Strategy<Value = Sent> {
    let len = prop_oneof![60..160_usize, 1200..1280_usize, 1420..1520_usize];
    let from = prop::option::weighted(0.4, any::<prop::sample::Index>());
    (from, len, any::<bool>(), any::<u8>(), prop::bool::weighted(0.1)).prop_map(|(from, len, ipv6, tos, tagged)| Sent {
        from,
        len,
        ipv6,
        tos,
        tagged,
    })
}

fn address(n: usize, peer: &Peer) -> IpAddr {
    match peer.ipv6 {
        true => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 1, n as u16).into(),
        false => Ipv4Addr::new(192, 0, 2, 100 + n as u8).into(),
    }
}

impl Scene {
    fn build(&self) -> Vtep {
        let [ttl, tos, df] = self.inherit;
        let mut vtep = Vtep::with(self.profile, self.encapsulation, |Setup { underlay, .. }| {
            let gateway = Some(mac([2, 0xff, 0, 0, 0, 0xfe]));
            let link = UnderlayLink { mac: mac([2, 0xff, 0, 0, 0, 1]), vlan: self.vlan.then_some(9), gateway };
            underlay.link = self.link.then_some(link);
            underlay.mtu = self.mtu;
            underlay.checksum_v4 = Some(self.checksum);
            underlay.ttl = if ttl { Ttl::Inherit } else { underlay.ttl };
            underlay.tos = if tos { Tos::Inherit } else { underlay.tos };
            underlay.df = if df { Df::Inherit } else { underlay.df };
        });
        if !self.second_port {
            vtep.command(Command::RemovePort { id: PortId(1) });
        }
        for (n, peer) in self.peers.iter().enumerate() {
            let remote = Remote {
                underlay: UnderlayId(0),
                address: address(n, peer),
                encapsulation: peer.encapsulation,
                port: peer.port,
                vni: peer.vni.map(Vni::truncating),
            };
            vtep.command(Command::FloodAdd { bridge: BridgeId(0), remote });
            let config = *vtep.engine.bridge_config(BridgeId(0)).unwrap();
            let next_hop = peer.next_hop.then(|| mac([2, 0xff, 0, 0, 1, n as u8]));
            let config_of = EndpointConfig { split_horizon: peer.split_horizon, next_hop, max_macs: None };
            vtep.command(Command::SetEndpoint { address: remote.resolve(&config), config: config_of });
        }
        vtep
    }

    /// The packet on its way in, and its verdict.
    fn flood(&self, vtep: &mut Vtep, sent: &Sent) -> (Vec<u8>, Verdict) {
        let mut ip = inner_ip(sent.ipv6);
        ip.tos = sent.tos;
        ip.payload.resize(sent.len.saturating_sub(14 + if sent.ipv6 { 40 } else { 20 }), 0x5a);
        let frame = Frame::ip(BROADCAST, B, &ip);
        let frame = if sent.tagged { frame.vlan(5) } else { frame }.bytes();
        let from = sent.from.filter(|_| !self.peers.is_empty()).map(|index| index.index(self.peers.len()));
        let Some(from) = from else {
            let verdict = vtep.on_port(0, &frame);
            return (frame, verdict);
        };
        let packet = match self.encapsulation {
            Encapsulation::Geneve => Packet::geneve(&frame),
            Encapsulation::Vxlan => Packet::vxlan(&frame),
            Encapsulation::Gpe => Packet::new(4790, [&[12, 0, 0, 3], &vxlan(common::world::VNI)[4..]].concat(), &frame),
        };
        let peer = &self.peers[from];
        let packet = if peer.ipv6 { packet.over_v6() } else { packet };
        let dst = if peer.ipv6 { common::world::LOCAL6 } else { LOCAL };
        let packet = Packet { src: address(from, peer), dst, ..packet }.bytes();
        let verdict = vtep.on_underlay(&packet);
        (packet, verdict)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn copies_are_those_that_verdicts_give(scene in scene(), all in prop::collection::vec(sent(), 1..4)) {
        let mut vtep = scene.build();
        for sent in &all {
            let (input, verdict) = scene.flood(&mut vtep, sent);
            if let Verdict::Flood(flood) = verdict {
                replication::agrees(&vtep.engine, &flood, &input);
            }
        }
    }
}

#[test]
fn an_old_flood_is_refused_once() {
    for removed in [Command::RemovePort { id: PortId(1) }, Command::RemoveBridge { id: BridgeId(0) }] {
        let mut vtep = Vtep::vxlan(Profile::Rfc);
        vtep.flood_to(Ipv4Addr::new(192, 0, 2, 100).into());
        let frame = Frame::ip(BROADCAST, B, &inner_ip(false)).bytes();
        let Verdict::Flood(flood) = vtep.on_port(0, &frame) else { panic!("a broadcast") };
        let mut out = [0; 256];
        assert!(vtep.engine.replicate(&flood, Depth::Ip, &frame).next_into(&mut out).unwrap().is_ok());
        vtep.command(removed);
        let mut copies = vtep.engine.replicate(&flood, Depth::Ethernet, &frame);
        assert_eq!(copies.next_into(&mut out), Some(Err(RewriteError::StaleHandle)));
        assert_eq!(copies.next_into(&mut out), None);
        assert_eq!(vtep.engine.next_copy(&flood, &mut Cursor::new()), Some(Err(RewriteError::StaleHandle)));
    }
}
