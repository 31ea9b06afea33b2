//! A reader of what was sent, which stops at whatever is wrong with it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::build::pseudo_header;

/// The Internet checksum (RFC 1071) of some pieces, all but the last of even length.
pub(crate) fn internet_checksum(pieces: &[&[u8]]) -> u16 {
    let mut sum = 0_u64;
    for piece in pieces {
        for pair in piece.chunks(2) {
            sum += u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}

/// Fields of an IP header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) tos: u8,
    pub(crate) ttl: u8,
    /// Set for IPv6, which never fragments.
    pub(crate) df: bool,
    pub(crate) flow_label: u32,
    pub(crate) protocol: u8,
}

/// An encapsulated packet as it was sent, from the IP header on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) ip: Fields,
    pub(crate) src_port: u16,
    pub(crate) dst_port: u16,
    /// 0 or right: anything else does not get here.
    pub(crate) checksum: u16,
    /// The fixed tunnel header.
    pub(crate) tunnel: [u8; 8],
    /// Geneve's options.
    pub(crate) options: Vec<u8>,
    pub(crate) inner: Vec<u8>,
    /// The size that counts against the underlay's MTU.
    pub(crate) len: usize,
}

impl Packet {
    /// Reads a packet, IP header first, whose lengths and checksums have to be right and which is no fragment.
    pub(crate) fn ip(bytes: &[u8]) -> Self {
        let (ip, datagram) = ip_header(bytes);
        assert_eq!(ip.protocol, 17, "UDP");
        let word = |at: usize| u16::from_be_bytes([datagram[at], datagram[at + 1]]);
        assert_eq!(usize::from(word(4)), datagram.len(), "UDP length");
        if word(6) == 0 {
            // None.
        } else {
            let pseudo = pseudo_header(ip.src, ip.dst, word(4));
            assert_eq!(internet_checksum(&[&pseudo, datagram]), 0, "UDP checksum");
        }
        let (src_port, dst_port, checksum) = (word(0), word(2), word(6));
        let tunnel: [u8; 8] = datagram[8..16].try_into().unwrap();
        // The flags octet of VXLAN (8) and the version and length of Geneve are told apart by the protocol type.
        let options = if tunnel[2..4] == [0x65, 0x58] { usize::from(tunnel[0]) * 4 } else { 0 };
        Self {
            ip,
            src_port,
            dst_port,
            checksum,
            tunnel,
            options: datagram[16..16 + options].to_vec(),
            inner: datagram[16 + options..].to_vec(),
            len: bytes.len(),
        }
    }

    pub(crate) fn vni(&self) -> u32 {
        u32::from_be_bytes([0, self.tunnel[4], self.tunnel[5], self.tunnel[6]])
    }
}

/// An IP header that is right, and what it announces.
pub(crate) fn ip_header(bytes: &[u8]) -> (Fields, &[u8]) {
    let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    match bytes[0] >> 4 {
        4 => {
            assert_eq!(bytes[0], 0x45, "no IPv4 options");
            assert_eq!(internet_checksum(&[&bytes[..20]]), 0, "IPv4 header checksum");
            assert_eq!(usize::from(word(2)), bytes.len(), "IPv4 total length");
            assert_eq!(word(6) & 0xbfff, 0, "no fragment, evil bit clear");
            let address = |at: usize| {
                let octets: [u8; 4] = bytes[at..at + 4].try_into().unwrap();
                IpAddr::V4(Ipv4Addr::from(octets))
            };
            let fields = Fields {
                src: address(12),
                dst: address(16),
                tos: bytes[1],
                ttl: bytes[8],
                df: word(6) == 0x4000,
                flow_label: 0,
                protocol: bytes[9],
            };
            (fields, &bytes[20..])
        }
        6 => {
            assert_eq!(usize::from(word(4)), bytes.len() - 40, "IPv6 payload length");
            let address = |at: usize| {
                let octets: [u8; 16] = bytes[at..at + 16].try_into().unwrap();
                IpAddr::V6(Ipv6Addr::from(octets))
            };
            let first = u32::from_be_bytes(bytes[..4].try_into().unwrap());
            let fields = Fields {
                src: address(8),
                dst: address(24),
                tos: bytes[0] << 4 | bytes[1] >> 4,
                ttl: bytes[7],
                df: true,
                flow_label: first & 0xf_ffff,
                protocol: bytes[6],
            };
            (fields, &bytes[40..])
        }
        version => panic!("IP version {version}"),
    }
}
