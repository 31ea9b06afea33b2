//! Packets put together byte by byte, without any code of the library under test.

/// An Ethernet header and its payload.
pub(crate) fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x02, 0, 0, 0, 0, 0xaa, 0x02, 0, 0, 0, 0, 0xbb];
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

/// What follows the TPID in a tagged frame: tag control information, the next EtherType, the payload.
pub(crate) fn tag(tci: u16, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&tci.to_be_bytes()[..], &ethertype.to_be_bytes(), payload].concat()
}

/// An IPv4 packet from 192.0.2.1 to 192.0.2.2 with a right header checksum.
pub(crate) fn ipv4(protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(20 + payload.len()).expect("fits an IPv4 packet");
    let mut packet = vec![0x45, 0];
    packet.extend(len.to_be_bytes());
    packet.extend([0x12, 0x34]);
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(payload);
    packet
}

/// An IPv6 packet from 2001:db8::1 to 2001:db8::2.
pub(crate) fn ipv6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).expect("fits an IPv6 packet");
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(len.to_be_bytes());
    packet.extend([next_header, 64]);
    packet.extend([&ADDRESS6[..], &[1], &ADDRESS6, &[2]].concat());
    packet.extend(payload);
    packet
}

const ADDRESS6: [u8; 15] = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A UDP datagram with checksum 0.
pub(crate) fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(8 + payload.len()).expect("fits a UDP datagram");
    let mut datagram = Vec::new();
    for field in [source, destination, len, 0] {
        datagram.extend(field.to_be_bytes());
    }
    datagram.extend(payload);
    datagram
}

/// The same datagram with the checksum that it has between the addresses of [`ipv4`] or [`ipv6`].
pub(crate) fn with_checksum(mut datagram: Vec<u8>, v6: bool) -> Vec<u8> {
    let mut pseudo =
        if v6 { [&ADDRESS6[..], &[1], &ADDRESS6, &[2]].concat() } else { vec![192, 0, 2, 1, 192, 0, 2, 2] };
    pseudo.extend([0, 17]);
    pseudo.extend(&datagram[4..6]);
    pseudo.extend(&datagram);
    let sum = match checksum(&pseudo) {
        0 => 0xffff,
        sum => sum,
    };
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    datagram
}

fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)));
    let sum = words.fold(0, |sum, word| {
        let sum = sum + word;
        (sum & 0xffff) + (sum >> 16)
    });
    !u16::try_from(sum).expect("folded")
}

/// An Ethernet frame with UDP over IPv4 from port 50000.
pub(crate) fn frame(destination: u16, payload: &[u8]) -> Vec<u8> {
    ethernet(0x0800, &ipv4(17, 0, &udp(50_000, destination, payload)))
}

/// A VXLAN header and what it carries.
pub(crate) fn vxlan(vni: u32, inner: &[u8]) -> Vec<u8> {
    [&[0x08, 0, 0, 0][..], &(vni << 8).to_be_bytes(), inner].concat()
}

/// A Geneve header over `options` (whose length must be a multiple of 4) and what it carries.
pub(crate) fn geneve(flags: u8, protocol: u16, vni: u32, options: &[u8], inner: &[u8]) -> Vec<u8> {
    let words = u8::try_from(options.len() / 4).expect("at most 63 words");
    [&[words, flags][..], &protocol.to_be_bytes(), &(vni << 8).to_be_bytes(), options, inner].concat()
}

/// An ARP request in an Ethernet frame, 42 bytes: the shortest inner frame that is met in practice.
pub(crate) fn arp() -> Vec<u8> {
    let mut arp = vec![0, 1, 8, 0, 6, 4, 0, 1];
    arp.extend([0x02, 0, 0, 0, 0, 0xbb, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
    ethernet(0x0806, &arp)
}
