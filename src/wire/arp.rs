//! ARP for IPv4 over Ethernet (RFC 826).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------------------------------+-------------------------------+
//! |       hardware type = 1       |    protocol type = 0x0800     |
//! +---------------+---------------+-------------------------------+
//! | hw length = 6 |prot length = 4|           operation           |
//! +---------------+---------------+-------------------------------+
//! |                  sender MAC address (48 bits)                 |
//! +                               +-------------------------------+
//! |                               |     sender IPv4 address ...   |
//! +-------------------------------+-------------------------------+
//! |  ... sender IPv4 address      |   target MAC address ...      |
//! +-------------------------------+                               +
//! |                          ... (48 bits)                        |
//! +---------------------------------------------------------------+
//! |                      target IPv4 address                      |
//! +---------------------------------------------------------------+
//! ```

use core::net::Ipv4Addr;

use super::{Layer, MacAddr, Reason, WireError};

/// Bytes of a packet; it follows the Ethernet header and its tags.
pub const PACKET_LEN: usize = 28;

/// Hardware and protocol: types and address lengths of Ethernet and IPv4.
const ETHERNET_IPV4: [u8; 6] = [0, 1, 0x08, 0x00, 6, 4];

/// A request or a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Packet {
    /// What it is.
    pub operation: Operation,
    /// Who sent it. Compare with the Ethernet source address before believing it.
    pub sender_mac: MacAddr,
    /// The sender's address; 0.0.0.0 in a [probe](Packet::is_probe).
    pub sender_ip: Ipv4Addr,
    /// In a reply, who asked; of no meaning in a request, mostly zero.
    pub target_mac: MacAddr,
    /// In a request, the address asked for.
    pub target_ip: Ipv4Addr,
}

/// What an ARP packet does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
pub enum Operation {
    /// Asks for the MAC address of the target.
    Request = 1,
    /// Tells the sender's.
    Reply = 2,
}

impl Packet {
    /// Reads the packet at the start of `bytes`; what follows is padding.
    ///
    /// # Errors
    ///
    /// [`Reason::Truncated`] below 28 bytes; [`Reason::NotEthernetIpv4`] with the offset of the first byte
    /// that says so; [`Reason::UnknownOperation`] for others than request and reply (RARP, InARP).
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let Some(packet) = bytes.first_chunk::<PACKET_LEN>() else {
            return Err(WireError::truncated(Layer::Arp, 0, 28));
        };
        let mut types = packet.iter().zip(ETHERNET_IPV4).zip(0_u32..);
        if let Some((_, offset)) = types.find(|((byte, wanted), _)| *byte != wanted) {
            return Err(WireError::new(Layer::Arp, Reason::NotEthernetIpv4, offset));
        }
        let [_, _, _, _, _, _, high, low, sender_and_target @ ..] = *packet;
        let operation = match u16::from_be_bytes([high, low]) {
            1 => Operation::Request,
            2 => Operation::Reply,
            _ => return Err(WireError::new(Layer::Arp, Reason::UnknownOperation, 6)),
        };
        let [a, b, c, d, e, f, g, h, i, j, target @ ..] = sender_and_target;
        let [k, l, m, n, o, p, q, r, s, t] = target;
        Ok(Self {
            operation,
            sender_mac: MacAddr([a, b, c, d, e, f]),
            sender_ip: Ipv4Addr::new(g, h, i, j),
            target_mac: MacAddr([k, l, m, n, o, p]),
            target_ip: Ipv4Addr::new(q, r, s, t),
        })
    }

    /// The 28 bytes of the packet.
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; PACKET_LEN] {
        let [t0, t1, t2, t3, t4, t5] = ETHERNET_IPV4;
        let [a, b, c, d, e, f] = self.sender_mac.0;
        let [g, h, i, j] = self.sender_ip.octets();
        let [k, l, m, n, o, p] = self.target_mac.0;
        let [q, r, s, t] = self.target_ip.octets();
        let operation = self.operation as u8;
        [t0, t1, t2, t3, t4, t5, 0, operation, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t]
    }

    /// Writes the packet to the start of `out` and returns its length, 28.
    ///
    /// # Errors
    ///
    /// [`Reason::BufferTooSmall`] below 28 bytes; nothing is written then.
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, WireError> {
        super::put_header(out, self.to_bytes(), Layer::Arp)
    }

    /// The reply that tells `mac` to whoever sent this request (RFC 826, packet reception).
    #[must_use]
    pub const fn reply(&self, mac: MacAddr) -> Self {
        Self {
            operation: Operation::Reply,
            sender_mac: mac,
            sender_ip: self.target_ip,
            target_mac: self.sender_mac,
            target_ip: self.sender_ip,
        }
    }

    /// Whether it only asks if an address is taken (RFC 5227 section 1.1): there is no sender to learn.
    #[must_use]
    pub const fn is_probe(&self) -> bool {
        matches!(self.operation, Operation::Request) && self.sender_ip.is_unspecified()
    }

    /// Whether it announces its sender, as request or reply, and asks for nobody else ("gratuitous").
    #[must_use]
    pub const fn is_gratuitous(&self) -> bool {
        self.sender_ip.to_bits() == self.target_ip.to_bits() && !self.sender_ip.is_unspecified()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: Packet = Packet {
        operation: Operation::Request,
        sender_mac: MacAddr([2, 0, 0, 0, 0, 1]),
        sender_ip: Ipv4Addr::new(10, 0, 0, 1),
        target_mac: MacAddr::ZERO,
        target_ip: Ipv4Addr::new(10, 0, 0, 2),
    };
    const BYTES: [u8; 28] = [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2];

    #[test]
    fn writes_every_byte_and_reads_it_back() {
        let mut out = [0xa5; 30];
        assert_eq!(REQUEST.emit(&mut out), Ok(28));
        assert_eq!(out[..28], BYTES);
        assert_eq!(out[28..], [0xa5; 2]);
        assert_eq!(Packet::parse(&out), Ok(REQUEST));
        let reply = REQUEST.reply(MacAddr([2, 0, 0, 0, 0, 2]));
        assert_eq!(reply.emit(&mut out), Ok(28));
        assert_eq!(out[6..28], [0, 2, 2, 0, 0, 0, 0, 2, 10, 0, 0, 2, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1]);
        assert_eq!(Packet::parse(&out), Ok(reply));
    }

    #[test]
    fn names_every_truncation_and_writes_nothing_into_too_little() {
        for len in 0..28 {
            assert_eq!(Packet::parse(&BYTES[..len]), Err(WireError::truncated(Layer::Arp, 0, 28)));
            let mut out = [0xa5; 28];
            let error = REQUEST.emit(&mut out[..len]).unwrap_err();
            assert_eq!((error.layer, error.reason, error.needed), (Layer::Arp, Reason::BufferTooSmall, 28));
            assert_eq!(out, [0xa5; 28]);
        }
    }

    #[test]
    fn refuses_what_is_not_ethernet_and_ipv4() {
        for offset in 0..6 {
            let mut bytes = BYTES;
            bytes[offset] ^= 0x10;
            let offset = u32::try_from(offset).unwrap();
            assert_eq!(Packet::parse(&bytes), Err(WireError::new(Layer::Arp, Reason::NotEthernetIpv4, offset)));
        }
        for operation in [0_u16, 3, 8, 0x0100, 0x0101] {
            let mut bytes = BYTES;
            bytes[6..8].copy_from_slice(&operation.to_be_bytes());
            assert_eq!(Packet::parse(&bytes), Err(WireError::new(Layer::Arp, Reason::UnknownOperation, 6)));
        }
    }

    #[test]
    fn tells_probes_and_announcements() {
        let probe = Packet { sender_ip: Ipv4Addr::UNSPECIFIED, ..REQUEST };
        assert!(probe.is_probe() && !probe.is_gratuitous());
        assert!(!REQUEST.is_probe() && !REQUEST.is_gratuitous());
        let announcement = Packet { target_ip: REQUEST.sender_ip, ..REQUEST };
        assert!(announcement.is_gratuitous() && !announcement.is_probe());
        assert!(Packet { operation: Operation::Reply, ..announcement }.is_gratuitous());
        assert!(!Packet { operation: Operation::Reply, ..probe }.is_probe());
        assert!(!Packet { target_ip: Ipv4Addr::UNSPECIFIED, ..probe }.is_gratuitous());
    }
}
