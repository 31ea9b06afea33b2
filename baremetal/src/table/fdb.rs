use core::fmt::Write;

use vtep::table::cuckoo::Bucket;
use vtep::table::fdb::{
    Add, BridgeRecord, DestinationRecord, Entry, FdbError, Filter, LearnPolicy, Owners, Removed, WhenFull, Yield,
};
use vtep::table::{AgeingTooLong, Fdb, FdbConfig, FdbMemory, LabelSlot, Labels, Owner};

use crate::opaque::{Any, Characters, any, hidden, pick, sink, some};

#[inline(never)]
pub fn every_call() {
    let mut buckets = hidden([Bucket::EMPTY; 8]);
    let mut bridges = hidden([BridgeRecord::default(); 4]);
    let [mut ports, mut endpoints, mut groups] = hidden([[DestinationRecord::default(); 4]; 3]);
    let memory = FdbMemory {
        buckets: some(&mut buckets),
        bridges: some(&mut bridges),
        ports: some(&mut ports),
        endpoints: some(&mut endpoints),
        groups: some(&mut groups),
    };
    let (mut slots, mut map) = (hidden([LabelSlot::EMPTY; 8]), hidden([Bucket::EMPTY; 4]));
    let labels = Labels::new(some(&mut slots), some(&mut map), any());
    let mut fdb = hidden(Fdb::with_labels(Fdb::new(memory, &any()), labels));
    while any() {
        look(&fdb);
        learn(&mut fdb);
        control(&mut fdb);
    }

    sink(FdbError::name(any()));
    sink(FdbError::from(AgeingTooLong));
    sink(write!(Characters, "{}", any::<FdbError>()));
    sink(Filter::default());
}

pub fn look(fdb: &Fdb<'_>) {
    if let Some(entry) = Fdb::lookup(fdb, any(), any(), any()) {
        sink((Entry::destination(entry), Entry::meta(entry), Entry::owner(entry)));
        sink((Entry::sticky(entry), Entry::age(entry)));
        sink(LearnPolicy::permits(any(), entry));
        sink(write!(Characters, "{entry:?}"));
    }
    let probe = hidden(Fdb::probe(fdb, any(), any()));
    sink(Fdb::touch(fdb, probe));
    sink(Fdb::lookup_probe(fdb, any(), probe));
    for entry in Fdb::iter(fdb, any()) {
        sink(entry);
    }
    for word in Fdb::words(fdb) {
        sink(word);
    }
    sink((Fdb::len(fdb), Fdb::is_empty(fdb), Fdb::capacity(fdb)));
    sink((Fdb::bridge_counts(fdb, any()), Fdb::destination_counts(fdb, any())));
}

fn learn(fdb: &mut Fdb<'_>) {
    sink(Fdb::intern(fdb, any()));
    sink(Labels::get(Fdb::labels(fdb), any()));
    sink(Fdb::learn(fdb, any(), any(), any(), any(), any(), any()));
    let probe = hidden(Fdb::probe(fdb, any(), any()));
    sink(Fdb::learn_probe(fdb, any(), probe, any(), any(), any()));
    sink(Fdb::refresh(fdb, any(), probe, any(), any()));
    sink(Fdb::sweep(fdb, any(), any(), sink::<Removed>));
}

fn control(fdb: &mut Fdb<'_>) {
    sink(Fdb::add(fdb, any(), any(), any(), &any()));
    sink(Fdb::replace(fdb, any(), any(), any(), &any()));
    sink(Fdb::delete(fdb, any(), any(), any()));
    sink(Fdb::flush(fdb, any(), &any(), sink::<Removed>));
    sink((Fdb::flush_bridge(fdb, any()), Fdb::flush_destination(fdb, any())));
    sink(Fdb::set_bridge_limit(fdb, any(), any()));
    sink(Fdb::set_destination_limit(fdb, any(), any()));
    sink(Fdb::set_ageing(fdb, any(), any(), any(), sink::<Removed>));
}

impl Any for FdbConfig {
    fn any() -> Self {
        Self { seed: any(), when_full: any(), ageing: any() }
    }
}

impl Any for WhenFull {
    fn any() -> Self {
        pick(&[Self::Refuse], Self::Evict)
    }
}

impl Any for Add {
    fn any() -> Self {
        Self { destination: any(), meta: any(), owner: any(), sticky: any() }
    }
}

impl Any for Filter {
    fn any() -> Self {
        Self { bridge: any(), destination: any(), meta: any(), owners: any(), sticky: any() }
    }
}

impl Any for Owners {
    fn any() -> Self {
        hidden(Owners::from(any::<Owner>())) | Self::from_bits_retain(any())
    }
}

impl Any for LearnPolicy {
    fn any() -> Self {
        Self { statics: any(), controlled: any(), hold: any() }
    }
}

impl Any for Yield {
    fn any() -> Self {
        pick(&[Self::Never, Self::Move], Self::TakeOver)
    }
}

impl Any for FdbError {
    fn any() -> Self {
        pick(&[Self::Exists, Self::BadMac, Self::BadBridge, Self::BadDestination, Self::TableFull], Self::AgeingTooLong)
    }
}
