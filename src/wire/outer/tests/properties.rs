//! Any bytes, and nearly sound ones.

use super::*;

fn any_checks() -> impl Strategy<Value = Checks> {
    any::<[bool; 6]>().prop_map(|[ip, udp, zero_udp6, strict, gbp, superframes]| Checks {
        ip_checksum: if ip { Checksums::Verify } else { Checksums::Trust },
        udp_checksum: if udp { Checksums::Verify } else { Checksums::Trust },
        zero_udp6,
        reserved: if strict { Reserved::Strict } else { Reserved::Ignore },
        gbp,
        superframes,
    })
}

/// Frames of the common shape, and frames that miss it in a field or two, their IPv4 checksum right or wrong.
fn nearly_common() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![any::<u16>(), 0..80_u16, Just(0x4500), Just(0x0800), Just(0x4011), Just(4789), Just(6081)];
    let edits = prop::collection::vec((6..29_usize, word), 0..3);
    let inner_len = prop_oneof![0..3_usize, 0..100_usize];
    let padding = prop_oneof![Just(0), 0..20_usize];
    (any::<[bool; 3]>(), edits, inner_len, padding).prop_map(
        |([geneve, checksum, right], edits, inner_len, padding)| {
            let encap = if geneve { Encapsulation::Geneve } else { Encapsulation::Vxlan };
            let mut frame = Recipe { checksum, inner_len, ..Recipe::of(encap) }.frame();
            frame.resize(frame.len() + padding, 0xa5);
            for (at, word) in edits {
                if 2 * at + 2 <= frame.len() {
                    put(&mut frame, 2 * at, usize::from(word));
                }
            }
            if right && (5..=9).contains(&(frame[14] & 15)) {
                fix(&mut frame, 14);
            }
            frame
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]
    /// [`read`] compares.
    #[test]
    fn the_common_shape_is_read_as_all_others_are(
        frame in nearly_common(),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
        checks in any_checks(),
    ) {
        let len = cut.map_or(frame.len(), |cut| cut.index(frame.len()));
        let _ = read(&frame[..len], &checks);
    }
}

proptest! {
    /// Whatever is accepted has its spans in the frame (see [`read`]); an error's place is in it, too.
    #[test]
    fn damaged_frames_are_read_or_refused(
        which in 0..24_usize,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        checks in any_checks(),
    ) {
        let recipe = Recipe::all().nth(which).unwrap();
        let mut frame = recipe.frame();
        for (at, value) in edits {
            // Most bytes of a frame are headers anyway; the rest says nothing.
            let at = at.index(recipe.l4() + 28);
            frame[at] = value;
        }
        if let Some(cut) = cut {
            frame.truncate(cut.index(frame.len()));
        }
        if let Err(error) = read(&frame, &checks) {
            prop_assert!(error.offset as usize <= frame.len());
            // Further in, it is the layer around that is too short, and the frame may be longer.
            if error.needed != 0 && error.layer <= Layer::Ipv4 {
                prop_assert!((error.offset + error.needed) as usize > frame.len());
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), checks in any_checks()) {
        let _ = read(&bytes, &checks);
        let _ = parse_ip(&bytes, &PORTS, &checks);
    }

    #[test]
    fn an_inner_frame_of_any_length_is_found(which in 0..24_usize, inner_len in 0..3000_usize, checksum: bool) {
        let recipe = Recipe { inner_len, checksum, ..Recipe::all().nth(which).unwrap() };
        let checks = Checks { zero_udp6: true, ..CHECKS };
        prop_assert_eq!(read(&recipe.frame(), &checks), Ok(Some(recipe.expected())));
    }
}
