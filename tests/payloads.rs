//! What tunnels carry besides Ethernet: IP and NSH in VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe-13 section 3.2) and in Geneve (RFC
//! 8926 section 3.4). The host gets it by name; nothing is learned from it, and nothing is forwarded.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_core,
    clippy::unreachable,
    clippy::unwrap_used
)]
#![allow(dead_code, reason = "shared with other tests")]

#[path = "common/world/mod.rs"]
mod world;

use vtep::engine::{Command, DropReason, Input, Profile, Punt, PuntReason, Verdict, VerdictKind};
use vtep::table::{
    Action, Admission, BridgeId, Enforce, Enforcement, GroupMatch, Rule, TrafficMap, TrafficMapId, UnderlayId,
};
use vtep::wire::{Edit, Encapsulation, FrameKind, SecurityGroup, Span};
use world::build::inner_ip;
use world::*;

const NEXT: [(u8, u16, PuntReason); 3] =
    [(1, 0x0800, PuntReason::InnerIpv4), (2, 0x86dd, PuntReason::InnerIpv6), (4, 0x894f, PuntReason::InnerNsh)];

fn gpe(flags: u8, next: u8, payload: &[u8]) -> Packet {
    Packet::new(4790, [&[flags, 0, 0, next][..], &(VNI << 8).to_be_bytes()].concat(), payload)
}

fn in_geneve(protocol: u16, options: &[u8], payload: &[u8]) -> Packet {
    let mut tunnel = geneve(VNI, false, options);
    tunnel[2..4].copy_from_slice(&protocol.to_be_bytes());
    Packet::new(6081, tunnel, payload)
}

fn ip(v6: bool, tos: u8) -> Vec<u8> {
    Ip { tos, ..inner_ip(v6) }.bytes()
}

/// A network service header of metadata type 1 in front of an Ethernet frame.
fn nsh() -> Vec<u8> {
    let header = [0x0f, 0xc6, 0x01, 0x03, 0, 0, 0x01, 0xff];
    [&header[..], &[0; 16], &Frame::new(A, R).bytes()].concat()
}

fn payload(reason: PuntReason) -> Vec<u8> {
    match reason {
        PuntReason::InnerIpv4 => ip(false, 0),
        PuntReason::InnerIpv6 => ip(true, 0),
        _ => nsh(),
    }
}

/// Each payload in each header that names it.
fn packets() -> Vec<(Encapsulation, Packet, PuntReason)> {
    let both = |(next, protocol, reason)| {
        let bytes = payload(reason);
        let known = geneve_option(0xff00, 1, &[1, 2, 3, 4]);
        [
            (Encapsulation::Gpe, gpe(0x0c, next, &bytes), reason),
            (Encapsulation::Geneve, in_geneve(protocol, &[], &bytes), reason),
            (Encapsulation::Geneve, in_geneve(protocol, &known, &bytes), reason),
        ]
    };
    NEXT.into_iter().flat_map(both).collect()
}

#[track_caller]
fn punted(vtep: &mut Vtep, packet: &Packet) -> Punt {
    match vtep.on_underlay(&packet.bytes()) {
        Verdict::Punt(punt) => punt,
        other => panic!("{other:?}"),
    }
}

/// The bytes as the host gets them.
fn handed_on(punt: &Punt, packet: &Packet) -> Vec<u8> {
    let bytes = packet.bytes();
    let inside = punt.frame.of(&bytes).expect("within the packet");
    let mut scratch = [0; Edit::MAX_PREFIX];
    let Some(kind) = punt.reason.frame_kind() else { return inside.to_vec() };
    let edited = punt.edit.apply(inside, kind, &mut scratch).expect("an edit that fits");
    [&scratch[..edited.head], &inside[edited.skip..]].concat()
}

#[test]
fn the_host_gets_ip_and_nsh_by_name_with_bridge_sender_and_span() {
    for (encapsulation, packet, reason) in packets() {
        for (packet, sender) in [(packet.clone(), REMOTE), (packet.over_v6(), REMOTE6)] {
            let mut vtep = Vtep::new(Profile::Rfc, encapsulation);
            vtep.later();
            let (bytes, before) = (packet.bytes(), vtep.state());
            let punt = punted(&mut vtep, &packet);
            let start = bytes.len() - packet.inner.len();
            let frame = Span::new(start as u32, packet.inner.len() as u32);
            let edit = Edit::NONE;
            assert_eq!(punt, Punt { reason, bridge: Some(BridgeId(0)), sender: Some(sender), frame, edit });
            assert_eq!(handed_on(&punt, &packet), packet.inner);
            assert_eq!((vtep.state(), vtep.events()), (before, vec![]), "nothing is learned from it");

            let counters = vtep.engine.bridge_counters(BridgeId(0)).unwrap();
            assert_eq!(counters.verdicts(VerdictKind::Punt), 1);
            assert_eq!(counters.bytes_from_tunnels(), packet.inner.len() as u64);
        }
    }
}

#[test]
fn a_span_of_a_socket_s_payload_and_of_an_ip_packet() {
    for (encapsulation, packet, reason) in packets() {
        let mut vtep = Vtep::new(Profile::Rfc, encapsulation);
        let bytes = packet.ip().bytes();
        let Verdict::Punt(punt) = vtep.step(&Input::from_underlay_ip(UnderlayId(0), &bytes)) else { panic!() };
        assert_eq!((punt.reason, punt.frame.of(&bytes)), (reason, Some(&packet.inner[..])));
    }
}

#[test]
fn names_say_how_bytes_can_be_edited() {
    let kinds = PuntReason::ALL.iter().map(|reason| (reason.name(), reason.frame_kind()));
    let expected = [
        ("not-tunnel", None),
        ("host-destination", Some(FrameKind::Ethernet)),
        ("host-copy", Some(FrameKind::Ethernet)),
        ("control-packet", None),
        ("inner-ipv4", Some(FrameKind::Ip)),
        ("inner-ipv6", Some(FrameKind::Ip)),
        ("inner-nsh", None),
    ];
    assert_eq!(kinds.collect::<Vec<_>>(), expected);
}

#[test]
fn linux_takes_ip_in_gpe_and_in_geneve_ethernet_only() {
    for (encapsulation, packet, reason) in packets() {
        let mut vtep = Vtep::new(Profile::Linux, encapsulation);
        match encapsulation {
            Encapsulation::Geneve => vtep.refuses(&packet.bytes(), DropReason::UnsupportedPayload),
            _ => assert_eq!(punted(&mut vtep, &packet).reason, reason),
        }
    }
}

#[test]
fn next_protocols_that_nobody_knows_are_dropped_by_name() {
    for profile in PROFILES {
        let mut vtep = Vtep::new(profile, Encapsulation::Gpe);
        for next in (0..=255).filter(|next| !(1..=5).contains(next)) {
            vtep.refuses(&gpe(0x0c, next, &ip(false, 0)).bytes(), DropReason::UnknownNextProtocol);
        }
        // Known, and nothing that a bridge or a host's IP can do anything with.
        vtep.refuses(&gpe(0x0c, 5, &[0; 40]).bytes(), DropReason::UnsupportedPayload);
        assert!(matches!(vtep.on_underlay(&gpe(0x0c, 3, &Frame::new(A, R).bytes()).bytes()), Verdict::Flood(_)));
    }
    // Named with P clear, the header contradicts itself; Linux calls such bits reserved.
    for next in 1..=255 {
        let packet = gpe(0x08, next, &ip(false, 0)).bytes();
        Vtep::new(Profile::Rfc, Encapsulation::Gpe).refuses(&packet, DropReason::UnknownNextProtocol);
        Vtep::new(Profile::Linux, Encapsulation::Gpe).refuses(&packet, DropReason::ReservedBits);
    }
    let mut vtep = Vtep::geneve(Profile::Rfc);
    for protocol in [0, 0x0806, 0x8847, 0x6559, 0xffff] {
        vtep.refuses(&in_geneve(protocol, &[], &ip(false, 0)).bytes(), DropReason::UnsupportedPayload);
    }
}

#[test]
fn control_packets_are_the_host_s_whatever_they_carry() {
    for next in 0..=255 {
        for profile in PROFILES {
            let packet = gpe(0x0d, next, &[]);
            let punt = punted(&mut Vtep::new(profile, Encapsulation::Gpe), &packet);
            assert_eq!((punt.reason, punt.sender), (PuntReason::ControlPacket, Some(REMOTE)));
        }
    }
}

#[test]
fn versions_and_missing_vnis_are_refused_before_what_is_inside() {
    let mut vtep = Vtep::new(Profile::Rfc, Encapsulation::Gpe);
    for (next, _, reason) in NEXT {
        vtep.refuses(&gpe(0x04, next, &payload(reason)).bytes(), DropReason::NoVni);
        for version in 1..4 {
            let packet = gpe(0x0c | version << 4, next, &payload(reason));
            vtep.refuses(&packet.bytes(), DropReason::OuterUnknownVersion);
        }
        let mut other = gpe(0x0c, next, &payload(reason));
        other.tunnel[4] = 0xff;
        vtep.refuses(&other.bytes(), DropReason::UnknownVni);
    }
}

#[test]
fn payloads_cut_at_every_byte() {
    for (encapsulation, packet, reason) in packets() {
        let mut vtep = Vtep::new(Profile::Rfc, encapsulation);
        let header = match reason {
            PuntReason::InnerIpv4 => 20,
            PuntReason::InnerIpv6 => 40,
            _ => 8,
        };
        for len in 0..packet.inner.len() {
            let cut = Packet { inner: packet.inner[..len].to_vec(), ..packet.clone() };
            match reason {
                PuntReason::InnerNsh if len < header => vtep.refuses(&cut.bytes(), DropReason::InnerTruncated),
                PuntReason::InnerNsh => assert_eq!(punted(&mut vtep, &cut).reason, reason),
                _ if len < header => vtep.refuses(&cut.bytes(), DropReason::InnerShortIp),
                _ => vtep.refuses(&cut.bytes(), DropReason::InnerMalformedIp),
            }
        }
        // More than the packet says is padding: the host trims it.
        let padded = Packet { inner: [&packet.inner[..], &[0; 9]].concat(), ..packet.clone() };
        assert_eq!(punted(&mut vtep, &padded).reason, reason);
    }
}

#[test]
fn ip_headers_that_are_none() {
    let mut vtep = Vtep::new(Profile::Rfc, Encapsulation::Gpe);
    let changed = |v6, at: usize, value: u8| {
        let mut packet = ip(v6, 0);
        packet[at] = value;
        gpe(0x0c, if v6 { 2 } else { 1 }, &packet).bytes()
    };
    let other_family = [gpe(0x0c, 1, &ip(true, 0)).bytes(), gpe(0x0c, 2, &ip(false, 0)).bytes()];
    let lengths = [changed(false, 0, 0x44), changed(false, 0, 0x4f), changed(false, 2, 1), changed(true, 4, 1)];
    let versions = [changed(false, 0, 0x55), changed(true, 0, 0), changed(false, 3, 19)];
    for packet in other_family.into_iter().chain(lengths).chain(versions) {
        // A header length of 60 bytes is one that this packet has: only its total length counts then.
        if let Verdict::Punt(punt) = vtep.on_underlay(&packet) {
            assert_eq!(packet[14 + 20 + 8 + 8], 0x4f, "{punt:?}");
            continue;
        }
        vtep.refuses(&packet, DropReason::InnerMalformedIp);
    }
}

#[test]
fn e3_ecn_is_combined_as_for_frames() {
    // RFC 6040 figure 4: rows are the inner field, columns the outer one; None is a drop.
    let figure = [
        [Some(0), Some(0), Some(0), None],
        [Some(1), Some(1), Some(1), Some(3)],
        [Some(2), Some(1), Some(2), Some(3)],
        [Some(3), Some(3), Some(3), Some(3)],
    ];
    for profile in PROFILES {
        for v6 in [false, true] {
            for (inner, row) in figure.iter().enumerate() {
                for (outer, expected) in row.iter().enumerate() {
                    let mut vtep = Vtep::new(profile, Encapsulation::Gpe);
                    let inside = ip(v6, 0xb8 | inner as u8);
                    let packet = Packet { tos: outer as u8, ..gpe(0x0c, if v6 { 2 } else { 1 }, &inside) };
                    match expected {
                        Some(ecn) => {
                            let punt = punted(&mut vtep, &packet);
                            // A whole packet with the other field has the right checksum too.
                            assert_eq!(handed_on(&punt, &packet), ip(v6, 0xb8 | ecn), "{inner} under {outer}");
                        }
                        None => vtep.refuses(&packet.bytes(), DropReason::EcnConflict),
                    }
                }
            }
        }
    }
    let marked = Packet { tos: 3, ..gpe(0x0c, 4, &nsh()) };
    let punt = punted(&mut Vtep::new(Profile::Rfc, Encapsulation::Gpe), &marked);
    assert_eq!(handed_on(&punt, &marked), nsh(), "nobody knows what is in it");
}

#[test]
fn senders_have_to_be_admitted() {
    for (encapsulation, packet, reason) in packets() {
        let mut vtep = Vtep::with(Profile::Rfc, encapsulation, |setup| setup.bridge.admission = Admission::FloodList);
        vtep.refuses(&packet.bytes(), DropReason::UnknownEndpoint);
        vtep.flood_to(REMOTE);
        assert_eq!(punted(&mut vtep, &packet).reason, reason);

        let mut vtep = Vtep::with(Profile::Rfc, encapsulation, |setup| setup.underlay.zero_checksum_v6 = true);
        let bare = Packet { checksum: Checksum::Zero, ..packet.over_v6() };
        vtep.refuses(&bare.bytes(), DropReason::ZeroChecksumUnknownEndpoint);
        vtep.flood_to(REMOTE6);
        assert_eq!(punted(&mut vtep, &bare).reason, reason);
    }
}

#[test]
fn a_policy_judges_them_as_frames_for_the_host() {
    let group = |number| SecurityGroup::new(number).unwrap();
    let (web, db, host) = (group(100), group(200), group(300));
    let policy = Enforcement { at: Enforce::EGRESS, default: Action::Deny, unlabelled: SecurityGroup::NONE, host };
    let mut vtep = Vtep::with(Profile::Rfc, Encapsulation::Geneve, |setup| {
        setup.bridge.options = true;
        setup.bridge.policy = Some(policy);
    });
    let rule = Rule { bridge: BridgeId(0), from: GroupMatch::Is(web), to: GroupMatch::Is(host), action: Action::Allow };
    vtep.command(Command::SetRule { rule });
    let from = |group: SecurityGroup| {
        let mut packet = in_geneve(0x0800, &geneve_option(0xff00, 0x80, &group.get().to_be_bytes()), &ip(false, 0));
        packet.tunnel[1] |= 0x40;
        packet
    };
    assert_eq!(punted(&mut vtep, &from(web)).reason, PuntReason::InnerIpv4);
    vtep.refuses(&from(db).bytes(), DropReason::PolicyDenied);
    vtep.refuses(&in_geneve(0x0800, &[], &ip(false, 0)).bytes(), DropReason::SourceGroupMissing);

    let bytes = from(web).bytes();
    let told = vtep.engine.explain(vtep.now, &Input::from_underlay(UnderlayId(0), &bytes));
    assert_eq!((told.bridge, told.macs, told.label.group()), (Some(BridgeId(0)), None, web));
    assert_eq!(told.policy.map(|policy| (policy.from, policy.to, policy.denied)), Some((web, host, None)));
    assert_eq!(told.verdict.punt(), Some(PuntReason::InnerIpv4));
}

#[test]
fn a_uniform_traffic_map_brings_the_outer_dscp_in() {
    let mut vtep = Vtep::with(Profile::Rfc, Encapsulation::Gpe, |setup| setup.bridge.traffic = Some(TrafficMapId(0)));
    let map = TrafficMap { model: vtep::table::DiffServ::Uniform, ..TrafficMap::default() };
    vtep.command(Command::SetTrafficMap { id: TrafficMapId(0), map });
    let packet = Packet { tos: 0xb8, ..gpe(0x0c, 1, &ip(false, 0x28)) };
    let punt = punted(&mut vtep, &packet);
    assert_eq!(handed_on(&punt, &packet), ip(false, 0xb8));
}
