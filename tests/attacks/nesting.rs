//! Tunnels in tunnels, and frames too large for any.

use crate::common::world::*;
use vtep::engine::{DropReason, Egress, Profile, Remote, Verdict};

#[test]
fn one_tunnel_header_is_taken_off_however_many_there_are() {
    for profile in PROFILES {
        let mut vtep = Vtep::vxlan(profile);
        vtep.on_port(0, &Frame::new(BROADCAST, A).bytes());
        let mut inner = Frame::new(A, R).bytes();
        for depth in 1..=20 {
            let packet = Packet::vxlan(&inner);
            // Its way through: the frame inside, as it was, whatever that carries.
            assert_eq!(vtep.delivered(&packet.bytes()), [(0, inner.clone())], "{depth} deep");
            // The next one carries this one, addressed to us: a packet that came back would be taken for a tunnel's.
            inner = Frame::ip(A, R, &packet.ip()).bytes();
        }
        assert_eq!(vtep.engine.counters().packets(), 21);
    }
}

/// An underlay that is routed into the overlay: each packet sent comes back as a frame from a port.
#[test]
fn a_tunnel_that_leads_through_itself_ends_at_the_mtu() {
    let mut vtep = Vtep::vxlan(Profile::Rfc);
    vtep.station_at(R, Remote::at(REMOTE));
    let mut frame = Frame::new(R, A).bytes();
    let mut rounds = 0;
    loop {
        let verdict = vtep.on_port(0, &frame);
        if verdict == Verdict::Drop(DropReason::TooBig) {
            break;
        }
        let copies = vtep.copies(&verdict, &frame);
        let [(Egress::Underlay { .. }, packet)] = &copies[..] else { panic!("{copies:?}") };
        frame = [&R[..], &A[..], &[0x08, 0x00], packet].concat();
        rounds += 1;
        assert!(rounds < 100, "it goes round for ever");
    }
    // 50 bytes a round, from 102 on while 1464 fit: an MTU of 1500 less IP, UDP and VXLAN headers.
    assert_eq!(rounds, (1464 - 102) / 50 + 1);
}

#[test]
fn what_does_not_fit_is_dropped_for_it_and_reaches_nobody_in_part() {
    for len in [1465, 1500, 1600, 9_000, 65_535, 70_000] {
        let mut vtep = Vtep::vxlan(Profile::Rfc);
        vtep.station_at(R, Remote::at(REMOTE));
        let mut frame = Frame::new(R, A).bytes();
        frame.resize(len, 0);
        vtep.refuses_from_port(0, &frame, DropReason::TooBig);
        // A flood goes where it fits: to ports, and into no tunnel.
        vtep.flood_to(REMOTE);
        frame[..6].copy_from_slice(&BROADCAST);
        let verdict = vtep.on_port(0, &frame);
        let copies = vtep.copies(&verdict, &frame);
        assert!(matches!(copies[..], [(Egress::Port(_), _)]), "{len}");
    }
}
