use vtep::table::Bucket;
use vtep::table::endpoint::{Endpoint, EndpointAddress, EndpointConfig, EndpointSlot, Endpoints};

use crate::opaque::{Any, any, hidden, sink, some};

#[inline(never)]
pub fn every_call() {
    let mut slots = hidden([EndpointSlot::EMPTY; 4]);
    let mut map = hidden([Bucket::EMPTY; 4]);
    look(&hidden(Endpoints::new(some(&mut slots), some(&mut map), any())));
    sink(EndpointConfig::default());
}

/// An engine has ones with something in them.
pub fn look(endpoints: &Endpoints<'_>) {
    if let Some(endpoint) = Endpoints::get(endpoints, any()) {
        sink((Endpoint::address(endpoint), Endpoint::config(endpoint)));
        sink((Endpoint::is_learned(endpoint), Endpoint::template(endpoint)));
    }
    sink(Endpoints::find(endpoints, &any()));
    for endpoint in Endpoints::at(endpoints, any(), any()) {
        sink(endpoint);
    }
    sink((Endpoints::len(endpoints), Endpoints::is_empty(endpoints), Endpoints::capacity(endpoints)));
    for endpoint in Endpoints::iter(endpoints) {
        sink(endpoint);
    }
}

impl Any for EndpointAddress {
    fn any() -> Self {
        Self { underlay: any(), address: any(), encapsulation: any(), port: any(), vni: any() }
    }
}

impl Any for EndpointConfig {
    fn any() -> Self {
        Self { split_horizon: any(), next_hop: any(), max_macs: any() }
    }
}
