use vtep::engine::{DropReason, PuntReason, RewriteError};
use vtep::wire::WireError;

use crate::opaque::{Any, any, pick, sink};

#[inline(never)]
pub fn every_call() {
    sink(DropReason::has_vni(any()));
    sink(DropReason::from(any::<WireError>()));
    sink(PuntReason::frame_kind(any()));
    sink((DropReason::name(any()), PuntReason::name(any()), RewriteError::name(any())));
}

impl Any for DropReason {
    fn any() -> Self {
        pick(Self::ALL, Self::ALL[0])
    }
}

impl Any for PuntReason {
    fn any() -> Self {
        pick(Self::ALL, Self::ALL[0])
    }
}

impl Any for RewriteError {
    fn any() -> Self {
        pick(Self::ALL, Self::ALL[0])
    }
}
