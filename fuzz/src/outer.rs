//! Any bytes as an underlay frame: what is found lies inside it, and every way in sees the same.

use arbitrary::{Arbitrary, Unstructured};
use vtep::wire::outer::{parse, parse_ip, parse_udp_payload};
use vtep::wire::{Checks, Checksums, Datagram, Outer, Reserved, Span, TunnelPorts};

/// The first byte holds the checks, and whether other ports than IANA's follow; the rest is the frame.
pub fn run(bytes: &[u8]) {
    let Some((bits, rest)) = bytes.split_first() else { return };
    let bit = |n: u8| bits >> n & 1 == 1;
    let mut u = Unstructured::new(rest);
    let ports = if bit(7) { TunnelPorts::arbitrary(&mut u) } else { Ok(TunnelPorts::DEFAULT) };
    let ports = ports.unwrap_or(TunnelPorts::NONE);
    let checks = Checks {
        ip_checksum: if bit(0) { Checksums::Verify } else { Checksums::Trust },
        udp_checksum: if bit(1) { Checksums::Verify } else { Checksums::Trust },
        zero_udp6: bit(2),
        reserved: if bit(3) { Reserved::Strict } else { Reserved::Ignore },
        gbp: bit(4),
        superframes: bit(5),
    };
    check(u.take_rest(), &ports, &checks);
}

fn check(frame: &[u8], ports: &TunnelPorts, checks: &Checks) {
    let found = parse(frame, ports, checks);
    if let Ok(Some(outer)) = &found {
        inside(frame, outer);
        assert_eq!(ports.get(outer.dst_port), Some(outer.tunnel.encap));
        from_a_socket(frame, outer, ports, checks);
    }
    if let Err(error) = &found {
        assert!(error.offset as usize <= frame.len(), "{error:?}");
    }

    // The same from the IP header on, where there is nothing between.
    let version = frame.get(14).map(|first| first >> 4);
    let typed = match frame.get(12..14) {
        Some([0x08, 0x00]) => version == Some(4),
        Some([0x86, 0xdd]) => version == Some(6),
        _ => false,
    };
    if typed {
        let from_ip = parse_ip(&frame[14..], ports, checks);
        assert_eq!(found, from_ip.map(|outer| outer.map(|outer| moved(outer, 14))).map_err(|error| error.shifted(14)));
    }
}

fn inside(frame: &[u8], outer: &Outer) {
    let tunnel = &outer.tunnel;
    assert!(tunnel.header.of(frame).is_some() && tunnel.inner.of(frame).is_some());
    assert_eq!(tunnel.header.end(), tunnel.inner.start);
    assert!(tunnel.options.len == 0 || tunnel.options.end() == tunnel.header.end());
    assert_eq!(tunnel.header.len, 8 + tunnel.options.len);
    assert_eq!(outer.src.is_ipv4(), outer.dst.is_ipv4());
}

/// A socket hands out the payload and tells the addresses.
fn from_a_socket(frame: &[u8], outer: &Outer, ports: &TunnelPorts, checks: &Checks) {
    let Outer { src, dst, src_port, dst_port, tos, ttl, checksum, tunnel, .. } = *outer;
    if src.to_canonical() != src || dst.to_canonical() != dst {
        return;
    }
    let datagram = Datagram { src, dst, src_port, dst_port, tos, ttl, checksum };
    let payload = &frame[tunnel.header.start as usize..tunnel.inner.end() as usize];
    let again = parse_udp_payload(payload, &datagram, ports, checks).expect("sound").expect("a tunnel");
    assert_eq!(moved(again, tunnel.header.start).tunnel, tunnel);
}

/// What was found in a slice, as seen from one that starts `by` bytes before.
fn moved(mut outer: Outer, by: u32) -> Outer {
    let tunnel = &mut outer.tunnel;
    for span in [&mut tunnel.header, &mut tunnel.options, &mut tunnel.inner] {
        *span = Span::new(span.start + by, span.len);
    }
    outer
}
