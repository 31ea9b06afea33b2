//! The forwarding database at 90 % load.

use core::cell::RefCell;
use std::rc::Rc;

use vtep::table::cuckoo::Bucket;
use vtep::table::fdb::{BridgeRecord, DestinationRecord, LearnPolicy, Learned};
use vtep::table::{BridgeId, Destination, EndpointId, Fdb, FdbConfig, FdbMemory, Instant, Meta, WhenFull};
use vtep::wire::MacAddr;

use super::{Case, Prepared, Random};

pub const SIZES: [usize; 4] = [1 << 10, 1 << 14, 1 << 17, 1 << 20];
pub const BRIDGE: BridgeId = BridgeId(7);
/// Look-ups of one run, at most.
const CHUNK: usize = 4096;
/// Look-ups before an order repeats itself, at least: a branch predictor should not learn it.
const ORDER: usize = 1 << 16;
/// Look-ups of one batch.
pub const BULK: usize = 32;

/// A table that lives as long as the process.
pub fn table(slots: usize, when_full: WhenFull) -> Fdb<'static> {
    let memory = FdbMemory {
        buckets: vec![Bucket::EMPTY; slots.div_ceil(4)].leak(),
        bridges: vec![BridgeRecord::EMPTY; 8].leak(),
        ports: &mut [],
        endpoints: vec![DestinationRecord::EMPTY; 16].leak(),
        groups: &mut [],
    };
    Fdb::new(memory, &FdbConfig { seed: [1, 2], when_full, ..FdbConfig::default() })
}

/// Operations of one run on a table of `slots` places: no more than it has entries.
pub fn chunk(slots: usize) -> usize {
    CHUNK.min(slots * 9 / 10) / BULK * BULK
}

/// Random MACs of stations, 90 % of `slots`: the same in every run.
pub fn stations(slots: usize) -> Vec<MacAddr> {
    let mut random = Random(42);
    (0..slots * 9 / 10).map(|_| station(random.next())).collect()
}

/// An order to ask for stations in, whole chunks: long, or such that each comes once at most.
pub fn order(macs: &[MacAddr], chunk: usize, once: bool) -> Vec<MacAddr> {
    let mut random = Random(43);
    let len = if once { macs.len() } else { macs.len().max(ORDER) };
    let mut order: Vec<MacAddr> = macs.iter().copied().cycle().take(len / chunk * chunk).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, random.below(last + 1));
    }
    order
}

pub fn station(number: u64) -> MacAddr {
    MacAddr::from_u64(number & 0xfcff_ffff_ffff | 0x0200_0000_0000)
}

/// A MAC that is in no table.
pub fn unknown(mac: MacAddr) -> MacAddr {
    MacAddr::from_u64(mac.to_u64() ^ 1 << 40)
}

pub fn learn(fdb: &mut Fdb<'_>, now: u64, mac: MacAddr, endpoint: u16) -> Learned {
    let destination = Destination::Endpoint(EndpointId(endpoint));
    fdb.learn(Instant::from_millis(now), BRIDGE, mac, destination, Meta::NONE, LearnPolicy::default())
}

/// A filled table, and a place in the order to ask in.
pub struct Filled {
    pub fdb: Fdb<'static>,
    pub macs: Vec<MacAddr>,
    order: Vec<MacAddr>,
    chunk: usize,
    at: usize,
    now: u64,
    endpoint: u16,
}

impl Filled {
    fn new(slots: usize, when_full: WhenFull, once: bool) -> Self {
        let (macs, chunk) = (stations(slots), chunk(slots));
        let order = order(&macs, chunk, once);
        let mut fdb = table(slots, when_full);
        for mac in &macs {
            assert_eq!(learn(&mut fdb, 0, *mac, 1), Learned::New { removed: None });
        }
        Self { fdb, macs, order, chunk, at: 0, now: 1_000, endpoint: 1 }
    }

    fn next(&mut self) {
        self.at = if self.at + self.chunk >= self.order.len() { 0 } else { self.at + self.chunk };
    }

    fn chunk(&self) -> &[MacAddr] {
        &self.order[self.at..self.at + self.chunk]
    }

    #[inline(always)]
    fn meta(&self, mac: MacAddr) -> u64 {
        let now = Instant::from_millis(self.now);
        self.fdb.lookup(now, BRIDGE, mac).map_or(1, |entry| u64::from(entry.meta().get()))
    }

    /// Learns a chunk, and counts what became of it.
    fn learn_chunk(&mut self, expected: fn(Learned) -> bool) -> u64 {
        let Self { fdb, order, chunk, at, now, endpoint, .. } = self;
        let learned = order[*at..*at + *chunk].iter().map(|mac| learn(fdb, *now, *mac, *endpoint));
        learned.filter(|learned| expected(*learned)).count() as u64
    }
}

type Shared = Rc<RefCell<Filled>>;

/// A case that goes through the order chunk by chunk.
fn case(name: &str, slots: usize, table: &Shared, run: impl FnMut(&mut Filled) -> u64 + 'static) -> Case {
    prepared(name, slots, table, Filled::next, run)
}

fn prepared(
    name: &str,
    slots: usize,
    table: &Shared,
    mut prepare: impl FnMut(&mut Filled) + 'static,
    mut run: impl FnMut(&mut Filled) -> u64 + 'static,
) -> Case {
    let work = Prepared {
        state: table.clone(),
        prepare: move |table: &mut Shared| prepare(&mut table.borrow_mut()),
        run: move |table: &mut Shared| run(&mut table.borrow_mut()),
    };
    Case::new(format!("fdb/{}/{name}", short_slots(slots)), chunk(slots), work)
}

/// `1k` is 1,024 here.
pub fn short_slots(slots: usize) -> String {
    if slots >> 20 > 0 { format!("{}M", slots >> 20) } else { format!("{}k", slots >> 10) }
}

/// Look-ups in a table of `slots` places.
pub fn hits(slots: usize) -> Vec<Case> {
    let table = Rc::new(RefCell::new(Filled::new(slots, WhenFull::Refuse, false)));
    vec![
        case("hit/vtep", slots, &table, |t| t.chunk().iter().fold(0, |sum, mac| sum ^ t.meta(*mac))),
        case("hit-bulk/vtep", slots, &table, |t| {
            let now = Instant::from_millis(t.now);
            t.chunk().chunks_exact(BULK).fold(0, |sum, macs| sum ^ bulk(&t.fdb, now, macs))
        }),
        // The answer of each look-up goes into the next one's key.
        case("hit-dependent/vtep", slots, &table, |t| {
            t.chunk().iter().fold(0, |last, mac| t.meta(MacAddr::from_u64(mac.to_u64() ^ last)))
        }),
        // What a look-up does before it knows which lines of the table to load.
        case("probe/vtep", slots, &table, |t| {
            t.chunk().iter().for_each(|mac| _ = core::hint::black_box(t.fdb.probe(BRIDGE, *mac)));
            1
        }),
        case("miss/vtep", slots, &table, |t| t.chunk().iter().fold(0, |sum, mac| sum ^ t.meta(unknown(*mac)))),
    ]
}

/// A batch of look-ups whose memory latencies overlap.
fn bulk(fdb: &Fdb<'_>, now: Instant, macs: &[MacAddr]) -> u64 {
    let mut probes = [fdb.probe(BRIDGE, macs[0]); BULK];
    probes.iter_mut().zip(macs).for_each(|(probe, mac)| *probe = fdb.probe(BRIDGE, *mac));
    core::hint::black_box(probes.iter().fold(0, |sum, probe| sum ^ fdb.touch(*probe)));
    probes
        .iter()
        .fold(0, |sum, probe| sum ^ fdb.lookup_probe(now, *probe).map_or(1, |entry| u64::from(entry.meta().get())))
}

/// What changes a table of `slots` places.
pub fn changes(slots: usize) -> Vec<Case> {
    let table = Rc::new(RefCell::new(Filled::new(slots, WhenFull::Refuse, true)));
    // Tables of their own: elsewhere entries move away from where they are refreshed.
    let fresh = Rc::new(RefCell::new(Filled::new(slots, WhenFull::Refuse, true)));
    let again = Rc::new(RefCell::new(Filled::new(slots, WhenFull::Refuse, false)));
    again.borrow_mut().now = 0;
    let full = Rc::new(RefCell::new(Filled::new(slots, WhenFull::Evict, true)));
    let mut stranger = Random(99);
    vec![
        // What nearly every packet does: the entry says so already, and its coarse time is the present one.
        case("refresh-again/vtep", slots, &again, |t| t.learn_chunk(|learned| learned == Learned::Refreshed)),
        // The coarse time is another one each time: every learning writes.
        prepared(
            "refresh/vtep",
            slots,
            &fresh,
            |t| {
                t.next();
                t.now += 256;
            },
            |t| t.learn_chunk(|learned| learned == Learned::Refreshed),
        ),
        prepared(
            "move/vtep",
            slots,
            &table,
            |t| {
                t.next();
                t.endpoint = 1 + t.endpoint % 15;
            },
            |t| t.learn_chunk(|learned| matches!(learned, Learned::Moved { .. })),
        ),
        // At 90 % load: as many are taken out before.
        prepared(
            "learn-new/vtep",
            slots,
            &table,
            |t| {
                t.next();
                let Filled { fdb, order, chunk, at, now, .. } = t;
                let now = Instant::from_millis(*now);
                order[*at..*at + *chunk].iter().for_each(|mac| _ = fdb.delete(now, BRIDGE, *mac));
            },
            |t| t.learn_chunk(|learned| matches!(learned, Learned::New { .. })),
        ),
        // Every newcomer puts somebody out.
        prepared(
            "evict/vtep",
            slots,
            &full,
            move |t| {
                t.now += 1;
                t.order[..t.chunk].iter_mut().for_each(|mac| *mac = station(stranger.next()));
                t.at = 0;
            },
            |t| t.learn_chunk(|learned| matches!(learned, Learned::New { .. })),
        ),
        // Slots looked at, 64 a call; entries are alive.
        prepared("sweep/vtep", slots, &table, Filled::next, |t| {
            let now = Instant::from_millis(t.now);
            (0..t.chunk / 64).fold(0, |sum, _| sum + t.fdb.sweep(now, 64, |_| {}).slots as u64)
        }),
    ]
}

pub fn all(slots: usize) -> Vec<Case> {
    hits(slots).into_iter().chain(changes(slots)).collect()
}
