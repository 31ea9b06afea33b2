//! Calls into `vtep::table`, a file here for a file there.

mod bridge;
mod cuckoo;
pub mod endpoint;
pub mod fdb;
mod flood;
pub mod guard;
mod ids;
mod label;
mod moves;
pub mod policy;
mod port;
mod rate;
mod time;
pub mod traffic;
mod underlay;
mod vni_map;

pub fn every_call() {
    bridge::every_call();
    cuckoo::every_call();
    endpoint::every_call();
    fdb::every_call();
    flood::every_call();
    guard::every_call();
    ids::every_call();
    moves::every_call();
    rate::every_call();
    label::every_call();
    policy::every_call();
    time::every_call();
    traffic::every_call();
    underlay::every_call();
    vni_map::every_call();
}
