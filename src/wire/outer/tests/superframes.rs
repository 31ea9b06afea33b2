//! Packets of segmentation offload.

use super::*;

/// A packet of segmentation offload with lengths of 0 and a checksum over the pseudo-header.
fn superframe(recipe: Recipe) -> Vec<u8> {
    let mut frame = Recipe { inner_len: 10, checksum: false, ..recipe }.frame();
    let header = frame.len() - 10;
    frame.resize(header + recipe.inner_len, 0x5a);
    let (l3, l4) = (recipe.l3(), recipe.l4());
    put(&mut frame, if recipe.v6 { l3 + 4 } else { l3 + 2 }, 0);
    if !recipe.v6 {
        fix(&mut frame, l3);
    }
    put(&mut frame, l4 + 4, 0);
    let (src, dst) = recipe.addresses();
    let sum = udp::pseudo(src, dst, (frame.len() - l4) as u32).unwrap();
    put(&mut frame, l4 + 6, sum.fold().into());
    frame
}

#[test]
fn superframes_reach_to_the_end_where_they_may() {
    for recipe in Recipe::all() {
        for inner_len in [0, 10, 65_535, 80_000] {
            let recipe = Recipe { inner_len, ..recipe };
            let frame = superframe(recipe);
            let expected = Outer { checksum: UdpChecksum::Unverified, ..recipe.expected() };
            assert_eq!(found(&frame, &SUPER), expected, "{recipe:?}");
            let (layer, at) = if recipe.v6 { (Layer::Ipv6, 4) } else { (Layer::Ipv4, 2) };
            assert_eq!(refused(&frame, &CHECKS), (layer, Reason::ZeroLength, recipe.l3() + at));
            let trust = Checks { udp_checksum: Checksums::Trust, ..SUPER };
            assert_eq!(found(&frame, &trust), expected);

            // Completed by whoever captured it, left out, or wrong.
            let mut frame = frame;
            let (l4, (src, dst)) = (recipe.l4(), recipe.addresses());
            put(&mut frame, l4 + 6, 0);
            let sum = udp::pseudo(src, dst, (frame.len() - l4) as u32).unwrap().add_bytes(&frame[l4..]);
            put(&mut frame, l4 + 6, sum.finish_udp().into());
            assert_eq!(found(&frame, &SUPER).checksum, UdpChecksum::Good);
            frame[l4] ^= 1;
            assert_eq!(refused(&frame, &SUPER), (Layer::Udp, Reason::BadChecksum, l4 + 6));
            put(&mut frame, l4 + 6, 0);
            if recipe.v6 {
                assert_eq!(refused(&frame, &SUPER), (Layer::Udp, Reason::ZeroChecksum, l4 + 6));
            } else {
                assert_eq!(found(&frame, &SUPER).checksum, UdpChecksum::Zero);
            }
        }
    }
}

#[test]
fn every_truncation_of_a_superframe_is_an_error_or_a_shorter_one() {
    for recipe in Recipe::all() {
        let frame = superframe(recipe);
        let trust = Checks { udp_checksum: Checksums::Trust, ..SUPER };
        let header = frame.len() - recipe.inner_len;
        for len in 0..frame.len() {
            match read(&frame[..len], &trust) {
                Ok(outer) => assert_eq!(outer.unwrap().tunnel.inner.len as usize, len - header),
                Err(error) => {
                    assert!(len < header);
                    assert!(matches!(error.reason, Reason::Truncated | Reason::OptionAreaTooLong));
                    assert!(len < (error.offset + error.needed) as usize, "{error:?}");
                }
            }
        }
    }
}

#[test]
fn a_superframe_may_have_a_udp_length() {
    for v6 in [false, true] {
        let recipe = Recipe { v6, ..VXLAN };
        let mut frame = recipe.frame();
        put(&mut frame, if v6 { 18 } else { 16 }, 0);
        if !v6 {
            fix(&mut frame, 14);
        }
        frame.extend([0xee; 8]);
        assert_eq!(found(&frame, &SUPER), recipe.expected());
    }
}

#[test]
fn a_large_packet_with_lengths_is_an_ordinary_one() {
    for v6 in [false, true] {
        let recipe = Recipe { v6, inner_len: 60_000, ..VXLAN };
        let mut frame = recipe.frame();
        assert_eq!(found(&frame, &CHECKS), recipe.expected());
        let (l4, (src, dst)) = (recipe.l4(), recipe.addresses());
        let sum = udp::pseudo(src, dst, (frame.len() - l4) as u32).unwrap();
        put(&mut frame, l4 + 6, sum.fold().into());
        assert_eq!(refused(&frame, &CHECKS), (Layer::Udp, Reason::BadChecksum, l4 + 6));
        assert_eq!(found(&frame, &SUPER).checksum, UdpChecksum::Unverified);
    }
}
