//! Calls into `vtep::wire`, a file here for a file there.
//!
//! Nothing is inlined into the callers of these, so that a panic path has the name of the file it is in.

mod arp;
mod checksum;
mod ecn;
mod edit;
mod error;
mod ethernet;
mod flow;
mod geneve;
mod geneve_option;
mod gpe;
mod inner;
mod ipv4;
mod ipv6;
mod label;
mod ndp;
mod option_class;
mod outer;
pub mod schema;
mod template;
mod typed_option;
mod types;
mod udp;
mod vlan;
mod vxlan;

pub fn every_call() {
    arp::every_call();
    checksum::every_call();
    ecn::every_call();
    edit::every_call();
    error::every_call();
    ethernet::every_call();
    flow::every_call();
    geneve::every_call();
    geneve_option::every_call();
    gpe::every_call();
    inner::every_call();
    ipv4::every_call();
    ipv6::every_call();
    label::every_call();
    ndp::every_call();
    option_class::every_call();
    outer::every_call();
    schema::every_call();
    template::every_call();
    typed_option::every_call();
    types::every_call();
    udp::every_call();
    vlan::every_call();
    vxlan::every_call();
}
