use core::fmt::Write;

use vtep::wire::{Layer, Reason, WireError};

use crate::opaque::{Any, Characters, any, pick, sink};

#[inline(never)]
pub fn every_call() {
    sink(WireError::new(any(), any(), any()));
    sink(WireError::truncated(any(), any(), any()));
    sink(WireError::too_long(any(), any(), any()));
    sink(WireError::buffer_too_small(any(), any()));
    sink(WireError::shifted(any(), any()));
    sink(Layer::name(any()));
    sink(Reason::name(any()));
    sink(write!(Characters, "{}", any::<WireError>()));
}

impl Any for WireError {
    fn any() -> Self {
        Self { layer: any(), reason: any(), offset: any(), needed: any() }
    }
}

impl Any for Layer {
    fn any() -> Self {
        pick(Self::ALL, Self::Ethernet)
    }
}

impl Any for Reason {
    fn any() -> Self {
        pick(Self::ALL, Self::Truncated)
    }
}
