//! The prebuilt outer header of a tunnel endpoint.
//!
//! One [`Template`] per endpoint, not per VNI: it holds what all packets to that endpoint share, and the
//! ones-complement sums of it. [`Template::write`] adds what a packet has of its own (VNI, options,
//! lengths, checksums, source port, IPv4 identification, TTL, TOS, DF) while it stores the header into the
//! headroom in front of the frame. Fields are put together in registers and stored once; nothing is read
//! back, so no checksum waits for a store.
//!
//! ```text
//! +----------+-----+----------+-----+--------+---------+-------
//! | Ethernet | tag | IPv4/v6  | UDP | tunnel | options | frame
//! +----------+-----+----------+-----+--------+---------+-------
//!  14          4     20 / 40    8     8        0..252
//! ^ Depth::Ethernet ^ Depth::Ip      ^ Depth::Tunnel
//! ```

mod config;
mod overhead;
mod packet;
pub(crate) mod plain;
pub(crate) mod series;
mod stack;
#[cfg(test)]
mod tests;
pub(crate) mod untagged;
mod write;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::checksum::Sum;
use super::ecn::{self, Ecn};
use super::geneve::MAX_OPTIONS_LEN;
use super::vlan::Tag;
use super::{Encapsulation, EtherType, Layer, MacAddr, Reason, WireError};

pub use config::{Df, Link, TemplateConfig, Tos, Ttl};
pub use overhead::{max_inner_mtu, max_payload, min_underlay_mtu, overhead};
pub use packet::{Depth, Payload, PerPacket, Sent};

/// The longest header that [`Template::write`] writes: tagged Ethernet, IPv6, UDP, Geneve and 252 bytes of
/// options; 326 bytes.
pub const MAX_HEADER_LEN: usize = overhead(Encapsulation::Geneve, true, true, true, MAX_OPTIONS_LEN);

const UDP: u8 = 17;

/// The outer header of one tunnel endpoint, ready but for what differs between packets; one cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C, align(64))]
pub struct Template {
    /// Addresses and EtherType as sent, or addresses and tag: the EtherType behind a tag is the IP header's.
    link: [u8; 16],
    /// For IPv6, source and destination as sent; for IPv4, a [`plain::Tail`].
    ip: [u8; 32],
    /// The outer TOS but for what is inherited: a byte for each inner ECN field, that of Not-ECT lowest.
    tos: u32,
    /// The folded sum of the IPv4 header as far as the template knows it, TTL and DF included, in front of an empty frame.
    ip_sum: u16,
    /// The folded sum of the pseudo-header's addresses and protocol and of the destination port.
    udp_sum: u16,
    dst_port: u16,
    shape: Shape,
    encap: Encapsulation,
    /// What is not as in a [plain](plain) header.
    switches: u8,
    /// 0 for inherited.
    ttl: u8,
    /// The bits of the inner TOS that are inherited: those of the DSCP, or none.
    inherited_tos: u8,
    /// [`DF_SET`], [`DF_INHERIT`] or neither, and in the upper bits what no header shows: the ECN field of a fixed TOS.
    df: u8,
}

/// Which headers stand before UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
enum Shape {
    V4 = 0,
    V4Ethernet = 1,
    V4Tagged = 2,
    V6 = 3,
    V6Ethernet = 4,
    V6Tagged = 5,
}

/// [`Template::switches`]: compute the UDP checksum.
const UDP_CHECKSUM: u8 = 1 << 0;
/// [`Template::switches`]: the IPv6 flow label follows the source port.
const FLOW_LABEL: u8 = 1 << 1;
/// [`Template::switches`]: TTL or DF are inherited.
const INHERITED: u8 = 1 << 2;
/// [`Template::switches`]: the shape is another one than [`Shape::V4Ethernet`].
const OTHER_SHAPE: u8 = 1 << 3;
/// [`Template::df`]: the bit is set.
const DF_SET: u8 = 1 << 0;
/// [`Template::df`]: the bit is the inner one.
const DF_INHERIT: u8 = 1 << 1;
/// [`Template::df`]: the low two bits of a fixed TOS start here.
const TOS_REST: u8 = 6;

impl Template {
    /// Builds the header for `config`.
    ///
    /// # Errors
    ///
    /// [`Reason::FamilyMismatch`] for addresses of two families, [`Reason::Unrepresentable`] for a fixed
    /// TTL of 0.
    pub fn new(config: &TemplateConfig) -> Result<Self, WireError> {
        let v6 = config.src.is_ipv6();
        let ttl = match config.ttl {
            Ttl::Fixed(0) => return Err(WireError::new(ip_layer(v6), Reason::Unrepresentable, 0)),
            Ttl::Fixed(ttl) => ttl,
            Ttl::Inherit => 0,
        };
        let df = match config.df {
            Df::Set => DF_SET,
            Df::Unset => 0,
            Df::Inherit => DF_INHERIT,
        };
        let (ip, ip_sum, pseudo) = match (config.src, config.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let tail = plain::Tail::new(config, [src, dst], ttl, df == DF_SET);
                (zerocopy::transmute!(tail), tail.ip_sum(), Sum::pseudo_v4(src, dst, UDP, 0))
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                (zerocopy::transmute!([src.octets(), dst.octets()]), 0, Sum::pseudo_v6(src, dst, UDP, 0))
            }
            (src, _) => return Err(WireError::new(ip_layer(src.is_ipv6()), Reason::FamilyMismatch, 0)),
        };
        let (tos, inherited_tos) = match config.tos {
            Tos::Fixed(tos) => (tos, 0),
            Tos::Inherit => (0, 0xfc),
        };
        let outer_tos = Ecn::ALL.map(|inner| ecn::encapsulate(inner, config.ecn).in_tos(tos));
        let mut template = Self {
            link: [0; 16],
            ip,
            tos: u32::from_le_bytes(outer_tos),
            ip_sum,
            udp_sum: pseudo.add_u16(config.dst_port).fold(),
            dst_port: config.dst_port,
            shape: if v6 { Shape::V6 } else { Shape::V4 },
            encap: config.encap,
            switches: if config.udp_checksum { UDP_CHECKSUM } else { 0 }
                | if config.flow_label { FLOW_LABEL } else { 0 }
                | if ttl == 0 || df == DF_INHERIT { INHERITED } else { 0 },
            ttl,
            inherited_tos,
            df: df | tos << TOS_REST,
        };
        template.set_link(config.link);
        Ok(template)
    }

    /// The length in bytes of the header that [`Template::write`] writes at `depth`, with `options_len`
    /// bytes of options.
    #[inline]
    #[must_use]
    pub const fn header_len(&self, depth: Depth, options_len: usize) -> usize {
        let fixed: usize = match (depth, self.shape) {
            (Depth::Tunnel, _) => 8,
            (Depth::Ethernet, Shape::V4Ethernet) => 50,
            (Depth::Ethernet, Shape::V4Tagged) => 54,
            (Depth::Ethernet, Shape::V6Ethernet) => 70,
            (Depth::Ethernet, Shape::V6Tagged) => 74,
            (_, Shape::V4 | Shape::V4Ethernet | Shape::V4Tagged) => 36,
            (_, Shape::V6 | Shape::V6Ethernet | Shape::V6Tagged) => 56,
        };
        fixed.saturating_add(options_len)
    }

    /// The outer TOS, TTL and DF for a packet whose inner header has these.
    ///
    /// For an inner frame that is not IP hand in `(0, 0, false)`: DSCP 0, Not-ECT, [`Ttl::DEFAULT`] and a
    /// clear bit are what is inherited then. ECN is the template's mode applied to the low two bits of
    /// `inner_tos`, with a fixed DSCP as well (RFC 6040 section 4.1).
    #[inline(always)]
    #[must_use]
    pub const fn resolve(&self, inner_tos: u8, inner_ttl: u8, inner_df: bool) -> (u8, u8, bool) {
        let tos = self.outer_tos(inner_tos);
        let ttl = match (self.ttl, inner_ttl) {
            (0, 0) => Ttl::DEFAULT,
            (0, ttl) | (ttl, _) => ttl,
        };
        let df = (self.df & DF_SET) | (self.df >> 1 & inner_df as u8) != 0;
        (tos, ttl, df)
    }

    #[inline(always)]
    pub(crate) const fn outer_tos(&self, inner: u8) -> u8 {
        // Only the lowest five bits of what is shifted by count: eight times the inner ECN field.
        (self.tos.wrapping_shr((inner as u32) << 3) & 0xff) as u8 | inner & self.inherited_tos
    }

    /// What the owner of a UDP socket must know to send what was written at [`Depth::Tunnel`].
    #[must_use]
    pub fn sent(&self, packet: &PerPacket<'_>) -> Sent {
        Sent {
            src: self.src(),
            dst: self.dst(),
            src_port: packet.src_port,
            dst_port: self.dst_port,
            ttl: packet.ttl,
            tos: packet.tos,
            df: packet.df,
        }
    }

    /// The tunnel header this template writes.
    #[inline]
    #[must_use]
    pub const fn encapsulation(&self) -> Encapsulation {
        self.encap
    }

    /// Whether the underlay is IPv6.
    #[inline]
    #[must_use]
    pub const fn is_ipv6(&self) -> bool {
        matches!(self.shape, Shape::V6 | Shape::V6Ethernet | Shape::V6Tagged)
    }

    /// The outer source address.
    #[must_use]
    pub fn src(&self) -> IpAddr {
        self.addresses().0
    }

    /// The outer destination address.
    #[must_use]
    pub fn dst(&self) -> IpAddr {
        self.addresses().1
    }

    /// The UDP destination port.
    #[inline]
    #[must_use]
    pub const fn dst_port(&self) -> u16 {
        self.dst_port
    }

    /// The Ethernet header, if there is one.
    #[must_use]
    pub const fn link(&self) -> Option<Link> {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = self.link;
        let (dst, src) = (MacAddr([a, b, c, d, e, f]), MacAddr([g, h, i, j, k, l]));
        let tag = Tag { tpid: EtherType(u16::from_be_bytes([m, n])), tci: u16::from_be_bytes([o, p]) };
        match self.shape {
            Shape::V4 | Shape::V6 => None,
            Shape::V4Ethernet | Shape::V6Ethernet => Some(Link { dst, src, vlan: None }),
            Shape::V4Tagged | Shape::V6Tagged => Some(Link { dst, src, vlan: Some(tag) }),
        }
    }

    /// Replaces the Ethernet header: the next hop was resolved, or has another address now.
    pub const fn set_link(&mut self, link: Option<Link>) {
        let v6 = self.is_ipv6();
        self.shape = Shape::of(v6, link);
        self.link = link_bytes(link, self.ethertype());
        self.switches &= !OTHER_SHAPE;
        if !matches!(self.shape, Shape::V4Ethernet) {
            self.switches |= OTHER_SHAPE;
        }
    }

    /// The configuration from which [`Template::new`] makes this template again.
    #[must_use]
    pub fn config(&self) -> TemplateConfig {
        let (src, dst) = self.addresses();
        let [fixed, .., congested] = self.tos.to_le_bytes();
        TemplateConfig {
            encap: self.encap,
            link: self.link(),
            src,
            dst,
            dst_port: self.dst_port,
            ttl: if self.ttl == 0 { Ttl::Inherit } else { Ttl::Fixed(self.ttl) },
            tos: if self.inherited_tos == 0 { Tos::Fixed(fixed & 0xfc | self.df >> TOS_REST) } else { Tos::Inherit },
            df: match self.df & (DF_SET | DF_INHERIT) {
                0 => Df::Unset,
                DF_SET => Df::Set,
                _ => Df::Inherit,
            },
            udp_checksum: self.switches & UDP_CHECKSUM != 0,
            ecn: ecn::mode(Ecn::from_tos(congested)),
            flow_label: self.switches & FLOW_LABEL != 0,
        }
    }

    fn addresses(&self) -> (IpAddr, IpAddr) {
        if self.is_ipv6() {
            let [src, dst]: [[u8; 16]; 2] = zerocopy::transmute!(self.ip);
            (Ipv6Addr::from(src).into(), Ipv6Addr::from(dst).into())
        } else {
            let [src, dst]: [[u8; 4]; 2] = zerocopy::transmute!(self.tail().addresses);
            (Ipv4Addr::from(src).into(), Ipv4Addr::from(dst).into())
        }
    }

    const fn ethertype(&self) -> EtherType {
        if self.is_ipv6() { EtherType::IPV6 } else { EtherType::IPV4 }
    }
}

impl Shape {
    const fn of(v6: bool, link: Option<Link>) -> Self {
        match (v6, link) {
            (false, None) => Self::V4,
            (false, Some(Link { vlan: None, .. })) => Self::V4Ethernet,
            (false, Some(Link { vlan: Some(_), .. })) => Self::V4Tagged,
            (true, None) => Self::V6,
            (true, Some(Link { vlan: None, .. })) => Self::V6Ethernet,
            (true, Some(Link { vlan: Some(_), .. })) => Self::V6Tagged,
        }
    }
}

const fn link_bytes(link: Option<Link>, ethertype: EtherType) -> [u8; 16] {
    let Some(Link { dst, src, vlan }) = link else { return [0; 16] };
    let ([a, b, c, d, e, f], [g, h, i, j, k, l]) = (dst.0, src.0);
    let [m, n, o, p] = match vlan {
        None => {
            let [m, n] = ethertype.0.to_be_bytes();
            [m, n, 0, 0]
        }
        Some(tag) => tag.to_bytes(),
    };
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

const fn ip_layer(ipv6: bool) -> Layer {
    if ipv6 { Layer::Ipv6 } else { Layer::Ipv4 }
}
