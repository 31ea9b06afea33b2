//! Writing one packet's header.

use super::plain::{self, plain_len};
use super::stack::{self, Ipv4, Ipv6, Stack};
use super::{DF_SET, Depth, FLOW_LABEL, Payload, PerPacket, Shape, Template, UDP, UDP_CHECKSUM, ip_layer};
use crate::wire::checksum::Sum;
use crate::wire::geneve::{self, MAX_OPTIONS_LEN, Options};
use crate::wire::{Encapsulation, EtherType, Layer, Reason, Vni, WireError, gpe, vxlan};

/// Bytes of UDP and the fixed tunnel header.
const UDP_AND_TUNNEL: u16 = 16;
/// Bytes of the IPv4 header, which its total length counts.
const IPV4: u16 = 20;

impl Template {
    /// Writes the header of one packet into the end of `headroom` and returns its length in bytes.
    ///
    /// The header ends where `headroom` ends, so that a frame behind it in the same buffer follows
    /// directly; the bytes before the header are left alone. Cost: about ten stores, and one pass over the
    /// payload if the UDP checksum is on and written here. The usual cases are inlined into the caller,
    /// some kilobytes of code: have one place that calls this.
    ///
    /// # Errors
    ///
    /// Nothing is written then.
    ///
    /// * [`Reason::BufferTooSmall`] where `headroom` is shorter than [`Template::header_len`].
    /// * [`Reason::Unrepresentable`] for [`Depth::Ethernet`] without a link header; for a payload that
    ///   makes the datagram longer than its 16-bit length fields say; for a protocol that the tunnel
    ///   header has no place for; for options elsewhere than in Geneve, or longer than 252 bytes.
    /// * [`Reason::OptionHeaderTruncated`], [`Reason::OptionTooLong`] where the option area is not a
    ///   sequence of options; `offset` counts from its start.
    #[inline(always)]
    pub fn write(
        &self,
        depth: Depth,
        packet: &PerPacket<'_>,
        headroom: &mut [u8],
        payload: Payload<'_>,
    ) -> Result<usize, WireError> {
        // Three common cases are inlined, and everything else is a call: a packet's parameters then stay in
        // registers, and the common cases need not save any.
        if let Some(len) = self.write_plain(depth, packet, headroom, payload.len()) {
            return Ok(len);
        }
        if self.switches & (UDP_CHECKSUM | FLOW_LABEL) | packet.flags.bits() == 0 {
            if packet.options.is_empty() {
                if packet.protocol == EtherType::ETHERNET {
                    let tunnel = plain_tunnel(self.encap, packet.vni);
                    return self.put::<true>(depth, packet, tunnel, headroom, payload);
                }
            } else if self.encap == Encapsulation::Geneve && packet.options.len() <= stack::SHORT {
                return match geneve_tunnel(packet) {
                    Ok(tunnel) => self.put::<true>(depth, packet, tunnel, headroom, payload),
                    Err(error) => Err(error),
                };
            }
        }
        self.write_any(depth, *packet, headroom, payload.head, payload.rest)
    }

    /// [`Template::write`] of a [plain](super::plain) header; `None`, and nothing written, for others and what it refuses.
    #[inline(always)]
    fn write_plain(&self, depth: Depth, packet: &PerPacket<'_>, headroom: &mut [u8], len: usize) -> Option<usize> {
        let plain = depth == Depth::Ethernet
            && self.is_plain()
            && packet.flags.is_empty()
            && packet.options.is_empty()
            && packet.protocol == EtherType::ETHERNET
            && packet.ttl == self.ttl
            && packet.df == (self.df & DF_SET != 0);
        if !plain {
            return None;
        }
        let header = self.begin_plain(plain_len(len)?, packet.tos, headroom.last_chunk_mut()?);
        header.finish(packet.ident, packet.src_port, packet.vni);
        Some(plain::LEN)
    }

    #[inline(never)]
    fn write_any(
        &self,
        depth: Depth,
        packet: PerPacket<'_>,
        headroom: &mut [u8],
        head: &[u8],
        rest: &[u8],
    ) -> Result<usize, WireError> {
        let tunnel = match self.encap {
            Encapsulation::Vxlan => vxlan_tunnel(&packet)?,
            Encapsulation::Gpe => gpe_tunnel(&packet)?,
            Encapsulation::Geneve => geneve_tunnel(&packet)?,
        };
        self.put::<false>(depth, &packet, tunnel, headroom, Payload { head, rest })
    }

    /// Writes everything before and behind the tunnel header `tunnel`, and that.
    ///
    /// With `FAST`, the UDP checksum and the flow label are off and the options are short.
    #[inline(always)]
    fn put<const FAST: bool>(
        &self,
        depth: Depth,
        packet: &PerPacket<'_>,
        tunnel: u64,
        headroom: &mut [u8],
        payload: Payload<'_>,
    ) -> Result<usize, WireError> {
        let mut fields = Fields { packet, tunnel, payload_len: payload.len(), checksum: 0 };
        if !FAST && self.switches & UDP_CHECKSUM != 0 && depth != Depth::Tunnel {
            fields.checksum = self.udp_checksum(fields, payload);
        }
        let written = match (depth, self.shape) {
            (Depth::Ethernet, Shape::V4Ethernet) => self.put_v4::<FAST, 14, 16>(self.link, fields, headroom),
            (Depth::Ethernet, Shape::V6Ethernet) => self.put_v6::<FAST, 14, 16>(self.link, fields, headroom),
            (Depth::Ethernet, Shape::V4Tagged) => self.put_v4::<FAST, 18, 18>(self.tagged(), fields, headroom),
            (Depth::Ethernet, Shape::V6Tagged) => self.put_v6::<FAST, 18, 18>(self.tagged(), fields, headroom),
            (Depth::Ethernet, Shape::V4 | Shape::V6) => {
                return Err(WireError::new(Layer::Ethernet, Reason::Unrepresentable, 0));
            }
            (Depth::Ip, Shape::V4 | Shape::V4Ethernet | Shape::V4Tagged) => {
                self.put_v4::<FAST, 0, 0>([], fields, headroom)
            }
            (Depth::Ip, Shape::V6 | Shape::V6Ethernet | Shape::V6Tagged) => {
                self.put_v6::<FAST, 0, 0>([], fields, headroom)
            }
            (Depth::Tunnel, _) => self.put_tunnel::<FAST>(fields, headroom),
        };
        written.map_err(|reason| self.refused(reason, depth, packet.options.len()))
    }

    #[inline(always)]
    fn put_v4<const FAST: bool, const L: usize, const W: usize>(
        &self,
        link: [u8; W],
        fields: Fields<'_>,
        headroom: &mut [u8],
    ) -> Result<usize, Reason> {
        let packet = fields.packet;
        let udp_len = fields.udp_len(IPV4)?;
        let total_len = udp_len.wrapping_add(IPV4);
        let df = u16::from(packet.df) << 14;
        let first = 0x45 << 56
            | u64::from(packet.tos) << 48
            | u64::from(total_len) << 32
            | u64::from(packet.ident) << 16
            | u64::from(df);
        // Eight numbers of 16 bits: 32 hold every carry, and the rotation brings them back in at the low end.
        let sum = u32::from(self.udp_sum)
            .wrapping_add(u32::from(!self.dst_port))
            .wrapping_add(0x4500)
            .wrapping_add(u32::from(packet.tos))
            .wrapping_add(u32::from(total_len))
            .wrapping_add(u32::from(packet.ident))
            .wrapping_add(u32::from(df))
            .wrapping_add(u32::from(packet.ttl) << 8);
        let checksum = !((sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16);
        let addresses = self.tail().addresses;
        let ip = Ipv4 { first: first.into(), ttl: packet.ttl, protocol: UDP, checksum: checksum.into(), addresses };
        let headers = Stack { ip, udp: self.udp(fields, udp_len).into(), tunnel: fields.tunnel.into() };
        stack::put::<FAST, L, W, _>(link, headers, packet.options, headroom)
    }

    #[inline(always)]
    fn put_v6<const FAST: bool, const L: usize, const W: usize>(
        &self,
        link: [u8; W],
        fields: Fields<'_>,
        headroom: &mut [u8],
    ) -> Result<usize, Reason> {
        let packet = fields.packet;
        let udp_len = fields.udp_len(0)?;
        let label = if FAST || self.switches & FLOW_LABEL == 0 { 0 } else { packet.src_port };
        let first = 6 << 60
            | u64::from(packet.tos) << 52
            | u64::from(label) << 32
            | u64::from(udp_len) << 16
            | u64::from(UDP) << 8
            | u64::from(packet.ttl);
        let ip = Ipv6 { first: first.into(), addresses: self.ip };
        let headers = Stack { ip, udp: self.udp(fields, udp_len).into(), tunnel: fields.tunnel.into() };
        stack::put::<FAST, L, W, _>(link, headers, packet.options, headroom)
    }

    #[inline(always)]
    fn put_tunnel<const FAST: bool>(&self, fields: Fields<'_>, headroom: &mut [u8]) -> Result<usize, Reason> {
        fields.udp_len(if self.is_ipv6() { 0 } else { IPV4 })?;
        stack::put::<FAST, 0, 0, _>([], fields.tunnel.to_be_bytes(), fields.packet.options, headroom)
    }

    #[inline(always)]
    fn udp(&self, fields: Fields<'_>, len: u16) -> u64 {
        u64::from(fields.packet.src_port) << 48
            | u64::from(self.dst_port) << 32
            | u64::from(len) << 16
            | u64::from(fields.checksum)
    }

    fn udp_checksum(&self, fields: Fields<'_>, payload: Payload<'_>) -> u16 {
        let packet = fields.packet;
        // Too long is refused later, whatever its checksum.
        let Ok(len) = fields.udp_len(0) else { return 0 };
        // The length counts twice: in the pseudo-header and in the header.
        let sum = Sum::from_folded(self.udp_sum).add_u16(packet.src_port).add_u16(len).add_u16(len);
        let mut sum = sum.add_u64(fields.tunnel);
        for piece in [packet.options, payload.head] {
            if !piece.is_empty() {
                sum = sum.add_bytes(piece);
            }
        }
        sum.add_bytes(payload.rest).finish_udp()
    }

    /// The 18 bytes of a link header with a tag.
    #[inline(always)]
    fn tagged(&self) -> [u8; 18] {
        let mut tagged = [0; 18];
        if let Some((link, ethertype)) = tagged.split_first_chunk_mut() {
            *link = self.link;
            ethertype.copy_from_slice(&self.ethertype().0.to_be_bytes());
        }
        tagged
    }

    #[cold]
    fn refused(&self, reason: Reason, depth: Depth, options_len: usize) -> WireError {
        if reason != Reason::BufferTooSmall {
            return WireError::new(ip_layer(self.is_ipv6()), reason, 0);
        }
        let layer = match depth {
            Depth::Ethernet => Layer::Ethernet,
            Depth::Ip => ip_layer(self.is_ipv6()),
            Depth::Tunnel => tunnel_layer(self.encap),
        };
        crate::wire::too_small(layer, self.header_len(depth, options_len))
    }
}

/// What is known of a packet before its headers are put together.
#[derive(Clone, Copy)]
struct Fields<'a> {
    packet: &'a PerPacket<'a>,
    /// The eight bytes of the tunnel header.
    tunnel: u64,
    payload_len: usize,
    /// UDP's, 0 for none.
    checksum: u16,
}

impl Fields<'_> {
    /// UDP's length field, if that and an IP length that counts `ip_len` bytes more fit 16 bits.
    #[inline(always)]
    fn udp_len(&self, ip_len: u16) -> Result<u16, Reason> {
        let fixed = self.packet.options.len().wrapping_add(usize::from(UDP_AND_TUNNEL));
        let longest = usize::from(u16::MAX.wrapping_sub(ip_len)).wrapping_sub(fixed);
        if self.payload_len > longest {
            return Err(Reason::Unrepresentable);
        }
        u16::try_from(self.payload_len.wrapping_add(fixed)).map_err(|_| Reason::Unrepresentable)
    }
}

/// The tunnel header of an Ethernet frame, without flags or options.
#[inline(always)]
pub(super) const fn plain_tunnel(encap: Encapsulation, vni: Vni) -> u64 {
    let word: u64 = match encap {
        Encapsulation::Vxlan => 0x08 << 56,
        Encapsulation::Gpe => 0x0c << 56 | (gpe::next_protocol::ETHERNET as u64) << 32,
        Encapsulation::Geneve => (EtherType::ETHERNET.0 as u64) << 32,
    };
    word | (vni.get() as u64) << 8
}

fn vxlan_tunnel(packet: &PerPacket<'_>) -> Result<u64, WireError> {
    if packet.protocol != EtherType::ETHERNET || !packet.options.is_empty() {
        return Err(unrepresentable(Encapsulation::Vxlan));
    }
    let header = vxlan::Header { vni: packet.vni, flags: packet.flags, policy: packet.policy };
    Ok(u64::from_be_bytes(header.to_bytes()))
}

fn gpe_tunnel(packet: &PerPacket<'_>) -> Result<u64, WireError> {
    match gpe::Header::new(packet.vni, packet.protocol) {
        Some(header) if packet.options.is_empty() => {
            let header = gpe::Header { flags: header.flags.union(packet.flags), ..header };
            Ok(u64::from_be_bytes(header.to_bytes()))
        }
        _ => Err(unrepresentable(Encapsulation::Gpe)),
    }
}

/// Geneve's header; walks the options once, for C and to see that they are options.
#[inline(always)]
fn geneve_tunnel(packet: &PerPacket<'_>) -> Result<u64, WireError> {
    if packet.options.len() > MAX_OPTIONS_LEN {
        return Err(unrepresentable(Encapsulation::Geneve));
    }
    let mut critical = false;
    for option in Options::new(packet.options) {
        critical |= match option {
            Ok(option) => option.critical(),
            Err(error) => return Err(error),
        };
    }
    let header = geneve::Header { vni: packet.vni, flags: packet.flags, protocol: packet.protocol, options_len: 0 };
    Ok(u64::from_be_bytes(header.fixed(packet.options.len(), critical)))
}

#[cold]
const fn unrepresentable(encap: Encapsulation) -> WireError {
    WireError::new(tunnel_layer(encap), Reason::Unrepresentable, 0)
}

const fn tunnel_layer(encap: Encapsulation) -> Layer {
    match encap {
        Encapsulation::Vxlan => Layer::Vxlan,
        Encapsulation::Gpe => Layer::Gpe,
        Encapsulation::Geneve => Layer::Geneve,
    }
}
