use vtep::wire::ecn::{self, Ecn, EcnMode};

use crate::opaque::{Any, any, pick, sink};

#[inline(never)]
pub fn every_call() {
    sink(Ecn::from_tos(any()));
    sink(Ecn::in_tos(any(), any()));
    sink(ecn::encapsulate(any(), any()));
    sink(ecn::decapsulate(any(), any()));
    sink(ecn::alarm(any(), any()));
}

impl Any for Ecn {
    fn any() -> Self {
        pick(&Self::ALL, Self::Ce)
    }
}

impl Any for EcnMode {
    fn any() -> Self {
        pick(&[Self::Normal, Self::Compat], Self::Legacy3168)
    }
}
