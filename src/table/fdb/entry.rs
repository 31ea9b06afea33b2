//! How an entry fits 64 bits, and its decoded view.

use crate::table::{BridgeId, Destination, Duration, Meta, Owner};
use crate::wire::MacAddr;

/// The value half of a slot.
///
/// ```text
///  63          48 47 44 43     32 31   29  28   27      22 21        16 15      0
/// +--------------+-----+---------+-------+-----+----------+------------+---------+
/// |  destination 20    | meta 12 |owner 3|stck |dest. ep. |bridge epoch|  age 16 |
/// +--------------+-----+---------+-------+-----+----------+------------+---------+
/// ```
///
/// Words that differ below bit 28 only say the same, of different times. The owner is inverted, so that no word is 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

impl Word {
    const AGE: u64 = 0xffff;
    const EPOCH: u32 = 16;
    const EPOCHS: u64 = 0xfff << Self::EPOCH;
    const STICKY: u64 = 1 << 28;
    const OWNER: u32 = 29;
    const OWNER_MASK: u64 = 7 << Self::OWNER;
    const META: u32 = 32;
    const META_MASK: u64 = 0xfff << Self::META;
    const DESTINATION: u32 = 44;

    /// No entry.
    pub(super) const NONE: Self = Self(0);

    /// A dynamic entry, stamped 0.
    #[inline]
    pub(super) fn dynamic(destination: Destination, meta: Meta, epochs: Epochs) -> Self {
        Self(
            u64::from(destination.to_bits()) << Self::DESTINATION
                | u64::from(meta.get()) << Self::META
                | Self::OWNER_MASK
                | epochs.0 << Self::EPOCH,
        )
    }

    #[inline]
    pub(super) const fn stamped(self, stamp: u16) -> Self {
        Self(self.0 & !Self::AGE | stamp as u64)
    }

    pub(super) const fn with_owner(self, owner: Owner) -> Self {
        Self((self.0 | Self::OWNER_MASK) ^ (owner as u64) << Self::OWNER)
    }

    pub(super) fn with_meta(self, meta: Meta) -> Self {
        Self(self.0 & !Self::META_MASK | u64::from(meta.get()) << Self::META)
    }

    pub(super) const fn with_sticky(self, sticky: bool) -> Self {
        Self(self.0 & !Self::STICKY | if sticky { Self::STICKY } else { 0 })
    }

    /// Whether the two words say the same but for their age and epochs.
    #[inline]
    pub(super) const fn agrees(self, other: Self) -> bool {
        (self.0 ^ other.0) < Self::STICKY
    }

    #[inline]
    pub(super) const fn stamp(self) -> u16 {
        (self.0 & Self::AGE) as u16
    }

    #[inline]
    pub(super) const fn epochs(self) -> Epochs {
        Epochs((self.0 & Self::EPOCHS) >> Self::EPOCH)
    }

    #[inline]
    pub(super) const fn is_dynamic(self) -> bool {
        !self.0 & Self::OWNER_MASK == 0
    }

    #[inline]
    pub(super) const fn owner(self) -> Owner {
        Owner::from_bits(((!self.0 & Self::OWNER_MASK) >> Self::OWNER) as u8)
    }

    #[inline]
    pub(super) const fn is_sticky(self) -> bool {
        self.0 & Self::STICKY != 0
    }

    #[inline]
    pub(super) const fn meta(self) -> Meta {
        Meta::truncating(((self.0 & Self::META_MASK) >> Self::META) as u16)
    }

    #[inline]
    pub(super) const fn destination(self) -> Destination {
        Destination::from_bits(self.destination_bits())
    }

    /// The destination as [`Destination::to_bits`] gives it.
    #[inline]
    pub(super) const fn destination_bits(self) -> u32 {
        (self.0 >> Self::DESTINATION) as u32
    }
}

/// The epochs of an entry's bridge and destination, six bits each.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Epochs(u64);

impl Epochs {
    pub(super) const NONE: Self = Self(0);

    #[inline]
    pub(super) const fn new(bridge: u8, destination: u8) -> Self {
        Self(bridge as u64 & 0x3f | (destination as u64 & 0x3f) << 6)
    }

    pub(super) const fn bridge(self) -> u8 {
        (self.0 & 0x3f) as u8
    }

    pub(super) const fn destination(self) -> u8 {
        (self.0 >> 6 & 0x3f) as u8
    }
}

/// The key half of a slot: the bridge in the upper 16 bits, the MAC in the lower 48, its first octet highest, as those
/// who have read a frame's header have it.
#[inline(always)]
pub(in crate::table) const fn key(bridge: BridgeId, mac: MacAddr) -> u64 {
    key_of_bits(bridge, mac.to_u64())
}

/// [`key`] of a MAC that is a number already.
#[inline(always)]
pub(in crate::table) const fn key_of_bits(bridge: BridgeId, mac: u64) -> u64 {
    (bridge.0 as u64) << 48 | mac
}

#[inline(always)]
pub(in crate::table) const fn key_bridge(key: u64) -> BridgeId {
    BridgeId((key >> 48) as u16)
}

pub(in crate::table) const fn key_mac(key: u64) -> MacAddr {
    MacAddr::from_u64(key)
}

/// What the table knows of one MAC of one bridge.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    word: Word,
    elapsed: u64,
}

impl Entry {
    #[inline]
    pub(super) const fn new(word: Word, elapsed: u64) -> Self {
        Self { word, elapsed }
    }

    /// Where frames for the MAC go.
    #[must_use]
    #[inline]
    pub const fn destination(self) -> Destination {
        self.word.destination()
    }

    /// The metadata.
    #[must_use]
    #[inline]
    pub const fn meta(self) -> Meta {
        self.word.meta()
    }

    /// Who put the entry here.
    #[must_use]
    #[inline]
    pub const fn owner(self) -> Owner {
        self.word.owner()
    }

    /// Whether learning may never move the entry.
    #[must_use]
    #[inline]
    pub const fn sticky(self) -> bool {
        self.word.is_sticky()
    }

    /// Time since a dynamic entry was last refreshed, in steps of 256 ms; zero for any other owner.
    #[must_use]
    pub const fn age(self) -> Duration {
        if self.word.is_dynamic() { Duration::from_coarse(self.elapsed) } else { Duration::ZERO }
    }
}

impl core::fmt::Debug for Entry {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Entry")
            .field("destination", &self.destination())
            .field("meta", &self.meta())
            .field("owner", &self.owner())
            .field("sticky", &self.sticky())
            .field("age", &self.age())
            .finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Entry {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "Entry {{ {}, {}, {}, sticky: {=bool}, {} }}",
            self.destination(),
            self.meta(),
            self.owner(),
            self.sticky(),
            self.age()
        );
    }
}

/// An entry that has left the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Removed {
    /// The bridge it belonged to.
    pub bridge: BridgeId,
    /// Its address.
    pub mac: MacAddr,
    /// What it said.
    pub entry: Entry,
    /// Why it had to go.
    pub why: Removal,
}

impl Removed {
    pub(super) const fn new(key: u64, entry: Entry, why: Removal) -> Self {
        Self { bridge: key_bridge(key), mac: key_mac(key), entry, why }
    }
}

/// Why an entry has left the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)]
pub enum Removal {
    /// Nothing refreshed it in time.
    Expired = 0,
    /// A newcomer needed the place.
    Evicted = 1,
    /// A flush by filter asked for it.
    Flushed = 2,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::EndpointId;

    #[test]
    fn fields_do_not_overlap() {
        let epochs = Epochs::new(0x2a, 0x15);
        for owner in Owner::ALL {
            for sticky in [false, true] {
                let destination = Destination::Endpoint(EndpointId(0xa5a5));
                let word = Word::dynamic(destination, Meta::truncating(0x5a5), epochs)
                    .with_owner(*owner)
                    .with_sticky(sticky)
                    .stamped(0xfedc);
                assert_ne!(word.0 & Word::OWNER_MASK, 0);
                assert_eq!(word.destination(), destination);
                assert_eq!(word.meta().get(), 0x5a5);
                assert_eq!(word.owner(), *owner);
                assert_eq!(word.is_dynamic(), *owner == Owner::Dynamic);
                assert_eq!(word.is_sticky(), sticky);
                assert_eq!((word.epochs().bridge(), word.epochs().destination()), (0x2a, 0x15));
                assert_eq!(word.stamp(), 0xfedc);
                assert!(word.agrees(word.stamped(1)));
                assert!(word.agrees(Word(word.0 & !Word::EPOCHS)));
                assert!(!word.agrees(word.with_sticky(!sticky)));
            }
        }
    }

    #[test]
    fn keys_split() {
        let mac = MacAddr([0x02, 0x11, 0x22, 0x33, 0x44, 0x55]);
        let key = key(BridgeId(0xbeef), mac);
        assert_eq!(key, 0xbeef_0211_2233_4455);
        assert_eq!((key_bridge(key), key_mac(key)), (BridgeId(0xbeef), mac));
    }
}
