//! Tags, lengths of IP and UDP, IPv4 options and IPv6 extension headers.

use super::*;

#[test]
fn a_fourth_tag_is_refused() {
    for v6 in [false, true] {
        let frame = Recipe { tags: 4, v6, ..VXLAN }.frame();
        assert_eq!(refused(&frame, &CHECKS), (Layer::Vlan, Reason::TooManyTags, 24));
    }
}

#[test]
fn padding_and_bytes_behind_the_datagram_are_left_out() {
    for recipe in Recipe::all() {
        let mut frame = recipe.frame();
        frame.extend([0xee; 46]);
        assert_eq!(found(&frame, &CHECKS), recipe.expected());

        let mut datagram = recipe.udp(&recipe.tunnel());
        datagram.extend([0xee; 5]);
        let mut frame = recipe.link(&recipe.ip(17, &datagram));
        frame.extend([0xdd; 3]);
        assert_eq!(found(&frame, &CHECKS), recipe.expected());
    }
}

#[test]
fn udp_lengths() {
    for v6 in [false, true] {
        let recipe = Recipe { v6, ..VXLAN };
        let trust = Checks { udp_checksum: Checksums::Trust, ..CHECKS };
        let (whole, at) = (8 + 8 + recipe.inner_len, recipe.l4() + 4);
        for (len, reason) in [
            (0, Reason::ZeroLength),
            (1, Reason::LengthTooShort),
            (7, Reason::LengthTooShort),
            (whole + 1, Reason::LengthTooLong),
            (0xffff, Reason::LengthTooLong),
        ] {
            let mut frame = recipe.frame();
            put(&mut frame, at, len);
            // A length of 0 under an IP length that is none is wrong for super-frames too.
            for checks in [trust, Checks { superframes: true, ..trust }] {
                assert_eq!(refused(&frame, &checks), (Layer::Udp, reason, at));
            }
        }
        let mut frame = recipe.frame();
        put(&mut frame, at, 8);
        assert_eq!(refused(&frame, &trust), (Layer::Vxlan, Reason::Truncated, recipe.l4() + 8));
        put(&mut frame, at, whole - 10);
        assert_eq!(found(&frame, &trust).tunnel.inner.len as usize, recipe.inner_len - 10);
    }
}

#[test]
fn ip_lengths() {
    let v4 = VXLAN.frame();
    for (total, reason) in
        [(0, Reason::ZeroLength), (19, Reason::LengthTooShort), (v4.len() - 13, Reason::LengthTooLong)]
    {
        let mut frame = v4.clone();
        put(&mut frame, 16, total);
        fix(&mut frame, 14);
        assert_eq!(refused(&frame, &CHECKS), (Layer::Ipv4, reason, 16));
    }
    for (first, reason) in [(0x65, Reason::UnknownVersion), (0x44, Reason::HeaderLengthTooShort)] {
        let mut frame = v4.clone();
        frame[14] = first;
        assert_eq!(refused(&frame, &CHECKS), (Layer::Ipv4, reason, 14));
    }

    let v6 = Recipe { v6: true, ..VXLAN }.frame();
    for (len, reason) in [(0, Reason::ZeroLength), (v6.len() - 53, Reason::LengthTooLong)] {
        let mut frame = v6.clone();
        put(&mut frame, 18, len);
        assert_eq!(refused(&frame, &CHECKS), (Layer::Ipv6, reason, 18));
    }
    let mut frame = v6;
    frame[14] = 0x45;
    assert_eq!(refused(&frame, &CHECKS), (Layer::Ipv6, Reason::UnknownVersion, 14));
}

#[test]
fn ipv4_options_and_ipv6_extension_headers_move_what_follows() {
    for recipe in Recipe::all() {
        let udp = recipe.udp(&recipe.tunnel());
        let (packet, extra) = if recipe.v6 {
            // Destination options, then a fragment header of a datagram that is whole.
            let extensions = [44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 1];
            (recipe.ip(60, &[&extensions[..], &udp].concat()), 16)
        } else {
            let mut packet = recipe.ip(17, &[&[1_u8; 40][..], &udp].concat());
            packet[0] = 0x4f;
            fix(&mut packet, 0);
            (packet, 40)
        };
        let mut expected = recipe.expected();
        let Tunnel { header, options, inner, .. } = &mut expected.tunnel;
        for span in [header, options, inner] {
            span.start += extra;
        }
        let mut frame = recipe.link(&packet);
        assert_eq!(found(&frame, &CHECKS), expected, "{recipe:?}");

        if !recipe.v6 {
            frame[recipe.l3() + 59] ^= 1;
            assert_eq!(refused(&frame, &CHECKS), (Layer::Ipv4, Reason::BadIpChecksum, recipe.l3() + 10));
        }
    }
    let recipe = Recipe { v6: true, ..VXLAN };
    let chain = [60, 0, 1, 4, 0, 0, 0, 0].repeat(9);
    let frame = recipe.link(&recipe.ip(60, &chain));
    assert_eq!(refused(&frame, &CHECKS), (Layer::Ipv6, Reason::TooManyExtensions, 54 + 64));
    let frame = recipe.link(&recipe.ip(60, &[17, 1, 1, 4, 0, 0, 0, 0]));
    assert_eq!(refused(&frame, &CHECKS), (Layer::Ipv6, Reason::Truncated, 54));
}
