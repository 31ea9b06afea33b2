use core::fmt::Write;

use vtep::wire::{Encapsulation, EtherType, MacAddr, Span, TunnelFlags, Vni};

use crate::opaque::{Any, Characters, any, bytes, pick, sink};

#[inline(never)]
pub fn every_call() {
    let mac: MacAddr = any();
    sink(MacAddr::to_u64(mac));
    sink(MacAddr::from_u64(any()));
    sink((MacAddr::is_multicast(mac), MacAddr::is_broadcast(mac)));
    sink((MacAddr::is_station(mac), MacAddr::is_reserved(mac)));

    sink(Vni::new(any()));
    sink(Vni::truncating(any()));
    sink(Vni::get(any()));
    sink(Vni::from_bytes(any()));
    sink(Vni::to_bytes(any()));

    sink(EtherType::is_tag(any()));
    sink(Encapsulation::default_port(any()));
    sink(Encapsulation::header_len(any()));

    sink(Span::new(any(), any()));
    sink(Span::end(any()));
    sink(Span::of(any(), bytes()));
    sink(write!(Characters, "{} {}", any::<MacAddr>(), any::<Vni>()));
}

impl Any for MacAddr {
    fn any() -> Self {
        Self(any())
    }
}

impl Any for Vni {
    fn any() -> Self {
        Self::truncating(any())
    }
}

impl Any for EtherType {
    fn any() -> Self {
        Self(any())
    }
}

impl Any for Encapsulation {
    fn any() -> Self {
        pick(&[Self::Vxlan, Self::Gpe], Self::Geneve)
    }
}

impl Any for TunnelFlags {
    fn any() -> Self {
        Self::from_bits_retain(any())
    }
}

impl Any for Span {
    fn any() -> Self {
        Self { start: any(), len: any() }
    }
}
