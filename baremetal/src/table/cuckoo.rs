use vtep::table::cuckoo::{Bucket, Cuckoo, Fate};

use crate::opaque::{Any, any, hidden, sink, some};

#[inline(never)]
pub fn every_call() {
    let mut buckets = hidden([Bucket::default(); 8]);
    let mut map = hidden(Cuckoo::new(some(&mut buckets), any()));
    while any() {
        sink(Cuckoo::insert(&mut map, any(), any()));
        // A hash need not be of this map, nor of that key.
        let hash = hidden(Cuckoo::hash(&map, any()));
        sink(Cuckoo::place(&mut map, any(), any(), hash, |key, value| {
            sink((key, value));
            any()
        }));
        sink(Cuckoo::remove(&mut map, any()));
        sink(Cuckoo::remove_hashed(&mut map, any(), hash));
        sink(Cuckoo::touch(&map, hash));
        sink(Cuckoo::get(&map, any()));
        sink(Cuckoo::get_hashed(&map, any(), hash));
        sink(Cuckoo::get_mut(&mut map, any(), hash));
        sink((Cuckoo::len(&map), Cuckoo::is_empty(&map), Cuckoo::capacity(&map)));
    }
    for entry in Cuckoo::iter(&map) {
        sink(entry);
    }
    for words in Cuckoo::words(&map) {
        sink(words);
    }
}

impl Any for Fate {
    fn any() -> Self {
        match any::<u8>() {
            0 => Self::Keep,
            1 => Self::Free,
            _ => Self::Evict(any()),
        }
    }
}
