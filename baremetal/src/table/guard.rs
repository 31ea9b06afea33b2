use vtep::table::guard::{Guard, StormControl};

use crate::opaque::{Any, any, sink};

#[inline(never)]
pub fn every_call() {
    sink(StormControl::each(any()));
    sink(Guard::default());
}

pub fn look(guard: &Guard) {
    sink((Guard::storm(guard), Guard::duplicates(guard)));
}

impl Any for StormControl {
    fn any() -> Self {
        Self { broadcast: any(), unknown_unicast: any(), multicast: any() }
    }
}
