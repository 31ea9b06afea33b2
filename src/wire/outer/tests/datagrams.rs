//! Fragments, checksums, and which packets are a tunnel's.

use super::*;

#[test]
fn fragments_of_udp_are_refused_where_they_may_be_a_tunnels() {
    let dns = Recipe { dst_port: 53, ..VXLAN };
    // (flags and offset, first part)
    for (word, first) in [(0x2000, true), (0x2001, false), (0x0001, false), (0x1fff, false)] {
        for tags in 0..=3 {
            let recipe = Recipe { tags, ..VXLAN };
            let with = |mut frame: Vec<u8>| {
                put(&mut frame, recipe.l3() + 6, word);
                fix(&mut frame, recipe.l3());
                frame
            };
            let error = (Layer::Ipv4, Reason::Fragment, recipe.l3() + 6);
            assert_eq!(refused(&with(recipe.frame()), &CHECKS), error);
            let other = with(Recipe { tags, ..dns }.frame());
            if first {
                assert_eq!(read(&other, &CHECKS), Ok(None));
            } else {
                assert_eq!(refused(&other, &CHECKS), error);
            }
            // A part too short for a port, and one of another protocol.
            assert_eq!(refused(&with(recipe.link(&recipe.ip(17, &[0xc3, 0x50, 0, 53]))), &CHECKS), error);
            assert_eq!(read(&with(recipe.link(&recipe.ip(6, &[0; 20]))), &CHECKS), Ok(None));

            let part = |recipe: Recipe, next| {
                let header = [&[next, 0][..], &((word << 3 | word >> 13) as u16).to_be_bytes(), &[0; 4]].concat();
                let recipe = Recipe { v6: true, tags, ..recipe };
                recipe.link(&recipe.ip(44, &[&header[..], &recipe.udp(&recipe.tunnel())].concat()))
            };
            let error = (Layer::Ipv6, Reason::Fragment, recipe.l3() + 40);
            assert_eq!(refused(&part(VXLAN, 17), &CHECKS), error);
            if first {
                assert_eq!(read(&part(dns, 17), &CHECKS), Ok(None));
            } else {
                assert_eq!(refused(&part(dns, 17), &CHECKS), error);
            }
            assert_eq!(read(&part(VXLAN, 6), &CHECKS), Ok(None));
        }
    }
}

#[test]
fn ip_checksums() {
    let mut frame = VXLAN.frame();
    frame[24] ^= 1;
    assert_eq!(refused(&frame, &CHECKS), (Layer::Ipv4, Reason::BadIpChecksum, 24));
    let trust = Checks { ip_checksum: Checksums::Trust, ..CHECKS };
    assert_eq!(found(&frame, &trust), VXLAN.expected());
}

#[test]
fn udp_checksums() {
    let trust = Checks { udp_checksum: Checksums::Trust, ..CHECKS };
    let zero = Checks { zero_udp6: true, ..CHECKS };
    for v6 in [false, true] {
        for inner_len in [0, 1, 30, 31, 1486] {
            let recipe = Recipe { v6, inner_len, ..VXLAN };
            let at = recipe.l4() + 6;
            let good = recipe.frame();
            assert_eq!(found(&good, &CHECKS).checksum, UdpChecksum::Good);
            assert_eq!(found(&good, &trust).checksum, UdpChecksum::Unverified);

            let mut bad = good.clone();
            let last = bad.len() - 1;
            bad[last] ^= 1;
            assert_eq!(refused(&bad, &CHECKS), (Layer::Udp, Reason::BadChecksum, at));
            assert_eq!(refused(&bad, &zero), (Layer::Udp, Reason::BadChecksum, at));
            assert_eq!(refused(&bad, &SUPER), (Layer::Udp, Reason::BadChecksum, at));
            assert_eq!(found(&bad, &trust).checksum, UdpChecksum::Unverified);

            let none = Recipe { checksum: false, ..recipe }.frame();
            if v6 {
                for checks in [CHECKS, trust] {
                    assert_eq!(refused(&none, &checks), (Layer::Udp, Reason::ZeroChecksum, at));
                }
            } else {
                assert_eq!(found(&none, &CHECKS).checksum, UdpChecksum::Zero);
            }
            assert_eq!(found(&none, &zero).checksum, UdpChecksum::Zero);
        }
    }
}

#[test]
fn only_the_destination_port_selects() {
    for v6 in [false, true] {
        let recipe = Recipe { v6, ..VXLAN };
        let frame = |src_port, dst_port| Recipe { src_port, dst_port, ..recipe }.frame();
        for src_port in [4789, 4790, 6081] {
            assert_eq!(read(&frame(src_port, 53), &CHECKS), Ok(None));
            let outer = found(&frame(src_port, 4789), &CHECKS);
            assert_eq!((outer.src_port, outer.tunnel.encap), (src_port, Encapsulation::Vxlan));
        }
        assert_eq!(read(&frame(50_000, 8472), &CHECKS), Ok(None));
        assert_eq!(read(&frame(50_000, 0), &CHECKS), Ok(None));
        let ports = TunnelPorts::NONE.with(8472, Encapsulation::Vxlan).unwrap();
        assert!(parse(&frame(50_000, 8472), &ports, &CHECKS).unwrap().is_some());
        assert_eq!(parse(&frame(50_000, 4789), &ports, &CHECKS), Ok(None));
    }
    // Lengths and checksum of what is not ours are not our business.
    let mut frame = Recipe { dst_port: 53, ..VXLAN }.frame();
    put(&mut frame, 38, 0xffff);
    assert_eq!(read(&frame, &CHECKS), Ok(None));
}

#[test]
fn what_is_sound_and_no_tunnel_is_none() {
    for tags in 0..=3 {
        for v6 in [false, true] {
            let recipe = Recipe { tags, v6, ..VXLAN };
            for protocol in [1, 6, 47, 58, 132] {
                assert_eq!(read(&recipe.link(&recipe.ip(protocol, &[0xff; 24])), &CHECKS), Ok(None));
            }
            // ARP, MPLS, an 802.3 length, and with nothing behind it.
            for ethertype in [0x0806, 0x8847, 0x0040, 0x0000, 0xffff] {
                let mut frame = recipe.frame();
                put(&mut frame, recipe.l3() - 2, ethertype);
                assert_eq!(read(&frame, &CHECKS), Ok(None));
                assert_eq!(read(&frame[..recipe.l3()], &CHECKS), Ok(None));
            }
        }
    }
    let recipe = Recipe { v6: true, ..VXLAN };
    assert_eq!(read(&recipe.link(&recipe.ip(59, &[])), &CHECKS), Ok(None));
}
