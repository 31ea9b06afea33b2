//! Tunnel packets of somebody who is no VTEP.

use core::net::IpAddr;

use vtep::wire::MacAddr;

use super::frame::{self, Draft};
use super::packet::{self, GENEVE_PORT, LINK, VXLAN_PORT};
use super::scenario::Body;
use super::wires::Wires;

/// A packet to a VTEP, odd in one of several ways.
pub fn packet(wires: &Wires, tenant: usize, src: IpAddr, dst: IpAddr, number: u32, odd: u8) -> Vec<u8> {
    let shape = &wires.tenants[tenant % wires.tenants.len()];
    let (mut vni, geneve) = (shape.vni, shape.geneve);
    let mut draft = Draft {
        dst: if number & 1 == 0 { MacAddr::BROADCAST } else { frame::mac(number + 1) },
        src: frame::mac(number),
        body: Body::V4(0),
        numbers: (number, 0),
        id: number,
        size: 70,
        port_tag: None,
    };
    let (mut flags, mut options, mut protocol) = (0, Vec::new(), 0x6558_u16);
    match odd {
        1 => vni = vni.wrapping_add(7) & 0xff_ffff,
        2 => flags = 0x01,
        // Geneve's O bit; in VXLAN reserved.
        3 => flags = 0x80,
        // A critical option that nobody knows.
        4 => (flags, options) = (0x40, vec![0xff, 0xf0, 0x81, 1, 1, 2, 3, 4]),
        5 => protocol = 0x0800,
        6 => draft.src = MacAddr::BROADCAST,
        7 => draft.body = Body::Nested,
        8 => draft.body = Body::Runt,
        9 => options = vec![0, 1, 2, 0x1f],
        10 => draft.src = MacAddr::ZERO,
        _ => {}
    }
    let vni = vni.to_be_bytes();
    let mut tunnel = match geneve {
        true => {
            let [high, low] = protocol.to_be_bytes();
            vec![(options.len() / 4) as u8, flags, high, low, vni[1], vni[2], vni[3], 0]
        }
        false => vec![0x08 | flags, 0, 0, 0, vni[1], vni[2], vni[3], 0],
    };
    if geneve {
        tunnel.extend(options);
    }
    tunnel.extend(draft.bytes());
    let port = if geneve { GENEVE_PORT } else { VXLAN_PORT };
    let mut bytes = vec![0; LINK];
    bytes[..6].copy_from_slice(&[2, 0, 0, 1, 0, 0]);
    bytes[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 0xfe]);
    let udp_len = (8 + tunnel.len()) as u16;
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            bytes[12..].copy_from_slice(&[0x08, 0x00]);
            bytes.extend([0x45, 0]);
            bytes.extend((20 + udp_len).to_be_bytes());
            bytes.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
            bytes.extend(src.octets());
            bytes.extend(dst.octets());
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            bytes[12..].copy_from_slice(&[0x86, 0xdd]);
            bytes.extend([0x60, 0, 0, 0]);
            bytes.extend(udp_len.to_be_bytes());
            bytes.extend([17, 64]);
            bytes.extend(src.octets());
            bytes.extend(dst.octets());
        }
        _ => {}
    }
    bytes.extend(50_000_u16.to_be_bytes());
    bytes.extend(port.to_be_bytes());
    bytes.extend(udp_len.to_be_bytes());
    // Wrong, for it to be made right.
    bytes.extend([0xff, 0xff]);
    bytes.extend(tunnel);
    packet::mend(&mut bytes[LINK..]);
    if odd == 11 {
        // To a port that is no tunnel's.
        let at = LINK + if dst.is_ipv4() { 22 } else { 42 };
        bytes[at..at + 2].copy_from_slice(&[0, 53]);
    }
    bytes
}
