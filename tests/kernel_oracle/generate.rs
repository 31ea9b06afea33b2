//! Random scenarios: everything the directed ones vary, at once.

use core::net::IpAddr;

use vtep::wire::{Df, Tos, Ttl};

use crate::common::world::build::{in_ethernet, inner_ip};
use crate::common::world::{BROADCAST, Checksum, Frame, Ip, MULTICAST, Packet, internet_checksum};
use crate::scenario::{DEVICE_MAC, Device, Fdb, Kind, Op, PEERS, Scenario, Verb, address, packet};

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        self.next() as u8
    }

    /// True so many times in a hundred.
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }
}

/// Steps of a scenario.
const STEPS: usize = 250;
/// `bridge fdb` commands in one: each is a program to start.
const COMMANDS: usize = 6;

/// A scenario, and how many cases it is at most.
pub(crate) fn scenario(random: &mut Random, cases: usize) -> Scenario {
    let device = device(random);
    let mut ops = Vec::new();
    if random.chance(85) && device.maxaddress.is_none() {
        for _ in 0..=random.below(3) {
            ops.push(Op::Fdb(flood(random, &device, Verb::Append, [0; 6])));
        }
    }
    let steps = cases.min(STEPS);
    let mut commands: Vec<usize> = (0..COMMANDS).map(|_| random.below(steps)).collect();
    commands.retain(|_| device.maxaddress.is_none());
    for step in 0..steps {
        if commands.contains(&step) {
            ops.push(Op::Fdb(command(random, &device)));
        }
        ops.push(if random.chance(65) { rx(random, &device) } else { Op::Tx(sent(random, &device)) });
    }
    Scenario { device, ops }
}

fn device(random: &mut Random) -> Device {
    Device {
        v6: random.chance(40),
        learning: random.chance(85),
        maxaddress: random.chance(20).then(|| 1 + random.below(8) as u32),
        gbp: random.chance(15),
        ttl: random.pick(&[None, None, Some(Ttl::Fixed(7)), Some(Ttl::Inherit)]),
        tos: random.pick(&[Tos::Fixed(0), Tos::Fixed(0x64), Tos::Inherit]),
        df: random.pick(&[Df::Unset, Df::Set, Df::Inherit]),
        checksum: random.chance(70),
        accept_zero_checksum_v6: random.chance(30),
        source_ports: random.pick(&[None, None, Some((5000, 5001)), Some((49152, 65535))]),
        mtu: random.pick(&[Device::DEFAULT.mtu, Device::DEFAULT.mtu, 1600]),
        ..Device::DEFAULT
    }
}

fn station(random: &mut Random) -> [u8; 6] {
    [2, 0, 0, 1, 0, random.below(24) as u8]
}

/// A station that nothing is sent to: only one side may learn of it.
fn stray(random: &mut Random) -> [u8; 6] {
    [2, 0x57, 0, 0, 0, random.below(8) as u8]
}

fn group(random: &mut Random) -> [u8; 6] {
    random.pick(&[MULTICAST, [0x33, 0x33, 0, 0, 0, 9], [0x01, 0x80, 0xc2, 0, 0, 0], [0x01, 0x80, 0xc2, 0, 0, 0x21]])
}

fn local(random: &mut Random) -> [u8; 6] {
    [2, 0, 0, 0, 0, random.below(8) as u8]
}

fn flood(random: &mut Random, device: &Device, verb: Verb, mac: [u8; 6]) -> Fdb {
    let dst = match random.chance(15) {
        true if device.v6 => "ff05::1234:5678".parse().unwrap(),
        true => [239, 1, 1, 1].into(),
        false => address(device.v6, random.pick(&PEERS)),
    };
    Fdb { port: random.chance(10).then_some(8472), ..Fdb::new(verb, mac, dst, Kind::Permanent) }
}

fn command(random: &mut Random, device: &Device) -> Fdb {
    if random.chance(35) {
        let mac = if random.chance(50) { [0; 6] } else { random.pick(&[MULTICAST, BROADCAST]) };
        let verb = if random.chance(70) { Verb::Append } else { Verb::Del };
        return flood(random, device, verb, mac);
    }
    let (verb, kinds) = random.pick(&[
        (Verb::Add, &[Kind::Permanent, Kind::Static, Kind::Dynamic, Kind::External][..]),
        (Verb::Replace, &[Kind::Permanent, Kind::Static, Kind::Dynamic]),
        (Verb::Del, &[Kind::Permanent]),
    ]);
    let dst = address(device.v6, random.pick(&PEERS));
    Fdb {
        port: random.chance(20).then_some(9999),
        vni: random.chance(20).then_some(777),
        ..Fdb::new(verb, station(random), dst, random.pick(kinds))
    }
}

/// A packet from the underlay.
fn rx(random: &mut Random, device: &Device) -> Op {
    let mutated = device.maxaddress.is_none() && random.chance(20);
    let src = match random.below(100) {
        _ if mutated => stray(random),
        0..5 => [0; 6],
        5..8 => BROADCAST,
        8..11 => group(random),
        11..15 => DEVICE_MAC,
        _ => station(random),
    };
    let dst = match random.below(100) {
        0..10 => DEVICE_MAC,
        10..25 => BROADCAST,
        25..35 => group(random),
        35..43 => station(random),
        43..46 => [0; 6],
        _ => local(random),
    };
    let inner = inner(random, dst, src);
    let mut packet = Packet {
        tos: random.byte(),
        ttl: random.byte(),
        src_port: random.next() as u16,
        checksum: random.pick(&[Checksum::Right, Checksum::Right, Checksum::Right, Checksum::Zero, Checksum::Wrong]),
        ..packet(device, random.pick(&PEERS), &inner)
    };
    if random.chance(5) {
        packet.dst = address(device.v6, 9);
    }
    tunnel(random, device, &mut packet);
    if !mutated {
        return Op::Rx(vec![packet.bytes()]);
    }
    Op::Rx(vec![mutate(random, device, packet)])
}

fn tunnel(random: &mut Random, device: &Device, packet: &mut Packet) {
    match random.below(100) {
        0..8 => {
            let bit = random.below(64);
            packet.tunnel[bit / 8] ^= 0x80 >> (bit % 8);
        }
        8..11 => packet.tunnel = random.bytes(8),
        11..13 => packet.tunnel[4..7].fill(0),
        13..40 if device.gbp => {
            packet.tunnel[0] = 0x88;
            packet.tunnel[1..4].copy_from_slice(&random.bytes(3));
        }
        _ => {}
    }
    if random.chance(3) {
        packet.inner.clear();
        packet.tunnel.truncate(random.below(9));
    }
    if random.chance(2) {
        packet.dst_port = random.pick(&[4790, 8472, 53, 0]);
    }
}

/// Something wrong with the outer headers.
fn mutate(random: &mut Random, device: &Device, mut packet: Packet) -> Vec<u8> {
    if random.chance(20) {
        let sources: &[&str] = match device.v6 {
            false => &["0.0.0.0", "127.1.2.3", "224.9.9.9", "255.255.255.255", "192.0.2.1", "8.8.8.8", "240.0.0.1"],
            true => &["::", "::1", "ff02::1", "ff0e::7", "2001:db8::1", "fe80::99", "2001:db8:7::1"],
        };
        packet.src = random.pick(sources).parse().unwrap();
        return packet.bytes();
    }
    let mut ip = packet.ip();
    if random.chance(25) {
        let claimed = random.pick(&[0, 1, 7, 8, 15, 16, 30, 0xffff, ip.payload.len() - 1, ip.payload.len() + 1]);
        ip.payload[4..6].copy_from_slice(&(claimed as u16).to_be_bytes());
        return in_ethernet(&ip);
    }
    if random.chance(10) {
        (ip.more, ip.offset) = random.pick(&[(true, 0), (true, 2), (false, 3)]);
        ip.ident = random.next() as u16;
    }
    if random.chance(15) {
        ip.payload.extend(vec![0x77; 1 + random.below(20)]);
        return in_ethernet(&ip);
    }
    let mut frame = in_ethernet(&ip);
    if random.chance(20) {
        frame.truncate(14 + random.below(frame.len() - 13));
        return frame;
    }
    if random.chance(15) {
        frame.extend(vec![0xee; 1 + random.below(60)]);
        return frame;
    }
    let header = if device.v6 { 40 } else { 20 };
    for _ in 0..=random.below(2) {
        let bit = random.below((header + 16).min(frame.len() - 14) * 8);
        frame[14 + bit / 8] ^= 0x80 >> (bit % 8);
    }
    if !device.v6 && random.chance(70) {
        frame[24..26].fill(0);
        let words = usize::from(frame[14] & 15).clamp(5, 15);
        let end = frame.len().min(14 + words * 4);
        let sum = internet_checksum(&[&frame[14..end]]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
    }
    frame
}

/// A frame that the device is given.
fn sent(random: &mut Random, device: &Device) -> Vec<u8> {
    let dst = match random.below(100) {
        0..10 => local(random),
        10..25 => BROADCAST,
        25..40 => group(random),
        40..43 => [0; 6],
        43..45 => DEVICE_MAC,
        _ => station(random),
    };
    let src = match random.below(100) {
        0..4 => [0; 6],
        4..8 => group(random),
        8..12 => station(random),
        12..30 => DEVICE_MAC,
        _ => local(random),
    };
    if device.mtu > Device::DEFAULT.mtu && random.chance(20) {
        // About what fits the underlay.
        let mut frame = Frame::of_len(dst, src, 1400 + random.below(200));
        frame.body[6] = random.pick(&[0x00, 0x40]);
        return frame.bytes();
    }
    inner(random, dst, src)
}

/// An inner frame, at least its Ethernet header.
fn inner(random: &mut Random, dst: [u8; 6], src: [u8; 6]) -> Vec<u8> {
    let mut frame = match random.below(100) {
        0..10 => Frame::arp(dst, src),
        10..20 => {
            let ethertype = random.pick(&[0x0000, 0x0026, 0x05dc, 0x0600, 0x88cc, 0x8847, 0x9100, 0x6558, 0xffff]);
            let len = random.below(80);
            Frame { dst, src, tags: Vec::new(), ethertype, body: random.bytes(len) }
        }
        _ => ip_frame(random, dst, src),
    };
    let tags = random.pick(&[0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 3, 4]);
    for _ in 0..tags {
        let tpid = random.pick(&[0x8100, 0x8100, 0x88a8, 0x9100]);
        frame = frame.tagged(tpid, random.next() as u16);
    }
    let mut bytes = frame.bytes();
    if random.chance(10) {
        bytes.truncate(14 + random.below(bytes.len().min(80) - 13));
    }
    bytes
}

fn ip_frame(random: &mut Random, dst: [u8; 6], src: [u8; 6]) -> Frame {
    let v6 = random.chance(40);
    let host = |random: &mut Random| -> IpAddr {
        let last = random.below(4) as u8;
        if v6 { format!("fd00::{last}").parse().unwrap() } else { [10, 0, 0, last].into() }
    };
    let mut ip = Ip {
        src: host(random),
        dst: host(random),
        tos: random.byte(),
        ttl: random.byte(),
        df: random.chance(50),
        ident: random.next() as u16,
        ..inner_ip(v6)
    };
    if random.chance(30) {
        ip.protocol = random.pick(&[1, 2, 6, 17, 47, 50, 58, 132]);
        let len = if random.chance(5) { 1200 } else { random.below(64) };
        ip.payload = random.bytes(len);
    }
    if random.chance(10) {
        (ip.more, ip.offset) = random.pick(&[(true, 0), (true, 8), (false, 9)]);
    }
    let mut frame = Frame::ip(dst, src, &ip);
    match random.below(100) {
        0..5 => frame.body[0] = random.byte(),
        5..8 => frame.body[0] ^= 1 << random.below(4),
        8..12 => {
            let at = random.below(frame.body.len().min(40));
            frame.body[at] = random.byte();
        }
        _ => {}
    }
    frame
}
