//! A VTEP to try packets on, bytes to feed it, and a reader of what it sends that believes nothing.
//!
//! Bytes are written and read here without the library's own codecs, so that the tests are a second opinion.
#![allow(unused_imports, reason = "not every test that shares this uses all of it")]

pub(crate) mod build;
pub(crate) mod read;
pub(crate) mod replication;
mod vtep;

pub(crate) use build::{Checksum, Frame, Ip, Packet, geneve, geneve_option, ip_frame, udp, vxlan};
pub(crate) use read::{Fields, Packet as Read, internet_checksum};
pub(crate) use vtep::{LABELS, PROFILES, Setup, Vtep, mac};

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(crate) const LOCAL: IpAddr = v4(192, 0, 2, 1);
pub(crate) const REMOTE: IpAddr = v4(192, 0, 2, 2);
pub(crate) const THIRD: IpAddr = v4(192, 0, 2, 3);
pub(crate) const LOCAL6: IpAddr = v6(1);
pub(crate) const REMOTE6: IpAddr = v6(2);
pub(crate) const THIRD6: IpAddr = v6(3);
pub(crate) const GROUP: IpAddr = v4(239, 1, 1, 1);
pub(crate) const GROUP6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0x1234, 0x5678));

/// Stations behind our ports 0 and 1.
pub(crate) const A: [u8; 6] = [2, 0, 0, 0, 0, 0xa];
pub(crate) const B: [u8; 6] = [2, 0, 0, 0, 0, 0xb];
/// Stations behind remote endpoints.
pub(crate) const R: [u8; 6] = [2, 0, 0, 0, 1, 0xa];
pub(crate) const S: [u8; 6] = [2, 0, 0, 0, 1, 0xb];
/// A station nobody has heard of.
pub(crate) const NOBODY: [u8; 6] = [2, 0, 0, 0, 9, 9];
pub(crate) const BROADCAST: [u8; 6] = [0xff; 6];
pub(crate) const MULTICAST: [u8; 6] = [0x01, 0x00, 0x5e, 1, 2, 3];

/// The VNI of bridge 0, and of bridge 1 where there is one.
pub(crate) const VNI: u32 = 5000;
pub(crate) const OTHER_VNI: u32 = 6000;

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn v6(last: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last))
}
