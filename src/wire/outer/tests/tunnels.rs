//! VNIs, and what tunnel headers say.

use super::*;

#[test]
fn vnis_from_end_to_end() {
    for encap in [Encapsulation::Vxlan, Encapsulation::Gpe, Encapsulation::Geneve] {
        for vni in [0, 1, 0xff, 0x100, 0xffff, 0x1_0000, 0xff_ffff] {
            let recipe = Recipe { vni, ..Recipe::of(encap) };
            assert_eq!(found(&recipe.frame(), &CHECKS).tunnel.vni.get(), vni);
        }
    }
}

#[test]
fn a_tunnel_header_at_fault_is_named_with_its_place() {
    for v6 in [false, true] {
        for tags in 0..=3 {
            for (encap, byte, value, layer, reason) in [
                (Encapsulation::Vxlan, 0, 0xf7, Layer::Vxlan, Reason::NoVni),
                (Encapsulation::Gpe, 0, 0x04, Layer::Gpe, Reason::NoVni),
                (Encapsulation::Gpe, 0, 0x1c, Layer::Gpe, Reason::UnknownVersion),
                (Encapsulation::Geneve, 0, 0x43, Layer::Geneve, Reason::UnknownVersion),
                (Encapsulation::Geneve, 0, 0x3f, Layer::Geneve, Reason::OptionAreaTooLong),
            ] {
                let recipe = Recipe { v6, tags, ..Recipe::of(encap) };
                let mut tunnel = recipe.tunnel();
                tunnel[byte] = value;
                let frame = recipe.link(&recipe.ip(17, &recipe.udp(&tunnel)));
                assert_eq!(refused(&frame, &CHECKS), (layer, reason, recipe.l4() + 8));
            }
        }
    }
}

#[test]
fn gpe_carries_what_it_says() {
    let recipe = Recipe::of(Encapsulation::Gpe);
    for (next, protocol) in [(1, 0x0800), (2, 0x86dd), (3, 0x6558), (4, 0x894f), (5, 0x8847), (6, 0), (0xff, 0)] {
        let mut tunnel = recipe.tunnel();
        tunnel[0] = 0x0f;
        tunnel[3] = next;
        let outer = found(&recipe.link(&recipe.ip(17, &recipe.udp(&tunnel))), &CHECKS);
        assert_eq!((outer.tunnel.next_protocol, outer.tunnel.protocol), (next, EtherType(protocol)));
        let flags = TunnelFlags::I | TunnelFlags::P | TunnelFlags::B | TunnelFlags::O;
        assert_eq!(outer.tunnel.flags, flags);
    }
}

#[test]
fn reserved_bits_are_ignored_or_refused() {
    let strict = Checks { reserved: Reserved::Strict, gbp: false, ..CHECKS };
    let strict_gbp = Checks { gbp: true, ..strict };
    for encap in [Encapsulation::Vxlan, Encapsulation::Gpe, Encapsulation::Geneve] {
        let recipe = Recipe::of(encap);
        assert!(read(&recipe.frame(), &strict).is_ok());
        for bit in 0..64 {
            let mut tunnel = recipe.tunnel();
            tunnel[bit / 8] ^= 0x80 >> (bit % 8);
            let frame = recipe.link(&recipe.ip(17, &recipe.udp(&tunnel)));
            let reserved = match encap {
                Encapsulation::Vxlan => bit != 4 && !(32..56).contains(&bit),
                Encapsulation::Gpe => matches!(bit, 0 | 1 | 8..24 | 56..64),
                Encapsulation::Geneve => false,
            };
            let of_gbp = encap == Encapsulation::Vxlan && matches!(bit, 0 | 9 | 12);
            let lenient = read(&frame, &CHECKS);
            if reserved {
                assert!(lenient.is_ok());
                assert_eq!(refused(&frame, &strict).1, Reason::ReservedBits, "{encap:?} bit {bit}");
                assert_eq!(refused(&frame, &strict).2, 42 + bit / 8);
            } else if !(encap == Encapsulation::Gpe && bit == 5) {
                // Without P, GPE's next protocol is a reserved field.
                assert_eq!(read(&frame, &strict), lenient, "{encap:?} bit {bit}");
            }
            assert_eq!(read(&frame, &strict_gbp).is_ok(), read(&frame, &strict).is_ok() || of_gbp);
        }
    }
}
