//! Taking dead entries out of the table, a few at a time.

use super::clock::Clock;
use super::entry::{Entry, Removal, Removed, Word, key_bridge};
use super::{Fdb, State};
use crate::table::Instant;
use crate::table::cuckoo::SLOTS;

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Swept {
    /// Slots looked at.
    pub slots: usize,
    /// Expired entries taken out.
    pub expired: usize,
    /// Entries taken out that an epoch flush had made void.
    pub void: usize,
    /// Whether this call reached the end of the table; the next one begins at the start.
    pub pass_complete: bool,
}

impl Fdb<'_> {
    /// Looks at up to `budget` slots (rounded up to whole buckets of four) from where the last call
    /// stopped, takes out dead entries and shows the expired ones to `on_removed`.
    ///
    /// Stops at the end of the table, so that no call looks at a slot twice. Entries that an epoch flush
    /// has made void go without a word.
    pub fn sweep(&mut self, now: Instant, budget: usize, mut on_removed: impl FnMut(Removed)) -> Swept {
        self.advance(now);
        let Self { map, books, clock, .. } = self;
        if clock.cursor == 0 {
            clock.pass_since = clock.now;
        }
        let mut swept = Swept::default();
        let buckets = map.retain(clock.cursor, budget.div_ceil(SLOTS), |key, slot| {
            let word = Word(*slot);
            let age = clock.age(word, 0);
            match books.state(key, word, age) {
                State::Alive => {
                    if word.is_dynamic() && age > u64::from(Clock::OLD) && books.limit(key_bridge(key)) == u64::MAX {
                        *slot = word.stamped(clock.stamp().wrapping_sub(Clock::OLD)).0;
                    }
                    return true;
                }
                State::Expired => {
                    swept.expired = swept.expired.saturating_add(1);
                    on_removed(Removed::new(key, Entry::new(word, age), Removal::Expired));
                }
                State::Void => swept.void = swept.void.saturating_add(1),
            }
            books.leave(key, word);
            false
        });
        swept.slots = buckets.saturating_mul(SLOTS);
        clock.cursor = clock.cursor.saturating_add(buckets);
        if clock.cursor.saturating_mul(SLOTS) >= map.capacity() {
            clock.end_pass();
            swept.pass_complete = true;
        }
        swept
    }

    /// Lets the table's time follow `now`; called by whatever changes the table.
    #[inline]
    pub(super) fn advance(&mut self, now: Instant) {
        if now.coarse() > self.clock.now {
            self.turn(now.coarse());
        }
    }

    /// Whether time need not go on before the table may be changed. Where it must, only learning may do that: a packet that
    /// is dropped changes no table, and a late clock tidies it.
    #[inline]
    pub(crate) fn is_current(&self, now: Instant) -> bool {
        now.coarse() <= self.clock.now
    }

    /// Once in a coarse unit.
    #[cold]
    fn turn(&mut self, now: u64) {
        if self.clock.is_late(now) {
            self.tidy_at(now);
        }
        self.clock.now = now;
    }

    /// Walks the table: void entries go, and whatever is too old to be told from a young one soon gets
    /// the age of an expired one, for a sweep to find.
    pub(super) fn tidy(&mut self) {
        self.tidy_at(self.clock.now);
    }

    #[cold]
    fn tidy_at(&mut self, now: u64) {
        let Self { map, books, clock, .. } = self;
        if !map.is_empty() {
            let since_change = now.saturating_sub(clock.now);
            let oldest = ((now & 0xffff) as u16).wrapping_sub(clock.ceiling);
            map.retain(0, usize::MAX, |key, slot| {
                let word = Word(*slot);
                let age = clock.age(word, since_change);
                if books.is_void(key, word) {
                    books.leave(key, word);
                    return false;
                }
                if age >= u64::from(clock.ceiling) {
                    *slot = word.stamped(oldest).0;
                }
                true
            });
        }
        clock.now = now;
        clock.all_clean();
    }
}
