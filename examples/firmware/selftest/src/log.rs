//! The recorded session as the build script wrote it, and the digests it saw on the host.

use core::net::{IpAddr, Ipv4Addr};

use vtep::engine::{Command, Config, Place, Profile, Remote};
use vtep::table::{Ageing, BridgeConfig, BridgeId, Duration, Owner, PortConfig, PortId, UnderlayConfig, UnderlayId};
use vtep::wire::{Datagram, Encapsulation, Label, MacAddr, UdpChecksum, Vni};

use crate::replay::Call;

include!(concat!(env!("OUT_DIR"), "/log.rs"));

/// For a constant.
const fn vni(number: u32) -> Vni {
    match Vni::new(number) {
        Some(vni) => vni,
        None => panic!("more than 24 bits"),
    }
}
