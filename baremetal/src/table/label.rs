use vtep::table::{Bucket, LabelSlot, Labels};

use crate::opaque::{any, hidden, sink, some};

#[inline(never)]
pub fn every_call() {
    let (mut slots, mut buckets) = (hidden([LabelSlot::default(); 8]), hidden([Bucket::EMPTY; 4]));
    let mut labels = hidden(Labels::new(some(&mut slots), some(&mut buckets), any()));
    while any() {
        sink(Labels::intern(&mut labels, any()));
    }
    look(&labels);
}

pub fn look(labels: &Labels<'_>) {
    sink(Labels::get(labels, any()));
    sink((Labels::len(labels), Labels::is_empty(labels), Labels::capacity(labels)));
    for label in Labels::iter(labels) {
        sink(label);
    }
}
