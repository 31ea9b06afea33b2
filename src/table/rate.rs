//! Token buckets: how many frames of a kind may pass, on average and at once.
//!
//! A bucket is kept as what has been taken out of it and not yet come back, so that all-zero memory is a full one.
//! Its unit is a thousandth of a frame, which is what comes back for each frame a second in one millisecond: no
//! rounding, no division, and the same answer on every target.

use super::{Duration, Instant};

/// How many frames may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Rate {
    /// Frames a second, on average.
    pub per_second: u32,
    /// Most frames at once, after a pause that is long enough. With 0 no frame would ever pass.
    pub burst: u32,
}

impl Rate {
    /// `per_second` frames a second, and as many at once as come in a second.
    #[must_use]
    pub const fn per_second(per_second: u32) -> Self {
        Self { per_second, burst: per_second }
    }

    /// How long the full burst takes to come back; `None` where nothing ever does.
    #[must_use]
    pub const fn recovery(self) -> Option<Duration> {
        match (self.burst as u64).saturating_mul(FRAME).checked_div(self.per_second as u64) {
            Some(millis) => Some(Duration::from_millis(millis.saturating_add(1))),
            None => None,
        }
    }
}

/// One frame, in a bucket's unit.
const FRAME: u64 = 1000;

/// What has been taken out of a bucket; see the [module](self). 16 bytes, and all bits zero when full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenBucket {
    /// Thousandths of a frame that are missing at `since`.
    missing: u64,
    since: Instant,
}

impl TokenBucket {
    /// A full bucket.
    pub const FULL: Self = Self { missing: 0, since: Instant::ZERO };

    /// Takes a frame's share out, if it is there.
    ///
    /// `now` going backwards counts as standing still. The rate may change from call to call: what is missing stays
    /// missing. Cost: constant.
    #[must_use]
    pub fn take(&mut self, now: Instant, rate: Rate) -> bool {
        let back = now.saturating_since(self.since).as_millis().saturating_mul(u64::from(rate.per_second));
        let missing = self.missing.saturating_sub(back);
        let after = missing.saturating_add(FRAME);
        let passes = after <= u64::from(rate.burst).saturating_mul(FRAME);
        *self = Self { missing: if passes { after } else { missing }, since: self.since.max(now) };
        passes
    }

    /// For a digest of the state.
    pub(crate) const fn words(&self) -> [u64; 2] {
        [self.missing, self.since.as_millis()]
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;

    const fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn all_zero_memory_is_a_full_bucket() {
        assert_eq!(TokenBucket::default(), TokenBucket::FULL);
        assert_eq!((size_of::<TokenBucket>(), TokenBucket::FULL.words()), (16, [0, 0]));
        let mut bucket = TokenBucket::FULL;
        let rate = Rate { per_second: 1, burst: 3 };
        assert_eq!([0; 5].map(|_| bucket.take(Instant::ZERO, rate)), [true, true, true, false, false]);
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let rate = Rate { per_second: 10, burst: 4 };
        let mut bucket = TokenBucket::FULL;
        let passed: Vec<u64> = (0..1000).filter(|ms| bucket.take(at(*ms), rate)).collect();
        // Four at once, then one for every 100 ms since the first.
        assert_eq!(passed, [0, 1, 2, 3, 100, 200, 300, 400, 500, 600, 700, 800, 900]);
        // However long the pause: no more than the burst.
        assert_eq!((0..9).filter(|_| bucket.take(at(1 << 40), rate)).count(), 4);
    }

    #[test]
    fn rates_that_do_not_divide_a_second_lose_nothing() {
        for per_second in [1, 3, 7, 333, 999, 1001, 12_345] {
            let rate = Rate { per_second, burst: per_second / 1000 + 2 };
            let mut bucket = TokenBucket::FULL;
            // Frames whenever one may pass, for 1,000 seconds.
            let passed =
                |ms| core::iter::repeat_with(|| bucket.take(at(ms), rate)).take_while(|passes| *passes).count();
            let passed: usize = (0..=1_000_000).map(passed).sum();
            assert_eq!(passed as u64, u64::from(rate.burst) + u64::from(per_second) * 1000, "{per_second}");
        }
    }

    #[test]
    fn extremes_do_not_overflow() {
        let most = Rate { per_second: u32::MAX, burst: u32::MAX };
        let mut bucket = TokenBucket::FULL;
        assert!(bucket.take(at(u64::MAX), most));
        assert!(bucket.take(at(0), most));
        let mut bucket = TokenBucket::FULL;
        assert!(!bucket.take(at(u64::MAX), Rate { per_second: u32::MAX, burst: 0 }));
        let still = Rate { per_second: 0, burst: 1 };
        assert_eq!([0, 1, u64::MAX].map(|ms| bucket.take(at(ms), still)), [true, false, false]);
        assert_eq!((still.recovery(), Rate::per_second(0).recovery()), (None, None));
        assert_eq!(Rate { per_second: 10, burst: 4 }.recovery(), Some(Duration::from_millis(401)));
    }

    #[test]
    fn time_that_goes_back_stands_still() {
        let rate = Rate { per_second: 1000, burst: 1 };
        let mut bucket = TokenBucket::FULL;
        let passed = [500, 0, 500, 501, 400, 501, 502].map(|ms| bucket.take(at(ms), rate));
        assert_eq!(passed, [true, false, false, true, false, false, true]);
    }

    #[test]
    fn agrees_with_a_plain_model() {
        // A list of when each frame passed: one more may, if no span of time holds more than burst + rate * span.
        let mut state = 7_u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u32::try_from(state >> 33).unwrap()
        };
        for _ in 0..200 {
            let rate = Rate { per_second: random() % 50, burst: random() % 6 };
            let (mut bucket, mut now, mut passed) = (TokenBucket::FULL, 0, Vec::new());
            for _ in 0..120 {
                now += u64::from(random() % 60);
                let fits = rate.burst > 0
                    && (0..passed.len()).all(|first| {
                        let span = now - passed[first];
                        let frames = (passed.len() - first) as u64 + 1;
                        frames * 1000 <= u64::from(rate.burst) * 1000 + span * u64::from(rate.per_second)
                    });
                assert_eq!(bucket.take(at(now), rate), fits, "{rate:?} at {now} after {passed:?}");
                if fits {
                    passed.push(now);
                }
            }
        }
    }
}
