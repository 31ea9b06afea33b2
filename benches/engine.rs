//! Steps, rewriting, both together, and floods.
//!
//! `cargo bench --bench engine [-- FILTER]`; as a table, in cycles too: `benches/peers/run`.
#![allow(missing_docs)]

mod cases;
mod common;

use criterion::{Criterion, criterion_group, criterion_main};

fn engine(c: &mut Criterion) {
    for plan in cases::engine::plans() {
        common::bench(c, "engine", cases::engine::traffic(plan));
    }
    for endpoints in cases::flood::ENDPOINTS {
        common::bench(c, "engine", cases::flood::replication(endpoints));
    }
}

criterion_group! { name = benches; config = common::config(); targets = engine }
criterion_main!(benches);
