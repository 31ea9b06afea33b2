use vtep::wire::checksum::{self, Sum};

use crate::opaque::{Any, any, bytes, hidden, sink};

#[inline(never)]
pub fn every_call() {
    let mut sum = Sum::new();
    sum = hidden(Sum::add_bytes(sum, bytes()));
    sum = hidden(Sum::add_u16(sum, any()));
    sum = hidden(Sum::add_u32(sum, any()));
    sum = hidden(Sum::add_u64(sum, any()));
    sum = hidden(Sum::add_u128(sum, any()));
    sum = hidden(Sum::combine(sum, any()));
    sink((Sum::fold(sum), Sum::finish(sum), Sum::finish_udp(sum), Sum::is_valid(sum)));
    sink(Sum::pseudo_v4(any(), any(), any(), any()));
    sink(Sum::pseudo_v6(any(), any(), any(), any()));

    sink(checksum::checksum(bytes()));
    sink(checksum::verify(bytes()));
    sink(checksum::update(any(), any(), any()));
}

impl Any for Sum {
    fn any() -> Self {
        Sum::from_folded(any())
    }
}
