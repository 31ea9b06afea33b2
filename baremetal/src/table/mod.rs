//! Calls into `vtep::table`, a file here for a file there.

mod cuckoo;
mod fdb;
mod ids;
mod time;

pub fn every_call() {
    cuckoo::every_call();
    fdb::every_call();
    ids::every_call();
    time::every_call();
}
