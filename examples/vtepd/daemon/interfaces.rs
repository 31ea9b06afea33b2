//! What the underlay is made of: interfaces, their addresses and MTU.

use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::SockaddrStorage;

use crate::setup::Setup;

/// What Ethernet carries, for an interface that does not say.
const USUAL_MTU: u16 = 1500;

/// The underlay as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Underlay {
    /// The interface: the one that was named, or the one with the local address.
    pub interface: Option<Interface>,
    /// Local addresses that no interface has.
    pub missing: Vec<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    pub name: String,
    pub index: u32,
    pub mtu: u16,
}

impl Underlay {
    /// Looks.
    pub fn now(setup: &Setup) -> Self {
        let addresses = addresses();
        let holder = |local: IpAddr| addresses.iter().find(|(_, a)| *a == local).map(|(name, _)| name.clone());
        let name = setup.interface.clone().or_else(|| setup.locals().find_map(holder));
        Self {
            interface: name.and_then(Interface::now),
            missing: setup.locals().filter(|local| holder(*local).is_none()).collect(),
        }
    }

    /// Whether everything is there.
    pub fn is_whole(&self) -> bool {
        self.interface.is_some() && self.missing.is_empty()
    }

    /// The MTU, or what it usually is.
    pub fn mtu(&self) -> u16 {
        self.interface.as_ref().map_or(USUAL_MTU, |interface| interface.mtu)
    }
}

impl Interface {
    fn now(name: String) -> Option<Self> {
        let index = if_nametoindex(name.as_str()).ok()?;
        let mtu = std::fs::read_to_string(format!("/sys/class/net/{name}/mtu")).ok();
        let mtu = mtu.and_then(|text| text.trim().parse::<u32>().ok());
        Some(Self { name, index, mtu: mtu.map_or(USUAL_MTU, |mtu| u16::try_from(mtu).unwrap_or(u16::MAX)) })
    }
}

/// All addresses of this host, each with its interface.
pub fn addresses() -> Vec<(String, IpAddr)> {
    let ip = |address: SockaddrStorage| {
        let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
    };
    let all = getifaddrs().into_iter().flatten();
    all.filter_map(|entry| Some((entry.interface_name, ip(entry.address?)?))).collect()
}
