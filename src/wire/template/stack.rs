//! The stack of headers as one fixed-size value, stored whole.

use zerocopy::network_endian::{U16, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::wire::Reason;

/// The headers between the link header and the options; `I` is the IP header.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Stack<I> {
    pub(super) ip: I,
    /// Ports, length, checksum.
    pub(super) udp: U64,
    pub(super) tunnel: U64,
}

/// An IPv4 header without options, in the words it is put together in.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Ipv4 {
    /// Version, header length, TOS, total length, identification, flags, fragment offset.
    pub(super) first: U64,
    pub(super) ttl: u8,
    pub(super) protocol: u8,
    pub(super) checksum: U16,
    pub(super) addresses: [u8; 8],
}

/// An IPv6 header, in the words it is put together in.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Ipv6 {
    /// Version, traffic class, flow label, payload length, next header, hop limit.
    pub(super) first: U64,
    pub(super) addresses: [u8; 32],
}

/// The longest option area that is copied without a call.
pub(super) const SHORT: usize = 32;

/// Stores the first `L` bytes of `link`, `headers` and `options` one after the other at the end of
/// `headroom` and returns their length, or [`Reason::BufferTooSmall`] with nothing stored.
///
/// `W` may be more than `L`, for a store of a handier size: `headers` go over what is too much.
///
/// With `FAST`, `options` are no longer than [`SHORT`]: the caller has looked.
#[inline(always)]
pub(super) fn put<const FAST: bool, const L: usize, const W: usize, H>(
    link: [u8; W],
    headers: H,
    options: &[u8],
    headroom: &mut [u8],
) -> Result<usize, Reason>
where
    H: FromBytes + IntoBytes + Immutable + KnownLayout + Unaligned,
{
    const { assert!(L <= W && W <= L + size_of::<H>()) };
    let len = const { size_of::<H>() + L };
    let before_options = headroom.len().checked_sub(options.len()).ok_or(Reason::BufferTooSmall)?;
    let (front, area) = headroom.split_at_mut_checked(before_options).ok_or(Reason::BufferTooSmall)?;
    let start = front.len().checked_sub(len).ok_or(Reason::BufferTooSmall)?;
    let place = front.get_mut(start..).ok_or(Reason::BufferTooSmall)?;
    *place.first_chunk_mut().ok_or(Reason::BufferTooSmall)? = link;
    let (_, place) = H::mut_from_suffix(place).map_err(|_| Reason::BufferTooSmall)?;
    *place = headers;
    copy::<FAST>(area, options);
    Ok(len.wrapping_add(options.len()))
}

/// Copies `from` to `to`, which is as long: a short area as its first and last word, which may overlap.
#[inline(always)]
fn copy<const FAST: bool>(to: &mut [u8], from: &[u8]) {
    let done = from.is_empty() || ends::<16>(to, from) || ends::<8>(to, from) || ends::<4>(to, from);
    // `copy_from_slice` stops the program if the lengths differ; they do not, but only we know.
    if !done && !FAST && to.len() == from.len() {
        to.copy_from_slice(from);
    }
}

/// Copies the first and the last `N` bytes of `from`, if that is all of it.
#[inline(always)]
fn ends<const N: usize>(to: &mut [u8], from: &[u8]) -> bool {
    let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) else { return false };
    if from.len() > N.saturating_mul(2) {
        return false;
    }
    if let Some(place) = to.first_chunk_mut() {
        *place = *first;
    }
    if let Some(place) = to.last_chunk_mut() {
        *place = *last;
    }
    true
}
