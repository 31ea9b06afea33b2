//! Labels by number: security group and traffic class, interned so that an FDB entry holds them in 12 bits.
//!
//! Memory is lent; a place is 8 bytes. Each place counts the FDB entries that refer to it. One that nothing refers to
//! any more keeps its label until a new one needs the place.

use super::Meta;
use super::cuckoo::{Bucket, Cuckoo};
use crate::wire::Label;

/// A place for a label.
#[derive(Clone, Copy, Debug)]
pub struct LabelSlot {
    label: Label,
    /// FDB entries that refer to it.
    references: u32,
}

impl LabelSlot {
    /// A free place; all bits zero.
    pub const EMPTY: Self = Self { label: Label::NONE, references: 0 };
}

impl Default for LabelSlot {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// No place for another label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LabelsFull;

/// The labels in use, in memory lent by the caller.
#[derive(Debug)]
pub struct Labels<'a> {
    slots: &'a mut [LabelSlot],
    map: Cuckoo<'a>,
    /// Where the search for a place goes on.
    cursor: u16,
    /// Places that something refers to.
    in_use: u16,
    /// Numbers asked for of late, each label's in the one place that its bits allow. What they stand for tells whether they
    /// still hold.
    recent: [Meta; RECENT],
}

/// Numbers that are remembered; a power of two.
const RECENT: usize = 8;

impl<'a> Labels<'a> {
    /// Most labels beside [`Label::NONE`], however much memory is lent.
    pub const MAX: u16 = Meta::MAX.get();
    /// Places that one [`Labels::intern`] looks at for one to reuse.
    pub const SEARCH: u16 = 64;

    /// No labels. `map` needs a bucket for every three places to be sure of all of them.
    #[must_use]
    pub fn new(slots: &'a mut [LabelSlot], map: &'a mut [Bucket], seed: [u64; 2]) -> Self {
        let len = slots.len().min(usize::from(Self::MAX));
        let slots = slots.split_at_mut_checked(len).map_or(&mut [][..], |(used, _)| used);
        slots.fill(LabelSlot::EMPTY);
        Self { slots, map: Cuckoo::new(map, seed), cursor: 0, in_use: 0, recent: [Meta::NONE; RECENT] }
    }

    /// The label that a number stands for; [`Label::NONE`] for [`Meta::NONE`] and for numbers that stand for none.
    #[must_use]
    #[inline]
    pub fn get(&self, meta: Meta) -> Label {
        index(meta).and_then(|at| self.slots.get(at)).map_or(Label::NONE, |slot| slot.label)
    }

    /// The number of a label, which gets one if it has none. Without a reference to it, the next call may reuse it.
    ///
    /// Cost: one cache line for a label that was asked for of late, two more for another that is there; else at most [`Labels::SEARCH`] places as well.
    ///
    /// # Errors
    ///
    /// [`LabelsFull`] where none of the places looked at is free; nothing changes then.
    #[inline]
    pub fn intern(&mut self, label: Label) -> Result<Meta, LabelsFull> {
        if label.is_none() {
            return Ok(Meta::NONE);
        }
        let recent = self.recent.get(place(label)).copied().unwrap_or(Meta::NONE);
        // A place keeps its label, and the label its number, until the place is another label's.
        if self.get(recent) == label { Ok(recent) } else { self.intern_anew(label) }
    }

    #[inline(never)]
    fn intern_anew(&mut self, label: Label) -> Result<Meta, LabelsFull> {
        let meta = match self.map.get(key(label)) {
            Some(meta) => u16::try_from(meta).ok().and_then(Meta::new).ok_or(LabelsFull)?,
            None => self.add(label)?,
        };
        if let Some(recent) = self.recent.get_mut(place(label)) {
            *recent = meta;
        }
        Ok(meta)
    }

    #[cold]
    #[inline(never)]
    fn add(&mut self, label: Label) -> Result<Meta, LabelsFull> {
        let count = self.capacity();
        if self.in_use >= count {
            return Err(LabelsFull);
        }
        let (at, reused) = self.free_place(count).ok_or(LabelsFull)?;
        let meta = Meta::new(at.saturating_add(1)).ok_or(LabelsFull)?;
        self.map.insert(key(label), u64::from(meta.get())).map_err(|_| LabelsFull)?;
        if !reused.is_none() {
            self.map.remove(key(reused));
        }
        if let Some(slot) = self.slots.get_mut(usize::from(at)) {
            *slot = LabelSlot { label, references: 0 };
        }
        self.cursor = at.saturating_add(1);
        Ok(meta)
    }

    /// A place that nothing refers to, and the label it still has.
    fn free_place(&self, count: u16) -> Option<(u16, Label)> {
        let from = if self.cursor < count { self.cursor } else { 0 };
        let places = (from..count).chain(0..from).take(usize::from(Self::SEARCH));
        places
            .filter_map(|at| self.slots.get(usize::from(at)).map(|slot| (at, slot)))
            .find(|(_, slot)| slot.references == 0)
            .map(|(at, slot)| (at, slot.label))
    }

    /// One more entry refers to a number.
    #[inline]
    pub(crate) fn retain(&mut self, meta: Meta) {
        if let Some(slot) = index(meta).and_then(|at| self.slots.get_mut(at)) {
            self.in_use = self.in_use.saturating_add(u16::from(slot.references == 0));
            slot.references = slot.references.saturating_add(1);
        }
    }

    /// One entry fewer refers to a number.
    #[inline]
    pub(crate) fn release(&mut self, meta: Meta) {
        if let Some(slot) = index(meta).and_then(|at| self.slots.get_mut(at)) {
            self.in_use = self.in_use.saturating_sub(u16::from(slot.references == 1));
            slot.references = slot.references.saturating_sub(1);
        }
    }

    /// Labels that entries refer to.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.in_use)
    }

    /// Whether no entry has a label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.in_use == 0
    }

    /// Most labels that fit.
    #[must_use]
    pub fn capacity(&self) -> u16 {
        u16::try_from(self.slots.len()).unwrap_or(Self::MAX)
    }

    /// The labels that entries refer to, with their numbers and how many entries there are.
    pub fn iter(&self) -> impl Iterator<Item = (Meta, Label, u32)> + '_ {
        let numbers = (1..=Self::MAX).map(Meta::truncating);
        numbers.zip(self.slots.iter()).filter(|(_, s)| s.references != 0).map(|(m, s)| (m, s.label, s.references))
    }

    /// What the numbers in use stand for, for a digest.
    pub(crate) fn words(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.iter()
            .map(|(meta, label, count)| (u64::from(meta.get()) << 32 | u64::from(label.bits()), u64::from(count)))
    }
}

/// Where a number's label is; `None` for [`Meta::NONE`].
#[inline]
fn index(meta: Meta) -> Option<usize> {
    usize::from(meta.get()).checked_sub(1)
}

/// Where a label's number is remembered.
#[inline]
const fn place(label: Label) -> usize {
    #[allow(clippy::cast_possible_truncation, reason = "three bits")]
    {
        let bits = label.bits() as usize;
        (bits ^ bits >> 4 ^ bits >> 24) & RECENT.wrapping_sub(1)
    }
}

/// Never 0, which no map takes.
#[inline]
fn key(label: Label) -> u64 {
    1 << 63 | u64::from(label.bits())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::SecurityGroup;

    fn label(group: u32) -> Label {
        Label::of_group(SecurityGroup::new(group).unwrap())
    }

    #[test]
    fn a_label_has_one_number() {
        let (mut slots, mut map) = ([LabelSlot::EMPTY; 3], [Bucket::EMPTY; 1]);
        let mut labels = Labels::new(&mut slots, &mut map, [1, 2]);
        assert_eq!(labels.intern(Label::NONE), Ok(Meta::NONE));
        let one = labels.intern(label(1)).unwrap();
        labels.retain(one);
        let two = labels.intern(label(2)).unwrap();
        labels.retain(two);
        assert_ne!(one, two);
        assert_eq!((labels.intern(label(1)), labels.get(one), labels.get(two)), (Ok(one), label(1), label(2)));
        assert_eq!(labels.get(Meta::MAX), Label::NONE);
        assert!(labels.iter().eq([(one, label(1), 1), (two, label(2), 1)]));
    }

    #[test]
    fn a_full_table_refuses_and_a_released_place_is_used_again() {
        let (mut slots, mut map) = ([LabelSlot::EMPTY; 3], [Bucket::EMPTY; 1]);
        let mut labels = Labels::new(&mut slots, &mut map, [1, 2]);
        let metas = [1, 2, 3].map(|group| {
            let meta = labels.intern(label(group)).unwrap();
            labels.retain(meta);
            labels.retain(meta);
            meta
        });
        assert_eq!(labels.intern(label(4)), Err(LabelsFull));
        assert_eq!(labels.len(), 3);
        labels.release(metas[1]);
        assert_eq!(labels.intern(label(4)), Err(LabelsFull));
        labels.release(metas[1]);
        // It keeps its label until the place is needed.
        assert_eq!(labels.intern(label(2)), Ok(metas[1]));
        assert_eq!(labels.intern(label(4)), Ok(metas[1]));
        assert_eq!(labels.get(metas[1]), label(4));
        labels.retain(metas[1]);
        assert_eq!(labels.intern(label(2)), Err(LabelsFull));
    }

    #[test]
    fn a_number_that_was_asked_for_of_late_is_not_another_s() {
        let (mut slots, mut map) = ([LabelSlot::EMPTY; 2], [Bucket::EMPTY; 2]);
        let mut labels = Labels::new(&mut slots, &mut map, [1, 2]);
        // Nothing refers to any of them, so that each takes another's place, over and over.
        for round in 0..40 {
            for group in [1, 9, 17, 2, 1 + round % 3] {
                let meta = labels.intern(label(group)).unwrap();
                assert_eq!((labels.get(meta), labels.intern(label(group))), (label(group), Ok(meta)));
            }
        }
    }

    #[test]
    fn no_memory_holds_no_label() {
        let mut labels = Labels::new(&mut [], &mut [], [0; 2]);
        assert_eq!(labels.intern(label(1)), Err(LabelsFull));
        assert_eq!(labels.intern(Label::NONE), Ok(Meta::NONE));
        labels.retain(Meta::MAX);
        labels.release(Meta::MAX);
        assert!(labels.is_empty());
        let mut slots = [LabelSlot::EMPTY; 2];
        let mut no_map = Labels::new(&mut slots, &mut [], [0; 2]);
        assert_eq!(no_map.intern(label(1)), Err(LabelsFull));
    }
}
