use vtep::engine::{BridgeCounters, Counters};

use crate::opaque::{any, sink};

pub fn look(counters: &Counters) {
    sink(Counters::default());
    sink(Counters::new());
    sink((Counters::verdicts(counters, any()), Counters::drops(counters, any()), Counters::packets(counters)));
    sink((Counters::copies(counters), Counters::copies_too_big(counters), Counters::copies_refused(counters)));
    sink(Counters::copies_denied(counters));
    sink(Counters::rewrite_errors(counters, any()));
    for counter in Counters::iter(counters) {
        sink(counter);
    }
}

pub fn look_at_bridge(counters: &BridgeCounters) {
    sink(BridgeCounters::default());
    sink((BridgeCounters::verdicts(counters, any()), BridgeCounters::drops(counters, any())));
    sink((BridgeCounters::packets(counters), BridgeCounters::bytes_from_ports(counters)));
    sink(BridgeCounters::bytes_from_tunnels(counters));
    for counter in BridgeCounters::iter(counters) {
        sink(counter);
    }
}
