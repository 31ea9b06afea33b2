//! The forwarding database at 90 % load.
//!
//! `cargo bench --bench fdb [-- FILTER]`; beside other tables, and as a table: `benches/peers/run`.
#![allow(missing_docs)]

mod cases;
mod common;

use criterion::{Criterion, criterion_group, criterion_main};

fn fdb(c: &mut Criterion) {
    for slots in cases::fdb::SIZES {
        common::bench(c, "fdb", cases::fdb::all(slots));
    }
}

criterion_group! { name = benches; config = common::config(); targets = fdb }
criterion_main!(benches);
