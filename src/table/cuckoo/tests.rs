extern crate std;
use std::collections::{HashMap, HashSet};
use std::vec;
use std::vec::Vec;

use super::*;

const SEED: [u64; 2] = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[test]
fn a_bucket_is_one_line() {
    assert_eq!(size_of::<Bucket>(), 64);
    assert_eq!(align_of::<Bucket>(), 64);
}

#[test]
fn hashes_are_the_same_everywhere() {
    let seed = Seed::new(SEED);
    let golden = [
        (1, Hash { first: 169_324, second: 100_309 }),
        (0x0000_0200_0000_0001, Hash { first: 598_867, second: 288_418 }),
        (0xffff_ffff_ffff_ffff, Hash { first: 316_211, second: 242_257 }),
    ];
    let hashes: Vec<Hash> = golden.iter().map(|&(key, _)| seed.hash(key, 1_000_003)).collect();
    assert_eq!(hashes, golden.map(|(_, hash)| hash));
}

#[test]
fn an_empty_slice_misses_and_refuses() {
    let mut map = Cuckoo::new(&mut [], SEED);
    assert_eq!((map.get(7), map.insert(7, 1), map.remove(7)), (None, Err(Full), None));
    assert_eq!((map.len(), map.capacity(), map.touch(map.hash(7))), (0, 0, 0));
    assert_eq!(map.iter().count(), 0);
}

#[test]
fn key_zero_is_no_key() {
    let mut buckets = [Bucket::EMPTY; 1];
    let mut map = Cuckoo::new(&mut buckets, SEED);
    assert_eq!((map.insert(0, 1), map.len()), (Err(Full), 0));
    assert_eq!((map.get(0), map.remove(0), map.get_mut(0, map.hash(0))), (None, None, None));
}

#[test]
fn one_bucket_holds_four() {
    let mut buckets = [Bucket::EMPTY; 1];
    let mut map = Cuckoo::new(&mut buckets, SEED);
    for key in 1..=4 {
        assert_eq!(map.insert(key << 32, key), Ok(None));
    }
    assert_eq!(map.insert(5, 5), Err(Full));
    assert_eq!((1..=5).map(|key| map.get(key << 32)).collect::<Vec<_>>(), [Some(1), Some(2), Some(3), Some(4), None]);
    assert_eq!((map.insert(2 << 32, 9), map.remove(2 << 32), map.get(2 << 32)), (Ok(Some(2)), Some(9), None));
    assert_eq!((map.insert(5, 5), map.len()), (Ok(None), 4));
}

/// The share of slots in use when the first insertion is refused.
#[allow(clippy::cast_precision_loss, reason = "tables here are small")]
fn load_at_first_refusal(buckets: usize, mut key: impl FnMut() -> u64, seed: [u64; 2]) -> f64 {
    let mut memory = vec![Bucket::EMPTY; buckets];
    let mut map = Cuckoo::new(&mut memory, seed);
    while map.insert(key(), 1).is_ok() {}
    f64::from(u32::try_from(map.len()).unwrap()) / f64::from(u32::try_from(map.capacity()).unwrap())
}

#[test]
fn fills_to_95_percent() {
    let mut state = 1;
    for buckets in [1_000, 4_096] {
        for round in 0..4u64 {
            let seed = [random(&mut state), random(&mut state)];
            let mut next = round << 40;
            let sequential = load_at_first_refusal(
                buckets,
                || {
                    next += 1;
                    next
                },
                seed,
            );
            let strided = load_at_first_refusal(
                buckets,
                || {
                    next += 1 << 16;
                    next
                },
                seed,
            );
            let random = load_at_first_refusal(buckets, || random(&mut state), seed);
            for load in [sequential, strided, random] {
                assert!(load >= 0.95, "{buckets} buckets: {load}");
            }
        }
    }
}

#[test]
fn agrees_with_a_hash_map() {
    let mut state = 2;
    let mut buckets = [Bucket::EMPTY; 50];
    let mut map = Cuckoo::new(&mut buckets, SEED);
    let mut model = HashMap::new();
    for _ in 0..20_000 {
        let key = random(&mut state) % 300 + 1;
        let value = random(&mut state);
        if random(&mut state) % 3 == 0 {
            assert_eq!(map.remove(key), model.remove(&key));
        } else {
            match map.insert(key, value) {
                Ok(old) => assert_eq!(old, model.insert(key, value)),
                Err(Full) => assert!(!model.contains_key(&key)),
            }
        }
        assert_eq!(map.len(), model.len());
        let key = random(&mut state) % 300 + 1;
        assert_eq!(map.get(key), model.get(&key).copied());
    }
    assert_eq!(map.iter().collect::<HashMap<_, _>>(), model);
}

/// Buckets that displacements can reach from the candidates of `key`.
fn reachable(map: &Cuckoo<'_>, key: u64, depth: usize) -> HashSet<u32> {
    let hash = map.hash(key);
    let mut reached = HashSet::from([hash.first, hash.second]);
    for _ in 0..depth {
        for bucket in reached.clone() {
            for lane in LANES {
                let other = map.hash(map.slot(bucket, lane).0);
                reached.extend([other.first, other.second]);
            }
        }
    }
    reached
}

#[test]
fn refuses_only_where_nothing_is_free_and_takes_the_highest_rank() {
    let mut state = 3;
    let mut buckets = [Bucket::EMPTY; 64];
    let mut map = Cuckoo::new(&mut buckets, SEED);
    let (mut refusals, mut evictions) = (0, 0);
    for _ in 0..5_000 {
        let key = random(&mut state) | 1;
        let before: HashSet<(u64, u64)> = map.iter().collect();
        let mut asked = Vec::new();
        let crowded = map.is_crowded();
        let hash = map.hash(key);
        // Values below 100 may go, the largest first.
        let value = random(&mut state) % 400;
        let placed = map.place(key, value, hash, |key, value| {
            asked.push((key, value));
            if value < 100 { Fate::Evict(value) } else { Fate::Keep }
        });
        let after: HashSet<(u64, u64)> = map.iter().collect();
        assert_eq!(after.len(), map.len());
        let mut expected = before;
        match placed {
            Err(Full) => {
                refusals += 1;
                assert!(asked.iter().all(|&(_, value)| value >= 100));
                let free = reachable(&map, key, if crowded { 2 } else { 3 })
                    .iter()
                    .any(|&b| LANES.iter().any(|&lane| map.slot(b, lane).0 == 0));
                assert!(!free);
            }
            Ok(gone) => {
                expected.insert((key, value));
                if let Some((gone, rank)) = gone {
                    evictions += 1;
                    assert!(asked.iter().all(|&(_, value)| value >= 100 || value <= rank));
                    assert!(expected.remove(&(gone, rank)));
                }
            }
        }
        assert_eq!(after, expected);
        assert!(asked.len() <= (MAX_VISITS + MAX_VISITS_FULL) * SLOTS);
        if random(&mut state) % 64 == 0 {
            let keys: Vec<u64> = map.iter().map(|(key, _)| key).collect();
            let at = random(&mut state) % keys.len() as u64;
            map.remove(keys[usize::try_from(at).unwrap()]);
        }
    }
    assert!(refusals > 50 && evictions > 50, "{refusals} {evictions}");
}

#[test]
fn dead_entries_make_room() {
    let mut buckets = [Bucket::EMPTY; 8];
    let mut map = Cuckoo::new(&mut buckets, SEED);
    for key in 1..=1000 {
        let hash = map.hash(key);
        let gone = map.place(key, 0, hash, |_, _| Fate::Free).unwrap();
        assert_eq!(gone.is_some(), map.get(key).is_some() && gone.is_some());
    }
    assert!(map.len() <= map.capacity() && map.len() >= 20);
}

#[test]
fn retain_walks_a_part() {
    let mut buckets = [Bucket::EMPTY; 16];
    let mut map = Cuckoo::new(&mut buckets, SEED);
    (1..=40).for_each(|key| assert!(map.insert(key, 0).is_ok()));
    let mut seen = 0;
    for start in 0..4 {
        assert_eq!(
            map.retain(start * 5, 5, |_, value| {
                *value = 1;
                seen += 1;
                seen % 2 == 0
            }),
            5.min(16 - start * 5)
        );
    }
    assert_eq!((seen, map.len()), (40, 20));
    assert!(map.iter().all(|(_, value)| value == 1));
    assert_eq!(map.retain(16, 9, |_, _| false), 0);
    assert_eq!(map.retain(usize::MAX, usize::MAX, |_, _| false), 0);
}
