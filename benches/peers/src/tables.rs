//! Tables of others: the same keys as the forwarding database, asked for in the same order.

use core::cell::RefCell;
use core::hash::BuildHasher;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use vtep::table::cuckoo::Bucket;

use crate::cases::fdb::{BULK, SIZES, chunk, hits, order, short_slots, stations, unknown};
use crate::cases::{Case, Prepared, floor};

/// Bytes of memory for a live entry, by table and size.
pub type Bytes = BTreeMap<String, f64>;

/// The tables with `slots` places, and what they take.
pub fn peers(slots: usize, bytes: &mut Bytes) -> Vec<Case> {
    let keys = Keys::new(slots);
    let live = stations(slots).len();
    let lines = slots / 4;
    let chunk = chunk(slots);
    let name = |what: &str| format!("fdb/{}/{what}", short_slots(slots));
    let mut note = |table: &str, total: usize| _ = bytes.insert(name(table), total as f64 / live as f64);
    note("vtep", lines * size_of::<Bucket>());

    let mut cases = hits(slots);
    cases.extend(crate::cases::fdb::changes(slots));
    cases.push(floor::touch(name("floor-line/independent"), lines, 1, chunk, false));
    cases.push(floor::touch(name("floor-line/dependent"), lines, 1, chunk, true));

    let table = Brown::new(live);
    note("hashbrown", table.0.allocation_size());
    cases.extend(keys.cases("hashbrown", table));

    let table = Std(HashMap::with_capacity(live));
    // It is the same table inside, and does not tell its size.
    note("std", Brown::new(live).0.allocation_size());
    cases.extend(keys.cases("std", table));

    if slots == SIZES[0] {
        note("heapless", size_of::<Heapless<1024>>());
        cases.extend(keys.cases("heapless", Box::new(Heapless::<1024>::default())));
    } else if slots == SIZES[1] {
        note("heapless", size_of::<Heapless<16384>>());
        cases.extend(keys.cases("heapless", Heapless::<16384>::boxed()));
    }

    #[cfg(dpdk)]
    {
        let label = std::ffi::CString::new(format!("t{slots}")).expect("no zero inside");
        let (table, total) = crate::dpdk::Table::new(&label, slots).expect("memory for rte_hash");
        note("rte_hash", total);
        cases.extend(keys.cases("rte_hash", table));
    }
    cases
}

/// What is asked of a table.
trait Table: 'static {
    fn put(&mut self, key: u64, value: u64);
    fn take(&mut self, key: u64);
    fn get(&self, key: u64) -> u64;

    fn hits(&self, keys: &[u64]) -> u64 {
        keys.iter().fold(0, |sum, key| sum ^ self.get(*key))
    }

    /// The answer of each look-up goes into the next one's key.
    fn hits_dependent(&self, keys: &[u64]) -> u64 {
        keys.iter().fold(0, |last, key| self.get(key ^ last))
    }

    /// In batches of 32, where the table can do that.
    fn hits_bulk(&self, _keys: &[u64]) -> Option<u64> {
        None
    }
}

struct Keys {
    slots: usize,
    all: Vec<u64>,
    /// Long, with repetitions.
    order: Rc<Vec<u64>>,
    /// Each once at most.
    once: Rc<Vec<u64>>,
}

impl Keys {
    fn new(slots: usize) -> Self {
        let macs = stations(slots);
        let keys = |macs: &[_]| macs.iter().map(|mac: &vtep::wire::MacAddr| mac.to_u64()).collect::<Vec<_>>();
        let order = |once| Rc::new(keys(&order(&macs, chunk(slots), once)));
        Self { slots, all: keys(&macs), order: order(false), once: order(true) }
    }

    fn cases(&self, table_name: &str, mut table: impl Table) -> Vec<Case> {
        for key in &self.all {
            table.put(*key, 0);
        }
        let table = Rc::new(RefCell::new(table));
        let bulk = table.borrow().hits_bulk(&self.order[..BULK]).is_some();
        let mut cases = vec![
            self.case("hit", table_name, &self.order, &table, |_, _| {}, |table, keys| table.hits(keys)),
            self.case("hit-dependent", table_name, &self.order, &table, |_, _| {}, |t, keys| t.hits_dependent(keys)),
            self.case(
                "miss",
                table_name,
                &Rc::new(self.order.iter().map(|key| unknown(vtep::wire::MacAddr::from_u64(*key)).to_u64()).collect()),
                &table,
                |_, _| {},
                |table, keys| table.hits(keys),
            ),
            self.case(
                "learn-new",
                table_name,
                &self.once,
                &table,
                |table, keys| keys.iter().for_each(|key| table.take(*key)),
                |table, keys| {
                    keys.iter().for_each(|key| table.put(*key, 0));
                    0
                },
            ),
        ];
        if bulk {
            let run = |table: &mut _, keys: &[u64]| Table::hits_bulk(table, keys).unwrap_or(1);
            cases.push(self.case("hit-bulk", table_name, &self.order, &table, |_, _| {}, run));
        }
        cases
    }

    fn case<T: Table>(
        &self,
        what: &str,
        table_name: &str,
        order: &Rc<Vec<u64>>,
        table: &Rc<RefCell<T>>,
        prepare: impl Fn(&mut T, &[u64]) + 'static,
        run: impl Fn(&mut T, &[u64]) -> u64 + 'static,
    ) -> Case {
        let (chunk, order, table) = (chunk(self.slots), order.clone(), table.clone());
        let name = format!("fdb/{}/{what}/{table_name}", short_slots(self.slots));
        let work = Prepared {
            state: (0, table),
            prepare: {
                let order = order.clone();
                move |(at, table): &mut (usize, Rc<RefCell<T>>)| {
                    *at = if *at + 2 * chunk > order.len() { 0 } else { *at + chunk };
                    prepare(&mut table.borrow_mut(), &order[*at..*at + chunk]);
                }
            },
            run: move |(at, table): &mut (usize, Rc<RefCell<T>>)| {
                run(&mut table.borrow_mut(), &order[*at..*at + chunk])
            },
        };
        Case::new(name, chunk, work)
    }
}

/// hashbrown with foldhash, as its defaults are, but with a fixed seed.
struct Brown(hashbrown::HashMap<u64, u64, foldhash::fast::FixedState>);

impl Brown {
    fn new(live: usize) -> Self {
        Self(hashbrown::HashMap::with_capacity_and_hasher(live, foldhash::fast::FixedState::with_seed(7)))
    }
}

impl Table for Brown {
    fn put(&mut self, key: u64, value: u64) {
        self.0.insert(key, value);
    }
    fn take(&mut self, key: u64) {
        self.0.remove(&key);
    }
    fn get(&self, key: u64) -> u64 {
        self.0.get(&key).copied().unwrap_or(1)
    }
}

/// The standard library's map, with its SipHash.
struct Std(HashMap<u64, u64>);

impl Table for Std {
    fn put(&mut self, key: u64, value: u64) {
        self.0.insert(key, value);
    }
    fn take(&mut self, key: u64) {
        self.0.remove(&key);
    }
    fn get(&self, key: u64) -> u64 {
        self.0.get(&key).copied().unwrap_or(1)
    }
}

type Heapless<const N: usize> = heapless::index_map::FnvIndexMap<u64, u64, N>;

trait Boxed {
    fn boxed() -> Box<Self>;
}

impl<const N: usize> Boxed for Heapless<N> {
    fn boxed() -> Box<Self> {
        std::thread::Builder::new()
            .stack_size(16 << 20)
            .spawn(|| Box::new(Self::default()))
            .and_then(|thread| thread.join().map_err(|_| std::io::Error::other("the thread died")))
            .expect("a thread with a large stack")
    }
}

impl<const N: usize, S: BuildHasher + 'static> Table for Box<heapless::IndexMap<u64, u64, S, N>> {
    fn put(&mut self, key: u64, value: u64) {
        assert!(self.insert(key, value).is_ok(), "heapless: full");
    }
    fn take(&mut self, key: u64) {
        self.remove(&key);
    }
    fn get(&self, key: u64) -> u64 {
        heapless::IndexMap::get(self, &key).copied().unwrap_or(1)
    }
}

#[cfg(dpdk)]
impl Table for crate::dpdk::Table {
    fn put(&mut self, key: u64, value: u64) {
        assert!(self.add(key, value), "rte_hash: full");
    }
    fn take(&mut self, key: u64) {
        self.remove(key);
    }
    fn get(&self, key: u64) -> u64 {
        self.hits(&[key])
    }
    fn hits(&self, keys: &[u64]) -> u64 {
        crate::dpdk::Table::hits(*self, keys)
    }
    fn hits_dependent(&self, keys: &[u64]) -> u64 {
        crate::dpdk::Table::hits_dependent(*self, keys)
    }
    fn hits_bulk(&self, keys: &[u64]) -> Option<u64> {
        Some(crate::dpdk::Table::hits_bulk(*self, keys))
    }
}
