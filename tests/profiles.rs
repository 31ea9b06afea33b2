//! The switches between the profiles: each has a witness, a packet that shows it, and moves nothing else.
//!
//! What is Linux' behaviour is written down beside each witness; the clauses of the RFCs are in `rfc7348.rs` and its
//! neighbours.
#![allow(
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

use common::world::*;
use vtep::engine::{Command, DropReason, Event, Place, Profile, PuntReason, Remote, Switches, Verdict};
use vtep::table::{Ageing, BridgeId, Owner, PortId, VlanDecap, VlanEncap};
use vtep::wire::template::Df;
use vtep::wire::{Encapsulation, Label, Vni};

const VXLAN: Encapsulation = Encapsulation::Vxlan;
const GENEVE: Encapsulation = Encapsulation::Geneve;

/// Whether an endpoint with these switches behaves as Linux does.
type Witness = fn(Switches) -> bool;

const WITNESSES: [(Switches, Witness); 20] = [
    (Switches::STRICT_RESERVED, strict_reserved),
    (Switches::LEARN_BEFORE_VALIDATE, learn_before_validate),
    (Switches::MOVE_IP_ONLY, move_ip_only),
    (Switches::IGNORE_DONT_LEARN, ignore_dont_learn),
    (Switches::ECN_SKIPS_TAGGED, ecn_skips_tagged),
    (Switches::ANY_DESTINATION, any_destination),
    (Switches::FIRST_COPY_LAST, first_copy_last),
    (Switches::FORWARD_RESERVED_MULTICAST, forward_reserved_multicast),
    (Switches::CRITICAL_BY_HEADER, critical_by_header),
    (Switches::IGNORE_CONTROL, ignore_control),
    (Switches::SEND_ANY_SOURCE, send_any_source),
    (Switches::CHECK_SOURCE_IF_LEARNING, check_source_if_learning),
    (Switches::DATA_MOVES_CONTROL, data_moves_control),
    (Switches::UNDERLAY_FRAGMENTS, underlay_fragments),
    (Switches::ZERO_CHECKSUM_FROM_ANYONE, zero_checksum_from_anyone),
    (Switches::PASS_CUT_TAGS, pass_cut_tags),
    (Switches::SEND_NO_SHORT_IP, send_no_short_ip),
    (Switches::DF_SKIPS_TAGGED, df_skips_tagged),
    (Switches::MISS_IF_NO_FLOOD_LIST, miss_if_no_flood_list),
    (Switches::GENEVE_ETHERNET_ONLY, geneve_ethernet_only),
];

#[test]
fn each_switch_alone_makes_its_difference_and_no_other() {
    for (switch, witness) in WITNESSES {
        for (others, expected) in [(Switches::empty(), false), (switch, true), (Switches::all(), true)] {
            assert_eq!(witness(others), expected, "{switch:?} among {others:?}");
        }
        assert!(!witness(Switches::all() - switch), "{switch:?} by another name");
        for (other, _) in WITNESSES.iter().filter(|(other, _)| *other != switch) {
            assert!(!witness(*other), "{switch:?} by {other:?}");
        }
    }
}

#[test]
fn the_profiles_are_all_of_the_switches_and_none() {
    let all = WITNESSES.iter().fold(Switches::empty(), |all, (switch, _)| all | *switch);
    assert_eq!(all, Switches::all(), "every switch has a witness");
    assert_eq!(Profile::Rfc.switches(), Switches::empty());
    assert_eq!(Profile::Linux.switches(), all);
}

/// An RFC-conformant endpoint with these switches.
fn vtep(switches: Switches, encapsulation: Encapsulation) -> Vtep {
    vtep_with(switches, encapsulation, |_| {})
}

fn vtep_with(switches: Switches, encapsulation: Encapsulation, change: impl FnOnce(&mut Setup)) -> Vtep {
    Vtep::with(Profile::Rfc, encapsulation, |setup| {
        setup.config.switches = switches;
        change(setup);
    })
}

/// Of two answers, whether it is Linux' one; a third is a fault.
#[track_caller]
fn one_of<T: PartialEq + core::fmt::Debug>(found: T, rfc: T, linux: T) -> bool {
    assert!(found == rfc || found == linux, "{found:?} is neither {rfc:?} nor {linux:?}");
    found == linux
}

/// `vxlan_rcv`: a bit outside the header's known ones drops the packet.
fn strict_reserved(switches: Switches) -> bool {
    let mut packet = Packet::from_r_to_a();
    packet.tunnel[7] = 1;
    let verdict = vtep(switches, VXLAN).on_underlay(&packet.bytes());
    let drop = matches!(verdict, Verdict::Drop(DropReason::ReservedBits));
    assert!(drop || matches!(verdict, Verdict::Flood(_)));
    drop
}

/// `vxlan_snoop` runs before the inner length and ECN are looked at.
fn learn_before_validate(switches: Switches) -> bool {
    let mut vtep = vtep(switches, VXLAN);
    let marked = Packet { tos: 3, ..Packet::from_r_to_a() };
    assert_eq!(vtep.on_underlay(&marked.bytes()), Verdict::Drop(DropReason::EcnConflict));
    one_of(vtep.remote_of(R), None, Some(REMOTE))
}

/// `vxlan_snoop` writes the new address into the entry's remote, whose port and VNI stay.
fn move_ip_only(switches: Switches) -> bool {
    let mut vtep = vtep(switches, VXLAN);
    let odd = Remote { port: Some(9999), vni: Vni::new(777), ..Remote::at(REMOTE) };
    vtep.command(Command::Learn { bridge: BridgeId(0), mac: mac(R), place: Place::Remote(odd), label: Label::NONE });
    vtep.delivered(&Packet { src: THIRD, ..Packet::from_r_to_a() }.bytes());
    let sent = vtep.sent_one(&Frame::new(R, A).bytes());
    assert_eq!(sent.ip.dst, THIRD, "the move itself");
    one_of((sent.dst_port, sent.vni()), (4789, VNI), (9999, 777))
}

/// The D bit of a Group Policy header ends up in the packet's mark, and nowhere else.
fn ignore_dont_learn(switches: Switches) -> bool {
    let mut vtep = vtep_with(switches, VXLAN, |setup| setup.bridge.gbp = true);
    let mut packet = Packet::from_r_to_a();
    packet.tunnel[..4].copy_from_slice(&[0x88, 0x40, 0, 100]);
    assert_eq!(vtep.delivered(&packet.bytes()).len(), 2);
    one_of(vtep.remote_of(R), None, Some(REMOTE))
}

/// `IP_ECN_decapsulate` sees IPv4 and IPv6 only, not what stands behind a tag.
fn ecn_skips_tagged(switches: Switches) -> bool {
    let mut vtep = vtep_with(switches, VXLAN, |setup| setup.bridge.vlan_decap = VlanDecap::Keep);
    let frame = |ecn| ip_frame(A, R, false, ecn).vlan(7).bytes();
    let got = vtep.delivered(&Packet { tos: 3, ..Packet::vxlan(&frame(2)) }.bytes());
    one_of(got[0].1.clone(), frame(3), frame(2))
}

/// The socket is bound to any address.
fn any_destination(switches: Switches) -> bool {
    let packet = Packet { dst: THIRD, ..Packet::from_r_to_a() };
    let verdict = vtep(switches, VXLAN).on_underlay(&packet.bytes());
    let forwards = matches!(verdict, Verdict::Flood(_));
    assert!(forwards || verdict == Verdict::Drop(DropReason::OuterDestinationForeign));
    forwards
}

/// `vxlan_xmit` sends clones to all remotes but the first, and then the packet itself to the first.
fn first_copy_last(switches: Switches) -> bool {
    let mut vtep = vtep(switches, VXLAN);
    for remote in [REMOTE, THIRD, REMOTE6] {
        vtep.flood_to(remote);
    }
    let sent = vtep.sent(0, &Frame::new(BROADCAST, A).bytes());
    let order = sent.iter().map(|sent| sent.ip.dst).collect();
    one_of(order, vec![REMOTE, THIRD, REMOTE6], vec![THIRD, REMOTE6, REMOTE])
}

/// The VXLAN device does not know of 01-80-C2-00-00-0X; only a bridge in front of it does.
fn forward_reserved_multicast(switches: Switches) -> bool {
    let results = [0, 1, 0xe, 0xf].map(|last| {
        let mut vtep = vtep(switches, VXLAN);
        let group = [0x01, 0x80, 0xc2, 0, 0, last];
        let verdicts = [
            vtep.on_port(0, &Frame::new(group, A).bytes()),
            vtep.on_underlay(&Packet::vxlan(&Frame::new(group, R).bytes()).bytes()),
        ];
        let forwards = verdicts.map(|verdict| matches!(verdict, Verdict::Flood(_)));
        assert!(forwards[0] || verdicts[0] == Verdict::Drop(DropReason::ReservedMulticast));
        assert_eq!(forwards[0], forwards[1]);
        // The next group is an ordinary one.
        assert!(matches!(vtep.on_port(0, &Frame::new([0x01, 0x80, 0xc2, 0, 0, 0x10], A).bytes()), Verdict::Flood(_)));
        forwards[0]
    });
    assert!(results.iter().all(|result| *result == results[0]));
    results[0]
}

/// `geneve_rx` drops a packet with C set without parsing options, and never parses others.
fn critical_by_header(switches: Switches) -> bool {
    let option = |kind| geneve_option(0xff00, kind, &[]);
    let drops = |packet: &Packet| {
        let verdict = vtep(switches, GENEVE).on_underlay(&packet.bytes());
        let drop = verdict == Verdict::Drop(DropReason::UnknownCriticalOption);
        assert!(drop || matches!(verdict, Verdict::Flood(_)));
        drop
    };
    let cases = [
        drops(&Packet::with_options(true, &[])),
        drops(&Packet::with_options(true, &option(1))),
        drops(&Packet::with_options(false, &option(0x81))),
    ];
    assert!(drops(&Packet::with_options(true, &option(0x81))) && !drops(&Packet::with_options(false, &option(1))));
    one_of(cases, [false, false, true], [true, true, false])
}

/// `geneve_rx` does not look at O.
fn ignore_control(switches: Switches) -> bool {
    let mut packet = Packet::with_options(false, &[]);
    packet.tunnel[1] = 0x80;
    let verdict = vtep(switches, GENEVE).on_underlay(&packet.bytes());
    let forwards = matches!(verdict, Verdict::Flood(_));
    assert!(forwards || matches!(verdict, Verdict::Punt(_)));
    forwards
}

/// `vxlan_xmit` does not look at the source address.
fn send_any_source(switches: Switches) -> bool {
    let results = [[0; 6], BROADCAST, MULTICAST].map(|source| {
        let mut vtep = vtep(switches, VXLAN);
        vtep.station_at(R, Remote::at(REMOTE));
        let verdict = vtep.on_port(0, &Frame::new(R, source).bytes());
        let sends = matches!(verdict, Verdict::Encapsulate(_));
        assert!(sends || verdict == Verdict::Drop(DropReason::SourceMacInvalid));
        assert_eq!(vtep.place_of(source), None, "learned in no case");
        sends
    });
    assert!(results.iter().all(|result| *result == results[0]));
    results[0]
}

/// `vxlan_snoop` is what checks the source, and does not run with `nolearning`.
fn check_source_if_learning(switches: Switches) -> bool {
    let results = [[0; 6], BROADCAST, MULTICAST].map(|source| {
        let packet = Packet::vxlan(&Frame::new(A, source).bytes()).bytes();
        let mut learning = vtep(switches, VXLAN);
        learning.refuses(&packet, DropReason::SourceMacInvalid);
        let mut nolearning = vtep_with(switches, VXLAN, |setup| setup.bridge.ageing = Ageing::NoLearn);
        let verdict = nolearning.on_underlay(&packet);
        let forwards = matches!(verdict, Verdict::Flood(_));
        assert!(forwards || verdict == Verdict::Drop(DropReason::SourceMacInvalid));
        forwards
    });
    assert!(results.iter().all(|result| *result == results[0]));
    results[0]
}

/// `vxlan_snoop` moves an entry with `extern_learn` like any other that is not static; the flag stays.
fn data_moves_control(switches: Switches) -> bool {
    let mut vtep = vtep(switches, VXLAN);
    let (place, owner) = (Place::Remote(Remote::at(REMOTE)), Owner::Controller);
    vtep.command(Command::FdbAdd { bridge: BridgeId(0), mac: mac(R), place, owner, sticky: false, label: Label::NONE });
    let verdict = vtep.on_underlay(&Packet { src: THIRD, ..Packet::from_r_to_a() }.bytes());
    assert!(matches!(verdict, Verdict::Flood(_)), "delivered in any case: {verdict:?}");
    let owner = |vtep: &Vtep| vtep.engine.lookup(BridgeId(0), mac(R)).unwrap().owner();
    assert_eq!(owner(&vtep), Owner::Controller);
    let moved = one_of(vtep.remote_of(R), Some(REMOTE), Some(THIRD));
    // A port takes the entry over in any case, as Linux' bridge does: the station is here now, and ages.
    vtep.on_port(0, &Frame::new(BROADCAST, R).bytes());
    assert_eq!((vtep.place_of(R), owner(&vtep)), (Some(Place::Port(PortId(0))), Owner::Dynamic));
    moved
}

/// Without `df set` the packet is handed to the IP layer whatever its size.
fn underlay_fragments(switches: Switches) -> bool {
    let mut vtep = vtep_with(switches, VXLAN, |setup| setup.underlay.df = Df::Unset);
    vtep.station_at(R, Remote::at(REMOTE));
    let verdict = vtep.on_port(0, &Frame::of_len(R, A, 1465).bytes());
    let sends = matches!(verdict, Verdict::Encapsulate(_));
    assert!(sends || verdict == Verdict::Drop(DropReason::TooBig));
    sends
}

/// `udp6zerocsumrx` concerns the socket, not the sender.
fn zero_checksum_from_anyone(switches: Switches) -> bool {
    let mut vtep = vtep_with(switches, GENEVE, |setup| setup.underlay.zero_checksum_v6 = true);
    let packet = Packet { checksum: Checksum::Zero, ..Packet::with_options(false, &[]).over_v6() };
    let verdict = vtep.on_underlay(&packet.bytes());
    let forwards = matches!(verdict, Verdict::Flood(_));
    assert!(forwards || verdict == Verdict::Drop(DropReason::ZeroChecksumUnknownEndpoint));
    forwards
}

/// `vxlan_rcv` looks at the EtherType only, and `vxlan_xmit` for an IP header that it does not find.
fn pass_cut_tags(switches: Switches) -> bool {
    let whole = Frame::new(A, R).vlan(7).vlan(8).bytes();
    let results = [14, 17, 18, 21].map(|len| {
        let mut vtep = vtep_with(switches, VXLAN, |setup| {
            setup.bridge.vlan_encap = VlanEncap::Keep;
            setup.bridge.vlan_decap = VlanDecap::Keep;
        });
        vtep.flood_to(REMOTE);
        let packet = Packet::vxlan(&whole[..len]).bytes();
        let verdict = vtep.on_underlay(&packet);
        let copies = vtep.copies(&verdict, &packet);
        assert!(copies.iter().all(|(_, bytes)| *bytes == whole[..len]), "as it came");
        let delivers = !copies.is_empty();
        assert!(delivers || verdict == Verdict::Drop(DropReason::InnerTruncated));
        assert_eq!(vtep.remote_of(R).is_some(), delivers, "learned from what is delivered");
        let sent = vtep.sent(1, &whole[..len]);
        assert!(sent.iter().all(|sent| sent.inner == whole[..len]), "as it came");
        assert_eq!(!sent.is_empty(), delivers);
        // Where tags are not kept, nobody knows what such a frame is.
        let mut strict = vtep_with(switches, VXLAN, |_| {});
        strict.refuses(&packet, DropReason::InnerTruncated);
        strict.refuses_from_port(0, &whole[..len], DropReason::InnerTruncated);
        delivers
    });
    assert!(results.iter().all(|result| *result == results[0]));
    results[0]
}

/// `skb_vlan_inet_prepare` wants the whole IP header, behind tags as well.
fn send_no_short_ip(switches: Switches) -> bool {
    let results = [(false, 19), (true, 39)].map(|(ipv6, len)| {
        let mut vtep = vtep_with(switches, VXLAN, |setup| setup.bridge.vlan_encap = VlanEncap::Keep);
        vtep.station_at(R, Remote::at(REMOTE));
        let mut frame = ip_frame(R, A, ipv6, 0);
        frame.body.truncate(len);
        let verdicts = [frame.bytes(), frame.vlan(7).bytes()].map(|frame| vtep.on_port(0, &frame));
        let drops = verdicts.map(|verdict| verdict == Verdict::Drop(DropReason::InnerShortIp));
        assert!(drops[0] || verdicts.iter().all(|verdict| matches!(verdict, Verdict::Encapsulate(_))));
        assert_eq!(drops[0], drops[1]);
        drops[0]
    });
    assert_eq!(results[0], results[1]);
    results[0]
}

/// `vxlan_xmit_one` asks the EtherType of the frame whether DF is to be looked for.
fn df_skips_tagged(switches: Switches) -> bool {
    let mut vtep = vtep_with(switches, VXLAN, |setup| {
        setup.underlay.df = Df::Inherit;
        setup.bridge.vlan_encap = VlanEncap::Keep;
    });
    vtep.station_at(R, Remote::at(REMOTE));
    let frame = ip_frame(R, A, false, 0);
    assert!(vtep.sent_one(&frame.bytes()).ip.df, "the frame has it");
    one_of(vtep.sent_one(&frame.vlan(7).bytes()).ip.df, true, false)
}

/// `vxlan_xmit` asks for a station after it has found no entry for zero either; `vxlan_rcv` asks for none.
fn miss_if_no_flood_list(switches: Switches) -> bool {
    let mut vtep = vtep_with(switches, VXLAN, |setup| setup.bridge.l2miss = true);
    let mut reports = |flood, from_port| {
        if flood {
            vtep.flood_to(THIRD);
        }
        match from_port {
            true => vtep.on_port(0, &Frame::new(NOBODY, A).bytes()),
            false => vtep.on_underlay(&Packet::vxlan(&Frame::new(NOBODY, R).bytes()).bytes()),
        };
        vtep.events().contains(&Event::Miss { bridge: BridgeId(0), mac: mac(NOBODY) })
    };
    assert!(reports(false, true));
    one_of([reports(false, false), reports(true, true)], [true, true], [false, false])
}

/// `geneve_udp_encap_recv` wants Ethernet unless the device has `innerprotoinherit`.
fn geneve_ethernet_only(switches: Switches) -> bool {
    let frame = ip_frame(A, R, false, 0).bytes();
    let packet = Packet::new(6081, [&[0, 0, 8, 0][..], &(VNI << 8).to_be_bytes()].concat(), &frame[14..]);
    let verdict = vtep(switches, GENEVE).on_underlay(&packet.bytes());
    let drops = verdict == Verdict::Drop(DropReason::UnsupportedPayload);
    assert!(drops || verdict.punt() == Some(PuntReason::InnerIpv4));
    drops
}
