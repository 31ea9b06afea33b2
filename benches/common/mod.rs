//! Cases for criterion.

use core::time::Duration;
use std::time::Instant;

use criterion::{Criterion, Throughput};

use crate::cases::Case;

pub(crate) fn config() -> Criterion {
    Criterion::default()
        .sample_size(15)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}

/// One benchmark for each case. Only what [`Work::run`](crate::cases::Work::run) does is measured.
pub(crate) fn bench(c: &mut Criterion, group: &str, cases: Vec<Case>) {
    let mut group = c.benchmark_group(group);
    for mut case in cases {
        group.throughput(Throughput::Elements(case.ops as u64));
        group.bench_function(&case.name, |bencher| {
            bencher.iter_custom(|count| {
                let mut time = Duration::ZERO;
                for _ in 0..count {
                    case.work.prepare();
                    let start = Instant::now();
                    core::hint::black_box(case.work.run());
                    time = time.saturating_add(start.elapsed());
                }
                time
            });
        });
    }
    group.finish();
}
