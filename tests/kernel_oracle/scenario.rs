//! What is done to both sides: a device with its options, and packets and FDB commands in order.

use core::net::IpAddr;

use vtep::engine::{Command, Place, Remote};
use vtep::table::{Ageing, BridgeConfig, BridgeId, Duration, Owner, UnderlayConfig, UnderlayId};
use vtep::wire::{Df, Label, MacAddr, Tos, Ttl, Vni};

use crate::common::world::{Checksum, Frame, Packet, VNI, vxlan};
use crate::lab::hex_mac;

/// The VXLAN device's own MAC.
pub(crate) const DEVICE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xee];
/// Hosts on the underlay that may be remote endpoints; the device is at host 1, and host 9 is its machine too.
pub(crate) const PEERS: [u8; 7] = [2, 3, 4, 5, 6, 7, 8];
/// Where the packets come from and go to that stand between any two packets under test.
pub(crate) const SENTINEL_HOST: u8 = 254;
pub(crate) const SENTINEL_MAC: [u8; 6] = [2, 0x5e, 0, 0, 0, 1];
/// IEEE 802's own for experiments.
pub(crate) const SENTINEL_TYPE: u16 = 0x88b5;

/// A host of the underlay.
pub(crate) fn address(v6: bool, host: u8) -> IpAddr {
    if v6 { format!("2001:db8::{host:x}").parse().unwrap() } else { IpAddr::from([192, 0, 2, host]) }
}

/// A VXLAN device's options, those that the kernel and the engine share.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) v6: bool,
    pub(crate) learning: bool,
    /// Seconds.
    pub(crate) ageing: u64,
    /// Entries in the FDB beside the sentinel's.
    pub(crate) maxaddress: Option<u32>,
    pub(crate) gbp: bool,
    pub(crate) l2miss: bool,
    /// `None`: the default, which is 64, or 1 to a group.
    pub(crate) ttl: Option<Ttl>,
    pub(crate) tos: Tos,
    pub(crate) df: Df,
    pub(crate) checksum: bool,
    pub(crate) accept_zero_checksum_v6: bool,
    pub(crate) source_ports: Option<(u16, u16)>,
    /// Of the device; the underlay's is 1,500.
    pub(crate) mtu: u16,
}

impl Device {
    pub(crate) const DEFAULT: Self = Self {
        v6: false,
        learning: true,
        ageing: 3600,
        maxaddress: None,
        gbp: false,
        l2miss: false,
        ttl: None,
        tos: Tos::Fixed(0),
        df: Df::Unset,
        checksum: true,
        accept_zero_checksum_v6: false,
        source_ports: None,
        mtu: 1430,
    };

    pub(crate) fn local(&self) -> IpAddr {
        address(self.v6, 1)
    }

    /// In the words of `ip link add … type vxlan`.
    pub(crate) fn options(&self) -> Vec<String> {
        let mut text = format!("id {VNI} local {} dstport 4789 ageing {}", self.local(), self.ageing);
        text += if self.learning { " learning" } else { " nolearning" };
        if let Some(most) = self.maxaddress {
            text += &format!(" maxaddress {}", most + 1);
        }
        if self.gbp {
            text += " gbp";
        }
        if self.l2miss {
            text += " l2miss";
        }
        match self.ttl {
            None => {}
            Some(Ttl::Inherit) => text += " ttl inherit",
            Some(Ttl::Fixed(ttl)) => text += &format!(" ttl {ttl}"),
        }
        match self.tos {
            Tos::Inherit => text += " tos inherit",
            Tos::Fixed(tos) => text += &format!(" tos {tos:#x}"),
        }
        text += match self.df {
            Df::Set => " df set",
            Df::Unset => " df unset",
            Df::Inherit => " df inherit",
        };
        text += match (self.v6, self.checksum) {
            (false, true) => " udpcsum",
            (false, false) => " noudpcsum",
            (true, true) => " noudp6zerocsumtx",
            (true, false) => " udp6zerocsumtx",
        };
        if self.accept_zero_checksum_v6 {
            text += " udp6zerocsumrx";
        }
        if let Some((from, to)) = self.source_ports {
            text += &format!(" srcport {from} {to}");
        }
        text.split(' ').map(str::to_owned).collect()
    }

    /// The same for the engine.
    pub(crate) fn configure(&self, underlay: &mut UnderlayConfig, bridge: &mut BridgeConfig) {
        if let Some(ttl) = self.ttl {
            underlay.ttl = ttl;
            underlay.group_ttl = None;
        }
        underlay.tos = self.tos;
        underlay.df = self.df;
        underlay.checksum_v4 = Some(self.checksum);
        underlay.checksum_v6 = self.checksum;
        underlay.zero_checksum_v6 = self.accept_zero_checksum_v6;
        bridge.ageing = if self.learning { Ageing::After(Duration::from_secs(self.ageing)) } else { Ageing::NoLearn };
        bridge.gbp = self.gbp;
        bridge.l2miss = self.l2miss;
        bridge.max_macs = self.maxaddress;
    }
}

/// Who may change an FDB entry, in the words of `bridge fdb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Permanent,
    Static,
    Dynamic,
    /// Dynamic, and of a controller.
    External,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Add,
    Append,
    Replace,
    Del,
}

/// A `bridge fdb` command.
#[derive(Clone, Debug)]
pub(crate) struct Fdb {
    pub(crate) verb: Verb,
    pub(crate) mac: [u8; 6],
    pub(crate) dst: IpAddr,
    pub(crate) port: Option<u16>,
    pub(crate) vni: Option<u32>,
    pub(crate) kind: Kind,
}

impl Fdb {
    pub(crate) fn new(verb: Verb, mac: [u8; 6], dst: IpAddr, kind: Kind) -> Self {
        Self { verb, mac, dst, port: None, vni: None, kind }
    }

    pub(crate) fn arguments(&self, device: &str, underlay: &str) -> Vec<String> {
        let verb = match self.verb {
            Verb::Add => "add",
            Verb::Append => "append",
            Verb::Replace => "replace",
            Verb::Del => "del",
        };
        let mut text = format!("{verb} {} dev {device} dst {}", hex_mac(self.mac), self.dst);
        if let Some(port) = self.port {
            text += &format!(" port {port}");
        }
        if let Some(vni) = self.vni {
            text += &format!(" vni {vni}");
        }
        if self.dst.is_multicast() {
            text += &format!(" via {underlay}");
        }
        text += match self.kind {
            Kind::Permanent => " self permanent",
            Kind::Static => " self static",
            Kind::Dynamic => " self dynamic",
            Kind::External => " self dynamic extern_learn",
        };
        text.split(' ').map(str::to_owned).collect()
    }

    /// The same for the engine.
    pub(crate) fn command(&self) -> Command {
        let (bridge, mac) = (BridgeId(0), MacAddr(self.mac));
        let remote = Remote {
            underlay: UnderlayId(0),
            address: self.dst,
            encapsulation: None,
            port: self.port,
            vni: self.vni.and_then(Vni::new),
        };
        let owner = match self.kind {
            Kind::Permanent | Kind::Static => Owner::Static,
            Kind::Dynamic => Owner::Dynamic,
            Kind::External => Owner::Controller,
        };
        let (place, sticky) = (Place::Remote(remote), false);
        match self.verb {
            Verb::Del => Command::FdbDelete { bridge, mac, remote: Some(remote) },
            _ if !mac.is_station() => Command::FdbAppend { bridge, mac, remote },
            Verb::Add | Verb::Append => Command::FdbAdd { bridge, mac, place, owner, sticky, label: Label::NONE },
            Verb::Replace => Command::FdbReplace { bridge, mac, place, owner, sticky, label: Label::NONE },
        }
    }
}

/// One step of a scenario.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Frames that arrive over the underlay: one, or the fragments of one.
    Rx(Vec<Vec<u8>>),
    /// A frame that the device is given to send.
    Tx(Vec<u8>),
    Fdb(Fdb),
    /// Time passes: really for the kernel, by the clock for the engine. Seconds.
    Wait(u64),
}

/// A device and what happens to it.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) device: Device,
    pub(crate) ops: Vec<Op>,
}

/// A well-formed packet from a peer to the device.
pub(crate) fn packet(device: &Device, peer: u8, inner: &[u8]) -> Packet {
    Packet { src: address(device.v6, peer), dst: device.local(), ..Packet::vxlan(inner) }
}

/// The `number`th sentinel as it arrives.
pub(crate) fn sentinel_in(device: &Device, number: usize) -> Vec<u8> {
    let inner = sentinel(DEVICE_MAC, SENTINEL_MAC, number);
    let checksum = if device.v6 { Checksum::Right } else { Checksum::Zero };
    Packet { checksum, tunnel: vxlan(VNI), ..packet(device, SENTINEL_HOST, &inner) }.bytes()
}

/// The `number`th sentinel as the device is given it to send.
pub(crate) fn sentinel_out(number: usize) -> Vec<u8> {
    sentinel(SENTINEL_MAC, DEVICE_MAC, number)
}

fn sentinel(dst: [u8; 6], src: [u8; 6], number: usize) -> Vec<u8> {
    let body = [b"sentinel", &(number as u64).to_be_bytes()[..], &[0; 30]].concat();
    Frame { dst, src, tags: Vec::new(), ethertype: SENTINEL_TYPE, body }.bytes()
}

/// Which sentinel an inner frame is.
pub(crate) fn sentinel_number(inner: &[u8]) -> Option<usize> {
    let body = inner.get(14..30)?;
    let number = u64::from_be_bytes(body.get(8..)?.try_into().ok()?);
    let is_one = inner[12..14] == SENTINEL_TYPE.to_be_bytes() && &body[..8] == b"sentinel";
    is_one.then(|| usize::try_from(number).ok()).flatten()
}
