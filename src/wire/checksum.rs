//! The Internet checksum (RFC 1071): the complement of a ones-complement sum of 16-bit words.
//!
//! Ones-complement addition does not care about byte order, nor about the width it is done in: 64-bit
//! words in the machine's own order, carries added back in at the low end, and one fold and one swap at
//! the end give what adding 16-bit words in network order gives. That makes the sum of a header that
//! rarely changes worth keeping: [`Sum`] is a small `Copy` value to which the changing words are added.

use core::net::{Ipv4Addr, Ipv6Addr};

/// A running ones-complement sum: what has been added so far, and whether at an odd byte.
///
/// ```
/// # use vtep::wire::checksum::{Sum, checksum};
/// let whole = [1, 2, 3, 4, 5, 6, 7];
/// let (head, rest) = whole.split_at(3);
/// assert_eq!(Sum::new().add_bytes(head).add_bytes(rest).finish(), checksum(&whole));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct Sum {
    /// The sum modulo 2^64 - 1 of words in the machine's byte order; 0 only if every word was 0.
    words: u64,
    /// Whether an odd number of bytes went in, so that the next byte is the low half of a word.
    odd: bool,
}

impl Sum {
    /// The sum of nothing.
    #[inline]
    pub const fn new() -> Self {
        Self { words: 0, odd: false }
    }

    /// The sum that [`Sum::fold`] gave earlier.
    #[inline]
    pub const fn from_folded(sum: u16) -> Self {
        Self::new().add_u16(sum)
    }

    /// The sum of the IPv4 pseudo-header (RFC 768): addresses, protocol, length in bytes.
    #[inline]
    pub const fn pseudo_v4(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, len: u16) -> Self {
        let addresses = Self::new().add_u32(src.to_bits()).add_u32(dst.to_bits());
        addresses.add_u16(u16::from_be_bytes([0, protocol])).add_u16(len)
    }

    /// The sum of the IPv6 pseudo-header (RFC 8200 section 8.1): addresses, length in bytes, next header.
    #[inline]
    pub const fn pseudo_v6(src: Ipv6Addr, dst: Ipv6Addr, next_header: u8, len: u32) -> Self {
        let addresses = Self::new().add_u128(src.to_bits()).add_u128(dst.to_bits());
        addresses.add_u32(len).add_u16(u16::from_be_bytes([0, next_header]))
    }

    /// Adds `bytes`, which follow whatever was added before: pieces of odd length fit together.
    ///
    /// Cost: about one cycle for each 8 bytes, and a few for the ends.
    #[inline]
    pub fn add_bytes(self, bytes: &[u8]) -> Self {
        self.append(sum_bytes(bytes), bytes.len() & 1 != 0)
    }

    /// Adds a 16-bit word given as its value.
    #[inline]
    pub const fn add_u16(self, word: u16) -> Self {
        self.append(u16::from_ne_bytes(word.to_be_bytes()) as u64, false)
    }

    /// Adds two 16-bit words given as one 32-bit value.
    #[inline]
    pub const fn add_u32(self, words: u32) -> Self {
        self.append(u32::from_ne_bytes(words.to_be_bytes()) as u64, false)
    }

    /// Adds four 16-bit words given as one 64-bit value.
    #[inline]
    pub const fn add_u64(self, words: u64) -> Self {
        self.append(u64::from_ne_bytes(words.to_be_bytes()), false)
    }

    /// Adds eight 16-bit words given as one 128-bit value: an IPv6 address.
    #[inline]
    pub const fn add_u128(self, words: u128) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = words.to_be_bytes();
        self.append(u64::from_ne_bytes([a, b, c, d, e, f, g, h]), false)
            .append(u64::from_ne_bytes([i, j, k, l, m, n, o, p]), false)
    }

    /// Adds the sum of bytes that follow the ones added here.
    #[inline]
    pub const fn combine(self, next: Self) -> Self {
        self.append(next.words, next.odd)
    }

    /// The sum as a 16-bit word, not complemented: 0xffff for data whose own checksum is among it.
    #[inline]
    #[must_use]
    pub const fn fold(self) -> u16 {
        // A number plus itself with its halves exchanged: the low half's carry goes into the high half, which
        // so becomes the ones-complement sum of the two.
        let [a, b, c, d, ..] = self.words.wrapping_add(self.words.rotate_left(32)).to_be_bytes();
        let sum = u32::from_be_bytes([a, b, c, d]);
        let [a, b, ..] = sum.wrapping_add(sum.rotate_left(16)).to_be_bytes();
        u16::from_be_bytes(u16::from_be_bytes([a, b]).to_ne_bytes())
    }

    /// The checksum: the sum's complement, to be written where zero stood while summing.
    #[inline]
    #[must_use]
    pub const fn finish(self) -> u16 {
        !self.fold()
    }

    /// The checksum as UDP carries it: 0 is sent as 0xffff, since 0 means none (RFC 768).
    #[inline]
    #[must_use]
    pub const fn finish_udp(self) -> u16 {
        match self.finish() {
            0 => 0xffff,
            checksum => checksum,
        }
    }

    /// Whether the data summed, its checksum field included, is intact.
    #[inline]
    #[must_use]
    pub const fn is_valid(self) -> bool {
        self.fold() == 0xffff
    }

    #[inline]
    const fn append(self, words: u64, odd: bool) -> Self {
        // Moving a word by one byte multiplies it by 2^8, which modulo 2^16 - 1 swaps its bytes.
        let shifted = if self.odd { words.rotate_left(8) } else { words };
        Self { words: add(self.words, shifted), odd: self.odd != odd }
    }
}

/// The checksum of `bytes`, whose own checksum field is zero.
///
/// ```
/// // The example of RFC 1071 section 3.
/// assert_eq!(vtep::wire::checksum::checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
/// ```
#[inline]
#[must_use]
pub fn checksum(bytes: &[u8]) -> u16 {
    Sum::new().add_bytes(bytes).finish()
}

/// Whether `bytes`, their checksum field included, are intact.
#[inline]
#[must_use]
pub fn verify(bytes: &[u8]) -> bool {
    Sum::new().add_bytes(bytes).is_valid()
}

/// The checksum after one 16-bit word changed from `old_word` to `new_word` (RFC 1624 equation 3).
///
/// For UDP the caller leaves a checksum of 0
/// (none) alone and sends a result of 0 as 0xffff.
#[inline]
#[must_use]
pub const fn update(old_checksum: u16, old_word: u16, new_word: u16) -> u16 {
    Sum::from_folded(!old_checksum).add_u16(!old_word).add_u16(new_word).finish()
}

/// Whether an IPv4 header without options adds up, its checksum included: the same in either byte order.
#[inline(always)]
pub(super) const fn is_valid_header([a, b, c, d, e]: [[u8; 4]; 5]) -> bool {
    let sum = word(a).wrapping_add(word(b)).wrapping_add(word(c)).wrapping_add(word(d)).wrapping_add(word(e));
    // Five words of 32 bits: after the first fold at most two bits are left above the lower 16.
    let once = (sum & 0xffff).wrapping_add(sum >> 16 & 0xffff).wrapping_add(sum >> 32);
    (once & 0xffff).wrapping_add(once >> 16) == 0xffff
}

#[inline(always)]
const fn word(bytes: [u8; 4]) -> u64 {
    u32::from_ne_bytes(bytes) as u64
}

/// Ones-complement addition: the carry comes back in at the low end.
#[inline]
const fn add(a: u64, b: u64) -> u64 {
    let (sum, carry) = a.overflowing_add(b);
    sum.wrapping_add(carry as u64)
}

/// The sum of `bytes` in the machine's byte order, as if padded with zeros at the end.
#[inline]
fn sum_bytes(bytes: &[u8]) -> u64 {
    let Some(last) = bytes.last_chunk() else { return sum_short(bytes) };
    // 128 bits hold the carries of any slice. Two sums, since each addition waits for the one before.
    let (mut even, mut odd) = (0_u128, 0_u128);
    let mut rest = bytes;
    while let Some((block, after)) = rest.split_first_chunk::<32>() {
        let [a, b, c, d]: [[u8; 8]; 4] = zerocopy::transmute!(*block);
        even = even.wrapping_add(word64(a)).wrapping_add(word64(c));
        odd = odd.wrapping_add(word64(b)).wrapping_add(word64(d));
        rest = after;
    }
    while let Some((word, after)) = rest.split_first_chunk() {
        even = even.wrapping_add(word64(*word));
        rest = after;
    }
    if !rest.is_empty() {
        // The last eight bytes, without those that are in the sum.
        let counted = 8_usize.wrapping_sub(rest.len());
        let left = u64::from_le_bytes(*last) >> (counted << 3 & 63);
        odd = odd.wrapping_add(word64(left.to_le_bytes()));
    }
    add(fold128(even), fold128(odd))
}

#[inline(always)]
fn word64(bytes: [u8; 8]) -> u128 {
    u64::from_ne_bytes(bytes).into()
}

#[inline(always)]
const fn fold128(sum: u128) -> u64 {
    #[allow(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    add(sum as u64, (sum >> 64) as u64)
}

/// The sum of less than eight bytes.
#[inline]
fn sum_short(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    for (place, byte) in word.iter_mut().zip(bytes) {
        *place = *byte;
    }
    u64::from_ne_bytes(word)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    extern crate std;
    use std::vec::Vec;

    /// RFC 1071 word by word, in network order.
    fn reference(bytes: &[u8]) -> u16 {
        let mut sum = 0_u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !u16::try_from(sum).unwrap()
    }

    #[test]
    fn every_length_and_alignment_agrees_with_the_reference() {
        let mut bytes = [0_u8; 400];
        let mut state = 0x1234_5678_u32;
        for byte in &mut bytes {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (state >> 24) as u8;
        }
        for start in 0..16 {
            for end in start..bytes.len() {
                assert_eq!(checksum(&bytes[start..end]), reference(&bytes[start..end]), "{start}..{end}");
            }
        }
    }

    #[test]
    fn both_zeros_are_told_apart() {
        for len in [0, 1, 2, 20, 32, 63, 64, 1500] {
            assert_eq!(checksum(&std::vec![0; len]), 0xffff, "{len} zeros");
        }
        for len in [2, 4, 8, 20, 32, 64, 1500] {
            assert_eq!(checksum(&std::vec![0xff; len]), 0, "{len} ones");
            assert!(verify(&std::vec![0xff; len]));
            assert!(!verify(&std::vec![0; len]));
        }
        assert_eq!(Sum::new().finish_udp(), 0xffff);
        assert_eq!(Sum::new().add_u16(0xffff).finish_udp(), 0xffff);
        assert_eq!(Sum::new().add_u16(0xfffe).finish_udp(), 1);
    }

    #[test]
    fn carries_run_through_every_fold() {
        let sum = Sum::new().add_u64(u64::MAX).add_u64(1);
        assert_eq!(sum.finish(), reference(&[[0xff; 8], [0, 0, 0, 0, 0, 0, 0, 1]].concat()));
        for word in [0_u64, 1, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000, 0xffff_0001_ffff_0001, u64::MAX - 1] {
            for other in [0_u64, 1, 0xffff, u64::MAX, u64::MAX - 1, 1 << 63] {
                let bytes = [word.to_be_bytes(), other.to_be_bytes()].concat();
                assert_eq!(Sum::new().add_u64(word).add_u64(other).finish(), reference(&bytes));
            }
        }
    }

    #[test]
    fn pseudo_headers_are_sums_of_their_bytes() {
        let (src, dst) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(198, 51, 100, 255));
        let bytes = [192, 0, 2, 1, 198, 51, 100, 255, 0, 17, 0x12, 0x34];
        assert_eq!(Sum::pseudo_v4(src, dst, 17, 0x1234).finish(), reference(&bytes));

        let src: Ipv6Addr = "2001:db8:1:2:3:4:5:ffff".parse().unwrap();
        let dst: Ipv6Addr = "2001:db8:fedc:ba98::1".parse().unwrap();
        let mut bytes = Vec::new();
        bytes.extend(src.octets());
        bytes.extend(dst.octets());
        bytes.extend([0, 1, 0x23, 0x45, 0, 0, 0, 58]);
        assert_eq!(Sum::pseudo_v6(src, dst, 58, 0x1_2345).finish(), reference(&bytes));
    }

    proptest! {
        #[test]
        fn pieces_of_any_length_make_the_whole(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..90), 0..6)) {
            let whole = pieces.concat();
            let added = pieces.iter().fold(Sum::new(), |sum, piece| sum.add_bytes(piece));
            let combined = pieces.iter().fold(Sum::new(), |sum, piece| sum.combine(Sum::new().add_bytes(piece)));
            prop_assert_eq!(added.finish(), reference(&whole));
            prop_assert_eq!(combined.finish(), reference(&whole));
        }

        #[test]
        fn words_are_bytes(a: u16, b: u32, c: u64, d: u128, odd in prop::collection::vec(any::<u8>(), 0..4)) {
            let mut bytes = odd.clone();
            bytes.extend(a.to_be_bytes());
            bytes.extend(b.to_be_bytes());
            bytes.extend(c.to_be_bytes());
            bytes.extend(d.to_be_bytes());
            let sum = Sum::new().add_bytes(&odd).add_u16(a).add_u32(b).add_u64(c).add_u128(d);
            prop_assert_eq!(sum.finish(), reference(&bytes));
        }

        #[test]
        fn a_folded_sum_stands_for_the_whole(head in prop::collection::vec(any::<u64>(), 0..9), rest: u64) {
            let sum = head.iter().fold(Sum::new(), |sum, word| sum.add_u64(*word));
            prop_assert_eq!(Sum::from_folded(sum.fold()).add_u64(rest).finish(), sum.add_u64(rest).finish());
        }

        #[test]
        fn update_is_as_good_as_summing_again(mut words in prop::collection::vec(any::<u16>(), 1..20), at: prop::sample::Index, new: u16) {
            let sum = |words: &[u16]| words.iter().fold(Sum::new(), |sum, word| sum.add_u16(*word));
            // A header is never all zeros; with one other word set, the result is exact, not just valid.
            words.push(0x4500);
            let at = at.index(words.len() - 1);
            let before = sum(&words).finish();
            let old = core::mem::replace(&mut words[at], new);
            prop_assert_eq!(update(before, old, new), sum(&words).finish());
            prop_assert!(sum(&words).add_u16(update(before, old, new)).is_valid());
        }
    }
}
