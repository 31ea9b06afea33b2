//! MACs that move too often: duplicate detection as RFC 7432 section 15.1 describes it.
//!
//! The first move of a MAC starts a timer of M seconds; the Nth move before it ends makes the MAC a duplicate, which it
//! stays for a time, or until somebody clears it. That costs memory for MACs that move, and for no others: 16 bytes
//! each, lent by the caller, and nothing in the FDB.
//!
//! Where that memory is full, a MAC with fewer moves makes room, and the count of what was forgotten goes up; a MAC
//! that has been found to be a duplicate never makes room. So whoever wants to hide a flapping MAC has to make as many
//! others flap as often.

use super::cuckoo::{Bucket, Cuckoo, Fate, SLOTS};
use super::fdb::{key, key_bridge, key_mac};
use super::{BridgeId, Duration, Instant};
use crate::wire::MacAddr;

/// When a MAC that moves is a duplicate, and what follows.
///
/// Ends of windows and recoveries are kept in 48 bits of milliseconds of the engine's clock: what ends later than in 8,900
/// years never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct DuplicateDetection {
    /// The move that makes a MAC a duplicate: N of RFC 7432 section 15.1. 1 to 32767.
    pub max_moves: u16,
    /// The time within which it has to happen, from the first move on: M of RFC 7432 section 15.1.
    pub window: Duration,
    /// What becomes of a duplicate.
    pub action: DuplicateAction,
    /// How long it is one; `None` until a command clears it.
    pub recover: Option<Duration>,
}

impl DuplicateDetection {
    /// RFC 7432's defaults: 5 moves in 180 s, and frozen until somebody clears it.
    pub const RFC: Self =
        Self { max_moves: 5, window: Duration::from_secs(180), action: DuplicateAction::Freeze, recover: None };
    /// The largest number of moves.
    pub const MAX_MOVES: u16 = Record::MAX_MOVES;
}

impl Default for DuplicateDetection {
    fn default() -> Self {
        Self::RFC
    }
}

/// What becomes of a MAC that is found to be a duplicate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
pub enum DuplicateAction {
    /// It is reported, and goes on to move.
    Alert = 0,
    /// It is reported, and its entry stays where it is: frames from elsewhere are forwarded, but not learned from.
    #[default]
    Freeze = 1,
    /// It is reported, and its entry stays where it is: frames from elsewhere are dropped.
    Drop = 2,
}

/// What a move is to the record of moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Noted {
    /// One that may happen.
    Move,
    /// One that may happen, of a MAC whose time as a duplicate is over.
    Recovered,
    /// The one that makes the MAC a duplicate.
    Duplicate,
    /// One of a MAC that is a duplicate already.
    Again,
}

/// How often MACs have moved of late; see the [module](self).
#[derive(Debug)]
pub struct Moves<'a> {
    map: Cuckoo<'a>,
    /// Records that had to go before their time, and moves that found no place.
    forgotten: u64,
    /// The bucket that the next sweep begins with.
    cursor: usize,
}

impl<'a> Moves<'a> {
    /// No moves yet. A bucket holds four MACs; without any, nothing is ever a duplicate.
    pub fn new(buckets: &'a mut [Bucket], seed: [u64; 2]) -> Self {
        Self { map: Cuckoo::new(buckets, seed), forgotten: 0, cursor: 0 }
    }

    /// Notes that a MAC is about to move. Cost: that of [`Cuckoo::place`].
    pub fn note(&mut self, now: Instant, bridge: BridgeId, mac: MacAddr, config: &DuplicateDetection) -> Noted {
        let key = key(bridge, mac);
        let hash = self.map.hash(key);
        let old = self.map.get_mut(key, hash);
        let found = old.as_ref().map(|value| Record(**value));
        let before = found.filter(|record| !record.is_over(now));
        if before.is_some_and(Record::is_duplicate) {
            return Noted::Again;
        }
        let (until, moves) = match before {
            Some(record) => (record.until(), record.moves().saturating_add(1)),
            None => (time(now.saturating_add(config.window)), 1),
        };
        let (record, noted) = if moves >= config.max_moves {
            let until = config.recover.map_or(NEVER, |recover| time(now.saturating_add(recover)));
            (Record::duplicate(until), Noted::Duplicate)
        } else {
            let was_one = before.is_none() && found.is_some_and(Record::is_duplicate);
            (Record::new(moves, until), if was_one { Noted::Recovered } else { Noted::Move })
        };
        if let Some(value) = old {
            *value = record.0;
            return noted;
        }
        let judge = |_, value| {
            let record = Record(value);
            if record.is_over(now) {
                Fate::Free
            } else if record.is_duplicate() {
                Fate::Keep
            } else {
                Fate::Evict(record.rank())
            }
        };
        match self.map.place(key, record.0, hash, judge) {
            Ok(Some((_, value))) if !Record(value).is_over(now) => self.forgotten = self.forgotten.saturating_add(1),
            Ok(_) => {}
            Err(_) => {
                self.forgotten = self.forgotten.saturating_add(1);
                // What cannot be kept cannot be undone later.
                return Noted::Move;
            }
        }
        noted
    }

    /// Whether a MAC is a duplicate. Cost: two cache lines.
    #[must_use]
    pub fn is_duplicate(&self, now: Instant, bridge: BridgeId, mac: MacAddr) -> bool {
        let record = self.map.get(key(bridge, mac)).map(Record);
        record.is_some_and(|record| record.is_duplicate() && !record.is_over(now))
    }

    /// The duplicates, in the order of their slots.
    pub fn duplicates(&self, now: Instant) -> impl Iterator<Item = (BridgeId, MacAddr)> + '_ {
        let is_one = move |record: Record| record.is_duplicate() && !record.is_over(now);
        self.map.iter().filter(move |(_, value)| is_one(Record(*value))).map(|(key, _)| (key_bridge(key), key_mac(key)))
    }

    /// Forgets the moves of a MAC; whether it was a duplicate. Cost: two cache lines.
    pub fn clear(&mut self, now: Instant, bridge: BridgeId, mac: MacAddr) -> bool {
        let record = self.map.remove(key(bridge, mac)).map(Record);
        record.is_some_and(|record| record.is_duplicate() && !record.is_over(now))
    }

    /// Forgets all moves of a bridge, and shows the duplicates to `on_cleared`. Walks the table.
    pub fn clear_bridge(&mut self, now: Instant, bridge: BridgeId, mut on_cleared: impl FnMut(MacAddr)) {
        self.map.retain(0, usize::MAX, |key, value| {
            let record = Record(*value);
            let mine = key_bridge(key) == bridge;
            if mine && record.is_duplicate() && !record.is_over(now) {
                on_cleared(key_mac(key));
            }
            !mine
        });
    }

    /// Looks at up to `buckets` buckets from where the last call stopped, forgets what is over, and shows those to
    /// `on_over` that were duplicates.
    pub fn sweep(&mut self, now: Instant, buckets: usize, mut on_over: impl FnMut(BridgeId, MacAddr)) {
        let visited = self.map.retain(self.cursor, buckets, |key, value| {
            let record = Record(*value);
            if record.is_over(now) && record.is_duplicate() {
                on_over(key_bridge(key), key_mac(key));
            }
            !record.is_over(now)
        });
        self.cursor = self.cursor.saturating_add(visited);
        if self.cursor.saturating_mul(SLOTS) >= self.map.capacity() {
            self.cursor = 0;
        }
    }

    /// How often a record had to go before its time, or a move found no place.
    #[must_use]
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Whether there is no memory, so that nothing is ever noted.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.map.capacity() == 0
    }

    /// MACs with a record, those included that are over and not yet swept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether no MAC has a record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// For a digest of the state: nothing, while no MAC has moved.
    pub(crate) fn words(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let rest = (self.forgotten != 0 || self.cursor != 0).then_some((self.forgotten, self.cursor as u64));
        (0..u64::MAX)
            .zip(self.map.words())
            .filter(|(_, (key, _))| *key != 0)
            .map(|(at, (key, value))| (at ^ key, value))
            .chain(rest)
    }
}

/// The end of time.
const NEVER: u64 = (1 << 48) - 1;

/// A point in time in 48 bits of milliseconds: 8,900 years.
fn time(at: Instant) -> u64 {
    at.as_millis().min(NEVER)
}

/// A MAC's moves.
///
/// ```text
///  63        62          48 47                                  0
/// +-----------+------------+-------------------------------------+
/// | duplicate |  moves 15  |  until when, ms 48                  |
/// +-----------+------------+-------------------------------------+
/// ```
#[derive(Clone, Copy)]
struct Record(u64);

impl Record {
    const DUPLICATE: u64 = 1 << 63;
    const MAX_MOVES: u16 = 0x7fff;

    const fn new(moves: u16, until: u64) -> Self {
        let moves = if moves > Self::MAX_MOVES { Self::MAX_MOVES } else { moves };
        Self((moves as u64) << 48 | until & NEVER)
    }

    const fn duplicate(until: u64) -> Self {
        Self(Self::DUPLICATE | until & NEVER)
    }

    const fn is_duplicate(self) -> bool {
        self.0 & Self::DUPLICATE != 0
    }

    const fn moves(self) -> u16 {
        (self.0 >> 48) as u16 & Self::MAX_MOVES
    }

    const fn until(self) -> u64 {
        self.0 & NEVER
    }

    fn is_over(self, now: Instant) -> bool {
        self.until() != NEVER && now.as_millis() >= self.until()
    }

    /// Who makes room first: those with fewer moves; of these, the ones whose time is over sooner.
    const fn rank(self) -> u64 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::collections::HashMap;
    use std::vec;
    use std::vec::Vec;

    use super::*;

    const SEED: [u64; 2] = [11, 22];
    const BRIDGE: BridgeId = BridgeId(3);

    const fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    const fn mac(n: u64) -> MacAddr {
        MacAddr::from_u64(0x0200_0000_0000 | n)
    }

    #[test]
    fn the_fifth_move_in_180_seconds_makes_a_duplicate_rfc7432_15_1() {
        let mut buckets = [Bucket::EMPTY; 2];
        let mut moves = Moves::new(&mut buckets, SEED);
        let mut note = |ms| moves.note(at(ms), BRIDGE, mac(1), &DuplicateDetection::RFC);
        assert_eq!([0, 1, 2, 179_999].map(&mut note), [Noted::Move; 4]);
        // The timer has run out: counting begins anew.
        assert_eq!([180_000, 180_001, 180_002, 180_003].map(&mut note), [Noted::Move; 4]);
        assert_eq!(note(359_999), Noted::Duplicate);
        assert_eq!([360_000, 1 << 40].map(&mut note), [Noted::Again; 2]);
        assert!(moves.is_duplicate(at(u64::MAX), BRIDGE, mac(1)));
        assert!(!moves.is_duplicate(at(0), BridgeId(4), mac(1)) && !moves.is_duplicate(at(0), BRIDGE, mac(2)));
        assert_eq!(moves.duplicates(at(0)).collect::<Vec<_>>(), [(BRIDGE, mac(1))]);
        assert!(moves.clear(at(1 << 41), BRIDGE, mac(1)) && !moves.clear(at(1 << 41), BRIDGE, mac(1)));
        assert_eq!(moves.note(at(1 << 41), BRIDGE, mac(1), &DuplicateDetection::RFC), Noted::Move);
    }

    #[test]
    fn a_duplicate_recovers_in_time() {
        let mut buckets = [Bucket::EMPTY; 1];
        let mut moves = Moves::new(&mut buckets, SEED);
        let config =
            DuplicateDetection { max_moves: 2, recover: Some(Duration::from_millis(500)), ..DuplicateDetection::RFC };
        let noted = [0, 10, 11, 509, 510].map(|ms| moves.note(at(ms), BRIDGE, mac(1), &config));
        assert_eq!(noted, [Noted::Move, Noted::Duplicate, Noted::Again, Noted::Again, Noted::Recovered]);
        assert_eq!(moves.note(at(520), BRIDGE, mac(1), &config), Noted::Duplicate);
        let mut over = Vec::new();
        moves.sweep(at(1019), 1, |bridge, mac| over.push((bridge, mac)));
        assert_eq!((over.len(), moves.len()), (0, 1));
        moves.sweep(at(1020), 1, |bridge, mac| over.push((bridge, mac)));
        assert_eq!((over, moves.len(), moves.forgotten()), (vec![(BRIDGE, mac(1))], 0, 0));
    }

    #[test]
    fn one_move_may_be_too_many() {
        let config = DuplicateDetection { max_moves: 1, ..DuplicateDetection::RFC };
        let mut buckets = [Bucket::EMPTY; 1];
        let mut moves = Moves::new(&mut buckets, SEED);
        assert_eq!([0, 1].map(|ms| moves.note(at(ms), BRIDGE, mac(1), &config)), [Noted::Duplicate, Noted::Again]);
    }

    #[test]
    fn without_memory_nothing_is_a_duplicate() {
        let config = DuplicateDetection { max_moves: 1, ..DuplicateDetection::RFC };
        let mut moves = Moves::new(&mut [], SEED);
        assert!(moves.is_off() && moves.is_empty());
        assert_eq!(moves.note(at(0), BRIDGE, mac(1), &config), Noted::Move);
        moves.sweep(at(0), 9, |_, _| panic!("nothing was noted"));
        moves.clear_bridge(at(0), BRIDGE, |_| panic!("nothing was noted"));
        assert_eq!((moves.clear(at(0), BRIDGE, mac(1)), moves.forgotten()), (false, 1));
    }

    #[test]
    fn single_moves_do_not_drive_out_a_mac_that_flaps() {
        let mut buckets = [Bucket::EMPTY; 4];
        let mut moves = Moves::new(&mut buckets, SEED);
        let rfc = DuplicateDetection::RFC;
        for ms in 0..2 {
            assert_eq!(moves.note(at(ms), BRIDGE, mac(0), &rfc), Noted::Move);
        }
        // A thousand others move once each, through a table of 16.
        for n in 1..1000 {
            assert_eq!(moves.note(at(2), BRIDGE, mac(n), &rfc), Noted::Move);
        }
        assert!(moves.forgotten() > 900);
        let noted = [3, 4, 5].map(|ms| moves.note(at(ms), BRIDGE, mac(0), &rfc));
        assert_eq!(noted, [Noted::Move, Noted::Move, Noted::Duplicate]);
        // Nor do others that are duplicates one short drive out a duplicate.
        for n in 1..1000 {
            for ms in 0..4 {
                moves.note(at(6 + ms), BRIDGE, mac(n), &rfc);
            }
        }
        assert!(moves.is_duplicate(at(10), BRIDGE, mac(0)));
    }

    #[test]
    fn a_table_full_of_duplicates_lets_others_move() {
        let config = DuplicateDetection { max_moves: 1, ..DuplicateDetection::RFC };
        let mut buckets = [Bucket::EMPTY; 2];
        let mut moves = Moves::new(&mut buckets, SEED);
        for n in 0..200 {
            moves.note(at(0), BRIDGE, mac(n), &config);
        }
        assert!(moves.len() <= 8);
        let known = moves.len() as u64;
        assert_eq!(moves.forgotten(), 200 - known);
        let mut cleared = 0;
        moves.clear_bridge(at(0), BridgeId(9), |_| cleared += 1);
        assert_eq!(cleared, 0);
        moves.clear_bridge(at(0), BRIDGE, |_| cleared += 1);
        assert_eq!((cleared, moves.len()), (known, 0));
    }

    #[test]
    fn agrees_with_a_plain_model() {
        let mut state = 5_u64;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for _ in 0..100 {
            let config = DuplicateDetection {
                max_moves: 1 + u16::try_from(random(6)).unwrap(),
                window: Duration::from_millis(random(2000)),
                action: DuplicateAction::Freeze,
                recover: (random(2) == 0).then(|| Duration::from_millis(random(3000))),
            };
            // Room for all: what is compared is the counting.
            let mut buckets = [Bucket::EMPTY; 64];
            let mut moves = Moves::new(&mut buckets, [random(1 << 30), random(1 << 30)]);
            // For each MAC: the moves counted, and until when; `None` moves for a duplicate, `None` time for ever.
            let mut model: HashMap<u64, (Option<u16>, Option<u64>)> = HashMap::new();
            let mut now = 0;
            for _ in 0..400 {
                now += random(120);
                let n = random(12);
                let over = |until: &Option<u64>| until.is_some_and(|until| now >= until);
                model.retain(|_, (_, until)| !over(until));
                let entry = model.entry(n).or_insert((Some(0), Some(now + config.window.as_millis())));
                let expected = match entry {
                    (None, _) => Noted::Again,
                    (Some(count), _) if *count + 1 >= config.max_moves => {
                        *entry = (None, config.recover.map(|recover| now + recover.as_millis()));
                        Noted::Duplicate
                    }
                    (Some(count), _) => {
                        *count += 1;
                        Noted::Move
                    }
                };
                let noted = match moves.note(at(now), BRIDGE, mac(n), &config) {
                    Noted::Recovered => Noted::Move,
                    noted => noted,
                };
                assert_eq!(noted, expected, "{config:?} at {now}");
                if random(9) == 0 {
                    moves.sweep(at(now), 7, |_, _| {});
                }
                if random(30) == 0 {
                    model.remove(&n);
                    moves.clear(at(now), BRIDGE, mac(n));
                }
            }
            assert_eq!(moves.forgotten(), 0);
        }
    }
}
