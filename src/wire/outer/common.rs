//! The shape that nearly every packet of a tunnel has, read with one look at its length: Ethernet without tags, IPv4
//! without options, UDP, and VXLAN or Geneve.
//!
//! What is read here is what the general path would have read. Everything else, sound or not, is `None` and its
//! business: there alone an error gets its name.

use core::net::{IpAddr, Ipv4Addr};

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::headers::Ip;
use super::{Checks, Checksums, Outer, Reserved, Tunnel, TunnelPorts, UdpChecksum, verify};
use crate::wire::{Encapsulation, EtherType, Span, TunnelFlags, Vni, ethernet, geneve, ipv4, udp, vxlan};

/// The headers of this shape, without options; 50 bytes.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Stack {
    ethernet: ethernet::Header,
    ip: ipv4::Header,
    udp: udp::Header,
    tunnel: [u8; 8],
}

/// Bytes of [`Stack`]: where options start, and the inner frame where there are none.
const STACK: u32 = 50;

/// What such a packet says, in numbers that stay in registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Common<'a> {
    /// Source address.
    pub(crate) src: Ipv4Addr,
    /// Destination address.
    pub(crate) dst: Ipv4Addr,
    pub(crate) src_port: u16,
    pub(crate) dst_port: u16,
    pub(crate) tos: u8,
    pub(crate) ttl: u8,
    /// Of UDP.
    pub(crate) checksum: UdpChecksum,
    /// VXLAN or Geneve.
    pub(crate) encap: Encapsulation,
    pub(crate) flags: TunnelFlags,
    /// As [`Tunnel::policy`].
    pub(crate) policy: u16,
    /// As [`Tunnel::protocol`].
    pub(crate) protocol: EtherType,
    pub(crate) vni: Vni,
    /// The tunnel header without options.
    pub(crate) header: &'a [u8],
    /// Geneve's options, 0 to 252 bytes; they fit, and nobody has looked at them.
    pub(crate) options: &'a [u8],
    /// What the tunnel carries: the rest of the UDP datagram.
    pub(crate) inner: &'a [u8],
}

impl<'a> Common<'a> {
    /// Reads a frame of this shape; `None` for a frame of another, and for one with an error.
    #[inline(always)]
    pub(crate) fn parse(frame: &'a [u8], ports: &TunnelPorts, checks: &Checks) -> Option<Self> {
        let Ok((Stack { ethernet, ip, udp, tunnel }, rest)) = Stack::ref_from_prefix(frame) else { return None };
        let of_this_shape = ethernet.ethertype() == EtherType::IPV4
            && ip.version() == 4
            && usize::from(ip.header_len()) == ipv4::HEADER_LEN
            && ip.protocol() == udp::PROTOCOL
            && !ip.is_fragment();
        if !of_this_shape || checks.ip_checksum == Checksums::Verify && !ip.checksum_ok() {
            return None;
        }
        // What IP says is there behind the tunnel header, and of that what UDP says. A length that does not reach so
        // far wraps to one that no slice has.
        let in_udp = usize::from(udp.len()).wrapping_sub(16);
        let content = rest.get(..usize::from(ip.total_len()).wrapping_sub(36))?.get(..in_udp)?;
        let encap = ports.get(udp.dst_port())?;
        let (flags, policy, protocol, vni, options, inner) = match encap {
            Encapsulation::Vxlan => {
                let vxlan::Header { vni, flags, policy } = vxlan::Header::parse(tunnel).ok()?;
                if checks.reserved == Reserved::Strict {
                    vxlan::check_reserved(tunnel, checks.gbp).ok()?;
                }
                let (flags, policy) = if checks.gbp { (flags, policy) } else { (TunnelFlags::I, 0) };
                (flags, policy, EtherType::ETHERNET, vni, &[][..], content)
            }
            Encapsulation::Geneve => {
                let geneve::Header { vni, flags, protocol, options_len } = geneve::Header::read(tunnel).ok()?;
                let (options, inner) = content.split_at_checked(usize::from(options_len))?;
                (flags, 0, protocol, vni, options, inner)
            }
            Encapsulation::Gpe => return None,
        };
        let checksum = match udp.checksum() {
            0 => UdpChecksum::Zero,
            _ if checks.udp_checksum == Checksums::Trust => UdpChecksum::Unverified,
            _ => verify(udp, frame.get(42..)?.get(..in_udp.wrapping_add(8))?, Ip::V4(ip), checks.superframes)?,
        };
        Some(Self {
            src: ip.src(),
            dst: ip.dst(),
            src_port: udp.src_port(),
            dst_port: udp.dst_port(),
            tos: ip.tos(),
            ttl: ip.ttl(),
            checksum,
            encap,
            flags,
            policy,
            protocol,
            vni,
            header: tunnel,
            options,
            inner,
        })
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
        let start = STACK.wrapping_add(u32::from(self.options_len()));
        Span::new(start, u32::try_from(self.inner.len()).unwrap_or(u32::MAX))
    }

    /// The summary of all shapes.
    #[inline(always)]
    pub(super) fn outer(&self) -> Outer {
        let options_len = u32::from(self.options_len());
        let tunnel = Tunnel {
            encap: self.encap,
            flags: self.flags,
            next_protocol: 0,
            policy: self.policy,
            protocol: self.protocol,
            vni: self.vni,
            header: Span::new(STACK.wrapping_sub(8), options_len.wrapping_add(8)),
            options: Span::new(STACK, options_len),
            inner: self.inner_span(),
        };
        Outer {
            src: IpAddr::V4(self.src),
            dst: IpAddr::V4(self.dst),
            src_port: self.src_port,
            dst_port: self.dst_port,
            tos: self.tos,
            ttl: self.ttl,
            tags: 0,
            vlan: None,
            checksum: self.checksum,
            tunnel,
        }
    }
}
