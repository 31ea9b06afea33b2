//! What rewrite makes of verdicts: the same bytes in each of its ways, and those that were expected.
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

use common::world::read::Packet as Read;
use common::world::replication;
use core::net::IpAddr;
use proptest::prelude::*;
use reference::ops::{ops, scenes};
use reference::tables::Sizes;
use reference::{Copy, Handled, Header, Op, Rig, Scene, Tables, To};
use std::collections::HashSet;
use vtep::engine::{Cursor, Egress, Encapsulate, Engine, Flood, RewriteError, Verdict};
use vtep::table::{EndpointAddress, PortId, UnderlayConfig};
use vtep::wire::outer::{self, Checks, TunnelPorts};
use vtep::wire::{Datagram, Depth, Df, Ecn, EcnMode, Edit, Encapsulation, MacAddr, Tos, Ttl, UdpChecksum};

const DEPTHS: [Depth; 3] = [Depth::Ethernet, Depth::Ip, Depth::Tunnel];
const ROOM: usize = 512;

/// Writes a copy in every way, into every room that is too small, and gives the bytes.
fn write(engine: &Engine<'_>, copy: &Verdict, depth: Depth, input: &[u8]) -> Result<Vec<u8>, RewriteError> {
    let mut out = vec![0xa5; input.len() + ROOM];
    let into = engine.rewrite_into(copy, depth, input, &mut out);
    let mut head = vec![0xa5; ROOM];
    let gather = engine.rewrite_head(copy, depth, input, &mut head);
    let (shared, edit) = match copy {
        Verdict::Deliver(deliver) => (deliver.shared, deliver.edit),
        Verdict::Encapsulate(encapsulate) => (encapsulate.shared, encapsulate.edit),
        other => panic!("no copy: {other:?}"),
    };
    let whole = [vec![0xa5; ROOM], input.to_vec(), vec![0xa5; 8]].concat();
    let mut buffer = whole.clone();
    let place = engine.rewrite(copy, depth, &mut buffer, ROOM..ROOM + input.len());
    let output = match into {
        Ok(output) => output,
        Err(error) => {
            assert_eq!(gather.err(), Some(error));
            let place = place.expect_err("as the other ways");
            assert!(place == error || shared && place == RewriteError::SharedFrame, "{place:?}");
            assert!(out.iter().chain(&head).all(|byte| *byte == 0xa5) && buffer == whole, "changed");
            return Err(error);
        }
    };
    let bytes = out[output.bytes.clone()].to_vec();
    assert!(output.bytes.start == 0 && out[bytes.len()..].iter().all(|byte| *byte == 0xa5), "beyond the packet");

    let gather = gather.expect("as the other way");
    assert_eq!(gather.to, output.to);
    assert!([&head[..gather.head], &input[gather.rest.clone()]].concat() == bytes, "gathered");
    assert!(head[gather.head..].iter().all(|byte| *byte == 0xa5), "beyond the head");

    if shared && edit != Edit::NONE {
        assert_eq!(place, Err(RewriteError::SharedFrame));
        assert!(buffer == whole, "changed");
    } else {
        let place = place.expect("as the other ways");
        assert_eq!(place.to, output.to);
        assert!(buffer[place.bytes.clone()] == bytes, "in place");
        assert!(buffer[place.bytes.end..] == whole[place.bytes.end..], "behind the frame");
        assert!(buffer[..place.bytes.start] == whole[..place.bytes.start], "before the packet");
        if shared {
            assert!(buffer[ROOM + span_start(copy)..] == whole[ROOM + span_start(copy)..], "another copy's bytes");
        }
        // Room in front for all but the last byte.
        let missing = place.bytes.start + 1;
        if missing <= ROOM + span_start(copy) {
            let mut buffer = whole[missing..].to_vec();
            let start = ROOM.checked_sub(missing);
            if let Some(start) = start {
                let narrow = engine.rewrite(copy, depth, &mut buffer, start..start + input.len());
                assert_eq!(narrow, Err(RewriteError::NoRoom));
                assert!(buffer == whole[missing..], "changed");
            }
        }
    }
    for len in [0, 1, 7, 8, 35, 49, bytes.len() / 2, bytes.len() - 1].into_iter().filter(|len| *len < bytes.len()) {
        let mut out = vec![0xa5; len];
        assert_eq!(engine.rewrite_into(copy, depth, input, &mut out), Err(RewriteError::NoRoom));
        assert!(out.iter().all(|byte| *byte == 0xa5), "changed");
    }
    for len in 0..gather.head {
        let mut head = vec![0xa5; len];
        assert_eq!(engine.rewrite_head(copy, depth, input, &mut head), Err(RewriteError::NoRoom));
        assert!(head.iter().all(|byte| *byte == 0xa5), "changed");
    }
    for len in 0..input.len().min(span_end(copy)) {
        let short = engine.rewrite_into(copy, depth, &input[..len], &mut out);
        assert_eq!(short, Err(RewriteError::BadRange));
    }
    Ok(bytes)
}

fn span_start(copy: &Verdict) -> usize {
    match copy {
        Verdict::Deliver(deliver) => deliver.frame.start as usize,
        Verdict::Encapsulate(encapsulate) => encapsulate.frame.start as usize,
        other => panic!("no copy: {other:?}"),
    }
}

fn span_end(copy: &Verdict) -> usize {
    match copy {
        Verdict::Deliver(deliver) => deliver.frame.end() as usize,
        Verdict::Encapsulate(encapsulate) => encapsulate.frame.end() as usize,
        other => panic!("no copy: {other:?}"),
    }
}

/// Checks what is written for one copy.
fn check_copy(rig: &Rig<'_>, op: &Op, input: &[u8], copy: &Verdict, wanted: &Copy) {
    let frame = wanted.frame.bytes();
    for depth in DEPTHS {
        let written = write(&rig.engine, copy, depth, input);
        let (address, verdict) = match (wanted.to, copy) {
            (To::Remote(address), Verdict::Encapsulate(verdict)) => (address, verdict),
            (To::Port(port), Verdict::Deliver(_)) => {
                assert_eq!(rig.engine.sent(copy), Err(RewriteError::NothingToWrite));
                let bytes = written.expect("a frame needs no header");
                assert!(bytes == frame, "port {port:?}: {bytes:02x?}, expected {frame:02x?}");
                continue;
            }
            other => panic!("{other:?}"),
        };
        let underlay = &rig.model.underlays[&address.underlay.0];
        let link = underlay.link.and_then(|link| Some((link, next_hop(address.address).or(link.gateway)?)));
        if depth == Depth::Ethernet && link.is_none() {
            assert_eq!(written, Err(RewriteError::NoLink));
            continue;
        }
        let bytes = written.expect("room for everything");
        let packet = match depth {
            Depth::Ethernet => {
                let (link, next_hop) = link.expect("seen above");
                let packet = check_link(&bytes, link.mac, next_hop, link.vlan, address.address);
                check_parsed(&bytes, packet.len(), verdict, address, &frame);
                packet
            }
            Depth::Ip => bytes,
            Depth::Tunnel => {
                check_datagram(&rig.engine, copy, &bytes, address, wanted.vni, &frame);
                continue;
            }
        };
        let fixed = match address.encapsulation {
            Encapsulation::Vxlan => group_policy(rig, op).unwrap_or([8, 0, 0, 0]),
            Encapsulation::Gpe => [12, 0, 0, 3],
            Encapsulation::Geneve => [0, 0, 0x65, 0x58],
        };
        check_packet(&packet, verdict, underlay, address, fixed, wanted, &frame);
    }
}

/// The Group Policy header that a frame from a tunnel keeps in the next one: its group goes with it.
fn group_policy(rig: &Rig<'_>, op: &Op) -> Option<[u8; 4]> {
    let Op::Underlay(packet) = op else { return None };
    let Header::Policy { dont_learn } = packet.header else { return None };
    let came_by = (packet.dst_port, packet.vni);
    let mut bridges = rig.model.bridges.values().map(|bridge| &bridge.config);
    let config = bridges.find(|config| (config.udp_port, config.vni.get()) == came_by)?;
    (config.gbp && config.encapsulation == Encapsulation::Vxlan).then_some([0x88, u8::from(dont_learn) << 6, 0, 5])
}

/// The Ethernet address of an underlay group.
fn next_hop(address: IpAddr) -> Option<MacAddr> {
    match address {
        IpAddr::V4(a) if a.is_multicast() => {
            let [_, b, c, d] = a.octets();
            Some(MacAddr([1, 0, 0x5e, b & 0x7f, c, d]))
        }
        IpAddr::V6(a) if a.is_multicast() => {
            let tail: [u8; 4] = a.octets()[12..].try_into().unwrap();
            let [a, b, c, d] = tail;
            Some(MacAddr([0x33, 0x33, a, b, c, d]))
        }
        _ => None,
    }
}

/// Checks the outer Ethernet header, and gives what follows it.
fn check_link(bytes: &[u8], src: MacAddr, dst: MacAddr, vlan: Option<u16>, address: IpAddr) -> Vec<u8> {
    let ethertype = if address.is_ipv6() { [0x86, 0xdd] } else { [0x08, 0x00] };
    let tag = vlan.map_or(Vec::new(), |vid| [[0x81, 0x00], vid.to_be_bytes()].concat());
    let header = [&dst.0[..], &src.0, &tag, &ethertype].concat();
    assert_eq!(bytes[..header.len()], header);
    bytes[header.len()..].to_vec()
}

/// Checks an encapsulated packet, read by hand.
fn check_packet(
    packet: &[u8],
    verdict: &Encapsulate,
    underlay: &UnderlayConfig,
    address: EndpointAddress,
    fixed: [u8; 4],
    wanted: &Copy,
    frame: &[u8],
) {
    let read = Read::ip(packet);
    let own = underlay.local_for(address.address).expect("an address");
    assert_eq!((read.ip.src, read.ip.dst), (own, address.address));
    assert_eq!((read.src_port, read.dst_port), (verdict.outer.src_port, address.port));
    assert_eq!(read.vni(), wanted.vni);
    assert!(read.inner == frame, "inner: {:02x?}, expected {frame:02x?}", read.inner);
    assert_eq!((&read.tunnel[..4], read.tunnel[7], read.options.len()), (&fixed[..], 0, 0));

    let (tos, ttl, df) = wanted.inherited;
    let dscp = if underlay.tos == Tos::Inherit { tos & 0xfc } else { 0 };
    let ecn = match (underlay.ecn, Ecn::from_tos(tos)) {
        (EcnMode::Compat, _) => Ecn::NotEct,
        (EcnMode::Legacy3168, Ecn::Ce) => Ecn::Ect0,
        (_, ecn) => ecn,
    };
    assert_eq!(read.ip.tos, dscp | ecn as u8, "TOS");
    let ttl = if underlay.ttl == Ttl::Inherit && ttl != 0 { ttl } else { 64 };
    assert_eq!(read.ip.ttl, ttl, "TTL");
    let set = match underlay.df {
        Df::Set => true,
        Df::Unset => false,
        Df::Inherit => df,
    };
    assert_eq!(read.ip.df, set || address.address.is_ipv6(), "DF");
    let geneve = address.encapsulation == Encapsulation::Geneve;
    let checksum = address.address.is_ipv6() || underlay.checksum_v4.unwrap_or(geneve);
    assert_eq!(read.checksum != 0, checksum, "UDP checksum");
    if address.address.is_ipv4() {
        assert_eq!(packet[4..6], verdict.outer.ident.to_be_bytes(), "identification");
    }
}

/// Checks the same packet as the library reads it.
fn check_parsed(bytes: &[u8], packet_len: usize, verdict: &Encapsulate, address: EndpointAddress, frame: &[u8]) {
    let ports = TunnelPorts::NONE.with(address.port, address.encapsulation).unwrap();
    let checks = Checks { zero_udp6: true, ..Checks::DEFAULT };
    let parsed = outer::parse(bytes, &ports, &checks).expect("well-formed").expect("a tunnel");
    assert_eq!((parsed.dst, parsed.dst_port, parsed.src_port), (address.address, address.port, verdict.outer.src_port));
    assert_eq!((parsed.tunnel.encap, parsed.tunnel.vni), (address.encapsulation, verdict.vni));
    assert!(parsed.tunnel.inner.of(bytes) == Some(frame));
    let below = outer::parse_ip(&bytes[bytes.len() - packet_len..], &ports, &checks).expect("well-formed").unwrap();
    assert_eq!((below.src, below.tos, below.ttl, below.tunnel.vni), (parsed.src, parsed.tos, parsed.ttl, verdict.vni));
}

/// Checks a UDP payload and what the owner of the socket is told.
fn check_datagram(engine: &Engine<'_>, copy: &Verdict, bytes: &[u8], address: EndpointAddress, vni: u32, frame: &[u8]) {
    let sent = engine.sent(copy).expect("an encapsulation");
    assert_eq!((sent.dst, sent.dst_port), (address.address, address.port));
    let datagram = Datagram {
        src: sent.src,
        dst: sent.dst,
        src_port: sent.src_port,
        dst_port: sent.dst_port,
        tos: sent.tos,
        ttl: sent.ttl,
        checksum: UdpChecksum::Good,
    };
    let ports = TunnelPorts::NONE.with(address.port, address.encapsulation).unwrap();
    let parsed = outer::parse_udp_payload(bytes, &datagram, &ports, &Checks::DEFAULT).expect("well-formed").unwrap();
    assert_eq!(parsed.tunnel.vni.get(), vni);
    assert!(parsed.tunnel.inner.of(bytes) == Some(frame));
}

/// A verdict that was not carried out at once.
struct Held {
    verdict: Verdict,
    input: Vec<u8>,
    /// What it stands on, in words of the plain bridge.
    on: Support,
    stale: bool,
}

enum Support {
    Port(u16),
    Endpoint(EndpointAddress),
    /// A bridge's ports and the members of its flood lists.
    Bridge(u16, Members),
}

impl Held {
    fn all(rig: &Rig<'_>, handled: &Handled) -> Vec<Self> {
        let copies = handled.copies.iter().map(|(copy, wanted)| {
            let on = match wanted.to {
                To::Port(port) => Support::Port(port),
                To::Remote(address) => Support::Endpoint(address),
                other => panic!("{other:?}"),
            };
            (*copy, on)
        });
        let flood = match handled.verdict {
            Verdict::Flood(flood) => {
                let id = flood.bridge.id.0;
                Some((handled.verdict, Support::Bridge(id, members(rig, id).expect("a bridge"))))
            }
            _ => None,
        };
        let held = |(verdict, on)| Self { verdict, input: handled.input.clone(), on, stale: false };
        copies.chain(flood).map(held).collect()
    }

    /// Notes whether what the verdict stands on is gone, and compares that with what the engine says.
    fn check(&mut self, rig: &Rig<'_>, op: &Op) {
        self.stale |= match &mut self.on {
            Support::Port(port) => !rig.model.ports.contains_key(port),
            Support::Endpoint(address) => rig.engine.endpoints().find(address).is_none(),
            Support::Bridge(id, then) => match members(rig, *id) {
                Some(now) => {
                    let lost = !then.0.is_subset(&now.0) || !then.1.is_subset(&now.1);
                    *then = now;
                    lost
                }
                None => true,
            },
        };
        if let Verdict::Flood(flood) = &self.verdict {
            let mut cursor = Cursor::new();
            let first = rig.engine.next_copy(flood, &mut cursor);
            let says_stale = first == Some(Err(RewriteError::StaleHandle));
            // A flush that takes lists away does not know whose they were.
            let may_be = says_stale && matches!(op, Op::Command(vtep::engine::Command::Flush(_)));
            assert!(says_stale == self.stale || may_be, "{first:?}, stale: {}", self.stale);
            self.stale = says_stale;
            replication::agrees(&rig.engine, flood, &self.input);
            if says_stale {
                assert_eq!(rig.engine.next_copy(flood, &mut cursor), None);
            }
            return;
        }
        let mut out = vec![0xa5; self.input.len() + ROOM];
        let written = rig.engine.rewrite_into(&self.verdict, Depth::Ip, &self.input, &mut out);
        match (written, &self.on) {
            (Err(error), _) => assert!(self.stale && error == RewriteError::StaleHandle, "{error:?}"),
            (Ok(output), Support::Port(port)) => {
                assert_eq!((output.to, self.stale), (Egress::Port(PortId(*port)), false));
            }
            (Ok(output), Support::Endpoint(address)) => {
                assert_eq!((output.to, self.stale), (Egress::Underlay(address.underlay), false));
                assert_eq!(Read::ip(&out[output.bytes]).ip.dst, address.address);
            }
            (Ok(_), Support::Bridge(..)) => unreachable!("a flood is not written"),
        }
    }
}

/// Ports, and endpoints on flood lists.
type Members = (HashSet<u16>, HashSet<(Option<MacAddr>, EndpointAddress)>);

fn members(rig: &Rig<'_>, id: u16) -> Option<Members> {
    let bridge = rig.model.bridges.get(&id)?;
    let list = bridge.list.iter().flatten().map(|e| (None, *e));
    let groups = bridge.groups.iter().flat_map(|(mac, list)| list.iter().map(|e| (Some(*mac), *e)));
    Some((bridge.ports.iter().copied().collect(), list.chain(groups).collect()))
}

/// What is no copy has no bytes.
fn check_nothing(engine: &Engine<'_>, verdict: &Verdict, input: &[u8]) {
    let mut out = vec![0xa5; 64];
    for depth in DEPTHS {
        assert_eq!(engine.rewrite_into(verdict, depth, input, &mut out), Err(RewriteError::NothingToWrite));
        assert_eq!(engine.rewrite_head(verdict, depth, input, &mut out), Err(RewriteError::NothingToWrite));
        assert_eq!(engine.rewrite(verdict, depth, &mut out, 0..64), Err(RewriteError::NothingToWrite));
    }
    assert_eq!(engine.sent(verdict), Err(RewriteError::NothingToWrite));
    assert!(out.iter().all(|byte| *byte == 0xa5));
}

/// Writes the copies of a flood into one buffer, one after the other, and gives it back as it was.
fn check_flood_in_one_buffer(engine: &Engine<'_>, flood: &Flood, input: &[u8]) {
    let mut buffer = [vec![0; ROOM], input.to_vec()].concat();
    let mut cursor = Cursor::new();
    let frame = ROOM + flood.frame.start as usize;
    while let Some(copy) = engine.next_copy(flood, &mut cursor) {
        let copy = copy.expect("nothing has changed since");
        let len = buffer.len();
        match engine.rewrite(&copy, Depth::Tunnel, &mut buffer, ROOM..len) {
            Ok(output) => assert!(buffer[output.bytes].ends_with(flood.frame.of(input).unwrap())),
            Err(error) => assert_eq!(error, RewriteError::SharedFrame),
        }
        assert!(buffer[frame..] == input[flood.frame.start as usize..], "a copy shows in the next");
    }
}

fn run(scene: &Scene, ops: &[Op]) {
    let mut tables = Tables::new(&Sizes::AMPLE);
    let mut rig = Rig::new(&mut tables, scene);
    let mut held: Vec<Held> = Vec::new();
    for op in ops {
        let op = &rig.aim(op);
        let handled = rig.apply(op);
        held.iter_mut().for_each(|held| held.check(&rig, op));
        let Some(handled) = handled else { continue };
        for (copy, wanted) in &handled.copies {
            check_copy(&rig, op, &handled.input, copy, wanted);
        }
        match &handled.verdict {
            Verdict::Flood(flood) => {
                check_flood_in_one_buffer(&rig.engine, flood, &handled.input);
                replication::agrees(&rig.engine, flood, &handled.input);
            }
            Verdict::Deliver(_) | Verdict::Encapsulate(_) => {}
            _ => check_nothing(&rig.engine, &handled.verdict, &handled.input),
        }
        if held.len() < 12 {
            held.extend(Held::all(&rig, &handled));
        }
        if held.iter().all(|held| held.stale) {
            held.clear();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn written_as_expected(
        (scene, ops) in scenes().prop_flat_map(|scene| {
            let profile = scene.profile;
            (Just(scene), ops(profile, 60))
        })
    ) {
        run(&scene, &ops);
    }
}
