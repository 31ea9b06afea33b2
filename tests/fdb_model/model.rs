//! A plain map, and the forwarding database beside it.

use std::collections::{BTreeMap, BTreeSet};

use vtep::table::cuckoo::Bucket;
use vtep::table::fdb::{
    Add, BridgeRecord, Counts, DestinationRecord, FdbError, Filter, LearnPolicy, Learned, Owners, Refusal, Removal,
    Removed, WhenFull, Yield,
};
use vtep::table::{
    Ageing, BridgeId, Destination, Duration, EndpointId, Fdb, FdbConfig, FdbMemory, GroupId, Instant, Meta, Owner,
    PortId,
};
use vtep::wire::MacAddr;

/// An operation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Learn(BridgeId, MacAddr, Destination, Meta, LearnPolicy),
    Lookup(BridgeId, MacAddr),
    Add(BridgeId, MacAddr, Add),
    Replace(BridgeId, MacAddr, Add),
    Delete(BridgeId, MacAddr),
    Flush(Filter),
    FlushBridge(BridgeId),
    FlushDestination(Destination),
    SetAgeing(BridgeId, Ageing),
    BridgeLimit(BridgeId, Option<u32>),
    DestinationLimit(Destination, Option<u32>),
    Sweep(usize),
}

/// How much memory there is, and how the table is to behave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) buckets: usize,
    pub(crate) bridges: usize,
    pub(crate) ports: usize,
    pub(crate) endpoints: usize,
    pub(crate) groups: usize,
    pub(crate) config: FdbConfig,
}

/// Does everything to a table and to a map, which have to agree after each operation; `start` and the pauses before the
/// operations are milliseconds.
pub(crate) fn run(setup: Setup, start: u64, ops: &[(i64, Op)]) {
    let mut buckets = vec![Bucket::EMPTY; setup.buckets];
    let mut bridges = vec![BridgeRecord::EMPTY; setup.bridges];
    let mut ports = vec![DestinationRecord::EMPTY; setup.ports];
    let mut endpoints = vec![DestinationRecord::EMPTY; setup.endpoints];
    let mut groups = vec![DestinationRecord::EMPTY; setup.groups];
    let memory = FdbMemory {
        buckets: &mut buckets,
        bridges: &mut bridges,
        ports: &mut ports,
        endpoints: &mut endpoints,
        groups: &mut groups,
    };
    let mut pair = Pair { fdb: Fdb::new(memory, &setup.config), model: Model::new(setup), tidied: false };
    let mut now = start;
    for &(pause, op) in ops {
        now = now.saturating_add_signed(pause);
        pair.apply(Instant::from_millis(now), op);
    }
    pair.settle(Instant::from_millis(now));
}

#[derive(Clone, Copy, Debug)]
struct Row {
    add: Add,
    stamp: u64,
}

#[derive(Clone, Copy, Debug)]
struct Bridge {
    ageing: Ageing,
    limit: Option<u32>,
}

struct Model {
    setup: Setup,
    rows: BTreeMap<(BridgeId, MacAddr), Row>,
    /// Flushed at once, and perhaps still in their slots.
    void: BTreeSet<(BridgeId, MacAddr)>,
    bridges: Vec<Bridge>,
    limits: BTreeMap<Destination, u32>,
    /// The latest coarse time that a change has seen.
    latest: u64,
    /// The last complete sweep pass began at or after this, in coarse time.
    clean: u64,
}

impl Model {
    fn new(setup: Setup) -> Self {
        let ageing = setup.config.ageing.validate().unwrap_or(Ageing::After(Ageing::MAX));
        let bridges = vec![Bridge { ageing, limit: None }; setup.bridges];
        Self {
            setup,
            rows: BTreeMap::new(),
            void: BTreeSet::new(),
            bridges,
            limits: BTreeMap::new(),
            latest: 0,
            clean: 0,
        }
    }

    fn has(&self, destination: Destination) -> bool {
        match destination {
            Destination::Port(id) => id.index() < self.setup.ports,
            Destination::Endpoint(id) => id.index() < self.setup.endpoints,
            Destination::Group(id) => id.index() < self.setup.groups,
            Destination::Host | Destination::Drop => false,
        }
    }

    fn alive_at(&self, bridge: BridgeId, row: &Row, now: u64) -> bool {
        if row.add.owner != Owner::Dynamic {
            return true;
        }
        match self.bridges[bridge.index()].ageing {
            Ageing::After(d) => now - row.stamp <= d.as_millis().div_ceil(256),
            _ => true,
        }
    }

    fn alive(&self, bridge: BridgeId, mac: MacAddr) -> Option<Row> {
        let row = *self.rows.get(&(bridge, mac))?;
        self.alive_at(bridge, &row, self.latest).then_some(row)
    }

    fn live_to(&self, destination: Destination) -> u32 {
        let live = self.rows.iter().filter(|((bridge, _), row)| {
            row.add.destination == destination
                && row.add.owner == Owner::Dynamic
                && self.alive_at(*bridge, row, self.latest)
        });
        u32::try_from(live.count()).unwrap()
    }

    fn pinned(&self, matches: impl Fn(BridgeId, &Row) -> bool) -> u32 {
        let pinned = self.rows.iter().filter(|((b, _), row)| row.add.owner != Owner::Dynamic && matches(*b, row));
        u32::try_from(pinned.count()).unwrap()
    }

    /// An entry has been reported to have left: it must have been there, as reported.
    fn gone(&mut self, removed: Removed) {
        let row = self.rows.remove(&(removed.bridge, removed.mac)).expect("a removed entry existed");
        let alive = self.alive_at(removed.bridge, &row, self.latest);
        assert_eq!(alive, removed.why != Removal::Expired, "{removed:?}");
        assert_eq!(removed.entry.destination(), row.add.destination);
        assert_eq!(removed.entry.meta(), row.add.meta);
        assert_eq!(removed.entry.owner(), row.add.owner);
        if removed.why == Removal::Evicted {
            assert!(row.add.owner == Owner::Dynamic && !row.add.sticky, "{removed:?}");
        }
    }

    fn put(&mut self, bridge: BridgeId, mac: MacAddr, add: Add) {
        self.rows.insert((bridge, mac), Row { add, stamp: self.latest });
        self.void.remove(&(bridge, mac));
    }

    /// Dynamic entries have been flushed by epoch.
    fn flushed(&mut self, matches: impl Fn(BridgeId, &Row) -> bool) {
        let Self { rows, void, .. } = self;
        rows.retain(|(bridge, mac), row| {
            let keep = row.add.owner != Owner::Dynamic || !matches(*bridge, row);
            if !keep {
                void.insert((*bridge, *mac));
            }
            keep
        });
    }
}

fn full(counts: Option<Counts>) -> bool {
    counts.is_some_and(|counts| counts.limit.is_some_and(|limit| counts.dynamic >= limit))
}

struct Pair<'a> {
    fdb: Fdb<'a>,
    model: Model,
    tidied: bool,
}

impl Pair<'_> {
    fn apply(&mut self, now: Instant, op: Op) {
        let coarse = now.as_millis() / 256;
        let writes = !matches!(
            op,
            Op::Lookup(..)
                | Op::FlushBridge(_)
                | Op::FlushDestination(_)
                | Op::BridgeLimit(..)
                | Op::DestinationLimit(..)
        );
        // A refused ageing time or bridge is refused before time is looked at; that is harmless.
        let refused =
            matches!(op, Op::SetAgeing(b, a) if a.validate().is_err() || b.index() >= self.model.setup.bridges);
        let before = self.model.latest;
        if writes && !refused {
            self.model.latest = self.model.latest.max(coarse);
        }
        // The table may walk itself where no sweep has done so for long, and that drops void entries.
        self.tidied = self.model.latest - self.model.clean > 9_000;
        match op {
            Op::Learn(bridge, mac, destination, meta, policy) => {
                // What is refused does not let the time go on, unless it is for want of room.
                if !self.learn(now, bridge, mac, destination, meta, policy) {
                    self.model.latest = before;
                }
            }
            Op::Lookup(bridge, mac) => self.lookup(now, bridge, mac),
            Op::Add(bridge, mac, add) => self.add(now, bridge, mac, add, false),
            Op::Replace(bridge, mac, add) => self.add(now, bridge, mac, add, true),
            Op::Delete(bridge, mac) => {
                let expected = self.model.alive(bridge, mac);
                let got = self.fdb.delete(now, bridge, mac);
                assert_eq!(got.map(|e| e.destination()), expected.map(|row| row.add.destination));
                if got.is_some() {
                    self.model.rows.remove(&(bridge, mac));
                }
            }
            Op::Flush(filter) => {
                let matching = self.model.rows.iter().filter(|((bridge, _), row)| {
                    filter.bridge.is_none_or(|b| b == *bridge)
                        && filter.destination.is_none_or(|d| d == row.add.destination)
                        && filter.meta.is_none_or(|m| m == row.add.meta)
                        && filter.sticky.is_none_or(|s| s == row.add.sticky)
                        && filter.owners.contains(Owners::from(row.add.owner))
                });
                let matching = matching.count();
                let mut gone = Vec::new();
                assert_eq!(self.fdb.flush(now, &filter, |removed| gone.push(removed)), matching);
                assert_eq!(gone.len(), matching);
                gone.into_iter().for_each(|removed| self.model.gone(removed));
            }
            Op::FlushBridge(id) => {
                let counted = self.fdb.bridge_counts(id).map_or(0, |counts| counts.dynamic);
                assert_eq!(self.fdb.flush_bridge(id), counted);
                self.model.flushed(|b, _| b == id);
                assert_eq!(self.fdb.bridge_counts(id).map_or(0, |counts| counts.dynamic), 0);
            }
            Op::FlushDestination(to) => {
                let counted = self.fdb.destination_counts(to).map_or(0, |counts| counts.dynamic);
                assert_eq!(self.fdb.flush_destination(to), counted);
                self.model.flushed(|_, row| row.add.destination == to);
                assert_eq!(self.fdb.destination_counts(to).map_or(0, |counts| counts.dynamic), 0);
                let left = |e: vtep::table::fdb::Entry| e.destination() == to && e.owner() == Owner::Dynamic;
                assert!(!self.fdb.iter(now).any(|(_, _, entry)| left(entry)));
            }
            Op::SetAgeing(id, ageing) => self.set_ageing(now, id, ageing),
            Op::BridgeLimit(id, limit) => {
                let known = id.index() < self.model.setup.bridges;
                assert_eq!(self.fdb.set_bridge_limit(id, limit), known.then_some(()).ok_or(FdbError::BadBridge));
                if known {
                    self.model.bridges[id.index()].limit = limit;
                }
            }
            Op::DestinationLimit(to, limit) => {
                let known = self.model.has(to);
                let done = self.fdb.set_destination_limit(to, limit);
                assert_eq!(done, known.then_some(()).ok_or(FdbError::BadDestination));
                match limit {
                    Some(limit) if known => drop(self.model.limits.insert(to, limit)),
                    _ => drop(self.model.limits.remove(&to)),
                }
            }
            Op::Sweep(budget) => {
                let mut gone = Vec::new();
                let swept = self.fdb.sweep(now, budget, |removed| gone.push(removed));
                if swept.pass_complete && budget >= self.fdb.capacity() {
                    self.model.clean = self.model.latest;
                }
                assert_eq!(swept.expired, gone.len());
                assert!(swept.slots <= self.fdb.capacity() && swept.slots <= budget.saturating_add(3));
                gone.into_iter().for_each(|removed| self.model.gone(removed));
            }
        }
        self.check(now);
    }

    /// Whether time goes on with it.
    fn learn(
        &mut self,
        now: Instant,
        bridge: BridgeId,
        mac: MacAddr,
        to: Destination,
        meta: Meta,
        policy: LearnPolicy,
    ) -> bool {
        let before = (self.fdb.bridge_counts(bridge), self.fdb.destination_counts(to));
        let tenants: BTreeMap<BridgeId, u32> = self
            .model
            .rows
            .keys()
            .map(|(id, _)| (*id, self.fdb.bridge_counts(*id).map_or(0, |counts| counts.dynamic)))
            .collect();
        let victims: BTreeMap<Destination, u32> = self
            .model
            .rows
            .values()
            .map(|row| (row.add.destination, self.fdb.destination_counts(row.add.destination).map_or(0, |c| c.dynamic)))
            .collect();
        let learned = self.fdb.learn(now, bridge, mac, to, meta, policy);
        let dynamic = Add { destination: to, meta, owner: Owner::Dynamic, sticky: false };
        let alive = self.model.alive_checked(bridge, mac);
        let model = &mut self.model;
        let refused = if bridge.index() >= model.setup.bridges {
            Some(Refusal::BadBridge)
        } else if !mac.is_station() {
            Some(Refusal::BadMac)
        } else if !model.has(to) {
            Some(Refusal::BadDestination)
        } else if model.bridges[bridge.index()].ageing == Ageing::NoLearn {
            Some(Refusal::NoLearn)
        } else {
            None
        };
        if let Some(refusal) = refused {
            assert_eq!(learned, Learned::Refused(refusal));
            return false;
        }
        let Some(row) = alive else {
            match learned {
                Learned::New { removed } => {
                    let same = removed.is_some_and(|gone| (gone.bridge, gone.mac) == (bridge, mac))
                        || model.void.contains(&(bridge, mac));
                    // The MAC's own dead entry counts until it is replaced.
                    assert!(same || self.tidied || (!full(before.0) && !full(before.1)), "{before:?}");
                    if let Some(gone) = removed {
                        if gone.why == Removal::Evicted {
                            assert_eq!(model.setup.config.when_full, WhenFull::Evict);
                            let victim = gone.entry.destination();
                            let own = before.1.map_or(0, |counts| counts.dynamic);
                            assert!(victim == to || victims[&victim] > own + 1, "{gone:?}: {victims:?}");
                            let own = before.0.map_or(0, |counts| counts.dynamic);
                            assert!(gone.bridge == bridge || tenants[&gone.bridge] > own + 1, "{gone:?}: {tenants:?}");
                        }
                        model.gone(gone);
                    }
                    model.put(bridge, mac, dynamic);
                }
                Learned::Refused(Refusal::BridgeLimit) => assert!(full(before.0)),
                Learned::Refused(Refusal::DestinationLimit) => assert!(full(before.1)),
                Learned::Refused(Refusal::TableFull) => {
                    // One bucket is the least that may be full.
                    assert!(self.fdb.len() >= 4 || self.fdb.capacity() == 0);
                }
                other => panic!("{other:?} for an unknown MAC"),
            }
            return true;
        };
        let owner = row.add.owner;
        if row.add.destination == to {
            let expected = if owner != Owner::Dynamic || row.add.meta == meta {
                Learned::Refreshed
            } else {
                Learned::Updated { meta: row.add.meta }
            };
            assert_eq!(learned, expected);
            if owner == Owner::Dynamic {
                model.put(bridge, mac, Add { meta, ..row.add });
            }
            return true;
        }
        let yields = match owner {
            Owner::Static => policy.statics,
            Owner::Dynamic | Owner::Local => Yield::Never,
            _ => policy.controlled,
        };
        let refusal = match owner {
            Owner::Local => Some(Refusal::Local),
            _ if row.add.sticky => Some(Refusal::Sticky),
            Owner::Dynamic => None,
            _ if yields != Yield::Never => None,
            Owner::Static => Some(Refusal::Static),
            _ => Some(Refusal::Owned),
        };
        if let Some(refusal) = refusal {
            assert_eq!(learned, Learned::Refused(refusal));
            return false;
        }
        match learned {
            Learned::Refused(Refusal::Held) => assert!(policy.hold),
            Learned::Moved { from } => {
                assert!(!policy.hold);
                assert_eq!(from, row.add.destination);
                let owner = if yields == Yield::Move { owner } else { Owner::Dynamic };
                // Counted afterwards: the clock's jump may have ended entries that were counted before.
                let within = |counts: Counts| counts.limit.is_none_or(|limit| counts.dynamic <= limit);
                assert!(owner != Owner::Dynamic || self.fdb.destination_counts(to).is_none_or(within));
                // What a control plane has said of a MAC stays, but for where it is.
                let meta = if owner == Owner::Dynamic { dynamic.meta } else { row.add.meta };
                model.put(bridge, mac, Add { owner, meta, ..dynamic });
            }
            // A bridge above its limit cannot take over one more.
            Learned::Refused(Refusal::BridgeLimit) => assert!(full(before.0)),
            Learned::Refused(Refusal::DestinationLimit) => assert!(full(before.1)),
            other => panic!("{other:?} for {row:?}"),
        }
        // Whether there would be room is found out before the move is refused.
        !policy.hold
    }

    fn lookup(&self, now: Instant, bridge: BridgeId, mac: MacAddr) {
        let at = self.model.latest.max(now.as_millis() / 256);
        let row = self.model.rows.get(&(bridge, mac)).filter(|row| self.model.alive_at(bridge, row, at));
        let got = self.fdb.lookup(now, bridge, mac);
        assert_eq!(got.is_some(), row.is_some(), "{bridge:?} {mac} {row:?}");
        if let (Some(entry), Some(row)) = (got, row) {
            assert_eq!(
                (entry.destination(), entry.meta(), entry.owner(), entry.sticky()),
                (row.add.destination, row.add.meta, row.add.owner, row.add.sticky)
            );
            match self.model.bridges[bridge.index()].ageing {
                _ if row.add.owner != Owner::Dynamic => assert_eq!(entry.age(), Duration::ZERO),
                Ageing::After(_) => assert_eq!(entry.age().as_millis(), (at - row.stamp) * 256),
                _ => {}
            }
        }
    }

    fn add(&mut self, now: Instant, bridge: BridgeId, mac: MacAddr, add: Add, replace: bool) {
        let before = (self.fdb.bridge_counts(bridge), self.fdb.destination_counts(add.destination));
        let alive = self.model.alive_checked(bridge, mac);
        let done = match replace {
            true => self.fdb.replace(now, bridge, mac, &add),
            false => self.fdb.add(now, bridge, mac, &add),
        };
        let dynamic = add.owner == Owner::Dynamic;
        let uncounted = matches!(add.destination, Destination::Host | Destination::Drop);
        let model = &mut self.model;
        if alive.is_some() && !replace {
            assert_eq!(done, Err(FdbError::Exists));
        } else if mac == MacAddr::ZERO || (dynamic && mac.is_multicast()) {
            assert_eq!(done, Err(FdbError::BadMac));
        } else if bridge.index() >= model.setup.bridges {
            assert_eq!(done, Err(FdbError::BadBridge));
        } else if !model.has(add.destination) && (dynamic || !uncounted) {
            assert_eq!(done, Err(FdbError::BadDestination));
        } else {
            match done {
                Ok(removed) => {
                    if let Some(gone) = removed {
                        model.gone(gone);
                    }
                    model.put(bridge, mac, add);
                }
                Err(FdbError::BridgeLimit) => assert!(dynamic && full(before.0)),
                Err(FdbError::DestinationLimit) => assert!(dynamic && full(before.1)),
                Err(FdbError::TableFull) => assert!(alive.is_none()),
                Err(other) => panic!("{other:?}"),
            }
        }
    }

    fn set_ageing(&mut self, now: Instant, id: BridgeId, ageing: Ageing) {
        let mut gone = Vec::new();
        let done = self.fdb.set_ageing(now, id, ageing, |removed| gone.push(removed));
        let model = &mut self.model;
        if ageing.validate().is_err() {
            assert_eq!(done, Err(FdbError::AgeingTooLong));
            return;
        }
        if id.index() >= model.setup.bridges {
            assert_eq!(done, Err(FdbError::BadBridge));
            return;
        }
        assert_eq!(done, Ok(()));
        gone.into_iter().for_each(|removed| model.gone(removed));
        if ageing == Ageing::NoLearn {
            model.flushed(|b, _| b == id);
        }
        let aged = matches!(model.bridges[id.index()].ageing, Ageing::After(_));
        for ((_, _), row) in model.rows.iter_mut().filter(|((b, _), _)| *b == id) {
            if !aged && matches!(ageing, Ageing::After(_)) {
                row.stamp = model.latest;
            }
        }
        model.bridges[id.index()].ageing = ageing;
    }

    fn check(&self, now: Instant) {
        let at = self.model.latest.max(now.as_millis() / 256);
        let live: BTreeMap<_, _> = self.fdb.iter(now).map(|(bridge, mac, entry)| ((bridge, mac), entry)).collect();
        let rows = self.model.rows.iter().filter(|((bridge, _), row)| self.model.alive_at(*bridge, row, at));
        assert!(live.keys().eq(rows.map(|(key, _)| key)), "live entries differ");
        for ((bridge, mac), entry) in &live {
            assert!(*mac != MacAddr::ZERO && (entry.owner() != Owner::Dynamic || mac.is_station()));
            self.lookup(now, *bridge, *mac);
        }
        assert!(self.fdb.len() <= self.fdb.capacity() && self.fdb.len() >= self.model.rows.len());
        for index in 0..self.model.setup.bridges {
            let id = BridgeId(u16::try_from(index).unwrap());
            let counts = self.fdb.bridge_counts(id).unwrap();
            assert_eq!(counts.pinned, self.model.pinned(|bridge, _| bridge == id));
            assert_eq!(counts.limit, self.model.bridges[index].limit);
        }
        let ports = (0..self.model.setup.ports).map(|n| Destination::Port(PortId(u16::try_from(n).unwrap())));
        let remote =
            (0..self.model.setup.endpoints).map(|n| Destination::Endpoint(EndpointId(u16::try_from(n).unwrap())));
        let groups = (0..self.model.setup.groups).map(|n| Destination::Group(GroupId(u16::try_from(n).unwrap())));
        for to in ports.chain(remote).chain(groups) {
            let counts = self.fdb.destination_counts(to).unwrap();
            assert_eq!(counts.pinned, self.model.pinned(|_, row| row.add.destination == to));
            assert!(counts.dynamic >= self.model.live_to(to));
            assert_eq!(counts.limit, self.model.limits.get(&to).copied());
        }
    }

    /// After two complete passes nothing dead is left, and every count is the number of living entries.
    fn settle(&mut self, now: Instant) {
        self.model.latest = self.model.latest.max(now.as_millis() / 256);
        for _ in 0..2 {
            let mut gone = Vec::new();
            while !self.fdb.sweep(now, 8, |removed| gone.push(removed)).pass_complete {}
            gone.into_iter().for_each(|removed| self.model.gone(removed));
        }
        self.check(now);
        assert_eq!(self.fdb.len(), self.model.rows.len());
        assert_eq!(self.fdb.len(), self.fdb.iter(now).count());
        for index in 0..self.model.setup.bridges {
            let id = BridgeId(u16::try_from(index).unwrap());
            let dynamic = self.fdb.iter(now).filter(|(b, _, entry)| *b == id && entry.owner() == Owner::Dynamic);
            assert_eq!(self.fdb.bridge_counts(id).unwrap().dynamic, u32::try_from(dynamic.count()).unwrap());
        }
        for index in 0..self.model.setup.endpoints {
            let to = Destination::Endpoint(EndpointId(u16::try_from(index).unwrap()));
            assert_eq!(self.fdb.destination_counts(to).unwrap().dynamic, self.model.live_to(to));
        }
    }
}

impl Model {
    /// Like [`Model::alive`], for bridges that may not exist.
    fn alive_checked(&self, bridge: BridgeId, mac: MacAddr) -> Option<Row> {
        (bridge.index() < self.setup.bridges).then(|| self.alive(bridge, mac)).flatten()
    }
}
