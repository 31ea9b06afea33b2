use vtep::table::Bucket;
use vtep::table::flood::{FloodLists, Group, Member};

use crate::opaque::{any, hidden, sink, some};

#[inline(never)]
pub fn every_call() {
    let mut groups = hidden([Group::EMPTY; 4]);
    let mut members = hidden([Member::EMPTY; 8]);
    let mut memberships = hidden([Bucket::EMPTY; 4]);
    let mut lists = hidden(FloodLists::new(some(&mut groups), some(&mut members), some(&mut memberships), any()));
    while any() {
        sink(FloodLists::create(&mut lists));
        sink(FloodLists::append(&mut lists, any(), any(), any()));
        sink(FloodLists::remove(&mut lists, any(), any()));
        sink(FloodLists::destroy(&mut lists, any()));
        sink((FloodLists::first(&lists, any()), FloodLists::member(&lists, any())));
        sink((FloodLists::len(&lists, any()), FloodLists::is_empty(&lists, any())));
        sink((FloodLists::contains(&lists, any(), any()), FloodLists::find(&lists, any(), any())));
        for member in FloodLists::iter(&lists, any()) {
            sink(member);
        }
    }
}
