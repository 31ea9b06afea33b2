//! The shape that nearly every packet of a tunnel has, read with one look at its length: Ethernet without tags, IPv4
//! without options, UDP, and VXLAN or Geneve.
//!
//! What is read here is what the general path would have read. Everything else, sound or not, is `None` and its
//! business: there alone an error gets its name.

use core::net::{IpAddr, Ipv4Addr};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::headers::Ip;
use super::{Checks, Checksums, Outer, Reserved, Tunnel, TunnelPorts, UdpChecksum, verify};
use crate::wire::inner_common::CommonInner;
use crate::wire::inner_walk::be64;
use crate::wire::{Encapsulation, EtherType, Span, TunnelFlags, Vni, ethernet, geneve, ipv4, udp, vxlan};

/// The headers of this shape, without options; 50 bytes.
#[derive(FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct Stack {
    ethernet: ethernet::Header,
    ip: ipv4::Header,
    udp: udp::Header,
    tunnel: [u8; 8],
}

impl Stack {
    /// Whether Ethernet and IP are what they have to be.
    #[inline(always)]
    fn has_shape(&self) -> bool {
        let Self { ethernet, ip, .. } = self;
        ethernet.ethertype() == EtherType::IPV4
            && ip.version() == 4
            && usize::from(ip.header_len()) == ipv4::HEADER_LEN
            && ip.protocol() == udp::PROTOCOL
            && !ip.is_fragment()
    }

    /// What IP says is there behind the tunnel header, and of that what UDP says.
    #[inline(always)]
    fn content<'a>(&self, rest: &'a [u8]) -> Option<&'a [u8]> {
        // A length that does not reach so far wraps to one that no slice has.
        let in_udp = usize::from(self.udp.len()).wrapping_sub(16);
        rest.get(..usize::from(self.ip.total_len()).wrapping_sub(36))?.get(..in_udp)
    }

    /// Whether both are the same but for the destination MAC and what differs from packet to packet.
    #[inline(always)]
    fn is_like(&self, other: &Self) -> bool {
        let (a, b): (&[u8; STACK as usize], &[u8; STACK as usize]) =
            (zerocopy::transmute_ref!(self), zerocopy::transmute_ref!(other));
        let differ = |at| be64(a, at) ^ be64(b, at);
        // Ethernet's type, version and TOS; flags, TTL and protocol; addresses; destination port; tunnel header.
        (differ(8) | differ(16) << 32 | differ(26) | differ(30) & 0xffff | differ(42)) == 0
    }
}

/// Bytes of [`Stack`]: where options start, and the inner frame where there are none.
pub(crate) const STACK: u32 = 50;

/// Such a packet down to UDP: sound, and with room for a tunnel header. Which one that is, its port says.
#[derive(Clone, Copy)]
pub(crate) struct Envelope<'a> {
    stack: &'a Stack,
    /// All of the frame.
    frame: &'a [u8],
    /// What follows the fixed tunnel header: the rest of the UDP datagram.
    content: &'a [u8],
}

/// What such a packet says. Most of it is read where it is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Common<'a> {
    stack: &'a Stack,
    /// Of UDP.
    pub(crate) checksum: UdpChecksum,
    /// VXLAN or Geneve.
    pub(crate) encap: Encapsulation,
    pub(crate) flags: TunnelFlags,
    /// As [`Tunnel::policy`].
    pub(crate) policy: u16,
    /// As [`Tunnel::protocol`].
    pub(crate) protocol: EtherType,
    /// Geneve's options, 0 to 252 bytes; they fit, and nobody has looked at them.
    pub(crate) options: &'a [u8],
    /// What the tunnel carries: the rest of the UDP datagram.
    pub(crate) inner: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Reads a frame of this shape; `None` for a frame of another, and for one with an error.
    #[inline(always)]
    pub(crate) fn parse(frame: &'a [u8], checks: &Checks) -> Option<Self> {
        let Ok((stack, rest)) = Stack::ref_from_prefix(frame) else { return None };
        if !stack.has_shape() || checks.ip_checksum == Checksums::Verify && !stack.ip.checksum_ok() {
            return None;
        }
        Some(Self { stack, frame, content: stack.content(rest)? })
    }

    /// Reads a tunnel header, and looks at UDP's checksum; `None` for errors, and for GPE.
    #[inline(always)]
    pub(crate) fn open(&self, encap: Encapsulation, checks: &Checks) -> Option<Common<'a>> {
        let Self { stack, frame, content } = *self;
        let Stack { ip, udp, tunnel, .. } = stack;
        let (flags, policy, protocol, options_len) = match encap {
            Encapsulation::Vxlan => {
                let (flags, policy) = vxlan::flags(tunnel)?;
                if checks.reserved == Reserved::Strict {
                    vxlan::check_reserved(tunnel, checks.gbp).ok()?;
                }
                let (flags, policy) = if checks.gbp { (flags, policy) } else { (TunnelFlags::I, 0) };
                (flags, policy, EtherType::ETHERNET, 0)
            }
            Encapsulation::Geneve => {
                let geneve::Header { flags, protocol, options_len, .. } = geneve::Header::read(tunnel).ok()?;
                (flags, 0, protocol, options_len)
            }
            Encapsulation::Gpe => return None,
        };
        let (options, inner) = content.split_at_checked(usize::from(options_len))?;
        let checksum = match udp.checksum() {
            0 => UdpChecksum::Zero,
            _ if checks.udp_checksum == Checksums::Trust => UdpChecksum::Unverified,
            _ => {
                let payload = frame.get(42..)?.get(..content.len().wrapping_add(8))?;
                verify(udp, payload, Ip::V4(ip), checks.superframes)?
            }
        };
        Some(Common { stack, checksum, encap, flags, policy, protocol, options, inner })
    }

    /// Source address.
    #[inline(always)]
    pub(crate) const fn src(&self) -> Ipv4Addr {
        self.stack.ip.src()
    }

    /// Destination address.
    #[inline(always)]
    pub(crate) const fn dst(&self) -> Ipv4Addr {
        self.stack.ip.dst()
    }

    /// UDP destination port.
    #[inline(always)]
    pub(crate) const fn dst_port(&self) -> u16 {
        self.stack.udp.dst_port()
    }

    /// The virtual network, which stands at the same place in all tunnel headers.
    #[inline(always)]
    pub(crate) const fn vni(&self) -> Vni {
        let [_, _, _, _, word @ ..] = &self.stack.tunnel;
        Vni::truncating(u32::from_be_bytes(*word) >> 8)
    }

    /// The outer TOS.
    #[inline(always)]
    pub(crate) const fn tos(&self) -> u8 {
        self.stack.ip.tos()
    }

    /// The tunnel header without options.
    #[inline(always)]
    pub(crate) const fn header(&self) -> &'a [u8] {
        &self.stack.tunnel
    }
}

/// The beginning of a sound packet of this shape, up to the ports of an inner frame that is of the [common](CommonInner) shape:
/// what the next packets of its train are compared with.
#[derive(Clone, Copy)]
pub(crate) struct Head<'a> {
    stack: &'a Stack,
    options: &'a [u8],
    inner: CommonInner<'a>,
}

impl<'a> Head<'a> {
    /// The longest, without options.
    pub(crate) const LEN: usize = STACK as usize + CommonInner::HEAD;

    /// Takes apart the beginning of a packet whose inner frame starts at `start`; `None` if one is not of its shape.
    #[inline(always)]
    pub(crate) fn of(bytes: &'a [u8], start: u32) -> Option<Self> {
        let (stack, rest) = Stack::ref_from_prefix(bytes).ok()?;
        let (options, inner) = rest.split_at_checked(start.wrapping_sub(STACK) as usize)?;
        let inner = CommonInner::parse(inner)?;
        stack.has_shape().then_some(Self { stack, options, inner })
    }

    /// The inner frame of a packet, if it is sound, and what its headers say is the same: if it differs only in the outer
    /// destination MAC, identification, source port, lengths, and checksums, and in what is behind the inner MACs, type and
    /// TOS. `None` where a UDP checksum would have to be verified.
    #[inline(always)]
    pub(crate) fn next<'b>(&self, frame: &'b [u8], checks: &Checks) -> Option<&'b [u8]> {
        let Ok((stack, rest)) = Stack::ref_from_prefix(frame) else { return None };
        let Stack { ip, udp, .. } = stack;
        let trusted = udp.checksum() == 0 || checks.udp_checksum == Checksums::Trust;
        if !stack.is_like(self.stack) || !trusted || checks.ip_checksum == Checksums::Verify && !ip.checksum_ok() {
            return None;
        }
        let (options, inner) = stack.content(rest)?.split_at_checked(self.options.len())?;
        let same_options = options.is_empty() || options == self.options;
        (self.inner.is_like(inner) && same_options).then_some(inner)
    }
}

impl<'a> Common<'a> {
    /// Reads a frame of this shape; `None` for a frame of another, and for one with an error.
    #[inline(always)]
    pub(crate) fn parse(frame: &'a [u8], ports: &TunnelPorts, checks: &Checks) -> Option<Self> {
        let envelope = Envelope::parse(frame, checks)?;
        envelope.open(ports.get(envelope.dst_port())?, checks)
    }

    /// Bytes of Geneve's options.
    #[inline(always)]
    pub(crate) fn options_len(&self) -> u8 {
        // Never more than 252.
        u8::try_from(self.options.len()).unwrap_or(0)
    }

    /// Where [`Common::inner`] is within the frame.
    #[inline(always)]
    pub(crate) fn inner_span(&self) -> Span {
        #[allow(clippy::cast_possible_truncation, reason = "UDP has at most 65,535 bytes")]
        let len = self.inner.len() as u32;
        Span::new(STACK.wrapping_add(u32::from(self.options_len())), len)
    }

    /// The summary of all shapes.
    #[inline(always)]
    pub(super) fn outer(&self) -> Outer {
        let (Self { stack, .. }, options_len) = (self, u32::from(self.options_len()));
        let envelope = Envelope { stack, frame: &[], content: &[] };
        let tunnel = Tunnel {
            encap: self.encap,
            flags: self.flags,
            next_protocol: 0,
            policy: self.policy,
            protocol: self.protocol,
            vni: envelope.vni(),
            header: Span::new(STACK.wrapping_sub(8), options_len.wrapping_add(8)),
            options: Span::new(STACK, options_len),
            inner: self.inner_span(),
        };
        Outer {
            src: IpAddr::V4(envelope.src()),
            dst: IpAddr::V4(envelope.dst()),
            src_port: stack.udp.src_port(),
            dst_port: envelope.dst_port(),
            tos: envelope.tos(),
            ttl: stack.ip.ttl(),
            tags: 0,
            vlan: None,
            checksum: self.checksum,
            tunnel,
        }
    }
}
