//! Who sent tunnel packets of late: what the addresses, ports and VNI of a packet lead to, kept from one packet to the next.
//!
//! Finding a packet's bridge, its sender and whether the bridge listens to it takes several look-ups, and gives the same
//! for every packet of a tunnel until something changes: by a command, by an endpoint that comes or goes, or by an entry
//! that moves, since an entry of a control plane may be what names an endpoint.
//!
//! Tunnels are many: one for each VNI and each host behind which its stations are. The hosts among them are few, so what
//! does not depend on the VNI is kept once more for each host. A packet whose tunnel is not remembered, but whose host is,
//! needs the look-up of its VNI and no other.

use core::net::{IpAddr, Ipv4Addr};

use super::decision::Network;
use super::{DropReason, Engine};
use crate::table::{Admission, BridgeConfig, BridgeId, Endpoint, EndpointAddress, EndpointId, Pace, UnderlayId};
use crate::wire::outer::common::Envelope;
use crate::wire::{Encapsulation, Outer, UdpChecksum, Vni};

/// Tunnels remembered, and hosts; a power of two.
const RECENT: usize = 16;

/// The bridge a tunnel packet is for, and the endpoint that sent it: one that the bridge listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sender {
    pub(super) bridge: BridgeId,
    pub(super) endpoint: EndpointId,
    /// The packet's tunnel header.
    pub(super) encapsulation: Encapsulation,
    /// The bridge's.
    pub(super) pace: Pace,
}

/// The one endpoint at its IP address, as which every bridge with this UDP port and tunnel header knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Host {
    endpoint: EndpointId,
    /// Of its packets.
    encapsulation: Encapsulation,
    /// Whether somebody has configured it, or named it.
    configured: bool,
}

/// The tunnels and the hosts seen of late, each in the one place that its key allows.
#[derive(Clone, Debug)]
pub(super) struct Senders {
    recent: [(Key, Sender); RECENT],
    /// Their keys are without VNI.
    hosts: [(Key, Host); RECENT],
    /// The version of the endpoints at which all of them were found.
    version: u64,
}

/// Everything about a tunnel packet that says who sent it, and whether it is for us. Its tunnel header is not there: that
/// follows from its UDP port, as long as the version is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    /// Of two IPv4 addresses, [`v4_addresses`] and nothing else.
    addresses: [u64; 4],
    /// From the top: 1 bit set, whether there is a UDP checksum 1, not both IPv4 1, source and destination IPv4 1 each
    /// (where a socket says that one of them is), VNI 24, UDP port 16, underlay 8. What is not both IPv4 alone has the
    /// four bits below the top one.
    rest: u64,
}

impl Senders {
    /// None yet. A function: as a constant, it would stand in flash.
    pub(super) fn new() -> Self {
        let encapsulation = Encapsulation::Vxlan;
        let nobody = Sender { bridge: BridgeId(0), endpoint: EndpointId(0), encapsulation, pace: Pace::Whole };
        let no_host = Host { endpoint: EndpointId(0), encapsulation, configured: false };
        Self { recent: [(Key::NONE, nobody); RECENT], hosts: [(Key::NONE, no_host); RECENT], version: 0 }
    }

    /// Forgets all, as of a new version of the endpoints.
    #[cold]
    #[inline(never)]
    fn forget(&mut self, version: u64) {
        self.recent.iter_mut().for_each(|(key, _)| *key = Key::NONE);
        self.hosts.iter_mut().for_each(|(key, _)| *key = Key::NONE);
        self.version = version;
    }
}

/// Of a tunnel packet, what says who sent it and whether it is for us.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tracks {
    pub(super) underlay: UnderlayId,
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) dst_port: u16,
    pub(super) checksum: UdpChecksum,
    pub(super) encapsulation: Encapsulation,
    pub(super) vni: Vni,
}

impl Tracks {
    #[inline(always)]
    pub(super) fn new(underlay: UnderlayId, outer: &Outer) -> Self {
        let Outer { src, dst, dst_port, checksum, tunnel, .. } = *outer;
        Self { underlay, src, dst, dst_port, checksum, encapsulation: tunnel.encap, vni: tunnel.vni }
    }

    /// What the sender would be called if it were to be learned.
    #[inline]
    pub(super) const fn address(&self, config: &BridgeConfig) -> EndpointAddress {
        EndpointAddress {
            underlay: self.underlay,
            address: self.src,
            encapsulation: self.encapsulation,
            port: config.udp_port,
            vni: None,
        }
    }
}

impl Key {
    /// No packet's.
    const NONE: Self = Self { addresses: [0; 4], rest: 0 };

    #[inline(always)]
    fn new(tracks: &Tracks) -> Self {
        let rest = Self::rest(tracks.vni, tracks.dst_port, tracks.underlay);
        let (src, dst) = match (tracks.src, tracks.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                return Self { addresses: [v4_addresses(src, dst), 0, 0, 0], rest };
            }
            addresses => addresses,
        };
        let unsure = u64::from(tracks.checksum == UdpChecksum::Zero) << 3;
        let families = unsure | 4 | u64::from(src.is_ipv4()) << 1 | u64::from(dst.is_ipv4());
        let ([a, b], [c, d]) = (halves(src), halves(dst));
        Self { addresses: [a, b, c, d], rest: rest | families << 59 }
    }

    /// The whole of [`Key::rest`] between IPv4 addresses.
    #[inline(always)]
    fn rest(vni: Vni, dst_port: u16, underlay: UnderlayId) -> u64 {
        1 << 63 | u64::from(vni.get()) << 32 | u64::from(dst_port) << 16 | u64::from(underlay.0)
    }

    /// That of its host.
    #[inline(always)]
    const fn without_vni(self) -> Self {
        Self { rest: self.rest & !(0xff_ffff << 32), ..self }
    }

    #[inline(always)]
    fn is(&self, other: &Self) -> bool {
        let pairs = self.addresses.iter().zip(&other.addresses);
        pairs.fold(self.rest ^ other.rest, |sum, (a, b)| sum | a ^ b) == 0
    }

    /// Which place it has: senders often differ in the last bits of their address.
    #[inline(always)]
    fn place(&self) -> usize {
        let [a, b, ..] = self.addresses;
        place(a ^ b << 32, self.rest)
    }
}

/// Both addresses in one number, the last octet of the first one in the low bits of its upper half.
#[inline(always)]
const fn v4_addresses(src: Ipv4Addr, dst: Ipv4Addr) -> u64 {
    (src.to_bits() as u64) << 32 | dst.to_bits() as u64
}

#[inline(always)]
const fn place(addresses: u64, rest: u64) -> usize {
    let [.., low] = ((addresses ^ rest) >> 32).to_be_bytes();
    low as usize & RECENT.wrapping_sub(1)
}

#[inline(always)]
fn halves(address: IpAddr) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, low @ ..] = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    [u64::from_be_bytes([a, b, c, d, e, f, g, h]), u64::from_be_bytes(low)]
}

impl Engine<'_> {
    /// Whose a tunnel packet is; `None` where no bridge takes it, and where its sender is no endpoint of ours (yet).
    ///
    /// Cost: one cache line where one of the same tunnel came of late; the VNI's look-up where one of the same host did; else
    /// that of the look-ups of a whole step.
    #[inline(always)]
    pub(super) fn recent_sender(&mut self, tracks: &Tracks) -> Option<Sender> {
        let key = Key::new(tracks);
        let (known, sender) = self.senders.recent.get(key.place())?;
        if self.senders.version == self.endpoints.version() && known.is(&key) {
            return Some(*sender);
        }
        self.remember_sender(*tracks)
    }

    /// [`Engine::recent_sender`] of a packet of the common shape.
    #[inline(always)]
    pub(super) fn recent_sender_of(&mut self, underlay: UnderlayId, envelope: &Envelope<'_>) -> Option<Sender> {
        let addresses = v4_addresses(envelope.src(), envelope.dst());
        let rest = Key::rest(envelope.vni(), envelope.dst_port(), underlay);
        let (known, sender) = self.senders.recent.get(place(addresses, rest))?;
        let [recent, ..] = known.addresses;
        // Between IPv4 addresses there is no more to a key.
        if self.senders.version == self.endpoints.version() && recent == addresses && known.rest == rest {
            return Some(*sender);
        }
        self.remember_v4_sender(underlay, addresses, rest)
    }

    /// [`Engine::remember_sender`] between IPv4 addresses: with the families known, it is half as long.
    #[inline(never)]
    fn remember_v4_sender(&mut self, underlay: UnderlayId, addresses: u64, rest: u64) -> Option<Sender> {
        let [a, b, c, d, dst @ ..] = addresses.to_be_bytes();
        let [_, v0, v1, v2, p0, p1, ..] = rest.to_be_bytes();
        let key = Key { addresses: [addresses, 0, 0, 0], rest };
        let (vni, dst_port) = (Vni::from_bytes([v0, v1, v2]), u16::from_be_bytes([p0, p1]));
        if let Some(sender) = self.sender_at_host(&key, vni, dst_port) {
            self.remember(key, sender);
            return Some(sender);
        }
        let tracks = Tracks {
            underlay,
            src: IpAddr::V4(Ipv4Addr::from([a, b, c, d])),
            dst: IpAddr::V4(Ipv4Addr::from(dst)),
            dst_port,
            // Over IPv4, nobody asks.
            checksum: UdpChecksum::Unverified,
            encapsulation: self.udp_ports.get(dst_port)?,
            vni,
        };
        self.find_sender(key, &tracks)
    }

    /// What the tables say, remembered.
    #[inline(never)]
    fn remember_sender(&mut self, tracks: Tracks) -> Option<Sender> {
        let key = Key::new(&tracks);
        if let Some(sender) = self.sender_at_host(&key, tracks.vni, tracks.dst_port) {
            self.remember(key, sender);
            return Some(sender);
        }
        self.find_sender(key, &tracks)
    }

    /// The sender of a packet whose host is remembered; `None` where it takes the tables to tell.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn sender_at_host(&self, key: &Key, vni: Vni, dst_port: u16) -> Option<Sender> {
        let key = key.without_vni();
        let (known, host) = self.senders.hosts.get(key.place())?;
        if self.senders.version != self.endpoints.version() || !known.is(&key) {
            return None;
        }
        let Host { endpoint, encapsulation, configured } = *host;
        let network = self.network(self.vnis.bridge(encapsulation, dst_port, vni)?)?;
        // Another bridge than the one that the host was met in may not listen to it.
        let admitted = match network.config.admission {
            Admission::Anyone => true,
            Admission::Configured => configured,
            Admission::FloodList => network.bridge.flood_list.is_some_and(|l| self.flood_lists.contains(l, endpoint)),
        };
        admitted.then_some(Sender { bridge: network.id, endpoint, encapsulation, pace: network.bridge.pace })
    }

    /// What the tables say of a tunnel, remembered; and of its host, if every bridge would say the same of that.
    #[inline(never)]
    fn find_sender(&mut self, key: Key, tracks: &Tracks) -> Option<Sender> {
        let network = self.receiver_inline(tracks).ok()?;
        let address = tracks.address(network.config);
        let endpoint = self.admitted_inline(network, &address, tracks.checksum).ok()??;
        let encapsulation = tracks.encapsulation;
        let sender = Sender { bridge: network.id, endpoint, encapsulation, pace: network.bridge.pace };
        let host = self.endpoints.get(endpoint).filter(|known| self.is_common(endpoint, known, &address, tracks));
        let host = host.map(|known| Host { endpoint, encapsulation, configured: self.is_configured(endpoint, known) });
        self.remember(key, sender);
        let key = key.without_vni();
        if let (Some(host), Some(place)) = (host, self.senders.hosts.get_mut(key.place())) {
            *place = (key, host);
        }
        Some(sender)
    }

    /// Whether all bridges that a packet may be for take this endpoint to be its sender: it has the sender's address, and
    /// there is no other at the same IP address, which a flood list could mean. And the packet came to an address of ours,
    /// not to that of a multicast group, which only some bridges have joined.
    fn is_common(&self, id: EndpointId, endpoint: &Endpoint, address: &EndpointAddress, tracks: &Tracks) -> bool {
        endpoint.address == *address
            && self.endpoints.is_alone(id)
            && self.underlay(tracks.underlay).is_some_and(|underlay| underlay.is_local(tracks.dst))
    }

    #[inline(always)]
    fn remember(&mut self, key: Key, sender: Sender) {
        let version = self.endpoints.version();
        if self.senders.version != version {
            self.senders.forget(version);
        }
        if let Some(place) = self.senders.recent.get_mut(key.place()) {
            *place = (key, sender);
        }
    }

    /// The bridge a sound tunnel packet is for, or why it is for none: wrong addresses, or nobody's VNI.
    #[inline(never)]
    pub(super) fn receiver(&self, tracks: &Tracks) -> Result<Network<'_>, DropReason> {
        self.receiver_inline(tracks)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn receiver_inline(&self, tracks: &Tracks) -> Result<Network<'_>, DropReason> {
        let underlay = self.underlay(tracks.underlay).ok_or(DropReason::UnknownUnderlay)?;
        if !is_sender(tracks.src) {
            return Err(DropReason::OuterSourceInvalid);
        }
        if underlay.is_local(tracks.src) {
            return Err(DropReason::OuterSourceOwn);
        }
        let bridge = self.vnis.bridge(tracks.encapsulation, tracks.dst_port, tracks.vni);
        let network = bridge.and_then(|bridge| self.network(bridge)).ok_or(DropReason::UnknownVni)?;
        if !self.is_ours(tracks.underlay, underlay, network.bridge, tracks.dst) {
            return Err(DropReason::OuterDestinationForeign);
        }
        Ok(network)
    }
}

/// Whether an address can be a sender's: not unspecified, multicast, broadcast or loopback.
#[inline(always)]
fn is_sender(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => {
            let [first, ..] = a.octets();
            !matches!(first, 0 | 127 | 224..=239) && !a.is_broadcast()
        }
        IpAddr::V6(a) => !(a.is_unspecified() || a.is_multicast() || a.is_loopback()),
    }
}
