//! Who sent tunnel packets of late: what the addresses, ports and VNI of a packet lead to, kept from one packet to the next.
//!
//! Finding a packet's bridge, its sender and whether the bridge listens to it takes several look-ups, and gives the same
//! for every packet of a tunnel until something changes: by a command, by an endpoint that comes or goes, or by an entry
//! that moves, since an entry of a control plane may be what names an endpoint.

use core::net::IpAddr;

use super::decision::{Network, Source};
use super::{DropReason, Engine};
use crate::table::{BridgeConfig, BridgeId, EndpointAddress, EndpointId, UnderlayId};
use crate::wire::{Encapsulation, Outer, UdpChecksum, Vni};

/// Tunnels remembered; a power of two.
const RECENT: usize = 16;

/// The bridge a tunnel packet is for, and the endpoint that sent it: one that the bridge listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sender {
    pub(super) bridge: BridgeId,
    pub(super) endpoint: EndpointId,
}

/// The tunnels seen of late, each in the one place that its key allows.
#[derive(Clone, Debug)]
pub(super) struct Senders {
    recent: [(Key, Sender); RECENT],
    /// The version of the endpoints at which all of them were found.
    version: u64,
}

/// Everything about a tunnel packet that says who sent it, and whether it is for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    addresses: [u64; 4],
    /// From the top: 1 bit set, UDP checksum 2, not all IPv4 1, source and destination IPv4 1 each (where a socket says
    /// that one of them is), tunnel header 2, VNI 24, UDP port 16, underlay 8.
    rest: u64,
}

impl Senders {
    /// None yet.
    pub(super) const NONE: Self = {
        let nobody = (Key { addresses: [0; 4], rest: 0 }, Sender { bridge: BridgeId(0), endpoint: EndpointId(0) });
        Self { recent: [nobody; RECENT], version: 0 }
    };
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
    #[inline(always)]
    fn new(tracks: &Tracks) -> Self {
        let (families, addresses) = match (tracks.src, tracks.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                (0, [u64::from(src.to_bits()) << 32 | u64::from(dst.to_bits()), 0, 0, 0])
            }
            (src, dst) => {
                let ([a, b], [c, d]) = (halves(src), halves(dst));
                (4 | u64::from(src.is_ipv4()) << 1 | u64::from(dst.is_ipv4()), [a, b, c, d])
            }
        };
        let rest = 1 << 63
            | (tracks.checksum as u64) << 61
            | families << 58
            | (tracks.encapsulation as u64) << 56
            | u64::from(tracks.vni.get()) << 32
            | u64::from(tracks.dst_port) << 16
            | u64::from(tracks.underlay.0);
        Self { addresses, rest }
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
        let low = (a >> 32 ^ b ^ self.rest >> 32).to_le_bytes();
        low.first().map_or(0, |low| usize::from(*low)) & RECENT.wrapping_sub(1)
    }
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
    /// Cost: one cache line where one of the same tunnel came of late; else that of the look-ups of a whole step.
    #[inline(always)]
    pub(super) fn recent_sender(&mut self, tracks: &Tracks) -> Option<Sender> {
        let key = Key::new(tracks);
        let (known, sender) = self.senders.recent.get(key.place())?;
        if self.senders.version == self.endpoints.version() && known.is(&key) {
            return Some(*sender);
        }
        self.remember_sender(*tracks)
    }

    #[cold]
    #[inline(never)]
    fn remember_sender(&mut self, tracks: Tracks) -> Option<Sender> {
        let sender = self.find_sender(&tracks)?;
        let version = self.endpoints.version();
        if self.senders.version != version {
            self.senders = Senders { version, ..Senders::NONE };
        }
        let key = Key::new(&tracks);
        if let Some(place) = self.senders.recent.get_mut(key.place()) {
            *place = (key, sender);
        }
        Some(sender)
    }

    fn find_sender(&self, tracks: &Tracks) -> Option<Sender> {
        let network = self.receiver(tracks).ok()?;
        let address = tracks.address(network.config);
        match self.admit(network, &address, tracks.checksum) {
            Ok(Source::Endpoint { id: Some(endpoint), .. }) => Some(Sender { bridge: network.id, endpoint }),
            _ => None,
        }
    }

    /// The bridge a sound tunnel packet is for, or why it is for none: wrong addresses, or nobody's VNI.
    #[inline]
    pub(super) fn receiver(&self, tracks: &Tracks) -> Result<Network<'_>, DropReason> {
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
#[inline]
fn is_sender(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => {
            let [first, ..] = a.octets();
            !matches!(first, 0 | 127 | 224..=239) && !a.is_broadcast()
        }
        IpAddr::V6(a) => !(a.is_unspecified() || a.is_multicast() || a.is_loopback()),
    }
}
