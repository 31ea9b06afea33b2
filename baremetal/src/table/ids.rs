use vtep::table::{BridgeId, Destination, EndpointId, GroupId, Meta, Owner, PortId, UnderlayId};

use crate::opaque::{Any, any, pick, sink};

#[inline(never)]
pub fn every_call() {
    sink((BridgeId::index(any()), PortId::index(any()), EndpointId::index(any()), GroupId::index(any())));
    sink((Meta::new(any()), Meta::get(any())));
    sink(Owner::name(any()));
}

macro_rules! any_index {
    ($($name:ident),*) => { $(impl Any for $name { fn any() -> Self { Self(any()) } })* };
}
any_index!(BridgeId, PortId, EndpointId, GroupId, UnderlayId);

impl Any for Meta {
    fn any() -> Self {
        Meta::truncating(any())
    }
}

impl Any for Destination {
    fn any() -> Self {
        match any::<u8>() {
            0 => Self::Port(any()),
            1 => Self::Endpoint(any()),
            2 => Self::Group(any()),
            3 => Self::Host,
            _ => Self::Drop,
        }
    }
}

impl Any for Owner {
    fn any() -> Self {
        pick(Self::ALL, Self::Dynamic)
    }
}
