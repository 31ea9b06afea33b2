//! The time-stamp counter.

use std::time::{Duration, Instant};

/// Before something that is measured: everything older is done, stores included.
#[inline(always)]
pub fn start() -> u64 {
    use core::arch::x86_64::{_mm_lfence, _mm_mfence, _rdtsc};
    // SAFETY: every x86-64 has these instructions.
    unsafe {
        _mm_mfence();
        _mm_lfence();
        let now = _rdtsc();
        _mm_lfence();
        now
    }
}

/// After it: all its instructions are done.
#[inline(always)]
pub fn stop() -> u64 {
    use core::arch::x86_64::{__rdtscp, _mm_lfence};
    let mut core = 0;
    // SAFETY: as above; `rdtscp` is on every x86-64 of the last fifteen years.
    unsafe {
        let now = __rdtscp(&mut core);
        _mm_lfence();
        now
    }
}

/// Ticks a nanosecond.
pub fn frequency() -> f64 {
    let (began, ticks) = (Instant::now(), start());
    while began.elapsed() < Duration::from_millis(100) {}
    (stop() - ticks) as f64 / began.elapsed().as_nanos() as f64
}
