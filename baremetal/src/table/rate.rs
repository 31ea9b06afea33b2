use vtep::table::rate::{Rate, TokenBucket};

use crate::opaque::{Any, any, hidden, sink};

#[inline(never)]
pub fn every_call() {
    let mut bucket = hidden(TokenBucket::FULL);
    while any() {
        sink(TokenBucket::take(&mut bucket, any(), any()));
    }
    sink((Rate::per_second(any()), Rate::recovery(any())));
}

impl Any for Rate {
    fn any() -> Self {
        Self { per_second: any(), burst: any() }
    }
}
