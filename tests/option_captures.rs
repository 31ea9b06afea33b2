//! Geneve options, group policies and payloads of packets that others captured, given to an endpoint: as they came, and with
//! one thing made wrong in each.
//!
//! The folder of captures comes from `VTEP_CAPTURES`; without it, the tests count as ignored.
#![allow(
    dead_code,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::std_instead_of_core,
    clippy::unreachable,
    clippy::unwrap_used
)]

#[path = "common/world/mod.rs"]
mod world;

use std::fs::File;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use pcap_file::pcap::PcapReader;
use vtep::engine::{DropReason, Input, Profile, PuntReason, Verdict};
use vtep::table::{BridgeId, UnderlayId};
use vtep::wire::geneve::{Duplicates, OffloadRole, OptionId, Schema};
use vtep::wire::outer::{self, Checks, Checksums, Datagram, TunnelPorts};
use vtep::wire::{Encapsulation, Inner, Label, SecurityGroup, TrafficClass, UdpChecksum, Vni};
use world::*;

type Case = (&'static str, fn(&Path));

const CASES: [Case; 8] = [
    ("unknown critical options of others drop their packets", unknown_critical),
    ("a critical option under a clear C bit", contradictory),
    ("groups are read from others' options", groups_of_others),
    ("an option of 31 words", thirty_one_words),
    ("options that are not critical pass over IP without Ethernet", cloud_options),
    ("one thing wrong in a real packet", damaged),
    ("group policies", group_policies),
    ("a network service header", network_service_header),
];

fn main() {
    let arguments = Arguments::from_args();
    let folder = std::env::var_os("VTEP_CAPTURES").map(PathBuf::from);
    let trials = CASES.into_iter().map(|(name, case)| match folder.clone() {
        Some(folder) => Trial::test(name, move || {
            case(&folder);
            Ok::<(), Failed>(())
        }),
        None => Trial::test(format!("{name}: VTEP_CAPTURES is not set"), || Ok(())).with_ignored_flag(true),
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// What follows a UDP header: tunnel header, options, payload.
#[derive(Clone)]
struct Captured {
    encapsulation: Encapsulation,
    vni: Vni,
    bytes: Vec<u8>,
}

/// The tunnel packets of a capture of Ethernet frames, templates without payload left out.
fn tunnels(folder: &Path, name: &str) -> Vec<Captured> {
    let mut reader = PcapReader::new(File::open(folder.join(name)).expect(name)).expect(name);
    let mut found = Vec::new();
    let (ip_checksum, udp_checksum) = (Checksums::Trust, Checksums::Trust);
    let checks = Checks { ip_checksum, udp_checksum, zero_udp6: true, ..Checks::DEFAULT };
    while let Some(packet) = reader.next_packet() {
        let packet = packet.expect(name);
        if let Ok(Some(outer)) = outer::parse(&packet.data, &TunnelPorts::default(), &checks) {
            let tunnel = outer.tunnel;
            let bytes = packet.data[tunnel.header.start as usize..tunnel.inner.end() as usize].to_vec();
            found.push(Captured { encapsulation: tunnel.encap, vni: tunnel.vni, bytes });
        }
    }
    assert!(!found.is_empty(), "{name}");
    found
}

/// An endpoint that reads labels in the packet's VNI.
fn endpoint(packet: &Captured, schema: Schema) -> Vtep {
    Vtep::with(Profile::Rfc, packet.encapsulation, |setup| {
        setup.bridge.vni = packet.vni;
        setup.bridge.options = packet.encapsulation == Encapsulation::Geneve;
        setup.bridge.gbp = packet.encapsulation == Encapsulation::Vxlan;
        setup.config.schema = schema;
    })
}

fn step(vtep: &mut Vtep, packet: &Captured) -> Verdict {
    let dst_port = packet.encapsulation.default_port();
    let datagram =
        Datagram { src: REMOTE, dst: LOCAL, src_port: 50_000, dst_port, tos: 0, ttl: 64, checksum: UdpChecksum::Good };
    vtep.step(&Input::from_socket(UnderlayId(0), datagram, &packet.bytes))
}

fn judged(packet: &Captured, schema: Schema) -> Verdict {
    step(&mut endpoint(packet, schema), packet)
}

#[track_caller]
fn dropped(packet: &Captured, schema: Schema, reason: DropReason) {
    let mut vtep = endpoint(packet, schema);
    assert_eq!(step(&mut vtep, packet), Verdict::Drop(reason));
    assert_eq!(vtep.engine.counters().drops(reason), 1);
    assert_eq!(vtep.state(), Vec::<String>::new(), "nothing is learned");
}

/// The label learned with a packet's source.
#[track_caller]
fn learned(packet: &Captured, schema: Schema) -> Label {
    let mut vtep = endpoint(packet, schema);
    let verdict = step(&mut vtep, packet);
    assert!(matches!(verdict, Verdict::Flood(_)), "{verdict:?}");
    let header = 8 + 4 * usize::from(packet.bytes[0] & 0x3f);
    let header = if packet.encapsulation == Encapsulation::Geneve { header } else { 8 };
    let inner = Inner::parse_ethernet(&packet.bytes[header..]).expect("a frame");
    let entry = vtep.engine.lookup(BridgeId(0), inner.src()).expect("learned");
    vtep.engine.label(entry)
}

fn of_group(number: u32) -> Label {
    Label::of_group(SecurityGroup::new(number).expect("a group"))
}

fn group_in(class: u16, kind: u8) -> Schema {
    Schema { group: Some(OptionId::new(class, kind)), ..Schema::DEFAULT }
}

/// Class 0, type 0x80, 4 bytes: what Open vSwitch was told to send in tcpdump's and gopacket's captures.
const THEIRS: (u16, u8) = (0, 0x80);

fn has_option(packet: &Captured) -> bool {
    packet.bytes[0] & 0x3f != 0
}

fn unknown_critical(folder: &Path) {
    let mut with_options = 0;
    for name in ["tcpdump__geneve.pcap", "gopacket__geneve-options.pcap"] {
        for packet in tunnels(folder, name) {
            if has_option(&packet) {
                with_options += 1;
                dropped(&packet, Schema::DEFAULT, DropReason::UnknownCriticalOption);
                let offload = Schema { role: OffloadRole::Offload, ..Schema::DEFAULT };
                assert!(matches!(judged(&packet, offload), Verdict::Flood(_)));
            } else {
                assert_eq!(learned(&packet, Schema::DEFAULT), Label::NONE);
            }
        }
    }
    assert_eq!(with_options, 19 + 2);
}

fn contradictory(folder: &Path) {
    let packets = tunnels(folder, "ovs-tests__geneve-push-pop.pcap");
    for packet in &packets {
        assert_eq!(packet.bytes[1] & 0x40, 0, "the header's C bit is clear");
        dropped(packet, Schema::DEFAULT, DropReason::UnknownCriticalOption);
        let strict = Schema { check_critical_bit: true, ..group_in(0xffff, 0x80) };
        dropped(packet, strict, DropReason::CriticalBitMismatch);
        assert_eq!(learned(packet, group_in(0xffff, 0x80)), of_group(10));
        let class = Schema { class: Some(OptionId::new(0xffff, 0)), ..group_in(0xffff, 0x80) };
        // The other option's four bytes are 0, 0, 0, 11; its first is the class.
        assert_eq!(learned(packet, class), Label::new(of_group(10).group(), TrafficClass::BEST_EFFORT));
    }
    assert_eq!(packets.len(), 2);
}

fn groups_of_others(folder: &Path) {
    let packets = tunnels(folder, "tcpdump__geneve.pcap");
    let groups = packets.iter().map(|packet| learned(packet, group_in(THEIRS.0, THEIRS.1)));
    let (marked, plain): (Vec<Label>, Vec<Label>) = groups.partition(|label| !label.is_none());
    assert_eq!((marked.len(), plain.len()), (19, 20));
    assert!(marked.iter().all(|label| *label == of_group(12)), "{marked:?}");
}

fn thirty_one_words(folder: &Path) {
    let packets = tunnels(folder, "gopacket__geneve-options.pcap");
    let longest = packets.iter().find(|packet| packet.bytes[0] & 0x3f == 32).expect("31 words and a header");
    dropped(longest, group_in(THEIRS.0, THEIRS.1), DropReason::OptionLengthMismatch);
    dropped(longest, Schema { max_len: 124, ..Schema::DEFAULT }, DropReason::TooManyOptions);
    dropped(longest, Schema::DEFAULT, DropReason::UnknownCriticalOption);
}

fn cloud_options(folder: &Path) {
    let files = [
        ("tcpdump__geneve-gcp.pcap", 1),
        ("aws-gwlb-demo__geneve.pcap", 18),
        ("suricata-verify__bug-6402-01--input.pcap", 12),
    ];
    for (name, count) in files {
        let packets = tunnels(folder, name);
        assert_eq!(packets.len(), count, "{name}");
        for packet in &packets {
            let verdict = judged(packet, Schema::DEFAULT);
            assert_eq!(verdict.punt(), Some(PuntReason::InnerIpv4), "{name}: {verdict:?}");
            assert_eq!(judged(packet, Schema { max_options: 2, ..Schema::DEFAULT }), too_many(), "{name}");
            let payload = 8 + 4 * usize::from(packet.bytes[0] & 0x3f);
            for (len, reason) in
                [(payload - 1, AREA), (payload, DropReason::InnerShortIp), (payload + 19, DropReason::InnerShortIp)]
            {
                dropped(&Captured { bytes: packet.bytes[..len].to_vec(), ..packet.clone() }, Schema::DEFAULT, reason);
            }
        }
    }
}

const AREA: DropReason = DropReason::OptionAreaTooLong;

const fn too_many() -> Verdict {
    Verdict::Drop(DropReason::TooManyOptions)
}

/// A real packet with one 8-byte option, its option area replaced.
fn with_area(packet: &Captured, area: &[u8]) -> Captured {
    let mut bytes = packet.bytes.clone();
    let old = 8 + 4 * usize::from(bytes[0] & 0x3f);
    bytes.splice(8..old, area.iter().copied());
    bytes[0] = bytes[0] & 0xc0 | u8::try_from(area.len() / 4).expect("at most 63 words");
    Captured { bytes, ..packet.clone() }
}

fn damaged(folder: &Path) {
    let packets = tunnels(folder, "tcpdump__geneve.pcap");
    let schema = group_in(THEIRS.0, THEIRS.1);
    let mut tried = 0;
    for packet in packets.iter().filter(|packet| has_option(packet)) {
        let option = packet.bytes[8..16].to_vec();
        assert_eq!(option, [0, 0, 0x80, 1, 0, 0, 0, 12]);
        let changed = |at: usize, byte: u8| {
            let mut packet = packet.clone();
            packet.bytes[at] = byte;
            packet
        };
        // Overlong, zero-length and misaligned: the words of data, one byte of the header.
        dropped(&changed(11, 2), schema, DropReason::OptionTooLong);
        dropped(&changed(11, 31), schema, DropReason::OptionTooLong);
        dropped(&changed(11, 0), schema, DropReason::OptionLengthMismatch);
        // An area that ends inside an option, and one that passes the packet's end.
        let half = with_area(packet, &[&option[..], &option[..4]].concat());
        dropped(&half, schema, DropReason::OptionTooLong);
        let long = Captured { bytes: packet.bytes[..12].to_vec(), ..packet.clone() };
        dropped(&long, schema, AREA);
        // Twice.
        let twice = with_area(packet, &[option.clone(), option.clone()].concat());
        dropped(&twice, schema, DropReason::DuplicateOption);
        assert_eq!(learned(&twice, Schema { duplicates: Duplicates::Last, ..schema }), of_group(12));
        // Critical under a clear C bit.
        let strict = Schema { check_critical_bit: true, ..schema };
        dropped(&changed(1, packet.bytes[1] & !0x40), strict, DropReason::CriticalBitMismatch);
        // Groups that no table holds.
        dropped(&changed(12, 1), schema, DropReason::GroupOutOfRange);
        let all = with_area(packet, &[0, 0, 0x80, 1, 0, 0xff, 0xff, 0xff]);
        dropped(&all, schema, DropReason::GroupOutOfRange);
        // An area of 252 bytes, with the option last.
        let fill = |kind, words: u8| [&[0xff, 0xff, kind, words][..], &vec![0; usize::from(words) * 4]].concat();
        let full = with_area(packet, &[fill(1, 31), fill(2, 28), option.clone()].concat());
        assert_eq!(full.bytes[0], 63);
        assert_eq!(learned(&full, schema), of_group(12));
        dropped(&full, Schema::DEFAULT, DropReason::UnknownCriticalOption);
        // Options under a version that is not known.
        for version in 1..4 {
            dropped(&changed(0, packet.bytes[0] | version << 6), schema, DropReason::OuterUnknownVersion);
        }
        tried += 1;
    }
    assert_eq!(tried, 19);
}

fn group_policies(folder: &Path) {
    // G, D and A with group 100: not to be learned from.
    let packet = &tunnels(folder, "pcapplusplus__Vxlan1.pcap")[0];
    let mut vtep = endpoint(packet, Schema::DEFAULT);
    assert!(matches!(step(&mut vtep, packet), Verdict::Flood(_)));
    assert_eq!(vtep.state(), Vec::<String>::new(), "D: nothing is learned");
    let mut learns = packet.clone();
    learns.bytes[1] &= !0x40;
    assert_eq!(learned(&learns, Schema::DEFAULT), of_group(100));
    // A without G is no group.
    assert_eq!(learned(&tunnels(folder, "pcapplusplus__Vxlan2.pcap")[0], Schema::DEFAULT), Label::NONE);
}

fn network_service_header(folder: &Path) {
    let packet = &tunnels(folder, "tcpdump__nsh-over-vxlan-gpe.pcap")[0];
    assert_eq!(judged(packet, Schema::DEFAULT).punt(), Some(PuntReason::InnerNsh));
    for next in [0, 6, 99, 255] {
        let mut other = packet.clone();
        other.bytes[3] = next;
        dropped(&other, Schema::DEFAULT, DropReason::UnknownNextProtocol);
    }
    // The generator's packets name IPv4 and leave P clear.
    let of_generator = tunnels(folder, "arkime__arkime_synthetic.pcap");
    let mut gpe = of_generator.into_iter().filter(|packet| packet.encapsulation == Encapsulation::Gpe);
    let mut packet = gpe.next().expect("a GPE packet");
    dropped(&packet, Schema::DEFAULT, DropReason::UnknownNextProtocol);
    packet.bytes[0] |= 0x04;
    assert_eq!(judged(&packet, Schema::DEFAULT).punt(), Some(PuntReason::InnerIpv4));
}
