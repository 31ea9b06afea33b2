use vtep::table::{Bucket, VniMap};

use crate::opaque::{any, hidden, sink, some};

#[inline(never)]
pub fn every_call() {
    let mut buckets = hidden([Bucket::EMPTY; 4]);
    let mut map = hidden(VniMap::new(some(&mut buckets), any()));
    while any() {
        sink(VniMap::insert(&mut map, any(), any(), any(), any()));
        sink(VniMap::bridge(&map, any(), any(), any()));
        VniMap::remove(&mut map, any(), any(), any());
    }
}
