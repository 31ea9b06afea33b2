use vtep::wire::arp::{Operation, Packet};

use crate::opaque::{Any, any, bytes, pick, sink, with_buffer};

#[inline(never)]
pub fn every_call() {
    sink(Packet::parse(bytes()));
    let packet: Packet = any();
    sink((Packet::to_bytes(&packet), Packet::reply(&packet, any())));
    sink((Packet::is_probe(&packet), Packet::is_gratuitous(&packet)));
    with_buffer(|out| sink(Packet::emit(&packet, out)));
}

impl Any for Packet {
    fn any() -> Self {
        Self { operation: any(), sender_mac: any(), sender_ip: any(), target_mac: any(), target_ip: any() }
    }
}

impl Any for Operation {
    fn any() -> Self {
        pick(&[Self::Request], Self::Reply)
    }
}
