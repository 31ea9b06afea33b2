use vtep::wire::flow::{self, PortRange};

use crate::opaque::{Any, any, bytes, hidden, sink};

#[inline(never)]
pub fn every_call() {
    // The frame need not be the one that was summarised.
    sink(flow::flow_hash(any(), &any(), bytes()));

    let range: PortRange = any();
    sink((PortRange::min(range), PortRange::max(range), PortRange::map(range, any())));
}

impl Any for PortRange {
    fn any() -> Self {
        hidden(PortRange::new(any(), any()).unwrap_or(PortRange::default()))
    }
}
