//! The frame that nearly every one is like, read with one look at its length: no tags, IPv4 without options.
//!
//! What is read here is what [`Inner`](super::Inner) would have said, where it is asked for.

use super::flow::v4_flow_hash;
use super::inner_walk::be64;
use super::{ethernet, ipv4};

/// The "more fragments" bit and the fragment offset.
const FRAGMENT: u16 = 0x3fff;
const DONT_FRAGMENT: u8 = 0x40;

/// Bytes of both headers.
const START: usize = ethernet::HEADER_LEN + ipv4::HEADER_LEN;

/// Such a frame.
#[derive(Clone, Copy)]
pub(crate) struct CommonInner<'a> {
    start: &'a [u8; START],
    /// What follows the IP header.
    rest: &'a [u8],
}

impl<'a> CommonInner<'a> {
    /// Bytes of it that say to which flow it belongs.
    pub(crate) const HEAD: usize = START + 4;

    /// Reads a frame of this shape; `None` for any other.
    #[inline(always)]
    pub(crate) fn parse(frame: &'a [u8]) -> Option<Self> {
        let (start, rest) = frame.split_first_chunk()?;
        // Type 0x0800, then version 4 with five words of header.
        let kind = be64(start, 8) >> 8 & 0xff_ffff;
        (kind == 0x08_0045).then_some(Self { start, rest })
    }

    /// The destination address, as [`Inner::dst_key`](super::Inner::dst_key).
    #[inline(always)]
    pub(crate) fn dst_key(&self) -> u64 {
        be64(self.start, 0) >> 16
    }

    /// The source address, as [`Inner::src_key`](super::Inner::src_key).
    #[inline(always)]
    pub(crate) fn src_key(&self) -> u64 {
        be64(self.start, 6) >> 16
    }

    /// The TOS.
    #[inline(always)]
    pub(crate) const fn tos(&self) -> u8 {
        self.start[15]
    }

    /// The TTL.
    #[inline(always)]
    pub(crate) const fn ttl(&self) -> u8 {
        self.start[22]
    }

    /// Whether routers may not fragment it.
    #[inline(always)]
    pub(crate) const fn df(&self) -> bool {
        self.start[20] & DONT_FRAGMENT != 0
    }

    /// Whether a frame is between the same stations, of this shape and has the same TOS.
    #[inline(always)]
    pub(crate) fn is_like(&self, frame: &[u8]) -> bool {
        let Some(start) = frame.first_chunk::<START>() else { return false };
        (be64(self.start, 0) ^ be64(start, 0)) | (be64(self.start, 8) ^ be64(start, 8)) == 0
    }

    /// Whether a frame of this shape has what is needed of the outer header, the TOS aside, from the same bytes.
    #[inline(always)]
    pub(crate) fn is_flow_of(&self, frame: &[u8]) -> bool {
        let (Some((start, rest)), Some(ports)) = (frame.split_first_chunk::<START>(), self.rest.first_chunk::<4>())
        else {
            return false;
        };
        // Flags and fragment offset, TTL, protocol; both addresses.
        let differ = be64(self.start, 26) ^ be64(start, 26) | (be64(self.start, 16) ^ be64(start, 16)) & 0xffff_ffff;
        differ == 0 && rest.first_chunk() == Some(ports)
    }

    /// As [`flow_hash`](super::flow_hash).
    #[inline(always)]
    pub(crate) fn flow_hash(&self, seed: u64) -> u32 {
        let is_fragment = u16::from_be_bytes([self.start[20], self.start[21]]) & FRAGMENT != 0;
        let ports = if is_fragment { None } else { self.rest.first_chunk() };
        v4_flow_hash(seed, be64(self.start, 26), self.start[23], ports.copied().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::super::{Inner, IpKind, flow_hash};
    use super::*;

    proptest! {
        #[test]
        fn says_what_the_summary_says(
            macs: [u8; 12],
            kind in prop::sample::select(&[[8, 0], [8, 0], [0x86, 0xdd], [0x81, 0]][..]),
            first in prop::sample::select(&[0x45, 0x45, 0x46, 0x65, 0x44][..]),
            header: [u8; 19],
            flags in prop::sample::select(&[0, 0x4000, 0x2000, 1, 0x6000, 0xc000][..]),
            protocol in prop::sample::select(&[6, 17, 33, 132, 136, 1, 44][..]),
            payload in prop::collection::vec(any::<u8>(), 0..8),
            seed: u64,
        ) {
            let mut header = header;
            header[5..7].copy_from_slice(&u16::to_be_bytes(flags));
            header[8] = protocol;
            let frame: Vec<u8> = [&macs[..], &kind, &[first], &header, &payload].concat();
            let inner = Inner::parse_ethernet(&frame);
            let Some(common) = CommonInner::parse(&frame) else {
                prop_assert!(kind != [8, 0] || first != 0x45);
                return Ok(());
            };
            let inner = inner.unwrap();
            prop_assert_eq!((inner.tags(), inner.ip(), inner.l3()), (0, IpKind::V4, 14));
            prop_assert_eq!((common.src_key(), common.dst_key()), (inner.src_key(), inner.dst_key()));
            prop_assert_eq!((common.tos(), common.ttl(), common.df()), (inner.tos(), inner.ttl(), inner.df()));
            prop_assert_eq!(common.flow_hash(seed), flow_hash(seed, &inner, &frame));
            for len in 0..34 {
                prop_assert!(CommonInner::parse(&frame[..len]).is_none());
            }
        }
    }
}
