//! Scenarios written by hand: each rule of the kernel's once, at its borders.

use vtep::wire::{Df, Tos, Ttl};

use crate::common::world::{A, BROADCAST, Checksum, Frame, Ip, MULTICAST, NOBODY, Packet, R, S, ip_frame};
use crate::scenario::{DEVICE_MAC, Device, Fdb, Kind, Op, PEERS, Scenario, Verb, address, packet};

/// A name, and what makes the scenarios of that name.
type Made = (&'static str, fn() -> Vec<Scenario>);

/// Named groups of scenarios.
pub(crate) const GROUPS: &[Made] = &[
    ("header bits", header_bits),
    ("truncations", truncations),
    ("source MACs", source_macs),
    ("ECN", ecn),
    ("FDB state by source", fdb_states),
    ("table full", table_full),
    ("FDB commands", fdb_commands),
    ("flood order", flood_order),
    ("UDP lengths and checksums", udp),
    ("outer addresses", outer_addresses),
    ("fragments", fragments),
    ("inner IP", inner_ip),
    ("sent fields", sent_fields),
    ("too big", too_big),
];

pub(crate) fn rx(packet: &Packet) -> Op {
    Op::Rx(vec![packet.bytes()])
}

fn tx(frame: &Frame) -> Op {
    Op::Tx(frame.bytes())
}

fn families() -> [Device; 2] {
    [Device::DEFAULT, Device { v6: true, ..Device::DEFAULT }]
}

/// From station R behind `peer` to station A.
fn from_r(device: &Device, peer: u8) -> Packet {
    packet(device, peer, &Frame::new(A, R).bytes())
}

/// Every bit of the header, over plain VXLAN and Group Policy; with the I flag clear as well.
fn header_bits() -> Vec<Scenario> {
    let gbp = Device { gbp: true, ..Device::DEFAULT };
    let mut scenarios = Vec::new();
    for device in families().into_iter().chain([gbp]) {
        let mut ops = Vec::new();
        for first in [0x08, 0x88, 0x00] {
            for bit in 0..64 {
                let mut packet = from_r(&device, 2);
                packet.tunnel[0] = first;
                packet.tunnel[bit / 8] ^= 0x80 >> (bit % 8);
                ops.push(rx(&packet));
            }
        }
        scenarios.push(Scenario { device, ops });
    }
    scenarios
}

/// Datagrams of every length, sound but for what they lack; and frames cut off at every byte.
fn truncations() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for device in families() {
        let mut ops = Vec::new();
        let station = |n: usize| [2, 0, 0, 1, (n >> 8) as u8, n as u8];
        let inners: [fn([u8; 6]) -> Frame; 7] = [
            |src| ip_frame(A, src, false, 0),
            |src| ip_frame(A, src, true, 0),
            |src| Frame::arp(BROADCAST, src),
            |src| ip_frame(A, src, false, 0).vlan(7),
            |src| ip_frame(A, src, true, 0).vlan(8).tagged(0x88a8, 9),
            |src| ip_frame(A, src, false, 0).vlan(1).vlan(2).vlan(3),
            |src| ip_frame(A, src, false, 0).vlan(1).vlan(2).vlan(3).vlan(4),
        ];
        for inner in inners {
            for len in 0..90 {
                // A few stations only, so that the engine's small table holds them all.
                let inner = inner(station(len % 16)).bytes();
                let mut packet = packet(&device, PEERS[len % 3], &inner);
                packet.inner.truncate(len.saturating_sub(8));
                packet.tunnel.truncate(len);
                ops.push(rx(&packet));
            }
        }
        let whole = from_r(&device, 2).bytes();
        for len in 14..=whole.len() {
            ops.push(Op::Rx(vec![whole[..len].to_vec()]));
            ops.push(Op::Rx(vec![[&whole[..], &vec![0; len]].concat()]));
        }
        scenarios.push(Scenario { device, ops });
    }
    scenarios
}

fn source_macs() -> Vec<Scenario> {
    let sources = [
        [0; 6],
        BROADCAST,
        MULTICAST,
        [0x33, 0x33, 0, 0, 0, 1],
        [0x01, 0x80, 0xc2, 0, 0, 0],
        [1, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 1],
        [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff],
        [2, 0xff, 0, 0, 0, 1],
        DEVICE_MAC,
        R,
    ];
    let mut scenarios = Vec::new();
    for learning in [true, false] {
        for device in families() {
            let device = Device { learning, ..device };
            let mut ops = vec![append([0; 6], &device, 5)];
            for src in sources {
                for dst in [A, BROADCAST, MULTICAST, DEVICE_MAC, [0x01, 0x80, 0xc2, 0, 0, 0], [0; 6]] {
                    ops.push(rx(&packet(&device, 2, &Frame::new(dst, src).bytes())));
                    ops.push(tx(&Frame::new(dst, src)));
                }
                ops.push(rx(&packet(&device, 3, &Frame::arp(BROADCAST, src).bytes())));
            }
            scenarios.push(Scenario { device, ops });
        }
    }
    scenarios
}

/// Both ways, both families outside and inside, untagged, tagged once and twice; DSCP set to see that it stays.
fn ecn() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for device in families() {
        for tos in [Tos::Fixed(0), Tos::Fixed(0xa8), Tos::Inherit] {
            let device = Device { tos, ..device.clone() };
            let mut ops = vec![append([0; 6], &device, 5)];
            for inner_v6 in [false, true] {
                for tags in 0..3 {
                    for inner in 0..4_u8 {
                        let mut frame = ip_frame(A, R, inner_v6, 0xb8 | inner);
                        for tag in 0..tags {
                            frame = frame.vlan(100 + tag);
                        }
                        ops.push(tx(&Frame { dst: NOBODY, ..frame.clone() }));
                        for outer in 0..4 {
                            ops.push(rx(&Packet { tos: 0x28 | outer, ..packet(&device, 2, &frame.bytes()) }));
                        }
                    }
                }
            }
            scenarios.push(Scenario { device, ops });
        }
    }
    scenarios
}

fn add(verb: Verb, mac: [u8; 6], device: &Device, peer: u8, kind: Kind) -> Op {
    Op::Fdb(Fdb::new(verb, mac, address(device.v6, peer), kind))
}

fn append(mac: [u8; 6], device: &Device, peer: u8) -> Op {
    add(Verb::Append, mac, device, peer, Kind::Permanent)
}

/// What is there before, and what a packet from the same or another endpoint makes of it; whether it is sound or is
/// dropped after it was learned from. At the end a frame shows what is believed.
fn fdb_states() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    let kinds = [None, Some(Kind::Dynamic), Some(Kind::Static), Some(Kind::Permanent), Some(Kind::External)];
    for device in families() {
        for kind in kinds {
            for (port, vni) in [(None, None), (Some(9999), Some(777))] {
                let mut ops = Vec::new();
                if let Some(kind) = kind {
                    let entry = Fdb::new(Verb::Add, R, address(device.v6, 2), kind);
                    ops.push(Op::Fdb(Fdb { port, vni, ..entry }));
                }
                for peer in [2, 3, 2, 4] {
                    let sound = from_r(&device, peer);
                    ops.push(rx(&sound));
                    ops.push(tx(&Frame::new(R, A)));
                    let marked = Packet { tos: 3, ..from_r(&device, if peer == 2 { 5 } else { peer }) };
                    ops.push(rx(&marked));
                    ops.push(tx(&Frame::new(R, A)));
                }
                scenarios.push(Scenario { device: device.clone(), ops });
            }
        }
    }
    scenarios
}

fn table_full() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for most in 1..5 {
        let device = Device { maxaddress: Some(most), ..Device::DEFAULT };
        let mut ops = Vec::new();
        for round in 0..2_u8 {
            for n in 0..6 {
                let src = [2, 0, 0, 2, 0, n];
                ops.push(rx(&packet(&device, 2 + (n + round) % 3, &Frame::new(A, src).bytes())));
            }
        }
        ops.push(add(Verb::Del, [2, 0, 0, 2, 0, 0], &device, 3, Kind::Dynamic));
        for n in (0..6).rev() {
            ops.push(rx(&packet(&device, 2, &Frame::new(A, [2, 0, 0, 2, 0, n]).bytes())));
        }
        for n in 0..6 {
            ops.push(tx(&Frame::new([2, 0, 0, 2, 0, n], A)));
        }
        scenarios.push(Scenario { device, ops });
    }
    scenarios
}

fn fdb_commands() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for device in families() {
        for first in [Kind::Permanent, Kind::Static, Kind::Dynamic, Kind::External] {
            for second in [Kind::Permanent, Kind::Static, Kind::Dynamic] {
                let mut ops = vec![
                    add(Verb::Del, R, &device, 2, first),
                    add(Verb::Add, R, &device, 2, first),
                    add(Verb::Add, R, &device, 3, second),
                    tx(&Frame::new(R, A)),
                    add(Verb::Replace, R, &device, 3, second),
                    tx(&Frame::new(R, A)),
                    rx(&from_r(&device, 4)),
                    add(Verb::Replace, S, &device, 3, second),
                    tx(&Frame::new(S, A)),
                    add(Verb::Del, R, &device, 6, second),
                    add(Verb::Del, S, &device, 3, second),
                ];
                ops.push(tx(&Frame::new(S, A)));
                ops.push(tx(&Frame::new(R, A)));
                scenarios.push(Scenario { device: device.clone(), ops });
            }
        }
    }
    scenarios
}

/// The list for zero, group addresses with lists of their own, unicast entries: who gets copies, in which order.
fn flood_order() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for device in families() {
        let other = [0x01, 0x00, 0x5e, 9, 9, 9];
        let dsts = [BROADCAST, MULTICAST, other, NOBODY, R, S, [0; 6], [0x01, 0x80, 0xc2, 0, 0, 0]];
        let all = |ops: &mut Vec<Op>| ops.extend(dsts.map(|dst| tx(&Frame::new(dst, A))));
        let mut ops = Vec::new();
        all(&mut ops);
        for peer in [5, 3, 7, 2] {
            ops.push(append([0; 6], &device, peer));
            all(&mut ops);
        }
        ops.push(rx(&from_r(&device, 3)));
        ops.push(append(MULTICAST, &device, 4));
        all(&mut ops);
        ops.push(append(MULTICAST, &device, 3));
        ops.push(append(BROADCAST, &device, 8));
        ops.push(add(Verb::Add, S, &device, 6, Kind::Static));
        all(&mut ops);
        for (mac, peer) in [([0; 6], 7), ([0; 6], 5), (MULTICAST, 4), (BROADCAST, 8), (S, 6), ([0; 6], 3), ([0; 6], 2)]
        {
            ops.push(add(Verb::Del, mac, &device, peer, Kind::Permanent));
            all(&mut ops);
        }
        let group = Fdb::new(Verb::Append, [0; 6], multicast_group(&device), Kind::Permanent);
        ops.push(Op::Fdb(Fdb { port: Some(8472), ..group.clone() }));
        all(&mut ops);
        ops.push(append([0; 6], &device, 4));
        ops.push(Op::Fdb(Fdb { vni: Some(777), ..group }));
        all(&mut ops);
        scenarios.push(Scenario { device, ops });
    }
    scenarios
}

fn multicast_group(device: &Device) -> core::net::IpAddr {
    if device.v6 { "ff05::1234:5678".parse().unwrap() } else { [239, 1, 1, 1].into() }
}

fn udp() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for device in families() {
        for accept in [false, true] {
            let device = Device { accept_zero_checksum_v6: accept, ..device.clone() };
            let mut ops = Vec::new();
            for checksum in [Checksum::Right, Checksum::Zero, Checksum::Wrong] {
                let good = Packet { checksum, ..from_r(&device, 2) };
                let len = 8 + good.tunnel.len() + good.inner.len();
                for claimed in (0..20).chain([len - 1, len, len + 1, len + 100, 0xffff]) {
                    let mut packet = good.ip();
                    packet.payload[4..6].copy_from_slice(&u16::try_from(claimed).unwrap().to_be_bytes());
                    ops.push(Op::Rx(vec![crate::common::world::build::in_ethernet(&packet)]));
                }
                // Whatever follows what UDP and IP claim is padding.
                for padding in [1, 4, 46] {
                    let packet = good.ip();
                    let longer = Ip { payload: [&packet.payload[..], &vec![0xaa; padding]].concat(), ..packet };
                    ops.push(Op::Rx(vec![crate::common::world::build::in_ethernet(&longer)]));
                    ops.push(Op::Rx(vec![[&good.bytes()[..], &vec![0xaa; padding]].concat()]));
                }
                for dst_port in [4788, 8472, 0] {
                    ops.push(rx(&Packet { dst_port, ..good.clone() }));
                }
                for src_port in [0, 1, 4789, 65535] {
                    ops.push(rx(&Packet { src_port, ..good.clone() }));
                }
            }
            scenarios.push(Scenario { device, ops });
        }
    }
    scenarios
}

fn outer_addresses() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for device in families() {
        let sources = match device.v6 {
            false => {
                &["0.0.0.0", "127.0.0.1", "224.0.0.1", "239.1.1.1", "255.255.255.255", "192.0.2.1", "10.1.2.3"][..]
            }
            true => &["::", "::1", "ff02::1", "ff05::1", "2001:db8::1", "2001:db8:1::7"][..],
        };
        let mut ops: Vec<Op> =
            sources.iter().map(|src| rx(&Packet { src: src.parse().unwrap(), ..from_r(&device, 2) })).collect();
        ops.push(rx(&Packet { dst: address(device.v6, 9), ..from_r(&device, 4) }));
        for ttl in [0, 1, 255] {
            ops.push(rx(&Packet { ttl, ..from_r(&device, 2) }));
        }
        scenarios.push(Scenario { device, ops });
    }
    scenarios
}

fn fragments() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for device in families() {
        let packet = from_r(&device, 2).ip();
        let (first, second) = packet.payload.split_at(64);
        let part = |ident, more, offset, payload: &[u8]| {
            let part = Ip { ident, df: false, more, offset, payload: payload.to_vec(), ..packet.clone() };
            crate::common::world::build::in_ethernet(&part)
        };
        let ops = vec![
            Op::Rx(vec![part(1, true, 0, first), part(1, false, 8, second)]),
            Op::Rx(vec![part(2, false, 8, second), part(2, true, 0, first)]),
            Op::Rx(vec![part(3, true, 0, first)]),
            Op::Rx(vec![part(4, false, 8, second)]),
        ];
        scenarios.push(Scenario { device, ops });
    }
    scenarios
}

/// Inner headers that are short or say odd things, in both directions.
fn inner_ip() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for device in families() {
        for tos in [Tos::Fixed(0), Tos::Inherit] {
            let device = Device { tos, ttl: Some(Ttl::Inherit), df: Df::Inherit, ..device.clone() };
            let mut ops = vec![append([0; 6], &device, 5)];
            for v6 in [false, true] {
                for tags in 0..3 {
                    for len in [0, 1, 19, 20, 21, 39, 40, 41] {
                        let mut frame = ip_frame(A, R, v6, 2);
                        frame.body.truncate(len);
                        for tag in 0..tags {
                            frame = frame.vlan(tag);
                        }
                        ops.push(rx(&Packet { tos: 3, ..packet(&device, 2, &frame.bytes()) }));
                        ops.push(tx(&frame));
                    }
                    for first in [0x00, 0x44, 0x45, 0x46, 0x4f, 0x55, 0x60, 0x65, 0xff] {
                        let mut frame = ip_frame(A, R, v6, 2);
                        frame.body[0] = first;
                        for tag in 0..tags {
                            frame = frame.vlan(tag);
                        }
                        for tos in 0..4 {
                            ops.push(rx(&Packet { tos, ..packet(&device, 2, &frame.bytes()) }));
                        }
                        ops.push(tx(&frame));
                    }
                }
            }
            scenarios.push(Scenario { device, ops });
        }
    }
    scenarios
}

/// TTL, TOS, DF, checksum, source port range, to a unicast endpoint and to a group.
fn sent_fields() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for device in families() {
        for ttl in [None, Some(Ttl::Fixed(9)), Some(Ttl::Inherit)] {
            for (tos, df) in [(Tos::Fixed(0), Df::Unset), (Tos::Fixed(0x48), Df::Set), (Tos::Inherit, Df::Inherit)] {
                for checksum in [true, false] {
                    let source_ports = if checksum { None } else { Some((1000, 1999)) };
                    let device = Device { ttl, tos, df, checksum, source_ports, ..device.clone() };
                    let group = Fdb::new(Verb::Append, [0; 6], multicast_group(&device), Kind::Permanent);
                    let mut ops = vec![append([0; 6], &device, 5), Op::Fdb(group)];
                    for v6 in [false, true] {
                        for (tos, ttl, df) in [(0, 1, false), (0x47, 64, true), (0xff, 0, true), (0x03, 255, false)] {
                            let inner = Ip { tos, ttl, df, ..crate::common::world::build::inner_ip(v6) };
                            let frame = Frame::ip(NOBODY, A, &inner);
                            ops.push(tx(&frame));
                            ops.push(tx(&frame.clone().vlan(5)));
                            ops.push(tx(&frame.vlan(5).tagged(0x88a8, 6)));
                        }
                    }
                    ops.push(tx(&Frame::arp(BROADCAST, A)));
                    ops.push(tx(&Frame::arp(BROADCAST, A).vlan(5)));
                    scenarios.push(Scenario { device, ops });
                }
            }
        }
    }
    scenarios
}

/// Around the largest frame that fits the underlay, with DF and without.
fn too_big() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for device in families() {
        for df in [Df::Unset, Df::Set, Df::Inherit] {
            let device = Device { df, mtu: 1600, ..device.clone() };
            let mut ops = vec![append([0; 6], &device, 5)];
            let most = if device.v6 { 1444 } else { 1464 };
            for len in [most - 1, most, most + 1, most + 2, 1600] {
                ops.push(tx(&Frame::of_len(NOBODY, A, len)));
            }
            scenarios.push(Scenario { device, ops });
        }
    }
    scenarios
}

/// Who is forgotten, after whose time: the kernel looks every ten seconds, so that many more are waited.
pub(crate) fn ageing() -> Vec<Scenario> {
    let device = Device { ageing: 3, ..Device::DEFAULT };
    let station = |n| [2, 0, 0, 3, 0, n];
    let everybody = |ops: &mut Vec<Op>| ops.extend((0..6).map(|n| tx(&Frame::new(station(n), A))));
    let from = |n, peer| rx(&packet(&device, peer, &Frame::new(A, station(n)).bytes()));
    let mut ops = vec![append([0; 6], &device, 8)];
    let kinds = [Kind::Static, Kind::Permanent, Kind::External, Kind::Dynamic];
    ops.extend((2..).zip(kinds).map(|(n, kind)| add(Verb::Add, station(n), &device, 2, kind)));
    ops.extend([from(0, 2), from(1, 3), from(4, 5)]);
    everybody(&mut ops);
    for _ in 0..7 {
        // Sending to a station does not keep it; a packet from it does, also one that is dropped later.
        ops.push(Op::Wait(2));
        ops.push(match ops.len() % 4 {
            0 => rx(&Packet { tos: 3, ..packet(&device, 2, &Frame::new(A, station(0)).bytes()) }),
            _ => from(0, 2),
        });
    }
    everybody(&mut ops);
    ops.push(Op::Wait(14));
    everybody(&mut ops);
    vec![Scenario { device: device.clone(), ops }]
}
