use vtep::table::cuckoo::Bucket;
use vtep::table::moves::{DuplicateAction, DuplicateDetection, Moves};

use crate::opaque::{Any, any, hidden, sink, some};

#[inline(never)]
pub fn every_call() {
    let mut buckets = hidden([Bucket::default(); 4]);
    let mut moves = hidden(Moves::new(some(&mut buckets), any()));
    while any() {
        sink(Moves::note(&mut moves, any(), any(), any(), &hidden(any())));
        sink(Moves::is_duplicate(&moves, any(), any(), any()));
        sink(Moves::clear(&mut moves, any(), any(), any()));
        Moves::clear_bridge(&mut moves, any(), any(), sink);
        Moves::sweep(&mut moves, any(), any(), |bridge, mac| sink((bridge, mac)));
        sink((Moves::forgotten(&moves), Moves::is_off(&moves), Moves::len(&moves), Moves::is_empty(&moves)));
        for duplicate in Moves::duplicates(&moves, any()) {
            sink(duplicate);
        }
    }
    sink(DuplicateDetection::default());
}

impl Any for DuplicateDetection {
    fn any() -> Self {
        Self { max_moves: any(), window: any(), action: any(), recover: any() }
    }
}

impl Any for DuplicateAction {
    fn any() -> Self {
        match any::<u8>() {
            0 => Self::Alert,
            1 => Self::Freeze,
            _ => Self::Drop,
        }
    }
}
