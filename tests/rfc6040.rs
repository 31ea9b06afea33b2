//! RFC 6040 (ECN tunnelling), a test for each clause; `docs/conformance.md` lists them all.
//!
//! Everything is swept: each inner and outer codepoint, IPv4 and IPv6 inside and outside, with and without a VLAN tag.
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
use vtep::engine::{Command, DropReason, Input, Profile, Remote};
use vtep::table::{UnderlayConfig, UnderlayId, VlanDecap, VlanEncap};
use vtep::wire::Encapsulation;
use vtep::wire::ecn::{Alarm, Ecn, EcnMode, MustDrop, alarm, decapsulate, encapsulate};

const NOT_ECT: u8 = 0;
const ECT1: u8 = 1;
const ECT0: u8 = 2;
const CE: u8 = 3;
/// The order of RFC 6040's figures.
const ORDER: [u8; 4] = [NOT_ECT, ECT0, ECT1, CE];
/// A DSCP that must come through untouched: all six bits in both values.
const DSCPS: [u8; 2] = [0b1010_1000, 0b0101_0100];

/// Figure 4, rows and columns in [`ORDER`]; `None` is drop.
const FIGURE_4: [[Option<u8>; 4]; 4] = [
    [Some(NOT_ECT), Some(NOT_ECT), Some(NOT_ECT), None],
    [Some(ECT0), Some(ECT0), Some(ECT1), Some(CE)],
    [Some(ECT1), Some(ECT1), Some(ECT1), Some(CE)],
    [Some(CE), Some(CE), Some(CE), Some(CE)],
];

/// A VTEP that carries tags both ways, so that tagged frames can be looked at.
fn vtep(profile: Profile, ecn: Option<EcnMode>) -> Vtep {
    let mut vtep = Vtep::with(profile, Encapsulation::Vxlan, |setup| {
        setup.bridge.vlan_encap = VlanEncap::Keep;
        setup.bridge.vlan_decap = VlanDecap::Keep;
        setup.underlay.ecn = ecn.unwrap_or(setup.underlay.ecn);
    });
    vtep.station_at(R, Remote::at(REMOTE));
    vtep.station_at(S, Remote::at(REMOTE6));
    // Our side is known: frames to A leave by port 0 alone.
    vtep.on_port(0, &Frame::new(B, A).bytes());
    vtep
}

/// Every kind of frame with this inner TOS: IPv4 and IPv6, bare, tagged once and twice.
fn frames(to: [u8; 6], from: [u8; 6], tos: u8) -> Vec<(Frame, bool)> {
    let ip = |ipv6| ip_frame(to, from, ipv6, tos);
    [false, true]
        .into_iter()
        .flat_map(|ipv6| [(ip(ipv6), false), (ip(ipv6).vlan(7), true), (ip(ipv6).vlan(7).tagged(0x88a8, 9), true)])
        .collect()
}

/// What is sent for every inner field, over both families.
fn departing(profile: Profile, mode: Option<EcnMode>, inner: u8) -> Vec<u8> {
    let mut vtep = vtep(profile, mode);
    let mut outer = Vec::new();
    for dscp in DSCPS {
        for station in [R, S] {
            for (frame, _) in frames(station, A, dscp | inner) {
                let sent = vtep.sent_one(&frame.bytes());
                assert_eq!(sent.inner, frame.bytes(), "the inner header is forwarded unchanged");
                outer.push(sent.ip.tos & 3);
            }
        }
    }
    assert_eq!(outer.len(), 2 * 2 * 6);
    outer
}

#[test]
fn e01_in_normal_mode_the_field_is_copied() {
    for inner in ORDER {
        assert!(departing(Profile::Rfc, None, inner).iter().all(|outer| *outer == inner));
        assert!(departing(Profile::Linux, Some(EcnMode::Normal), inner).iter().all(|outer| *outer == inner));
        let ecn = Ecn::from_tos(inner);
        assert_eq!(encapsulate(ecn, EcnMode::Normal), ecn);
    }
    // What is not IP has no field to copy.
    let mut vtep = vtep(Profile::Rfc, None);
    assert_eq!(vtep.sent_one(&Frame::arp(R, A).bytes()).ip.tos, 0);
}

#[test]
fn e01_linux_sends_congestion_experienced_as_ect_0() {
    for (inner, expected) in [(NOT_ECT, NOT_ECT), (ECT0, ECT0), (ECT1, ECT1), (CE, ECT0)] {
        assert!(departing(Profile::Linux, None, inner).iter().all(|outer| *outer == expected));
        assert_eq!(encapsulate(Ecn::from_tos(inner), EcnMode::Legacy3168), Ecn::from_tos(expected));
    }
}

#[test]
fn e02_in_compatibility_mode_the_outer_field_is_cleared() {
    for profile in PROFILES {
        for inner in ORDER {
            assert!(departing(profile, Some(EcnMode::Compat), inner).iter().all(|outer| *outer == NOT_ECT));
            assert_eq!(encapsulate(Ecn::from_tos(inner), EcnMode::Compat), Ecn::NotEct);
        }
    }
}

/// Receives each kind of frame under each kind of outer header. `expected` is Figure 4's cell.
fn arrives(profile: Profile, inner: u8, outer: u8, expected: Option<u8>) {
    let mut vtep = vtep(profile, None);
    for dscp in DSCPS {
        for (frame, tagged) in frames(A, NOBODY, dscp | inner) {
            let packet = Packet { tos: !dscp & 0xfc | outer, ..Packet::vxlan(&frame.bytes()) };
            for packet in [packet.clone(), packet.over_v6()] {
                let bytes = packet.bytes();
                if profile == Profile::Linux && tagged {
                    // Linux does not look behind a tag: the frame comes out as it went in.
                    assert_eq!(vtep.delivered(&bytes), [(0, frame.bytes())], "{inner} {outer}");
                    continue;
                }
                match expected {
                    None if profile == Profile::Rfc => vtep.refuses(&bytes, DropReason::EcnConflict),
                    None => vtep.drops(&Input::from_underlay(UnderlayId(0), &bytes), DropReason::EcnConflict),
                    Some(ecn) => {
                        let ipv6 = frame.ethertype == 0x86dd;
                        let tags = frame.tags.clone();
                        let expected = Frame { tags, ..ip_frame(A, NOBODY, ipv6, dscp | ecn) };
                        assert_eq!(vtep.delivered(&bytes), [(0, expected.bytes())], "{inner} {outer}");
                    }
                }
            }
        }
    }
}

/// All cells of Figure 4 that `which` picks, by (inner, outer).
fn cells(which: impl Fn(u8, u8) -> bool) -> impl Iterator<Item = (u8, u8, Option<u8>)> {
    let all = (0..16).map(|n| (ORDER[n / 4], ORDER[n % 4], FIGURE_4[n / 4][n % 4]));
    all.filter(move |(inner, outer, _)| which(*inner, *outer)).collect::<Vec<_>>().into_iter()
}

#[test]
fn e03_decapsulation_follows_figure_4() {
    for (inner, outer, expected) in cells(|_, _| true) {
        let result = decapsulate(Ecn::from_tos(inner), Ecn::from_tos(outer));
        assert_eq!(result, expected.map(Ecn::from_tos).ok_or(MustDrop), "{inner} {outer}");
        for profile in PROFILES {
            arrives(profile, inner, outer, expected);
        }
    }
}

#[test]
fn e04_inner_not_ect_stays_not_ect_or_is_dropped() {
    for (inner, outer, expected) in cells(|inner, _| inner == NOT_ECT) {
        assert!(matches!(expected, None | Some(NOT_ECT)));
        arrives(Profile::Rfc, inner, outer, expected);
    }
}

#[test]
fn e05_inner_not_ect_under_outer_ce_is_dropped() {
    for profile in PROFILES {
        arrives(profile, NOT_ECT, CE, None);
    }
    // Nothing is learned from it, but in Linux, which learns before it looks.
    let marked = Packet { tos: CE, ..Packet::from_r_to_a() }.bytes();
    let mut rfc = Vtep::vxlan(Profile::Rfc);
    rfc.refuses(&marked, DropReason::EcnConflict);
    let mut linux = Vtep::vxlan(Profile::Linux);
    linux.drops(&Input::from_underlay(UnderlayId(0), &marked), DropReason::EcnConflict);
    assert_eq!((rfc.remote_of(R), linux.remote_of(R)), (None, Some(REMOTE)));
}

#[test]
fn e06_inner_not_ect_under_anything_else_is_forwarded_as_not_ect() {
    for outer in [NOT_ECT, ECT0, ECT1] {
        for profile in PROFILES {
            arrives(profile, NOT_ECT, outer, Some(NOT_ECT));
        }
    }
}

#[test]
fn e07_otherwise_the_more_severe_of_the_two_goes_on() {
    let severity = |ecn: u8| ORDER.iter().position(|e| *e == ecn).unwrap();
    for (inner, outer, expected) in cells(|inner, _| inner != NOT_ECT) {
        let more_severe = if severity(outer) > severity(inner) { outer } else { inner };
        assert_eq!(expected, Some(more_severe));
        arrives(Profile::Rfc, inner, outer, Some(more_severe));
    }
}

#[test]
fn e08_the_ipv4_header_checksum_follows_the_change() {
    // Headers whose sums run through the borders of ones-complement arithmetic.
    for profile in PROFILES {
        let mut vtep = vtep(profile, None);
        for ident in (0..=0xffff_u16).step_by(97).chain([0xffff, 0xfffe]) {
            let ip = |ecn| Ip { tos: 0x28 | ecn, ident, df: false, ..build::inner_ip(false) };
            for (inner, outer, expected) in [(ECT0, CE, CE), (ECT1, CE, CE), (ECT0, ECT1, ECT1)] {
                let packet = Packet { tos: outer, ..Packet::vxlan(&Frame::ip(A, NOBODY, &ip(inner)).bytes()) };
                assert_eq!(vtep.delivered(&packet.bytes()), [(0, Frame::ip(A, NOBODY, &ip(expected)).bytes())]);
            }
        }
        // One that was wrong stays wrong, by the same amount: the end station shall notice.
        let mut frame = ip_frame(A, NOBODY, false, ECT0).bytes();
        frame[24] ^= 0x40;
        let packet = Packet { tos: CE, ..Packet::vxlan(&frame) };
        let mut expected = ip_frame(A, NOBODY, false, CE).bytes();
        expected[24] ^= 0x40;
        assert_eq!(vtep.delivered(&packet.bytes()), [(0, expected)]);
    }
}

#[test]
fn e09_dangerous_combinations_can_be_told_and_nothing_is_told_unasked() {
    for (inner, outer, _) in cells(|_, _| true) {
        let marks = match (inner, outer) {
            (NOT_ECT, ECT0 | ECT1 | CE) | (CE, ECT1) => Alarm::Dangerous,
            (ECT1, ECT0) => Alarm::Possible,
            _ => Alarm::None,
        };
        assert_eq!(alarm(Ecn::from_tos(inner), Ecn::from_tos(outer)), marks, "{inner} {outer}");
        // A step raises no alarm of its own, so there is none to suppress; drops have their counter.
        let mut vtep = Vtep::vxlan(Profile::Rfc);
        let frame = ip_frame(A, R, false, inner).bytes();
        vtep.on_underlay(&Packet { tos: outer, ..Packet::vxlan(&frame) }.bytes());
        let learned = vtep.events();
        assert_eq!(learned.len(), usize::from((inner, outer) != (NOT_ECT, CE)), "{learned:?}");
    }
}

#[test]
fn e10_ecn_is_on_unless_somebody_turns_it_off() {
    assert_eq!(EcnMode::default(), EcnMode::Normal);
    assert_eq!(Profile::Rfc.underlay(LOCAL).ecn, EcnMode::Normal);
    // Linux' way propagates ECT, if not CE.
    assert_eq!(Profile::Linux.underlay(LOCAL).ecn, EcnMode::Legacy3168);
    // Turning it off is not for good: the same endpoint in another mode.
    let mut vtep = vtep(Profile::Rfc, Some(EcnMode::Compat));
    let frame = ip_frame(R, A, false, CE).bytes();
    assert_eq!(vtep.sent_one(&frame).ip.tos, NOT_ECT);
    let config = UnderlayConfig { ecn: EcnMode::Normal, ..*vtep.engine.underlay_config(UnderlayId(0)).unwrap() };
    vtep.command(Command::SetUnderlay { id: UnderlayId(0), config });
    assert_eq!(vtep.sent_one(&frame).ip.tos, CE);
}
