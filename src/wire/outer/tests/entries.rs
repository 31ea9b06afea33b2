//! Reading from other layers than Ethernet.

use super::*;

#[test]
fn an_ip_packet_is_read_from_its_first_byte() {
    for recipe in Recipe::all() {
        let packet = recipe.packet();
        let mut expected = recipe.expected();
        let Tunnel { header, options, inner, .. } = &mut expected.tunnel;
        for span in [header, options, inner] {
            span.start -= recipe.l3() as u32;
        }
        let expected = Outer { tags: 0, vlan: None, ..expected };
        assert_eq!(parse_ip(&packet, &PORTS, &CHECKS), Ok(Some(expected)));
        for len in 0..packet.len() {
            assert!(parse_ip(&packet[..len], &PORTS, &CHECKS).is_err());
        }
    }
    for first in (0..16).filter(|version| ![4, 6].contains(version)) {
        let error = parse_ip(&[first << 4; 60], &PORTS, &CHECKS).unwrap_err();
        assert_eq!(error, WireError::new(Layer::Ipv4, Reason::UnknownVersion, 0));
    }
}

#[test]
fn a_sockets_payload_is_read_with_what_the_socket_knows() {
    for recipe in Recipe::all() {
        let payload = recipe.tunnel();
        let Outer { src, dst, src_port, dst_port, tos, ttl, mut tunnel, .. } = recipe.expected();
        for span in [&mut tunnel.header, &mut tunnel.options, &mut tunnel.inner] {
            span.start -= recipe.l4() as u32 + 8;
        }
        let datagram = Datagram { src, dst, src_port, dst_port, tos, ttl, checksum: UdpChecksum::Good };
        let expected = Outer { tags: 0, vlan: None, tunnel, ..recipe.expected() };
        let read = |datagram: &Datagram, checks| parse_udp_payload(&payload, datagram, &PORTS, checks);
        assert_eq!(read(&datagram, &CHECKS), Ok(Some(expected)));
        for len in 0..tunnel.header.len as usize {
            assert!(parse_udp_payload(&payload[..len], &datagram, &PORTS, &CHECKS).is_err());
        }

        assert_eq!(read(&Datagram { dst_port: 53, ..datagram }, &CHECKS), Ok(None));
        let zero = Datagram { checksum: UdpChecksum::Zero, ..datagram };
        let allowed = read(&zero, &Checks { zero_udp6: true, ..CHECKS });
        assert_eq!(allowed, Ok(Some(Outer { checksum: UdpChecksum::Zero, ..expected })));
        if let (IpAddr::V4(a), IpAddr::V4(b)) = (src, dst) {
            assert_eq!(read(&zero, &CHECKS), allowed);
            let mapped = Datagram { src: a.to_ipv6_mapped().into(), dst: b.to_ipv6_mapped().into(), ..zero };
            assert_eq!(read(&mapped, &CHECKS), allowed);
            let mixed = Datagram { src: Ipv6Addr::LOCALHOST.into(), ..datagram };
            assert_eq!(read(&mixed, &CHECKS).unwrap_err().reason, Reason::FamilyMismatch);
        } else {
            assert_eq!(read(&zero, &CHECKS), Err(WireError::new(Layer::Udp, Reason::ZeroChecksum, 0)));
        }
    }
}

#[test]
fn an_ethernet_header_of_its_own_codec_is_what_is_read() {
    let mut frame = vec![0xa5; 14];
    let header = ethernet::Header::new(MacAddr::BROADCAST, MacAddr::ZERO, EtherType::IPV4);
    header.emit(&mut frame).unwrap();
    frame.extend(VXLAN.packet());
    assert_eq!(found(&frame, &CHECKS), VXLAN.expected());
}
