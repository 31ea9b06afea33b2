//! How [`Inner`](super::Inner)'s words are laid out, and how they are filled where no straight line does it.

use super::{EtherType, IpKind, Layer, WireError, ethernet, ipv4, ipv6, vlan};

/// Tags followed; a fourth stays in the EtherType.
const MAX_TAGS: u64 = vlan::MAX_TAGS as u64;

// Bit positions in the link word, whose lowest 16 bits are the L3 offset.
pub(super) const TPID: u32 = 48;
pub(super) const TCI: u32 = 32;
pub(super) const ETHERTYPE: u32 = 16;

// Bit positions in the IP word. TOS stands where the first eight bytes of an IPv4 header have it.
pub(super) const KIND: u32 = 56;
pub(super) const TOS: u32 = 48;
pub(super) const L4: u32 = 32;
pub(super) const TTL: u32 = 24;
pub(super) const PROTOCOL: u32 = 16;
pub(super) const TAGS: u32 = 0;
pub(super) const FRAGMENT: u64 = 1 << 8;
pub(super) const DF: u64 = 1 << 9;

/// DF in the first eight bytes of an IPv4 header.
const IPV4_DF: u64 = 0x4000;
/// "More fragments" and the fragment offset in the first eight bytes of an IPv4 header.
const IPV4_FRAGMENT: u64 = 0x3fff;

/// What [`walk`] found. Not a `Result<Inner, _>`: that would be built in the caller's place for the
/// result, and so force the straight line's value into memory too.
#[repr(C)]
pub(super) struct Walked {
    pub(super) error: Option<WireError>,
    pub(super) ip: u64,
    pub(super) link: u64,
    pub(super) src: u64,
    pub(super) dst: u64,
}

impl Walked {
    const fn failed(error: WireError) -> Self {
        Self { error: Some(error), ip: 0, link: 0, src: 0, dst: 0 }
    }
}

/// Everything but untagged IPv4 without options.
#[inline(never)]
pub(super) fn walk(frame: &[u8]) -> Walked {
    let Some((start, mut rest)) = frame.split_first_chunk::<{ ethernet::HEADER_LEN }>() else {
        return Walked::failed(WireError::truncated(Layer::Inner, 0, 14));
    };
    let source = be64(start, 6);
    let mut ethertype = EtherType(pair(source, 0));
    let mut outermost = 0;
    let mut l3 = 14_u16;
    let mut tags = 0_u64;
    while ethertype.is_tag() && tags < MAX_TAGS {
        let Some(([a, b, c, d], after)) = rest.split_first_chunk::<4>() else {
            return Walked::failed(WireError::truncated(Layer::Vlan, u32::from(l3), 4));
        };
        if tags == 0 {
            outermost = u64::from(ethertype.0) << TPID | u64::from(u16::from_be_bytes([*a, *b])) << TCI;
        }
        ethertype = EtherType(u16::from_be_bytes([*c, *d]));
        tags = tags.wrapping_add(1);
        l3 = l3.wrapping_add(4);
        rest = after;
    }
    let ip = match ethertype {
        EtherType::IPV4 => ipv4_packet(rest, l3),
        EtherType::IPV6 => ipv6_packet(rest, l3),
        _ => 0,
    };
    Walked {
        error: None,
        ip: ip | tags,
        link: outermost | u64::from(ethertype.0) << ETHERTYPE | u64::from(l3),
        src: source >> 16,
        dst: be64(start, 0) >> 16,
    }
}

/// The IP word for a sound IPv4 header with these first eight bytes and these TTL and protocol.
#[inline]
pub(super) const fn ipv4_word(words: u64, ttl_protocol: [u8; 2], l4: u16) -> u64 {
    let ports = if words & IPV4_FRAGMENT == 0 { (l4 as u64) << L4 } else { FRAGMENT };
    (IpKind::V4 as u64) << KIND
        | words & 0xff << TOS
        | (u16::from_be_bytes(ttl_protocol) as u64) << PROTOCOL
        | (words & IPV4_DF) >> (IPV4_DF.ilog2().wrapping_sub(DF.ilog2()))
        | ports
}

/// The IP word for the IPv4 packet `packet`, which starts at byte `l3`.
#[inline]
pub(super) fn ipv4_packet(packet: &[u8], l3: u16) -> u64 {
    let Some(header) = packet.first_chunk::<{ ipv4::HEADER_LEN }>() else { return (IpKind::Short as u64) << KIND };
    let len = u16::from(header[0] & 0xf).wrapping_mul(4);
    if header[0] >> 4 != 4 || len < 20 || packet.len() < usize::from(len) {
        return (IpKind::Malformed as u64) << KIND;
    }
    ipv4_word(be64(header, 0), [header[8], header[9]], l3.wrapping_add(len))
}

/// The IP word for the IPv6 packet `packet`, which starts at byte `l3`.
#[inline]
pub(super) fn ipv6_packet(packet: &[u8], l3: u16) -> u64 {
    let Some((header, rest)) = packet.split_first_chunk::<{ ipv6::HEADER_LEN }>() else {
        return (IpKind::Short as u64) << KIND;
    };
    let words = be64(header, 0);
    if words >> 60 != 6 {
        return (IpKind::Malformed as u64) << KIND;
    }
    let mut end = Payload { protocol: header[6], l4: l3.wrapping_add(40), fragment: 0 };
    if ipv6::is_extension(end.protocol) {
        end = skip_extensions(end, rest);
    }
    (IpKind::V6 as u64) << KIND
        | (words >> 52 & 0xff) << TOS
        | u64::from(end.l4) << L4
        | u64::from(header[7]) << TTL
        | u64::from(end.protocol) << PROTOCOL
        | DF
        | end.fragment
}

/// What follows IPv6 headers, as far as they have been followed.
struct Payload {
    protocol: u8,
    l4: u16,
    /// [`FRAGMENT`] or 0.
    fragment: u64,
}

/// Moves past the extension headers at the start of `rest` (RFC 8200 section 4).
#[inline(never)]
fn skip_extensions(from: Payload, mut rest: &[u8]) -> Payload {
    let Payload { mut protocol, mut l4, .. } = from;
    for _ in 0..ipv6::MAX_EXTENSIONS {
        let Some(start) = rest.first_chunk::<4>() else { break };
        let len = ipv6::extension_len(protocol, start[1]);
        let Some(after) = rest.get(usize::from(len)..) else { break };
        let is_part = ipv6::is_part(protocol, u16::from_be_bytes([start[2], start[3]]));
        protocol = start[0];
        if is_part {
            return Payload { protocol, l4: 0, fragment: FRAGMENT };
        }
        // At most 26 + 40 + 8 * 2048 bytes: this cannot wrap.
        l4 = l4.wrapping_add(len);
        rest = after;
        if !ipv6::is_extension(protocol) {
            return Payload { protocol, l4, fragment: 0 };
        }
    }
    Payload { protocol, l4: 0, fragment: 0 }
}

/// Bits `at` to `at + 8` of `word`.
#[inline]
pub(super) const fn octet(word: u64, at: u32) -> u8 {
    (word >> at & 0xff) as u8
}

/// Bits `at` to `at + 16` of `word`.
#[inline]
pub(super) const fn pair(word: u64, at: u32) -> u16 {
    (word >> at & 0xffff) as u16
}

/// Eight bytes from `at`; 0 where they pass the end, which no caller lets happen.
#[inline]
pub(super) fn be64<const N: usize>(bytes: &[u8; N], at: usize) -> u64 {
    match bytes.get(at..).and_then(<[u8]>::first_chunk) {
        Some(word) => u64::from_be_bytes(*word),
        None => 0,
    }
}
