//! Reading and writing outer headers.
//!
//! `cargo bench --bench codec [-- FILTER]`; beside other crates, and as a table: `benches/peers/run`.
#![allow(missing_docs)]

mod cases;
mod common;

use criterion::{Criterion, criterion_group, criterion_main};

fn codec(c: &mut Criterion) {
    common::bench(c, "codec", cases::codec::parses());
    common::bench(c, "codec", cases::codec::writes());
    common::bench(c, "codec", vec![cases::floor::copy("copy/50", 50), cases::floor::copy_fixed::<50>("copy/50-fixed")]);
}

criterion_group! { name = benches; config = common::config(); targets = codec }
criterion_main!(benches);
