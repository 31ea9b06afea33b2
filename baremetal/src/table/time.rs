use core::fmt::Write;

use vtep::table::{Ageing, AgeingTooLong, Duration, Instant};

use crate::opaque::{Any, Characters, any, sink};

#[inline(never)]
pub fn every_call() {
    sink(Instant::as_millis(any()));
    sink(Instant::checked_add(any(), any()));
    sink(Instant::saturating_add(any(), any()));
    sink(Instant::saturating_since(any(), any()));
    sink(Duration::from_secs(any()));
    sink((Duration::as_millis(any()), Duration::as_secs(any())));
    sink(Ageing::validate(any()));
    sink(Ageing::default());
    sink(write!(Characters, "{AgeingTooLong}"));
}

impl Any for Instant {
    fn any() -> Self {
        Instant::from_millis(any())
    }
}

impl Any for Duration {
    fn any() -> Self {
        Duration::from_millis(any())
    }
}

impl Any for Ageing {
    fn any() -> Self {
        match any::<u8>() {
            0 => Self::Never,
            1 => Self::NoLearn,
            _ => Self::After(any()),
        }
    }
}
