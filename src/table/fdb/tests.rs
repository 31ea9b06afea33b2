extern crate std;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::table::{Duration, EndpointId, Meta, Owner, PortId};

const BRIDGE: BridgeId = BridgeId(1);

/// A table with the given number of buckets, 2 bridges, 4 ports, 4 endpoints and no group.
fn with_table(buckets: usize, when_full: WhenFull, ageing: Ageing, test: impl FnOnce(&mut Fdb<'_>)) {
    let mut buckets = vec![Bucket::EMPTY; buckets];
    let mut bridges = [BridgeRecord::EMPTY; 2];
    let (mut ports, mut endpoints) = ([DestinationRecord::EMPTY; 4], [DestinationRecord::EMPTY; 4]);
    let memory = FdbMemory {
        buckets: &mut buckets,
        bridges: &mut bridges,
        ports: &mut ports,
        endpoints: &mut endpoints,
        groups: &mut [],
    };
    test(&mut Fdb::new(memory, &FdbConfig { seed: [11, 12], when_full, ageing }));
}

fn mac(n: u64) -> MacAddr {
    MacAddr::from_u64(0x0200_0000_0000 | n)
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn endpoint(n: u16) -> Destination {
    Destination::Endpoint(EndpointId(n))
}

fn learn(fdb: &mut Fdb<'_>, now: u64, n: u64, to: Destination) -> Learned {
    fdb.learn(at(now), BRIDGE, mac(n), to, Meta::NONE, LearnPolicy::default())
}

fn knows(fdb: &Fdb<'_>, now: u64, n: u64) -> bool {
    fdb.lookup(at(now), BRIDGE, mac(n)).is_some()
}

/// Every count is what a walk over the slots finds.
fn recount(fdb: &Fdb<'_>) {
    for index in 0..fdb.books.bridges.len() {
        let id = BridgeId(u16::try_from(index).unwrap());
        let count = |dynamic: bool| {
            let slots = fdb.map.iter().map(|(key, word)| (key, Word(word)));
            let mine = slots.filter(|&(key, word)| {
                let epochs = fdb.books.epochs(id, word.destination());
                key_bridge(key) == id
                    && word.is_dynamic() == dynamic
                    && (!dynamic || word.epochs().bridge() == epochs.bridge())
            });
            u32::try_from(mine.count()).unwrap()
        };
        let counts = fdb.bridge_counts(id).unwrap();
        assert_eq!((counts.dynamic, counts.pinned), (count(true), count(false)));
    }
    for to in (0..4).flat_map(|n| [endpoint(n), Destination::Port(PortId(n))]) {
        let count = |dynamic: bool| {
            let slots = fdb.map.iter().map(|(_, word)| Word(word));
            let mine = slots.filter(|&word| {
                let epochs = fdb.books.epochs(BRIDGE, to);
                word.destination() == to
                    && word.is_dynamic() == dynamic
                    && (!dynamic || word.epochs().destination() == epochs.destination())
            });
            u32::try_from(mine.count()).unwrap()
        };
        let counts = fdb.destination_counts(to).unwrap();
        assert_eq!((counts.dynamic, counts.pinned), (count(true), count(false)));
    }
}

#[test]
fn records_are_small() {
    assert_eq!(size_of::<BridgeRecord>(), 32);
    assert_eq!(size_of::<DestinationRecord>(), 20);
    assert_eq!(size_of::<Option<Entry>>(), 24);
}

#[test]
fn entries_live_as_long_as_told_and_half_a_second_more() {
    for (start, life) in [(0u64, 0u64), (1, 1), (255, 256), (1_000, 1_000), (77, 300_000), (9, 4 * 3_600_000)] {
        with_table(4, WhenFull::Refuse, Ageing::After(Duration::from_millis(life)), |fdb| {
            learn(fdb, start, 1, endpoint(0));
            assert!(knows(fdb, start + life, 1), "{start} {life}");
            assert!(!knows(fdb, start + life + 512, 1), "{start} {life}");
            let mut gone = Vec::new();
            fdb.sweep(at(start + life), 16, |removed| gone.push(removed));
            assert_eq!((gone.len(), fdb.len()), (0, 1));
            fdb.sweep(at(start + life + 512), 16, |removed| gone.push(removed));
            assert_eq!((gone.len(), fdb.len()), (1, 0));
            assert_eq!((gone[0].mac, gone[0].why), (mac(1), Removal::Expired));
            recount(fdb);
        });
    }
}

/// The shortcut for young entries goes by the least limit of any bridge, and by whether all of them learn.
#[test]
fn one_bridge_does_not_decide_for_another() {
    const OTHER: BridgeId = BridgeId(0);
    let after = |seconds| Ageing::After(Duration::from_secs(seconds));
    with_table(4, WhenFull::Refuse, after(100), |fdb| {
        let known = |fdb: &Fdb<'_>, now, bridge| fdb.lookup(at(now), bridge, mac(1)).is_some();
        let policy = LearnPolicy::default();
        let refresh = |fdb: &mut Fdb<'_>, now, bridge| {
            fdb.learn(at(now), bridge, mac(1), endpoint(0), Meta::NONE, policy) == Learned::Refreshed
        };
        learn(fdb, 0, 1, endpoint(0));
        let add = Add { destination: endpoint(0), meta: Meta::NONE, owner: Owner::Dynamic, sticky: false };
        fdb.add(at(0), OTHER, mac(1), &add).unwrap();
        for (seconds, here, there) in [(10, true, true), (50, true, false), (200, false, false)] {
            fdb.set_ageing(at(0), OTHER, after(20), |_| {}).unwrap();
            assert_eq!((known(fdb, seconds * 1000, BRIDGE), known(fdb, seconds * 1000, OTHER)), (here, there));
        }
        // What one of them flushes is not the other one's, nor is what one does not learn.
        fdb.set_ageing(at(0), OTHER, Ageing::NoLearn, |_| {}).unwrap();
        assert_eq!((known(fdb, 0, BRIDGE), known(fdb, 0, OTHER)), (true, false));
        fdb.replace(at(0), OTHER, mac(1), &add).unwrap();
        assert_eq!((known(fdb, 0, OTHER), refresh(fdb, 0, BRIDGE), refresh(fdb, 0, OTHER)), (true, true, false));
        assert_eq!((refresh(fdb, 1_000, BRIDGE), refresh(fdb, 1_000, OTHER)), (true, false));
        fdb.set_ageing(at(1_000), OTHER, after(20), |_| {}).unwrap();
        assert!(refresh(fdb, 2_000, OTHER) && refresh(fdb, 2_000, BRIDGE));
        // Two passes of the sweep later there is nothing void any more.
        assert_eq!(fdb.clock.young, 0);
        (0..3).for_each(|_| assert!(fdb.sweep(at(2_000), usize::MAX, |_| {}).pass_complete));
        assert_eq!((fdb.clock.young, fdb.clock.quiet), (80, 0));
        assert!(refresh(fdb, 2_000, OTHER) && !known(fdb, 30_000, OTHER) && known(fdb, 30_000, BRIDGE));
        recount(fdb);
    });
}

#[test]
fn a_refresh_writes_once_in_a_coarse_unit() {
    with_table(4, WhenFull::Refuse, Ageing::DEFAULT, |fdb| {
        learn(fdb, 512, 1, endpoint(0));
        let before: Vec<_> = fdb.words().collect();
        assert_eq!(learn(fdb, 767, 1, endpoint(0)), Learned::Refreshed);
        assert_eq!(fdb.words().collect::<Vec<_>>(), before);
        assert_eq!(learn(fdb, 768, 1, endpoint(0)), Learned::Refreshed);
        assert_ne!(fdb.words().collect::<Vec<_>>(), before);
        assert_eq!(fdb.lookup(at(768), BRIDGE, mac(1)).map(Entry::age), Some(Duration::ZERO));
    });
}

/// Each flush leaves void entries behind; the 64th would give the first of them its epoch back.
#[test]
fn epochs_never_come_back() {
    for sweep in [0, 1, 4, 64] {
        with_table(64, WhenFull::Refuse, Ageing::DEFAULT, |fdb| {
            for round in 0..400u64 {
                let to = endpoint(u16::try_from(round % 2).unwrap());
                assert_eq!(learn(fdb, 0, round, to), Learned::New { removed: None });
                let flushed = if round % 3 == 0 { fdb.flush_bridge(BRIDGE) } else { fdb.flush_destination(to) };
                assert!(flushed >= 1);
                assert_eq!(fdb.iter(at(0)).count(), 0, "round {round}");
                assert!((0..=round).all(|n| !knows(fdb, 0, n)));
                let swept = fdb.sweep(at(0), sweep, |removed| panic!("{removed:?}"));
                assert_eq!(swept.expired, 0);
                recount(fdb);
            }
        });
    }
}

/// 16 bits of age wrap after 16,777 s; no clock and no missing sweep may make the old young.
#[test]
fn ages_never_come_back() {
    const WRAP: u64 = 256 << 16;
    for life in [1, 300_000, 4 * 3_600_000] {
        for jump in [life + 512, WRAP - 256, WRAP, WRAP + 256, 2 * WRAP + life / 2, 7 * WRAP, u64::MAX / 2] {
            for touch in [false, true] {
                with_table(16, WhenFull::Refuse, Ageing::After(Duration::from_millis(life)), |fdb| {
                    learn(fdb, 0, 1, endpoint(0));
                    // Another change of the table, which moves its clock on, or none.
                    if touch && jump > 2 * WRAP {
                        learn(fdb, WRAP + WRAP / 2, 2, endpoint(0));
                    }
                    if jump > life + 511 {
                        assert!(!knows(fdb, jump, 1), "{life} {jump}");
                        assert!(matches!(learn(fdb, jump, 1, endpoint(0)), Learned::New { .. }), "{life} {jump}");
                    }
                    assert!(knows(fdb, jump, 1));
                    recount(fdb);
                });
            }
        }
    }
}

/// Without any sweep, entries that are refreshed stay and the others go, for days.
#[test]
fn ages_stay_exact_without_sweeps() {
    with_table(16, WhenFull::Refuse, Ageing::After(Duration::from_secs(3 * 3600)), |fdb| {
        learn(fdb, 0, 99, endpoint(1));
        for minute in 0..3 * 24 * 60 {
            let now = minute * 60_000;
            assert!(!matches!(learn(fdb, now, 1, endpoint(0)), Learned::New { .. }) || minute == 0);
            assert_eq!(knows(fdb, now, 99), minute <= 180, "minute {minute}");
        }
        assert_eq!(fdb.len(), 2, "the dead entry waits for a sweep to report it");
        let mut gone = 0;
        fdb.sweep(at(3 * 24 * 3_600_000), 64, |_| gone += 1);
        assert_eq!(gone, 1);
    });
}

#[test]
fn time_may_go_backwards() {
    with_table(16, WhenFull::Refuse, Ageing::After(Duration::from_secs(10)), |fdb| {
        learn(fdb, 1_000_000, 1, endpoint(0));
        assert!(knows(fdb, 0, 1) && knows(fdb, 1_000_000, 1));
        learn(fdb, 5, 2, endpoint(0));
        assert!(knows(fdb, 1_009_000, 2) && !knows(fdb, 1_011_000, 2));
        recount(fdb);
    });
}

#[test]
fn who_floods_the_table_evicts_his_own() {
    with_table(256, WhenFull::Evict, Ageing::DEFAULT, |fdb| {
        for n in 0..300 {
            learn(fdb, 0, n, endpoint(u16::try_from(n % 3).unwrap()));
        }
        let pinned = Add { destination: endpoint(3), meta: Meta::NONE, owner: Owner::Static, sticky: false };
        assert_eq!(fdb.add(at(0), BRIDGE, mac(300), &pinned), Ok(None));
        let mut evicted = 0;
        for n in 1_000..21_000 {
            if let Learned::New { removed: Some(gone) } = learn(fdb, 1_000, n, endpoint(3)) {
                assert_eq!((gone.why, gone.entry.destination()), (Removal::Evicted, endpoint(3)));
                evicted += 1;
            }
        }
        assert!(evicted > 15_000, "{evicted}");
        assert!((0..=300).all(|n| knows(fdb, 1_000, n)));
        // A newcomer of a small owner takes from the flood.
        for n in 500..520 {
            match learn(fdb, 1_000, n, endpoint(0)) {
                Learned::New { removed } => {
                    assert!(removed.is_none_or(|gone| gone.entry.destination() == endpoint(3)), "{removed:?}");
                }
                other => panic!("{other:?}"),
            }
        }
        recount(fdb);
    });
}

#[test]
fn a_tenant_that_floods_the_table_does_not_touch_another_behind_the_same_endpoint() {
    with_table(256, WhenFull::Evict, Ageing::DEFAULT, |fdb| {
        let bystander = |fdb: &mut Fdb<'_>, n: u64| {
            fdb.learn(at(0), BridgeId(0), mac(n), endpoint(3), Meta::NONE, LearnPolicy::default())
        };
        (0..300).for_each(|n| assert_eq!(bystander(fdb, n), Learned::New { removed: None }));
        for n in 1_000..21_000 {
            if let Learned::New { removed: Some(gone) } = learn(fdb, 1_000, n, endpoint(3)) {
                assert_eq!((gone.why, gone.bridge), (Removal::Evicted, BRIDGE));
            }
        }
        assert!((0..300).all(|n| fdb.lookup(at(1_000), BridgeId(0), mac(n)).is_some()));
        for n in 500..520 {
            match bystander(fdb, n) {
                Learned::New { removed } => assert!(removed.is_none_or(|gone| gone.bridge == BRIDGE), "{removed:?}"),
                other => panic!("{other:?}"),
            }
        }
        recount(fdb);
    });
}

#[test]
fn a_table_that_refuses_keeps_what_it_has() {
    with_table(16, WhenFull::Refuse, Ageing::After(Duration::from_secs(10)), |fdb| {
        let mut n = 0;
        while learn(fdb, 0, n, endpoint(0)) == (Learned::New { removed: None }) {
            n += 1;
        }
        assert!(n >= 50, "{n}");
        assert_eq!(learn(fdb, 0, n, endpoint(0)), Learned::Refused(Refusal::TableFull));
        assert!((0..n).all(|n| knows(fdb, 0, n)));
        // Dead entries make room, and are reported by whoever takes their place.
        let Learned::New { removed: Some(gone) } = learn(fdb, 20_000, n, endpoint(1)) else { panic!("no room") };
        assert_eq!(gone.why, Removal::Expired);
        recount(fdb);
        // Flushed ones go silently.
        fdb.flush_destination(endpoint(0));
        assert_eq!(learn(fdb, 20_000, n + 1, endpoint(1)), Learned::New { removed: None });
        recount(fdb);
    });
}

#[test]
fn limits_hold() {
    with_table(64, WhenFull::Evict, Ageing::DEFAULT, |fdb| {
        assert_eq!(fdb.set_bridge_limit(BRIDGE, Some(5)), Ok(()));
        assert_eq!(fdb.set_destination_limit(endpoint(0), Some(3)), Ok(()));
        let learned: Vec<Learned> = (0..8).map(|n| learn(fdb, 0, n, endpoint(u16::from(n >= 4)))).collect();
        let new = Learned::New { removed: None };
        let per_destination = Learned::Refused(Refusal::DestinationLimit);
        let per_bridge = Learned::Refused(Refusal::BridgeLimit);
        assert_eq!(learned, [new, new, new, per_destination, new, new, per_bridge, per_bridge]);
        // A move takes a place at the new destination only.
        assert_eq!(learn(fdb, 0, 4, endpoint(0)), per_destination);
        assert_eq!(learn(fdb, 0, 0, endpoint(1)), Learned::Moved { from: endpoint(0) });
        assert_eq!(learn(fdb, 0, 4, endpoint(0)), Learned::Moved { from: endpoint(1) });
        assert_eq!(fdb.set_destination_limit(endpoint(0), Some(0)), Ok(()));
        assert_eq!(learn(fdb, 0, 4, endpoint(0)), Learned::Refreshed);
        recount(fdb);
    });
}

#[test]
fn zero_is_nobody() {
    with_table(4, WhenFull::Refuse, Ageing::DEFAULT, |fdb| {
        assert_eq!(fdb.lookup(at(0), BridgeId(0), MacAddr::ZERO), None);
        assert_eq!(fdb.delete(at(0), BridgeId(0), MacAddr::ZERO), None);
        let learned = fdb.learn(
            at(0),
            BridgeId(0),
            MacAddr::ZERO,
            Destination::Port(PortId(0)),
            Meta::NONE,
            LearnPolicy::default(),
        );
        assert_eq!(learned, Learned::Refused(Refusal::BadMac));
    });
}

#[test]
fn a_label_lives_as_long_as_an_entry_has_it() {
    use crate::table::{LabelSlot, Labels};
    use crate::wire::{Label, SecurityGroup};

    let label = |group| Label::of_group(SecurityGroup::new(group).unwrap());
    let (mut slots, mut map) = ([LabelSlot::EMPTY; 2], [Bucket::EMPTY; 1]);
    let mut buckets = vec![Bucket::EMPTY; 4];
    let (mut bridges, mut endpoints) = ([BridgeRecord::EMPTY; 2], [DestinationRecord::EMPTY; 4]);
    let memory = FdbMemory {
        buckets: &mut buckets,
        bridges: &mut bridges,
        ports: &mut [],
        endpoints: &mut endpoints,
        groups: &mut [],
    };
    let mut fdb = Fdb::new(memory, &FdbConfig::default()).with_labels(Labels::new(&mut slots, &mut map, [3, 4]));
    let (here, there) = (endpoint(0), endpoint(1));
    let learn = |fdb: &mut Fdb<'_>, now, station, destination, group| {
        let meta = fdb.intern(label(group))?;
        Ok::<_, LabelsFull>(fdb.learn(at(now), BRIDGE, mac(station), destination, meta, LearnPolicy::default()))
    };
    let counts = |fdb: &Fdb<'_>| {
        let mut counts: Vec<_> = fdb.labels().iter().map(|(_, l, n)| (l.group().get(), n)).collect();
        counts.sort_unstable();
        counts
    };

    learn(&mut fdb, 0, 1, here, 10).unwrap();
    learn(&mut fdb, 0, 2, here, 10).unwrap();
    learn(&mut fdb, 0, 1, here, 10).unwrap();
    assert_eq!(counts(&fdb), [(10, 2)]);
    // Another label at the same place, and a move: the old label loses a reference, the new one gains it.
    assert!(matches!(learn(&mut fdb, 1, 1, here, 20), Ok(Learned::Updated { .. })));
    assert_eq!(counts(&fdb), [(10, 1), (20, 1)]);
    assert!(matches!(learn(&mut fdb, 1, 1, there, 10), Ok(Learned::Moved { .. })));
    assert_eq!(counts(&fdb), [(10, 2)]);
    learn(&mut fdb, 1, 3, here, 20).unwrap();
    assert_eq!(learn(&mut fdb, 1, 4, here, 30), Err(LabelsFull));
    // A flush by epoch frees the label when a sweep finds the entry.
    fdb.flush_destination(there);
    assert_eq!(counts(&fdb), [(10, 2), (20, 1)]);
    fdb.sweep(at(2), usize::MAX, |_| ());
    assert_eq!(counts(&fdb), [(10, 1), (20, 1)]);
    assert!(fdb.delete(at(2), BRIDGE, mac(3)).is_some());
    learn(&mut fdb, 2, 4, here, 30).unwrap();
    assert_eq!(counts(&fdb), [(10, 1), (30, 1)]);
    let entry = fdb.lookup(at(2), BRIDGE, mac(4)).unwrap();
    assert_eq!(fdb.labels().get(entry.meta()), label(30));
    // Replaced by command: the slot's old label goes.
    let meta = fdb.intern(label(10)).unwrap();
    let add = Add { destination: here, meta, owner: Owner::Static, sticky: false };
    fdb.replace(at(2), BRIDGE, mac(4), &add).unwrap();
    assert_eq!(counts(&fdb), [(10, 2)]);
}
