use core::fmt::Write;

use vtep::wire::{FrameKind, Inner};

use crate::opaque::{Any, Characters, any, bytes, hidden, pick, sink};

#[inline(never)]
pub fn every_call() {
    let inner: Inner = any();
    sink((Inner::dst(&inner), Inner::src(&inner), Inner::dst_key(&inner), Inner::src_key(&inner)));
    sink((Inner::tags(&inner), Inner::tpid(&inner), Inner::tci(&inner), Inner::vid(&inner), Inner::ethertype(&inner)));
    sink((Inner::l3(&inner), Inner::ip(&inner), Inner::tos(&inner), Inner::ttl(&inner), Inner::df(&inner)));
    sink((Inner::is_fragment(&inner), Inner::protocol(&inner), Inner::l4(&inner)));
    sink(write!(Characters, "{inner:?}"));

    sink(Inner::parse_ethernet(bytes()));
    sink(Inner::parse_ip(bytes()));
}

impl Any for Inner {
    fn any() -> Self {
        loop {
            if let Ok(inner) = Inner::parse(any(), bytes()) {
                return hidden(inner);
            }
        }
    }
}

impl Any for FrameKind {
    fn any() -> Self {
        pick(&[Self::Ethernet], Self::Ip)
    }
}
