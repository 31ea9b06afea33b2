#![allow(clippy::arithmetic_side_effects)]

extern crate std;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::super::checksum::verify;
use super::*;

/// The edited frame.
fn apply(edit: Edit, frame: &[u8], kind: FrameKind) -> Vec<u8> {
    let mut scratch = [0xa5; Edit::MAX_PREFIX];
    let edited = edit.apply(frame, kind, &mut scratch).unwrap();
    assert!(edited.head <= 42 && edited.skip <= 38);
    [&scratch[..edited.head], &frame[edited.skip..]].concat()
}

/// The same in plain words: each edit on a whole frame in a vector, the checksum summed anew.
fn reference(edit: Edit, frame: &[u8], kind: FrameKind) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let is_tag = |frame: &[u8], at: usize| {
        frame.len() >= at + 4 && matches!((frame[at], frame[at + 1]), (0x81, 0x00) | (0x88, 0xa8))
    };
    let mut l3 = 0;
    if kind == FrameKind::Ethernet {
        // Before the push of a fourth tag, which would hide the IP header from a look afterwards.
        let tags = (0..3).take_while(|i| is_tag(&frame, 12 + 4 * i)).count();
        l3 = 14 + 4 * tags;
        // A fourth tag is none to the edit, even when pops bring it to the front.
        let popped = tags.min(usize::from(edit.pops()));
        let pushed = matches!(edit.vlan(), VlanEdit::PushVlan(_) | VlanEdit::PushQinq(_));
        let tagged = |frame: &[u8]| is_tag(frame, 12) && (tags > popped || pushed);
        for _ in 0..popped {
            frame.drain(12..16);
            l3 -= 4;
        }
        match edit.vlan() {
            VlanEdit::PushVlan(tci) => {
                frame.splice(12..12, [0x81, 0x00, tci.to_be_bytes()[0], tci.to_be_bytes()[1]]);
                l3 += 4;
            }
            VlanEdit::PushQinq(tci) => {
                frame.splice(12..12, [0x88, 0xa8, tci.to_be_bytes()[0], tci.to_be_bytes()[1]]);
                l3 += 4;
            }
            VlanEdit::SetVid(vid) if tagged(&frame) => {
                let [high, low] = vid.to_be_bytes();
                frame[14] = frame[14] & 0xf0 | high & 0x0f;
                frame[15] = low;
            }
            _ => {}
        }
        if let (Some(pcp), true) = (edit.pcp(), tagged(&frame)) {
            frame[14] = frame[14] & 0x1f | pcp << 5;
        }
    }
    let version = match kind {
        FrameKind::Ethernet => match (frame[l3 - 2], frame[l3 - 1]) {
            (0x08, 0x00) => 4,
            (0x86, 0xdd) => 6,
            _ => 0,
        },
        FrameKind::Ip => frame[0] >> 4,
    };
    let packet = &mut frame[l3..];
    let tos = |old: u8| {
        let old = edit.dscp().map_or(old, |dscp| old & 3 | dscp << 2);
        edit.ecn().map_or(old, |ecn| ecn.in_tos(old))
    };
    if version == 4 && packet.len() >= 20 && packet[0] >> 4 == 4 {
        let len = usize::from(packet[0] & 15) * 4;
        if len >= 20 && packet.len() >= len {
            packet[1] = tos(packet[1]);
            packet[10..12].fill(0);
            let sum = checksum::checksum(&packet[..len]);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
        }
    }
    if version == 6 && packet.len() >= 40 && packet[0] >> 4 == 6 {
        let word = u32::from_be_bytes([packet[0], packet[1], packet[2], packet[3]]);
        let new = tos(u8::try_from(word >> 20 & 0xff).unwrap());
        let word = word & 0xf00f_ffff | u32::from(new) << 20;
        packet[..4].copy_from_slice(&word.to_be_bytes());
    }
    frame
}

fn ipv4(words: u8, tos: u8, fill: u8) -> Vec<u8> {
    let mut packet = vec![fill; usize::from(words) * 4];
    packet[0] = 0x40 | words;
    packet[1] = tos;
    packet[10..12].fill(0);
    let sum = checksum::checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend([fill; 9]);
    packet
}

fn ipv6(tos: u8, fill: u8) -> Vec<u8> {
    let mut packet = vec![fill; 49];
    packet[0] = 0x60 | tos >> 4;
    packet[1] = tos << 4 | 0x0b;
    packet
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let vlan = prop_oneof![
        Just(VlanEdit::None),
        any::<u16>().prop_map(VlanEdit::PushVlan),
        any::<u16>().prop_map(VlanEdit::PushQinq),
        any::<u16>().prop_map(VlanEdit::SetVid),
    ];
    let option = || prop::option::of(any::<u8>());
    (0..4_u8, vlan, option(), option(), option()).prop_map(|(pops, vlan, pcp, dscp, ecn)| {
        let edit = Edit::NONE.with_pop(pops).with_vlan(vlan);
        let edit = pcp.map_or(edit, |pcp| edit.with_pcp(pcp));
        let edit = dscp.map_or(edit, |dscp| edit.with_dscp(dscp));
        ecn.map_or(edit, |ecn| edit.with_ecn(Ecn::from_tos(ecn)))
    })
}

fn any_packet() -> impl Strategy<Value = (u16, Vec<u8>)> {
    prop_oneof![
        (5..=15_u8, any::<u8>(), any::<u8>()).prop_map(|(words, tos, fill)| (0x0800, ipv4(words, tos, fill))),
        (any::<u8>(), any::<u8>()).prop_map(|(tos, fill)| (0x86dd, ipv6(tos, fill))),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| (0x0806, bytes)),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| (0x86dd, bytes)),
    ]
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let tag = (prop::bool::ANY, any::<u16>());
    (any::<[u8; 12]>(), prop::collection::vec(tag, 0..5), any_packet()).prop_map(|(macs, tags, (ethertype, packet))| {
        let mut frame = macs.to_vec();
        for (service, tci) in tags {
            frame.extend(if service { [0x88, 0xa8] } else { [0x81, 0x00] });
            frame.extend(tci.to_be_bytes());
        }
        frame.extend(u16::to_be_bytes(ethertype));
        frame.extend(packet);
        frame
    })
}

#[test]
fn is_small_and_remembers_its_parts() {
    assert_eq!(size_of::<Edit>(), 8);
    assert!(Edit::NONE.is_none() && Edit::default() == Edit::NONE);
    let none = Edit::NONE;
    assert_eq!((none.vlan(), none.pcp(), none.dscp(), none.ecn()), (VlanEdit::None, None, None, None));
    for vlan in [VlanEdit::PushVlan(0xffff), VlanEdit::PushQinq(0), VlanEdit::SetVid(0xfff)] {
        let edit = Edit::NONE.with_pcp(7).with_dscp(63).with_ecn(Ecn::Ce).with_vlan(VlanEdit::PushVlan(0x1234));
        let edit = edit.with_vlan(vlan).with_pcp(0).with_dscp(0).with_ecn(Ecn::NotEct);
        assert_eq!((edit.vlan(), edit.pcp(), edit.dscp(), edit.ecn()), (vlan, Some(0), Some(0), Some(Ecn::NotEct)));
        assert!(!edit.is_none() && !Edit::NONE.with_vlan(vlan).is_none());
    }
    assert_eq!(Edit::NONE.with_vlan(VlanEdit::SetVid(0xf123)).vlan(), VlanEdit::SetVid(0x123));
    assert_eq!(Edit::NONE.with_pcp(0xff).pcp(), Some(7));
    assert_eq!(Edit::NONE.with_dscp(0xff).dscp(), Some(63));
    assert_eq!(Edit::NONE.with_dscp(46).ecn(), None);
    assert_eq!(Edit::NONE.with_ecn(Ecn::Ect0).dscp(), None);
    assert!(Edit::NONE.with_pop(1).with_vlan(VlanEdit::PushVlan(1)).with_pop(0).with_vlan(VlanEdit::None).is_none());
}

#[test]
fn replaces_no_more_than_it_must() {
    let frame = [&[1; 12][..], &[0x81, 0, 0x20, 7, 0x08, 0], &ipv4(5, 0, 9)].concat();
    let mut scratch = [0xa5; Edit::MAX_PREFIX];
    let mut apply = |edit: Edit| {
        let edited = edit.apply(&frame, FrameKind::Ethernet, &mut scratch).unwrap();
        (edited.head, edited.skip)
    };
    assert_eq!(apply(Edit::NONE), (0, 0));
    assert_eq!(apply(Edit::NONE.with_pop(1)), (12, 16));
    assert_eq!(apply(Edit::NONE.with_vlan(VlanEdit::PushVlan(1))), (16, 12));
    assert_eq!(apply(Edit::NONE.with_vlan(VlanEdit::SetVid(1))), (16, 16));
    assert_eq!(apply(Edit::NONE.with_pcp(1)), (16, 16));
    assert_eq!(apply(Edit::NONE.with_pop(1).with_pcp(1)), (12, 16));
    assert_eq!(apply(Edit::NONE.with_ecn(Ecn::NotEct)), (0, 0));
    assert_eq!(apply(Edit::NONE.with_ecn(Ecn::Ce)), (30, 30));
    assert_eq!(apply(Edit::NONE.with_ecn(Ecn::Ce).with_pop(1)), (26, 30));
}

#[test]
fn leaves_out_what_does_not_apply() {
    let arp = [&[2; 12][..], &[0x08, 0x06], &[0; 28]].concat();
    let all = Edit::NONE.with_pcp(3).with_dscp(46).with_ecn(Ecn::Ce);
    for vlan in [VlanEdit::None, VlanEdit::SetVid(9)] {
        assert_eq!(apply(all.with_vlan(vlan), &arp, FrameKind::Ethernet), arp);
    }
    let packet = ipv4(5, 0, 1);
    for vlan in [VlanEdit::PushVlan(1), VlanEdit::PushQinq(1), VlanEdit::SetVid(9)] {
        assert_eq!(apply(Edit::NONE.with_vlan(vlan).with_pcp(1), &packet, FrameKind::Ip), packet);
    }
    let mut bad = [&[2; 12][..], &[0x08, 0x00], &packet].concat();
    bad[14] = 0x44;
    assert_eq!(apply(all, &bad, FrameKind::Ethernet), bad);
}

#[test]
fn sets_every_tos_and_keeps_the_checksum_right() {
    for old in 0..=255 {
        for new in [0, 1, 0x03, 0xb8, 0xff] {
            let edit = Edit::NONE.with_dscp(new >> 2).with_ecn(Ecn::from_tos(new));
            let edited = apply(edit, &ipv4(6, old, 0x77), FrameKind::Ip);
            assert_eq!(edited[1], new);
            assert!(verify(&edited[..24]));
            let edited = apply(edit, &ipv6(old, 0x77), FrameKind::Ip);
            assert_eq!((edited[0], edited[1]), (0x60 | new >> 4, new << 4 | 0x0b));
        }
    }
}

#[test]
fn a_wrong_checksum_stays_wrong() {
    let mut packet = ipv4(5, 0, 3);
    packet[11] ^= 1;
    assert!(!verify(&apply(Edit::NONE.with_dscp(46), &packet, FrameKind::Ip)[..20]));
}

#[test]
fn names_every_truncation() {
    let frame = [&[2; 12][..], &[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, 0x08, 0x00], &ipv4(5, 0, 1)].concat();
    let edit = Edit::NONE.with_pop(1).with_pcp(1).with_dscp(1);
    let mut scratch = [0; Edit::MAX_PREFIX];
    for len in 0..=frame.len() {
        let result = edit.apply(&frame[..len], FrameKind::Ethernet, &mut scratch);
        assert_eq!(result.err(), Inner::parse_ethernet(&frame[..len]).err());
        assert_eq!(Edit::NONE.apply(&frame[..len], FrameKind::Ethernet, &mut scratch), Ok(Edited::default()));
        let result = edit.apply(&frame[22..][..len.min(29)], FrameKind::Ip, &mut scratch);
        assert_eq!(result.is_err(), len == 0);
    }
}

proptest! {
    #[test]
    fn does_what_the_reference_does(edit in any_edit(), frame in any_frame(), (_, packet) in any_packet()) {
        prop_assert_eq!(apply(edit, &frame, FrameKind::Ethernet), reference(edit, &frame, FrameKind::Ethernet));
        let tags = Inner::parse_ethernet(&frame).unwrap().tags();
        prop_assert_eq!(apply(edit, &frame, FrameKind::Ethernet).len(), edit.edited_len(frame.len(), tags));
        // Random bytes that look like IPv4 have a checksum that the reference would mend.
        if Inner::parse_ip(&packet).is_ok_and(|inner| inner.ip() != IpKind::V4 || verify(&packet[..usize::from(packet[0] & 15) * 4])) {
            prop_assert_eq!(apply(edit, &packet, FrameKind::Ip), reference(edit, &packet, FrameKind::Ip));
        }
    }

    #[test]
    fn a_pop_undoes_a_push(frame in any_frame(), tci in any::<u16>(), service in prop::bool::ANY) {
        let push = if service { VlanEdit::PushQinq(tci) } else { VlanEdit::PushVlan(tci) };
        let pushed = apply(Edit::NONE.with_vlan(push), &frame, FrameKind::Ethernet);
        prop_assert_eq!(Inner::parse_ethernet(&pushed).unwrap().tci(), tci);
        prop_assert_eq!(apply(Edit::NONE.with_pop(1), &pushed, FrameKind::Ethernet), frame);
    }

    #[test]
    fn is_total(edit in any_edit(), frame in prop::collection::vec(any::<u8>(), 0..80), ip in prop::bool::ANY) {
        let kind = if ip { FrameKind::Ip } else { FrameKind::Ethernet };
        let mut scratch = [0xa5; Edit::MAX_PREFIX];
        if let Ok(edited) = edit.apply(&frame, kind, &mut scratch) {
            prop_assert!(edited.head <= scratch.len() && edited.skip <= frame.len());
        }
    }
}
