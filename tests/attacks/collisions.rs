//! Keys that meet in few buckets, counted in buckets that an insertion looks into.

use vtep::table::cuckoo::{Bucket, Cuckoo, Fate, Full, MAX_VISITS, MAX_VISITS_FULL, SLOTS};

const SEED: [u64; 2] = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];
const BUCKETS: usize = 64;

/// Keys that the attacker has picked for a table with this key: all of them share both buckets.
fn colliding(seed: [u64; 2], count: usize) -> Vec<u64> {
    let mut buckets = vec![Bucket::EMPTY; BUCKETS];
    let map = Cuckoo::new(&mut buckets, seed);
    let target = map.hash(1);
    (1..).filter(|key| map.hash(*key) == target).take(count).collect()
}

/// Inserts a key, and counts the buckets that entries were asked about in.
fn visits(map: &mut Cuckoo<'_>, key: u64) -> (usize, Result<Option<(u64, u64)>, Full>) {
    let mut asked = 0_usize;
    let hash = map.hash(key);
    let placed = map.place(key, 7, hash, |_, _| {
        asked += 1;
        Fate::Keep
    });
    (asked.div_ceil(SLOTS), placed)
}

/// A step that learns looks into two buckets for the destination, two for the source, and two for a place at least.
const LEAST: usize = 2 + 2 + 2;
/// Of the buckets that an insertion looks into, those it does not ask about: its own, and where their entries may go.
const UNASKED: usize = 2 + 2 * SLOTS;

#[test]
fn with_an_unknown_seed_the_worst_step_looks_into_four_times_the_least_number_of_buckets_at_most() {
    // Three quarters of the table, picked for another key.
    let picked = colliding(SEED, BUCKETS * SLOTS * 3 / 4);
    for seed in 0..64 {
        let mut buckets = vec![Bucket::EMPTY; BUCKETS];
        let mut map = Cuckoo::new(&mut buckets, [seed, !seed]);
        for key in &picked {
            let (asked, placed) = visits(&mut map, *key);
            assert_eq!(placed, Ok(None));
            let step = 2 + 2 + UNASKED + asked;
            assert!(step <= 4 * LEAST, "seed {seed}: {step} buckets, for {} keys", map.len());
        }
    }
}

#[test]
fn with_a_known_seed_two_buckets_fill_and_the_search_is_bounded() {
    let mut buckets = vec![Bucket::EMPTY; BUCKETS];
    let mut map = Cuckoo::new(&mut buckets, SEED);
    for (n, key) in colliding(SEED, 100).into_iter().enumerate() {
        let (cost, placed) = visits(&mut map, key);
        assert!(cost <= MAX_VISITS + MAX_VISITS_FULL);
        assert_eq!(placed, if n < 2 * SLOTS { Ok(None) } else { Err(Full) });
    }
    // Nobody else is kept from a place: all other buckets are free.
    assert_eq!(map.len(), 2 * SLOTS);
    let others = (1 << 40..).take(BUCKETS * SLOTS / 2);
    assert!(others.map(|key| visits(&mut map, key).1).all(|placed| placed == Ok(None)));
}

/// The attack is one: what `examples/attacks` picks for a known seed does meet in two buckets of the forwarding database.
#[test]
fn the_chosen_macs_collide_in_the_forwarding_database() {
    use super::arena::{BUCKETS, SEED, X};
    use vtep::table::fdb::{BridgeRecord, DestinationRecord, LearnPolicy, Learned, Refusal};
    use vtep::table::{Destination, Fdb, FdbConfig, FdbMemory, Instant, Meta, PortId};

    let mut buckets = vec![Bucket::EMPTY; BUCKETS];
    let mut bridges = vec![BridgeRecord::EMPTY; usize::from(X.0) + 1];
    let mut ports = [DestinationRecord::EMPTY];
    let memory = FdbMemory {
        buckets: &mut buckets,
        bridges: &mut bridges,
        ports: &mut ports,
        endpoints: &mut [],
        groups: &mut [],
    };
    let mut fdb = Fdb::new(memory, &FdbConfig { seed: SEED, ..FdbConfig::default() });
    for n in 0..64 {
        let mac = super::scenarios::colliding(SEED, n);
        let port = Destination::Port(PortId(0));
        let learned = fdb.learn(Instant::ZERO, X, mac, port, Meta::NONE, LearnPolicy::default());
        let expected = if n < 8 { Learned::New { removed: None } } else { Learned::Refused(Refusal::TableFull) };
        assert_eq!(learned, expected, "{n}");
    }
    assert_eq!(fdb.len(), 8);
}
