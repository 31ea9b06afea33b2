//! The forwarding database at 90 % load beside `hashbrown` with foldhash.
//!
//! `cargo bench --bench fdb [-- FILTER]`. Only ratios of neighbouring lines of one run mean anything on a
//! machine that does other work.
#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, clippy::indexing_slicing, missing_docs)]

use core::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use vtep::table::cuckoo::Bucket;
use vtep::table::fdb::{BridgeRecord, DestinationRecord, LearnPolicy, Learned};
use vtep::table::{BridgeId, Destination, EndpointId, Fdb, FdbConfig, FdbMemory, Instant, Meta};
use vtep::wire::MacAddr;

const SIZES: [usize; 4] = [1 << 10, 1 << 14, 1 << 17, 1 << 20];
const BRIDGE: BridgeId = BridgeId(7);
const BULK: usize = 32;

struct Memory {
    buckets: Vec<Bucket>,
    bridges: Vec<BridgeRecord>,
    endpoints: Vec<DestinationRecord>,
}

impl Memory {
    fn new(slots: usize) -> Self {
        Self {
            buckets: vec![Bucket::EMPTY; slots / 4],
            bridges: vec![BridgeRecord::EMPTY; 8],
            endpoints: vec![DestinationRecord::EMPTY; 16],
        }
    }

    fn fdb(&mut self) -> Fdb<'_> {
        let memory = FdbMemory {
            buckets: &mut self.buckets,
            bridges: &mut self.bridges,
            ports: &mut [],
            endpoints: &mut self.endpoints,
            groups: &mut [],
        };
        Fdb::new(memory, &FdbConfig { seed: [1, 2], ..FdbConfig::default() })
    }
}

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// Random unicast MACs, and an order to ask for them in.
fn stations(slots: usize) -> (Vec<MacAddr>, Vec<MacAddr>) {
    let mut state = 42;
    let count = slots * 9 / 10;
    let macs: Vec<MacAddr> =
        (0..count).map(|_| MacAddr::from_u64(random(&mut state) & 0xfcff_ffff_ffff | 0x0200_0000_0000)).collect();
    let mut order: Vec<MacAddr> = macs.iter().copied().cycle().take(count.max(1 << 16)).collect();
    for i in (1..order.len()).rev() {
        order.swap(i, usize::try_from(random(&mut state) % (i as u64 + 1)).unwrap());
    }
    (macs, order)
}

fn unknown(mac: MacAddr) -> MacAddr {
    MacAddr::from_u64(mac.to_u64() ^ 1 << 40)
}

fn learn(fdb: &mut Fdb<'_>, now: u64, mac: MacAddr, endpoint: u16) -> Learned {
    let destination = Destination::Endpoint(EndpointId(endpoint));
    fdb.learn(Instant::from_millis(now), BRIDGE, mac, destination, Meta::NONE, LearnPolicy::default())
}

fn fdb(c: &mut Criterion) {
    for slots in SIZES {
        let (macs, order) = stations(slots);
        let mut memory = Memory::new(slots);
        let mut fdb = memory.fdb();
        let mut peer: HashMap<u64, u64, FixedState> =
            HashMap::with_capacity_and_hasher(macs.len(), FixedState::with_seed(7));
        for &mac in &macs {
            assert_eq!(learn(&mut fdb, 0, mac, 1), Learned::New { removed: None });
            peer.insert(mac.to_u64(), 1);
        }
        let keys: Vec<u64> = order.iter().map(|mac| mac.to_u64()).collect();
        let now = Instant::from_millis(1_000);
        let meta = |mac| fdb.lookup(now, BRIDGE, mac).map_or(1, |entry| u64::from(entry.meta().get()));

        let mut group = c.benchmark_group("fdb");
        group.throughput(Throughput::Elements(order.len() as u64));
        let mut bench = |name: &str, f: &mut dyn FnMut() -> u64| {
            group.bench_function(BenchmarkId::new(name, slots), |b| b.iter(|| black_box(f())));
        };
        bench("hit/hashbrown", &mut || keys.iter().fold(0, |sum, key| sum ^ peer.get(key).copied().unwrap_or(0)));
        bench("hit/vtep", &mut || order.iter().fold(0, |sum, &mac| sum ^ meta(mac)));
        bench("hit-bulk/vtep", &mut || {
            let mut sum = 0;
            for chunk in order.chunks_exact(BULK) {
                let mut probes = [fdb.probe(BRIDGE, chunk[0]); BULK];
                probes.iter_mut().zip(chunk).for_each(|(probe, &mac)| *probe = fdb.probe(BRIDGE, mac));
                black_box(probes.iter().fold(0, |sum, &probe| sum ^ fdb.touch(probe)));
                for &probe in &probes {
                    sum ^= fdb.lookup_probe(now, probe).map_or(1, |entry| u64::from(entry.meta().get()));
                }
            }
            sum
        });
        // The answer of each look-up goes into the next one's key.
        bench("hit-dependent/hashbrown", &mut || {
            keys.iter().fold(1, |last, key| peer.get(&(key ^ (last ^ 1))).copied().unwrap_or(0))
        });
        bench("hit-dependent/vtep", &mut || {
            order.iter().fold(0, |last, mac| meta(MacAddr::from_u64(mac.to_u64() ^ last)))
        });
        bench("miss/hashbrown", &mut || {
            keys.iter().fold(0, |sum, key| sum ^ peer.get(&(key ^ 1 << 40)).copied().unwrap_or(0))
        });
        bench("miss/vtep", &mut || order.iter().fold(0, |sum, &mac| sum ^ meta(unknown(mac))));

        let mut now = 1_000;
        bench("refresh/vtep", &mut || {
            now += 256;
            order.iter().fold(0, |n, &mac| n + u64::from(learn(&mut fdb, now, mac, 1) == Learned::Refreshed))
        });
        let mut to = 1;
        bench("move/vtep", &mut || {
            to ^= 3;
            order.iter().fold(0, |n, &mac| n + u64::from(learn(&mut fdb, now, mac, to) == Learned::Refreshed))
        });
        group.throughput(Throughput::Elements(macs.len() as u64));
        group.bench_function(BenchmarkId::new("learn-new/vtep", slots), |b| {
            b.iter(|| {
                fdb.flush_bridge(BRIDGE);
                fdb.sweep(Instant::from_millis(now), slots, |_| {});
                macs.iter().for_each(|&mac| _ = learn(&mut fdb, now, mac, 1));
            });
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(15);
    targets = fdb
}
criterion_main!(benches);
