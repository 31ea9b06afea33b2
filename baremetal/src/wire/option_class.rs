use vtep::wire::option_class;

use crate::opaque::{any, sink};

#[inline(never)]
pub fn every_call() {
    sink((option_class::class_name(any()), option_class::option_name(any())));
}
