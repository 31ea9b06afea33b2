//! Ages of 16 bits that never lie.
//!
//! A slot holds the low 16 bits of the coarse time at which it was last refreshed. That is enough as
//! long as no entry grows older than 65,535 coarse units (4.6 hours) in the table, which the sweep sees
//! to; where it comes too late, [`Fdb::tidy`](super::Fdb) steps in.

use super::entry::Word;
use crate::table::{Ageing, Instant};

#[derive(Debug)]
pub(super) struct Clock {
    /// The latest time seen by a change of the table, in coarse units. Ages are exact at this time.
    pub(super) now: u64,
    /// When the last complete sweep pass began: at that time, or later, each slot was seen to be no
    /// older than `ceiling`.
    pub(super) clean_since: u64,
    /// When the present pass began.
    pub(super) pass_since: u64,
    /// The number of the present pass.
    pub(super) pass: u32,
    /// The next bucket to sweep.
    pub(super) cursor: usize,
    /// The largest age that a sweep leaves behind: one more than any bridge has ever allowed.
    pub(super) ceiling: u16,
    /// Every entry younger than this is alive, whatever its bridge: `least`, or 0 while there may be void entries.
    pub(super) young: u64,
    /// One more than the least limit that any bridge has ever had.
    least: u64,
    /// The pass of the last flush.
    flushed_in: u32,
    /// How many bridges do not learn.
    pub(super) quiet: u32,
}

impl Clock {
    /// Where the age of an entry that never expires stops: 2.3 hours.
    pub(super) const OLD: u16 = 0x8000;

    /// For as many bridges that do not learn as `quiet` says.
    pub(super) fn new(limit: Option<u16>, quiet: u32) -> Self {
        let least = Self::above(limit);
        Self {
            now: 0,
            clean_since: 0,
            pass_since: 0,
            pass: 2,
            cursor: 0,
            ceiling: Self::ceiling_of(limit),
            young: least,
            least,
            flushed_in: 0,
            quiet,
        }
    }

    pub(super) fn words(&self) -> [(u64, u64); 5] {
        [
            (self.now, self.clean_since),
            (self.pass_since, self.cursor as u64),
            (u64::from(self.pass), u64::from(self.flushed_in)),
            (u64::from(self.ceiling), self.young),
            (self.least, u64::from(self.quiet)),
        ]
    }

    /// The stamp of an entry that is refreshed now.
    #[inline]
    pub(super) const fn stamp(&self) -> u16 {
        (self.now & 0xffff) as u16
    }

    /// Coarse units from the latest change to `now`, which is clamped not to go back.
    #[inline]
    pub(super) fn since_change(&self, now: Instant) -> u64 {
        now.coarse().saturating_sub(self.now)
    }

    /// The age of a dynamic entry, `since_change` units after the latest change.
    #[inline]
    pub(super) fn age(&self, word: Word, since_change: u64) -> u64 {
        // No overflow: coarse time has 56 bits.
        u64::from(self.stamp().wrapping_sub(word.stamp())).wrapping_add(since_change)
    }

    /// Whether some age might pass 16 bits by `now` if nothing is done.
    pub(super) const fn is_late(&self, now: u64) -> bool {
        now.saturating_sub(self.clean_since) > u16::MAX.saturating_sub(self.ceiling) as u64
    }

    /// Some bridge has another limit now.
    pub(super) fn note_limit(&mut self, limit: Option<u16>) {
        self.ceiling = self.ceiling.max(Self::ceiling_of(limit));
        self.least = self.least.min(Self::above(limit));
        self.young = self.young.min(self.least);
    }

    /// Some bridge learned or did not, and does or does not from now on.
    pub(super) fn note_learning(&mut self, before: bool, after: bool) {
        self.quiet = self.quiet.saturating_add(u32::from(before)).saturating_sub(u32::from(after));
    }

    /// The least age beyond a limit.
    fn above(limit: Option<u16>) -> u64 {
        limit.map_or(u64::MAX, |limit| u64::from(limit).saturating_add(1))
    }

    fn ceiling_of(limit: Option<u16>) -> u16 {
        limit.map_or(Self::OLD, |limit| limit.min(Ageing::MAX_UNITS).saturating_add(1))
    }

    /// A void entry has come into being.
    pub(super) fn note_flush(&mut self) {
        self.young = 0;
        self.flushed_in = self.pass;
    }

    /// The pass has reached the end of the table.
    pub(super) fn end_pass(&mut self) {
        self.clean_since = self.pass_since;
        self.pass = self.pass.wrapping_add(1);
        self.cursor = 0;
        // Void entries from before the pass began are gone.
        if self.pass.wrapping_sub(self.flushed_in) > 1 {
            self.young = self.least;
        }
    }

    /// The whole table has been walked in one go.
    pub(super) fn all_clean(&mut self) {
        self.clean_since = self.now;
        self.pass_since = self.now;
        // No flush so far can matter any more: all are more than one pass ago.
        self.pass = self.pass.wrapping_add(2);
        self.cursor = 0;
        self.young = self.least;
    }
}
