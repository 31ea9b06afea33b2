//! Geneve options at an endpoint that reads labels: RFC 8926 sections 3.4 and 3.5, and what receivers elsewhere have got
//! wrong. Real packets are in `tests/option_captures.rs`.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_core,
    clippy::unreachable,
    clippy::unwrap_used
)]
#![allow(dead_code, reason = "shared with other tests")]

#[path = "common/world/mod.rs"]
mod world;

use vtep::engine::{Command, DropReason, Event, Profile, PuntReason, Remote, Verdict};
use vtep::table::{
    Action, BridgeId, ClassFrom, DiffServ, EndpointAddress, EndpointConfig, Enforce, Enforcement, GroupMatch,
    PortConfig, PortId, Rule, TrafficMap, TrafficMapId, UnderlayId,
};
use vtep::wire::geneve::{Duplicates, OffloadRole, OptionId, Schema};
use vtep::wire::{Encapsulation, Label, SecurityGroup, TrafficClass, Vni};
use world::*;

const KIND: (u16, u8) = (0xff00, 0x80);

fn group(n: u32) -> SecurityGroup {
    SecurityGroup::new(n).unwrap()
}

fn group_option(n: u32) -> Vec<u8> {
    geneve_option(KIND.0, KIND.1, &n.to_be_bytes())
}

fn class_option(n: u8) -> Vec<u8> {
    geneve_option(0xff00, 0x01, &[n, 0, 0, 0])
}

fn unknown(kind: u8, words: usize) -> Vec<u8> {
    geneve_option(0x0102, kind, &vec![0x5a; words * 4])
}

/// Reads options; enforces nothing.
fn reading(change: impl FnOnce(&mut Setup)) -> Vtep {
    Vtep::with(Profile::Rfc, Encapsulation::Geneve, |setup| {
        setup.bridge.options = true;
        change(setup);
    })
}

/// A frame from R to A, whose port is known, under these options.
fn receive(vtep: &mut Vtep, critical: bool, options: &[u8]) -> Verdict {
    vtep.on_port(0, &Frame::new(R, A).bytes());
    vtep.on_underlay(&Packet::with_options(critical, options).bytes())
}

fn label_of(vtep: &Vtep, station: [u8; 6]) -> Option<Label> {
    vtep.engine.lookup(BridgeId(0), mac(station)).map(|entry| vtep.engine.label(entry))
}

/// The whole tunnel header of what was sent.
fn header(sent: &Read) -> Vec<u8> {
    [&sent.tunnel[..], &sent.options].concat()
}

fn dropped(verdict: Verdict) -> Option<DropReason> {
    match verdict {
        Verdict::Drop(reason) => Some(reason),
        _ => None,
    }
}

#[test]
fn a_label_is_learned_with_its_mac() {
    let mut vtep = reading(|_| {});
    let options = [group_option(12_345), class_option(5)].concat();
    assert_eq!(dropped(receive(&mut vtep, true, &options)), None);
    let label = Label::new(group(12_345), TrafficClass::new(5).unwrap());
    assert_eq!(label_of(&vtep, R), Some(label));
    assert!(vtep.events().iter().any(|event| matches!(event, Event::Learned { label: l, .. } if *l == label)));
    // Another label from the same place; then none.
    receive(&mut vtep, true, &group_option(67_890));
    assert_eq!(label_of(&vtep, R), Some(Label::of_group(group(67_890))));
    assert!(matches!(vtep.events()[..], [Event::Relabelled { .. }]));
    receive(&mut vtep, false, &[]);
    assert_eq!(label_of(&vtep, R), Some(Label::NONE));
}

/// The list is walked, and an unknown critical option drops, wherever it stands.
#[test]
fn g20_g26_g33_an_unknown_critical_option_drops_the_packet() {
    for options in
        [unknown(0x80, 1), [group_option(1), unknown(0xff, 0)].concat(), [unknown(0x00, 3), unknown(0x81, 31)].concat()]
    {
        for critical in [true, false] {
            let mut vtep = reading(|_| {});
            let verdict = receive(&mut vtep, critical, &options);
            assert_eq!(dropped(verdict), Some(DropReason::UnknownCriticalOption));
            assert_eq!(label_of(&vtep, R), None, "nothing is learned");
        }
    }
}

/// An endpoint that does not parse options, as Linux' device is one, takes no packet whose C bit says that it must.
#[test]
fn g21_whoever_parses_no_options_drops_on_the_c_bit() {
    for options in [vec![], unknown(0x01, 1), unknown(0x80, 1), group_option(7)] {
        let mut vtep = Vtep::geneve(Profile::Linux);
        assert_eq!(dropped(receive(&mut vtep, true, &options)), Some(DropReason::UnknownCriticalOption));
        assert_eq!(label_of(&vtep, R), None);
        // Where the C bit is clear they are stripped unread, whatever they are.
        assert_eq!(dropped(receive(&mut vtep, false, &options)), None);
        assert_eq!(label_of(&vtep, R), Some(Label::NONE));
    }
    // Once it reads labels it parses, in either profile.
    let mut vtep = Vtep::with(Profile::Linux, Encapsulation::Geneve, |setup| setup.bridge.options = true);
    assert_eq!(dropped(receive(&mut vtep, true, &group_option(7))), None);
    assert_eq!(dropped(receive(&mut vtep, true, &unknown(0x80, 1))), Some(DropReason::UnknownCriticalOption));
}

/// In front of an endpoint, neither the header's C bit nor an option's is a reason to drop.
#[test]
fn g23_g28_an_offload_drops_nothing_for_critical_bits() {
    for critical in [true, false] {
        for options in [vec![], unknown(0x01, 1), unknown(0x80, 1), [unknown(0xff, 31), unknown(0x81, 0)].concat()] {
            let mut vtep = reading(|setup| setup.config.schema.role = OffloadRole::Offload);
            assert_eq!(dropped(receive(&mut vtep, critical, &options)), None, "{critical} {options:02x?}");
        }
    }
}

/// Where no bridge speaks Geneve, its packets are UDP like any other: whole, for the host, and not looked into.
#[test]
fn g32_without_geneve_its_packets_are_any_udp() {
    let mut malformed = group_option(7);
    malformed[3] = 31;
    for (critical, options) in [(false, vec![]), (true, unknown(0x80, 1)), (true, malformed)] {
        let mut packet = Packet::with_options(critical, &options);
        for version in 0..4_u8 {
            packet.tunnel[0] = packet.tunnel[0] & 0x3f | version << 6;
            let bytes = packet.bytes();
            let Verdict::Punt(punt) = Vtep::vxlan(Profile::Rfc).on_underlay(&bytes) else { panic!() };
            assert_eq!((punt.reason, punt.frame.of(&bytes)), (PuntReason::NotTunnel, Some(&bytes[..])));
        }
    }
}

/// The options that a frame's label takes count, to the byte.
#[test]
fn g47_a_labels_options_count_for_the_mtu() {
    // 1500 bytes less IPv4, UDP, Geneve and one option.
    let largest = 1500 - 20 - 8 - 8 - 8;
    let mut vtep = enforcing(Encapsulation::Geneve, Enforce::EGRESS);
    vtep.station_at(R, Remote::at(REMOTE));
    let sent = vtep.sent_one(&Frame::of_len(R, A, largest).bytes());
    assert_eq!((sent.options, sent.inner.len()), (group_option(10), largest));
    let verdict = vtep.on_port(0, &Frame::of_len(R, A, largest + 1).bytes());
    assert_eq!(dropped(verdict), Some(DropReason::TooBig));
    // A station without a label has the room for itself.
    vtep.command(Command::RemovePort { id: PortId(0) });
    vtep.command(Command::AddPort { id: PortId(0), config: PortConfig::new(BridgeId(0)) });
    assert_eq!(vtep.sent_one(&Frame::of_len(R, A, largest + 8).bytes()).options, []);
}

/// Segments are cut before the header is put in front of each: all carry the same, options included.
#[test]
fn g52_every_segment_of_a_frame_has_the_same_header_and_options() {
    let mut vtep = enforcing(Encapsulation::Geneve, Enforce::EGRESS);
    vtep.station_at(R, Remote::at(REMOTE));
    let segments = [1400, 1400, 300].map(|len| vtep.sent_one(&Frame::of_len(R, A, len).bytes()));
    for sent in &segments {
        assert_eq!(sent.options, group_option(10));
        assert_eq!((header(sent), sent.src_port), (header(&segments[0]), segments[0].src_port));
    }
}

/// Unknown options that are not critical pass, in any order.
#[test]
fn g22_g34_g38_unknown_options_and_their_order_do_not_matter() {
    let parts = [group_option(7), unknown(0x01, 2), class_option(3)];
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]] {
        let mut vtep = reading(|_| {});
        let options = order.map(|n| parts[n].clone()).concat();
        assert_eq!(dropped(receive(&mut vtep, true, &options)), None);
        assert_eq!(label_of(&vtep, R), Some(Label::new(group(7), TrafficClass::new(3).unwrap())));
    }
}

/// A device in front of the endpoint lets unknown critical options pass.
#[test]
fn g54_in_the_offload_role_unknown_critical_options_pass() {
    let mut vtep = reading(|setup| setup.config.schema.role = OffloadRole::Offload);
    let options = [unknown(0x80, 1), group_option(7)].concat();
    assert_eq!(dropped(receive(&mut vtep, true, &options)), None);
    assert_eq!(label_of(&vtep, R), Some(Label::of_group(group(7))));
}

/// Reserved bits of header and options are ignored.
#[test]
fn g24_g25_g29_reserved_bits_are_ignored() {
    let mut vtep = reading(|_| {});
    let mut options = group_option(7);
    options[3] |= 0xe0;
    let mut packet = Packet::with_options(true, &options);
    packet.tunnel[1] |= 0x3f;
    packet.tunnel[7] = 0xff;
    vtep.on_port(0, &Frame::new(R, A).bytes());
    assert_eq!(dropped(vtep.on_underlay(&packet.bytes())), None);
    assert_eq!(label_of(&vtep, R), Some(Label::of_group(group(7))));
}

/// Each kind of bad input has its reason, and teaches nothing.
#[test]
fn g30_g31_g36_g37_every_malformed_area_has_its_reason() {
    let cut = |mut option: Vec<u8>, words: u8| {
        option[3] = words;
        option
    };
    let lead = |mut option: Vec<u8>| {
        option.truncate(6);
        option.resize(8, 0);
        option[3] = 0;
        option
    };
    let many = std::iter::repeat_n(unknown(0x01, 0), 17).collect::<Vec<_>>().concat();
    let cases: Vec<(&str, Vec<u8>, DropReason)> = vec![
        // G30, G31: the lengths do not fill the area.
        ("overlong", cut(group_option(7), 2), DropReason::OptionTooLong),
        ("overlong by 31 words", cut(group_option(7), 31), DropReason::OptionTooLong),
        // G37: a known option of another length.
        ("zero-length", geneve_option(KIND.0, KIND.1, &[]), DropReason::OptionLengthMismatch),
        ("31 words", geneve_option(KIND.0, KIND.1, &[0; 124]), DropReason::OptionLengthMismatch),
        ("class of two words", geneve_option(0xff00, 0x01, &[0; 8]), DropReason::OptionLengthMismatch),
        ("misaligned", lead(group_option(7)), DropReason::OptionLengthMismatch),
        ("duplicate", [group_option(7), group_option(7)].concat(), DropReason::DuplicateOption),
        ("duplicate class", [class_option(1), unknown(1, 0), class_option(1)].concat(), DropReason::DuplicateOption),
        // G36: more than is looked at.
        ("too many", many, DropReason::TooManyOptions),
        ("group out of range", group_option(0xff_ffff), DropReason::GroupOutOfRange),
        ("group of 32 bits", group_option(u32::MAX), DropReason::GroupOutOfRange),
        ("class out of range", class_option(8), DropReason::ClassOutOfRange),
    ];
    for (what, options, reason) in cases {
        let mut vtep = reading(|setup| setup.config.schema.max_options = 16);
        assert_eq!(dropped(receive(&mut vtep, true, &options)), Some(reason), "{what}");
        assert_eq!(vtep.engine.counters().drops(reason), 1, "{what}");
        assert_eq!(label_of(&vtep, R), None, "{what}");
    }
}

/// Options under a version that is not known are not looked at.
#[test]
fn g13_an_unknown_version_is_the_first_fault() {
    for version in 1..4_u8 {
        let mut vtep = reading(|_| {});
        let mut packet = Packet::with_options(true, &group_option(7));
        packet.tunnel[0] |= version << 6;
        assert_eq!(dropped(vtep.on_underlay(&packet.bytes())), Some(DropReason::OuterUnknownVersion));
    }
}

/// A critical option under a clear C bit contradicts itself; refused where that is asked for.
#[test]
fn g27_contradictory_critical_bits() {
    let strict = |setup: &mut Setup| setup.config.schema.check_critical_bit = true;
    let verdict = receive(&mut reading(strict), false, &group_option(7));
    assert_eq!(dropped(verdict), Some(DropReason::CriticalBitMismatch));
    let mut vtep = reading(|_| {});
    assert_eq!(dropped(receive(&mut vtep, false, &group_option(7))), None);
    // C without a critical option is no fault.
    assert_eq!(dropped(receive(&mut reading(strict), true, &class_option(1))), None);
}

#[test]
fn g31_g36_an_area_of_252_bytes_is_read_to_its_end() {
    let fill = [unknown(0x01, 31), unknown(0x02, 28)].concat();
    let options = [fill, group_option(7)].concat();
    assert_eq!(options.len(), 252);
    let mut vtep = reading(|_| {});
    assert_eq!(dropped(receive(&mut vtep, true, &options)), None);
    assert_eq!(label_of(&vtep, R), Some(Label::of_group(group(7))));
    let mut limited = reading(|setup| setup.config.schema.max_len = 248);
    assert_eq!(dropped(receive(&mut limited, true, &options)), Some(DropReason::TooManyOptions));
}

#[test]
fn g38_duplicates_count_as_configured() {
    let twice = [group_option(7), group_option(8)].concat();
    for (duplicates, expected) in [(Duplicates::First, 7), (Duplicates::Last, 8)] {
        let mut vtep = reading(|setup| setup.config.schema.duplicates = duplicates);
        assert_eq!(dropped(receive(&mut vtep, true, &twice)), None);
        assert_eq!(label_of(&vtep, R), Some(Label::of_group(group(expected))));
    }
}

/// A bridge that does not read labels knows none of the options.
#[test]
fn without_options_on_the_groups_option_is_unknown() {
    let mut vtep = Vtep::geneve(Profile::Rfc);
    assert_eq!(dropped(receive(&mut vtep, true, &group_option(7))), Some(DropReason::UnknownCriticalOption));
    assert_eq!(dropped(receive(&mut vtep, false, &class_option(7))), None);
}

#[test]
fn the_founding_documents_class_and_type_are_possible() {
    let mut vtep = reading(|setup| setup.config.schema = Schema::VENDOR_0100);
    let option = geneve_option(0x0100, 0x01, &12_345_u32.to_be_bytes());
    assert_eq!(dropped(receive(&mut vtep, false, &option)), None);
    assert_eq!(label_of(&vtep, R), Some(Label::of_group(group(12_345))));
    assert_eq!(Schema::VENDOR_0100.group, Some(OptionId::new(0x0100, 0x01)));
}

/// A full label table refuses learning by name; the frame goes on.
#[test]
fn a_full_label_table_is_told_of() {
    let mut vtep = reading(|_| {});
    let mut full = 0;
    for n in 0..LABELS as u8 + 4 {
        let source = [2, 0, 0, 0, 2, n];
        let inner = Frame::new(A, source).bytes();
        let packet = Packet { inner, ..Packet::with_options(true, &group_option(100 + u32::from(n))) };
        vtep.on_port(0, &Frame::new(R, A).bytes());
        assert_eq!(dropped(vtep.on_underlay(&packet.bytes())), None);
        assert_eq!(label_of(&vtep, source).is_some(), usize::from(n) < LABELS, "{n}");
        full += vtep.events().iter().filter(|event| matches!(event, Event::LabelsFull { .. })).count();
    }
    assert_eq!(full, 4);
}

/// Port 0 in group 10 and port 1 in group 20, R behind [`REMOTE`]; 30 may talk to 10.
fn enforcing(encapsulation: Encapsulation, at: Enforce) -> Vtep {
    let mut vtep = Vtep::with(Profile::Rfc, encapsulation, |setup| {
        setup.bridge.options = true;
        setup.bridge.gbp = true;
        setup.bridge.policy = Some(Enforcement { at, ..Enforcement::DEFAULT });
    });
    for (port, number) in [(0, 10), (1, 20)] {
        let config = PortConfig { group: group(number), ..PortConfig::new(BridgeId(0)) };
        vtep.command(Command::RemovePort { id: PortId(port) });
        vtep.command(Command::AddPort { id: PortId(port), config });
    }
    vtep.flood_to(REMOTE);
    for (from, to) in [(30, 10), (10, 30)] {
        let (from, to) = (GroupMatch::Is(group(from)), GroupMatch::Is(group(to)));
        vtep.command(Command::SetRule { rule: Rule { bridge: BridgeId(0), from, to, action: Action::Allow } });
    }
    vtep.on_port(0, &Frame::new(BROADCAST, A).bytes());
    vtep.on_port(1, &Frame::new(BROADCAST, B).bytes());
    vtep
}

#[test]
fn a_policy_judges_what_leaves_the_tunnel() {
    let mut vtep = enforcing(Encapsulation::Geneve, Enforce::EGRESS);
    let packet =
        |to, options: &[u8]| Packet { inner: Frame::new(to, R).bytes(), ..Packet::with_options(true, options) }.bytes();
    assert!(matches!(vtep.on_underlay(&packet(A, &group_option(30))), Verdict::Deliver(_)));
    assert_eq!(dropped(vtep.on_underlay(&packet(B, &group_option(30)))), Some(DropReason::PolicyDenied));
    assert_eq!(dropped(vtep.on_underlay(&packet(A, &group_option(20)))), Some(DropReason::PolicyDenied));
    assert_eq!(dropped(vtep.on_underlay(&packet(A, &[]))), Some(DropReason::SourceGroupMissing));
    assert_eq!(dropped(vtep.on_underlay(&packet(A, &group_option(0)))), Some(DropReason::SourceGroupMissing));
    assert_eq!(dropped(vtep.on_port(0, &Frame::new(B, A).bytes())), Some(DropReason::PolicyDenied));
    let hits: Vec<u64> = vtep.engine.policy().iter().map(|(_, hits)| hits).collect();
    assert_eq!(hits, [1, 0]);
    // Counted per VNI as well.
    assert_eq!(vtep.engine.bridge_counters(BridgeId(0)).unwrap().drops(DropReason::PolicyDenied), 3);
}

#[test]
fn explain_says_why_and_changes_nothing() {
    let vtep = enforcing(Encapsulation::Geneve, Enforce::EGRESS);
    let packet = Packet::with_options(true, &group_option(20)).bytes();
    let before = (vtep.engine.digest(), vtep.engine.counters().packets());
    let input = vtep::engine::Input::from_underlay(UnderlayId(0), &packet);
    let told = vtep.engine.explain(vtep.now, &input);
    let policy = told.policy.unwrap();
    assert_eq!((policy.from, policy.to, policy.rule), (group(20), group(10), None));
    assert_eq!(
        (policy.denied, dropped(told.verdict)),
        (Some(DropReason::PolicyDenied), Some(DropReason::PolicyDenied))
    );
    assert_eq!((told.label, told.learns), (Label::of_group(group(20)), None));
    let packet = Packet::with_options(true, &group_option(30)).bytes();
    let told = vtep.engine.explain(vtep.now, &vtep::engine::Input::from_underlay(UnderlayId(0), &packet));
    assert_eq!(told.policy.unwrap().rule.unwrap().from, GroupMatch::Is(group(30)));
    assert_eq!(told.learns.unwrap().1, Label::of_group(group(30)));
    assert_eq!((vtep.engine.digest(), vtep.engine.counters().packets()), before);
}

#[test]
fn what_is_sent_carries_the_group() {
    let mut vtep = enforcing(Encapsulation::Geneve, Enforce::EGRESS);
    let sent = vtep.sent_one(&Frame::new(BROADCAST, A).bytes());
    assert_eq!(header(&sent), geneve(VNI, true, &group_option(10)));
    let mut vtep = enforcing(Encapsulation::Vxlan, Enforce::EGRESS);
    let sent = vtep.sent_one(&Frame::new(BROADCAST, A).bytes());
    assert_eq!(sent.tunnel[..4], [0x88, 0, 0, 10]);
}

/// VXLAN has 16 bits for a group: a frame of a larger one is dropped, not sent as if it had none.
#[test]
fn a_group_that_does_not_fit_is_not_sent() {
    let mut vtep = enforcing(Encapsulation::Vxlan, Enforce::EGRESS);
    vtep.command(Command::RemovePort { id: PortId(0) });
    let config = PortConfig { group: group(67_890), ..PortConfig::new(BridgeId(0)) };
    vtep.command(Command::AddPort { id: PortId(0), config });
    assert!(vtep.sent(0, &Frame::new(BROADCAST, A).bytes()).is_empty());
    assert_eq!(vtep.engine.counters().copies_denied(), 2, "to the tunnel, and to group 20");
    vtep.station_at(R, Remote::at(REMOTE));
    let verdict = vtep.on_port(0, &Frame::new(R, A).bytes());
    assert_eq!(dropped(verdict), Some(DropReason::GroupUnrepresentable));
}

/// Group Policy's A bit: judged already, so not again; and set only on what a control plane's knowledge allowed.
#[test]
fn the_a_bit_stops_a_second_enforcement() {
    let both = Enforce::INGRESS | Enforce::EGRESS;
    let mut vtep = enforcing(Encapsulation::Vxlan, both);
    let mut packet = Packet::from_r_to_a();
    packet.tunnel[0] |= 0x80;
    packet.tunnel[3] = 20;
    assert_eq!(dropped(vtep.on_underlay(&packet.bytes())), Some(DropReason::PolicyDenied));
    packet.tunnel[1] |= 0x08;
    assert!(matches!(vtep.on_underlay(&packet.bytes()), Verdict::Deliver(_)));
    let place = vtep::engine::Place::Remote(Remote::at(REMOTE));
    let pinned = |number| Command::FdbReplace {
        bridge: BridgeId(0),
        mac: mac(S),
        place,
        owner: vtep::table::Owner::Controller,
        sticky: false,
        label: Label::of_group(group(number)),
    };
    vtep.command(pinned(30));
    assert_eq!(vtep.sent_one(&Frame::new(S, A).bytes()).tunnel[..4], [0x88, 0x08, 0, 10]);
    vtep.command(pinned(40));
    assert_eq!(dropped(vtep.on_port(0, &Frame::new(S, A).bytes())), Some(DropReason::PolicyDenied));
}

/// G35, G53: between two tunnels all options go on as they came, unknown ones too, in order.
#[test]
fn g35_options_pass_untouched_from_tunnel_to_tunnel() {
    let mut vtep = reading(|_| {});
    for address in [REMOTE, THIRD] {
        let (encapsulation, port) = (Encapsulation::Geneve, 6081);
        let address = EndpointAddress { underlay: UnderlayId(0), address, encapsulation, port, vni: None };
        let config = EndpointConfig { split_horizon: 0, ..EndpointConfig::default() };
        vtep.command(Command::SetEndpoint { address, config });
    }
    vtep.station_at(S, Remote::at(THIRD));
    let mut odd = unknown(0x05, 3);
    odd[3] |= 0xa0;
    let options = [unknown(0x01, 0), group_option(7), odd, unknown(0x01, 0), class_option(2)].concat();
    let inner = Frame::new(S, R).bytes();
    let packet = Packet { inner, ..Packet::with_options(true, &options) }.bytes();
    let verdict = vtep.on_underlay(&packet);
    let copies = vtep.copies(&verdict, &packet);
    let [(_, bytes)] = &copies[..] else { panic!("one packet") };
    assert_eq!(header(&Read::ip(bytes)), geneve(VNI, true, &options));
    // In place, where the headers are written over the received options.
    let mut buffer = vec![0; 320];
    buffer.extend(&packet);
    let range = 320..buffer.len();
    let out = vtep.engine.rewrite(&verdict, vtep::wire::Depth::Ip, &mut buffer, range).unwrap();
    assert_eq!(header(&Read::ip(&buffer[out.bytes])), geneve(VNI, true, &options));
}

/// RFC 2983: with the pipe model the outer DSCP is the class's, with the uniform model the inner one's.
#[test]
fn traffic_classes_and_their_marks() {
    let with = |model, from| {
        let mut vtep = reading(|setup| setup.bridge.traffic = Some(TrafficMapId(0)));
        let map = TrafficMap { model, from, ..TrafficMap::CLASS_SELECTORS };
        vtep.command(Command::SetTrafficMap { id: TrafficMapId(0), map });
        vtep.flood_to(REMOTE);
        vtep
    };
    // DSCP 46 (expedited forwarding) is class 5.
    let frame = ip_frame(BROADCAST, A, false, 46 << 2).bytes();
    let sent = with(DiffServ::Pipe, ClassFrom::Dscp).sent_one(&frame);
    assert_eq!((sent.ip.tos >> 2, header(&sent)), (40, geneve(VNI, false, &class_option(5))));
    assert_eq!(with(DiffServ::Uniform, ClassFrom::Dscp).sent_one(&frame).ip.tos >> 2, 46);
    let untrusted = with(DiffServ::Pipe, ClassFrom::Nothing).sent_one(&frame);
    assert_eq!((untrusted.ip.tos >> 2, header(&untrusted)), (0, geneve(VNI, false, &[])));

    // Out of the tunnel, with outer DSCP 8.
    let deliver = |model| {
        let mut vtep = with(model, ClassFrom::Dscp);
        vtep.on_port(0, &Frame::new(BROADCAST, A).bytes());
        let inner = ip_frame(A, R, false, 46 << 2).bytes();
        let packet = Packet { tos: 8 << 2, inner, ..Packet::geneve(&[]) }.bytes();
        let verdict = vtep.on_underlay(&packet);
        let copies = vtep.copies(&verdict, &packet);
        copies[0].1[15] >> 2
    };
    assert_eq!((deliver(DiffServ::Pipe), deliver(DiffServ::Uniform)), (46, 8));
}

#[test]
fn commands_on_labels_are_refused_by_name() {
    use vtep::engine::CommandError;
    let mut vtep = enforcing(Encapsulation::Geneve, Enforce::EGRESS);
    let entry = |number, place| Command::FdbAdd {
        bridge: BridgeId(0),
        mac: mac(S),
        place,
        owner: vtep::table::Owner::Static,
        sticky: false,
        label: Label::of_group(group(number)),
    };
    let port = vtep::engine::Place::Port(PortId(0));
    assert_eq!(vtep.try_command(entry(11, port)), Err(CommandError::GroupConflict));
    assert!(vtep.try_command(entry(10, port)).is_ok());
    let rule = |n| Command::SetRule {
        rule: Rule { bridge: BridgeId(0), from: GroupMatch::Is(group(n)), to: GroupMatch::Any, action: Action::Deny },
    };
    for n in 0..14 {
        vtep.command(rule(100 + n));
    }
    assert_eq!(vtep.try_command(rule(200)), Err(CommandError::RulesFull));
    let absent = Command::RemoveRule { bridge: BridgeId(0), from: GroupMatch::Any, to: GroupMatch::Any };
    assert_eq!(vtep.try_command(absent), Err(CommandError::NotFound));
    let map = TrafficMap { dscp: [64; 8], ..TrafficMap::CLASS_SELECTORS };
    let set = |id, map| Command::SetTrafficMap { id: TrafficMapId(id), map };
    assert_eq!(vtep.try_command(set(0, map)), Err(CommandError::BadValue));
    assert_eq!(vtep.try_command(set(2, TrafficMap::CLASS_SELECTORS)), Err(CommandError::OutOfRange));
    let config = *vtep.engine.bridge_config(BridgeId(0)).unwrap();
    let config = vtep::table::BridgeConfig { traffic: Some(TrafficMapId(9)), vni: Vni::truncating(VNI), ..config };
    assert_eq!(vtep.try_command(Command::SetBridge { id: BridgeId(0), config }), Err(CommandError::OutOfRange));
}
