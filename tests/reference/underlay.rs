//! What the bridge does with a tunnel packet.

use core::net::IpAddr;

use vtep::engine::{DropReason, PuntReason, Switches};
use vtep::table::{Admission, Ageing, EndpointAddress, Owner, UnderlayConfig, UnderlayId, VlanDecap};
use vtep::wire::{Ecn, Encapsulation};

use super::super::common::world::build::Checksum;
use super::bridge::{Bridge, Expected, From, Model, Passage, To};
use super::packet::{Body, Form, Header, Inner, IpState, Tunnelled};

impl Model {
    /// The tunnel header expected on a UDP port.
    pub(crate) fn listening(&self, port: u16) -> Option<Encapsulation> {
        self.bridges.values().find(|b| b.config.udp_port == port).map(|b| b.config.encapsulation)
    }

    /// A packet from an underlay.
    pub(crate) fn from_underlay(&mut self, packet: &Tunnelled) -> Expected {
        let passage = match self.outer(packet) {
            Ok(id) => self.through_tunnel(id, packet),
            Err(expected) => Passage::outside(expected),
        };
        self.conclude(passage, false)
    }

    /// Which bridge a packet is for, from its outer headers.
    fn outer(&self, packet: &Tunnelled) -> Result<u16, Expected> {
        let refuse = |reason| Err(Expected::Drop(reason));
        let Some(underlay) = self.underlays.get(&packet.underlay) else {
            return refuse(DropReason::UnknownUnderlay);
        };
        let Some(encapsulation) = self.listening(packet.dst_port) else {
            return Err(Expected::Punt(PuntReason::NotTunnel));
        };
        match packet.checksum {
            Checksum::Zero if packet.src.is_ipv6() && !underlay.zero_checksum_v6 => {
                return refuse(DropReason::OuterZeroChecksum);
            }
            Checksum::Wrong if packet.form != Form::Socket => return refuse(DropReason::OuterBadChecksum),
            _ => {}
        }
        match (packet.header, encapsulation) {
            (Header::Unusable, Encapsulation::Vxlan) => return refuse(DropReason::NoVni),
            (Header::Unusable, _) => return refuse(DropReason::OuterUnknownVersion),
            _ => {}
        }
        if !can_send(packet.src) {
            return refuse(DropReason::OuterSourceInvalid);
        }
        if is_ours(underlay, packet.src) {
            return refuse(DropReason::OuterSourceOwn);
        }
        let is_meant = |b: &Bridge| b.config.udp_port == packet.dst_port && b.config.vni.get() == packet.vni;
        let Some((id, bridge)) = self.bridges.iter().find(|(_, b)| is_meant(b)) else {
            return refuse(DropReason::UnknownVni);
        };
        let group = EndpointAddress { underlay: UnderlayId(packet.underlay), ..plain(bridge, packet) };
        let in_list = |address: IpAddr| {
            let mut list = bridge.list.iter().flatten();
            list.any(|e| (e.underlay, e.address) == (group.underlay, address))
        };
        let accepted = self.has(Switches::ANY_DESTINATION)
            || is_ours(underlay, packet.dst)
            || packet.dst.is_multicast() && in_list(packet.dst);
        if !accepted {
            return refuse(DropReason::OuterDestinationForeign);
        }
        let strict = self.has(Switches::STRICT_RESERVED);
        match (encapsulation, packet.header) {
            (Encapsulation::Vxlan | Encapsulation::Gpe, Header::Reserved) if strict => refuse(DropReason::ReservedBits),
            (Encapsulation::Vxlan, Header::Policy { .. }) if strict && !bridge.config.gbp => {
                refuse(DropReason::ReservedBits)
            }
            (Encapsulation::Geneve, Header::Option { critical, announced }) => {
                let refused = if self.has(Switches::CRITICAL_BY_HEADER) { announced } else { critical };
                if refused { refuse(DropReason::UnknownCriticalOption) } else { Ok(*id) }
            }
            (Encapsulation::Geneve, Header::Overlong) if !self.has(Switches::CRITICAL_BY_HEADER) => {
                refuse(DropReason::OptionTooLong)
            }
            _ => Ok(*id),
        }
    }

    fn through_tunnel(&self, id: u16, packet: &Tunnelled) -> Passage {
        let (bridge, inner) = (&self.bridges[&id], &packet.inner);
        let config = &bridge.config;
        let is_vxlan = config.encapsulation == Encapsulation::Vxlan;
        let is_geneve = config.encapsulation == Encapsulation::Geneve;
        let is_routed = packet.header == Header::Routed && !is_vxlan;
        let mut passage = Passage {
            expected: Expected::Punt(PuntReason::ControlPacket),
            bridge: Some(id),
            bytes: if is_routed { inner.packet() } else { inner.bytes() }.len(),
            learn: None,
            miss: None,
            dst: inner.dst,
        };
        let ignored = is_vxlan || is_geneve && self.has(Switches::IGNORE_CONTROL);
        if packet.header == Header::Control && !ignored {
            return passage;
        }
        if is_routed {
            return self.payload(bridge, packet, passage);
        }
        if !inner.is_whole() {
            return passage.drop(DropReason::InnerTruncated);
        }
        let plain = plain(bridge, packet);
        let sender = sender(bridge, plain);
        if let Err(reason) = self.admit(bridge, packet, plain) {
            return passage.drop(reason);
        }
        let learns = config.ageing != Ageing::NoLearn;
        let station = inner.src.is_station();
        if !station && (learns || !self.has(Switches::CHECK_SOURCE_IF_LEARNING)) {
            return passage.drop(DropReason::SourceMacInvalid);
        }
        let popped = match (config.vlan_decap, inner.vid()) {
            (VlanDecap::Keep, _) | (VlanDecap::Drop, None) => 0,
            (VlanDecap::Strip, _) => inner.tag_count(),
            (VlanDecap::Drop, Some(_)) => return passage.drop(DropReason::VlanTagged),
            (VlanDecap::Map(wanted), Some(vid)) if vid == wanted => 1,
            (VlanDecap::Map(_), _) => return passage.drop(DropReason::VlanMismatch),
            _ => panic!("a policy that this model does not know"),
        };
        let dont_learn = is_vxlan
            && config.gbp
            && packet.header == Header::Policy { dont_learn: true }
            && !self.has(Switches::IGNORE_DONT_LEARN);
        let from = From::Remote(sender, plain);
        if learns && station && !dont_learn {
            passage.learn = Some((inner.src, from));
        } else if self.is_own(id, inner.src, None) {
            return passage.drop(DropReason::SourceMacOwn);
        }
        let mut inside = inner.clone();
        if inner.tags.is_empty() || !self.has(Switches::ECN_SKIPS_TAGGED) {
            match inner.ip() {
                IpState::Short => return passage.drop(DropReason::InnerShortIp),
                IpState::Sound => match decapsulated(inner.inherited().0, packet.tos) {
                    Some(ecn) => inside = inside.with_ecn(ecn),
                    None => return passage.drop(DropReason::EcnConflict),
                },
                IpState::None | IpState::Malformed => {}
            }
        }
        self.forward(id, from, inner, inside.popped(popped), passage)
    }

    /// A packet without Ethernet.
    fn payload(&self, bridge: &Bridge, packet: &Tunnelled, mut passage: Passage) -> Passage {
        let (inner, bytes) = (&packet.inner, packet.inner.packet());
        let geneve = bridge.config.encapsulation == Encapsulation::Geneve;
        if geneve && (inner.ethertype() == 0x0806 || self.has(Switches::GENEVE_ETHERNET_ONLY)) {
            return passage.drop(DropReason::UnsupportedPayload);
        }
        let (reason, header) = match inner.body {
            Body::Arp => return Passage::outside(Expected::Drop(DropReason::UnknownNextProtocol)),
            Body::V4 { .. } | Body::NotV4 => (PuntReason::InnerIpv4, 20),
            Body::V6 { .. } => (PuntReason::InnerIpv6, 40),
        };
        if bytes.len() < header {
            return passage.drop(DropReason::InnerShortIp);
        }
        if matches!(inner.body, Body::NotV4) || inner.missing > 0 {
            return passage.drop(DropReason::InnerMalformedIp);
        }
        if let Err(reason) = self.admit(bridge, packet, plain(bridge, packet)) {
            return passage.drop(reason);
        }
        let tos = match inner.body {
            Body::V4 { tos, .. } | Body::V6 { tos, .. } => tos,
            Body::Arp | Body::NotV4 => panic!("refused above"),
        };
        let untagged = Inner { tags: Vec::new(), ..inner.clone() };
        match decapsulated(tos, packet.tos) {
            Some(ecn) => passage.expected = Expected::Packet(reason, untagged.with_ecn(ecn).packet()),
            None => return passage.drop(DropReason::EcnConflict),
        }
        passage
    }

    fn admit(&self, bridge: &Bridge, packet: &Tunnelled, plain: EndpointAddress) -> Result<(), DropReason> {
        let here = |e: &EndpointAddress| (e.underlay, e.address) == (plain.underlay, plain.address);
        let is_configured = self.named().any(|e| here(&e));
        let admitted = match bridge.config.admission {
            Admission::Anyone => true,
            Admission::Configured => is_configured,
            Admission::FloodList => bridge.list.iter().flatten().any(here),
        };
        if !admitted {
            return Err(DropReason::UnknownEndpoint);
        }
        let zero = packet.checksum == Checksum::Zero && packet.src.is_ipv6();
        if zero && !is_configured && !self.has(Switches::ZERO_CHECKSUM_FROM_ANYONE) {
            return Err(DropReason::ZeroChecksumUnknownEndpoint);
        }
        Ok(())
    }

    /// The endpoints that commands name.
    pub(crate) fn named(&self) -> impl Iterator<Item = EndpointAddress> + '_ {
        let lists = self.bridges.values().flat_map(|b| b.list.iter().chain(b.groups.values()).flatten());
        let entries = self.bridges.values().flat_map(|b| b.fdb.values()).filter_map(|entry| match entry.to {
            To::Remote(address) if entry.owner != Owner::Dynamic => Some(address),
            _ => None,
        });
        self.configured.keys().chain(lists).copied().chain(entries)
    }
}

/// What a sender's endpoint is called if nobody has named it.
fn plain(bridge: &Bridge, packet: &Tunnelled) -> EndpointAddress {
    EndpointAddress {
        underlay: UnderlayId(packet.underlay),
        address: packet.src,
        encapsulation: bridge.config.encapsulation,
        port: bridge.config.udp_port,
        vni: None,
    }
}

/// Which endpoint a sender is: the one that the bridge floods to, if there is one at its address.
fn sender(bridge: &Bridge, plain: EndpointAddress) -> EndpointAddress {
    let here = |e: &&EndpointAddress| (e.underlay, e.address) == (plain.underlay, plain.address);
    let list = bridge.list.as_deref().unwrap_or(&[]);
    if list.contains(&plain) { plain } else { list.iter().find(here).copied().unwrap_or(plain) }
}

fn is_ours(underlay: &UnderlayConfig, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => underlay.ipv4 == Some(a),
        IpAddr::V6(a) => underlay.ipv6 == Some(a),
    }
}

fn can_send(address: IpAddr) -> bool {
    let v4 = |a: core::net::Ipv4Addr| !a.is_broadcast() && a.octets()[0] != 0;
    !address.is_unspecified()
        && !address.is_loopback()
        && !address.is_multicast()
        && match address {
            IpAddr::V4(a) => v4(a),
            IpAddr::V6(_) => true,
        }
}

/// RFC 6040 figure 4: the inner field after decapsulation, `None` for a drop.
fn decapsulated(inner: u8, outer: u8) -> Option<Ecn> {
    let severity = |ecn| match ecn {
        Ecn::NotEct => 0,
        Ecn::Ect0 => 1,
        Ecn::Ect1 => 2,
        Ecn::Ce => 3,
    };
    match (Ecn::from_tos(inner), Ecn::from_tos(outer)) {
        (Ecn::NotEct, Ecn::Ce) => None,
        (Ecn::NotEct, _) => Some(Ecn::NotEct),
        (inner, outer) => Some(if severity(outer) > severity(inner) { outer } else { inner }),
    }
}
