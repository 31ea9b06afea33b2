//! Inputs to begin with: one of each kind that a target tells apart, made by the tests' own builders.

use super::common::world::build::{self, Checksum, Frame, Ip, Packet};
use super::common::world::{A, LOCAL6, R, REMOTE6};

/// The seeds of a target.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        // Everything is verified, Group Policy is spoken, and the ports are IANA's.
        "outer" => underlay_frames().into_iter().map(|frame| after(&[0x13], &frame)).collect(),
        "inner" => inner_frames().into_iter().map(|frame| after(&[0x00], &frame)).collect(),
        "geneve_options" => option_areas().into_iter().map(|area| after(&[0x80], &area)).collect(),
        "neighbour" => neighbours(),
        "dissect" => {
            let frames = underlay_frames();
            let capture = capture(&frames);
            frames.iter().map(|frame| after(&[0x80, 0], frame)).chain([after(&[0x40, 0], &capture)]).collect()
        }
        "control" => LINES.map(|line| line.as_bytes().to_vec()).to_vec(),
        "record" => records(),
        _ => noise(),
    }
}

fn after(head: &[u8], rest: &[u8]) -> Vec<u8> {
    [head, rest].concat()
}

fn inner_frames() -> Vec<Vec<u8>> {
    let (v4, v6) = (build::ip_frame(A, R, false, 1), build::ip_frame(A, R, true, 2));
    let tagged = v4.clone().vlan(5);
    let twice = v6.clone().vlan(6).tagged(0x88a8, 0xe005);
    let mut fragment = build::inner_ip(false);
    fragment.more = true;
    let mut fragment6 = build::inner_ip(true);
    fragment6.offset = 3;
    let fragments = [Frame::ip(A, R, &fragment), Frame::ip(A, R, &fragment6)];
    let frames = [v4, v6, tagged, twice, Frame::arp([0xff; 6], R)].into_iter().chain(fragments);
    frames.map(|frame| frame.bytes()).collect()
}

fn underlay_frames() -> Vec<Vec<u8>> {
    let inner = Frame::arp(A, R).bytes();
    let options =
        option_areas().into_iter().filter(|area| area.len() % 4 == 0).map(|area| build::geneve(5, true, &area));
    let tunnels = [build::vxlan(5), vec![0x88, 0x40, 0, 7, 0, 0, 5, 0]].map(|header| (4789, header)).into_iter();
    let gpe = [3, 1, 5].map(|next| (4790, vec![0x0c, 0, 0, next, 0, 0, 5, 0]));
    let tunnels = tunnels.chain(gpe).chain(options.map(|header| (6081, header))).collect::<Vec<_>>();
    let mut frames = Vec::new();
    for (port, header) in tunnels {
        let packet = Packet::new(port, header, &inner);
        let zero = Packet { checksum: Checksum::Zero, ..packet.clone() };
        let fragment = Ip { more: true, ..packet.ip() };
        frames.extend([packet.bytes(), zero.bytes(), packet.clone().over_v6().bytes(), build::in_ethernet(&fragment)]);
        let mut tagged = packet.bytes();
        tagged.splice(12..12, [0x81, 0, 0, 77]);
        frames.push(tagged);
        // A tunnel in a tunnel.
        frames.push(Packet::vxlan(&packet.bytes()).bytes());
    }
    frames
}

fn option_areas() -> Vec<Vec<u8>> {
    let (plain, critical) = (build::geneve_option(0x0102, 3, &[1, 2, 3, 4]), build::geneve_option(0xffff, 0x80, &[]));
    let long = build::geneve_option(0x0103, 1, &[7; 124]);
    vec![
        Vec::new(),
        plain.clone(),
        [plain.clone(), critical.clone(), plain.clone()].concat(),
        [long.clone(), critical].concat(),
        [long.clone(), long[..120].to_vec()].concat(),
        plain[..6].to_vec(),
    ]
}

fn neighbours() -> Vec<Vec<u8>> {
    let arp = Frame::arp(A, R).body;
    let message = |kind: u8, option: &[u8]| {
        let mut icmp = vec![kind, 0, 0, 0, 0x60, 0, 0, 0];
        icmp.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        icmp.extend(option);
        let len = u16::try_from(icmp.len()).unwrap();
        let mut pseudo = build::pseudo_header(REMOTE6, LOCAL6, len);
        *pseudo.last_mut().unwrap() = 58;
        let sum = super::common::world::internet_checksum(&[&pseudo, &icmp]);
        icmp[2..4].copy_from_slice(&sum.to_be_bytes());
        Ip { ttl: 255, ..Ip::new(REMOTE6, LOCAL6, 58, icmp) }.bytes()
    };
    let link_layer = |kind: u8| [kind, 1, 2, 0, 0, 0, 0, 9];
    vec![
        arp.clone(),
        [&arp[..7], &[2], &arp[8..]].concat(),
        message(135, &link_layer(1)),
        message(136, &link_layer(2)),
        message(136, &[]),
        message(135, &[link_layer(14), link_layer(1)].concat()),
    ]
}

/// A little-endian pcap.
fn capture(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut words = vec![0xa1b2_c3d4, 2 | 4 << 16, 0, 0, 0xffff, 1];
    let mut capture = Vec::new();
    for (second, frame) in (1..).zip(frames.iter().take(4)) {
        words.extend([second, 7, frame.len() as u32, frame.len() as u32]);
        words.drain(..).for_each(|word: u32| capture.extend(word.to_le_bytes()));
        capture.extend(frame);
    }
    capture
}

const LINES: [&str; 16] = [
    "fdb",
    "fdb show dev tap0 dst 192.0.2.2 dynamic extern_learn -j",
    "fdb add 02:00:00:00:00:01 dev tap0 dst fd00::2 port 8472 vni 77 self static",
    "fdb add 02:00:00:00:00:01 blackhole",
    "fdb add 01:00:5e:00:00:01 dst 192.0.2.2 permanent",
    "fdb append 00:00:00:00:00:00 dst 192.0.2.2 via eth0",
    "fdb replace 2:0:0:0:0:1 dst 192.0.2.2 extern_learn sticky",
    "fdb del 00:00:00:00:00:00 dst 192.0.2.2",
    "fdb flush dev tap0 dst 192.0.2.2 local",
    "fdb add 02:00:00:00:00:01 dst 192.0.2.2 master vlan nhid src_vni router use",
    "link",
    "link show dev tap0 --stats",
    "link lst tap0 -json",
    "monitor fdb -s",
    "log",
    "--frob \u{1}",
];

/// The session of the tests, in pieces.
fn records() -> Vec<Vec<u8>> {
    let lines =
        include_str!("../../tests/data/session.record").split_inclusive('\n').skip(super::control::node::HEADER_LINES);
    lines.collect::<Vec<_>>().chunks(12).take(24).map(|lines| lines.concat().into_bytes()).collect()
}

/// For targets to which any bytes mean something.
fn noise() -> Vec<Vec<u8>> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    [64, 64, 256, 256, 1024, 1024, 2048].map(|len| (0..len).map(|_| byte()).collect()).to_vec()
}
