//! A packet from an underlay: what is done with it, without changing anything yet.

use core::net::IpAddr;

use super::decision::{Decision, Learn, Network, Source};
use super::forward::Frame;
use super::packet::{Carrier, End, Origin, Packet};
use super::senders::Tracks;
use super::{DropReason, Engine, Form, PuntReason, Switches, Verdict};
use crate::table::{
    Admission, Ageing, Bridge, BridgeConfig, BridgeId, Endpoint, EndpointAddress, EndpointConfig, EndpointId, Instant,
    UnderlayConfig, UnderlayId, VlanDecap,
};
use crate::wire::geneve::Found;
use crate::wire::{
    Ecn, Encapsulation, EtherType, IpKind, Label, Layer, Outer, Reason, SecurityGroup, Span, Tunnel, TunnelFlags,
    UdpChecksum, WireError, ecn, gpe, outer, vxlan,
};

impl Engine<'_> {
    #[inline(always)]
    pub(super) fn read_from_underlay(&self, id: UnderlayId, form: Form, bytes: &[u8]) -> Packet {
        let Some(underlay) = self.underlay(id) else { return Packet::refused(DropReason::UnknownUnderlay) };
        let checks = underlay.checks();
        let parsed = match form {
            Form::Frame => outer::parse(bytes, &self.udp_ports, &checks),
            Form::Packet => outer::parse_ip(bytes, &self.udp_ports, &checks),
            Form::Datagram(datagram) => outer::parse_udp_payload(bytes, &datagram, &self.udp_ports, &checks),
        };
        let outer = match parsed {
            Ok(Some(outer)) => outer,
            Ok(None) => {
                let all = Span::new(0, u32::try_from(bytes.len()).unwrap_or(u32::MAX));
                return Packet::ended(None, false, all, End::Punt(PuntReason::NotTunnel, None));
            }
            Err(error) => return Packet::refused(error.into()),
        };
        let tracks = Tracks::new(id, &outer);
        let network = match self.receiver(&tracks) {
            Ok(network) => network,
            Err(reason) => return Packet::refused(reason),
        };
        let tunnel = &outer.tunnel;
        match self.check_tunnel_header(network.config, &outer, bytes) {
            Ok(found) => self.read_inner(network, (tracks, &outer, found), bytes),
            Err(error) => {
                let reason = DropReason::from(error);
                match reason.has_vni() {
                    true => Packet::ended(Some(network.id), false, tunnel.inner, End::Drop(reason)),
                    false => Packet::refused(reason),
                }
            }
        }
    }

    /// The second half of reading: a sound tunnel packet for one of our bridges.
    #[inline(always)]
    fn read_inner(
        &self,
        network: Network<'_>,
        (tracks, outer, found): (Tracks, &Outer, Found),
        bytes: &[u8],
    ) -> Packet {
        let Network { id, config, .. } = network;
        let tunnel = &outer.tunnel;
        let ended = |end| Packet::ended(Some(id), false, tunnel.inner, end);
        if tunnel.flags.contains(TunnelFlags::O) && !self.ignores_control(tunnel.encap) {
            return ended(End::Punt(PuntReason::ControlPacket, Some(outer.src)));
        }
        if tunnel.protocol != EtherType::ETHERNET {
            return self.read_payload(id, (tracks, outer, found), bytes);
        }
        let payload = tunnel.inner.of(bytes).unwrap_or(&[]);
        let Ok(inner) = self.parse_inner(payload, config.vlan_decap == VlanDecap::Keep) else {
            return ended(End::Drop(DropReason::InnerTruncated));
        };
        let carrier = Carrier::new(tracks, outer, found);
        self.frame_of(id, inner, tunnel.inner, Origin::Tunnel(id, carrier))
    }

    /// Whether an O bit means nothing: Linux drops GPE's, and does not look at Geneve's.
    #[inline]
    fn ignores_control(&self, encapsulation: Encapsulation) -> bool {
        encapsulation == Encapsulation::Geneve && self.switches.contains(Switches::IGNORE_CONTROL)
    }

    /// The tunnel header's own rules that need the VNI's configuration: reserved bits and options. What it says of the
    /// frame's label comes with it, where the bridge reads that.
    #[inline]
    fn check_tunnel_header(&self, config: &BridgeConfig, outer: &Outer, bytes: &[u8]) -> Result<Found, WireError> {
        let Tunnel { encap, flags, policy, header, options, .. } = outer.tunnel;
        self.check_reserved(config, encap, header.of(bytes).unwrap_or(&[]))
            .map_err(|error| error.shifted(header.start))?;
        self.found(config, encap, flags, policy, options.of(bytes).unwrap_or(&[])).map_err(|error| {
            let from = if error.layer == Layer::GeneveOption { options } else { header };
            error.shifted(from.start)
        })
    }

    /// A tunnel header's reserved bits, where the profile looks at them.
    #[inline]
    pub(super) fn check_reserved(
        &self,
        config: &BridgeConfig,
        encapsulation: Encapsulation,
        header: &[u8],
    ) -> Result<(), WireError> {
        if !self.switches.contains(Switches::STRICT_RESERVED) {
            return Ok(());
        }
        match encapsulation {
            Encapsulation::Vxlan if config.gbp => check_group_policy(header),
            Encapsulation::Vxlan => vxlan::check_reserved(header, false),
            Encapsulation::Gpe => gpe::check_reserved(header),
            // Linux does not look at Geneve's reserved bits.
            Encapsulation::Geneve => Ok(()),
        }
    }

    /// What policy ID or options say to a bridge; offsets of errors count from the start of the layer they name.
    #[inline(always)]
    pub(super) fn found(
        &self,
        config: &BridgeConfig,
        encapsulation: Encapsulation,
        flags: TunnelFlags,
        policy: u16,
        options: &[u8],
    ) -> Result<Found, WireError> {
        if encapsulation != Encapsulation::Geneve {
            let group = if config.gbp { SecurityGroup::from_policy_id(policy) } else { SecurityGroup::NONE };
            return Ok(Found { group, class: None });
        }
        let critical = flags.contains(TunnelFlags::C);
        if self.switches.contains(Switches::CRITICAL_BY_HEADER) && !config.options {
            return match critical {
                true => Err(WireError::new(Layer::Geneve, Reason::UnknownCriticalOption, 0)),
                false => Ok(Found::default()),
            };
        }
        if options.is_empty() {
            return Ok(Found::default());
        }
        if config.options {
            return match self.quick_schema.read(options) {
                Some(found) => Ok(found),
                None => self.schema.read_any(self.known_options, options, critical),
            };
        }
        // To a bridge that does not read labels, the schema's options are as unknown as others.
        match self.quick_schema.passes(options) {
            true => Ok(Found::default()),
            false => self.no_schema.read_any(self.known_options, options, critical),
        }
    }

    #[inline(always)]
    pub(super) fn decide_from_underlay(
        &self,
        now: Instant,
        (bridge, carrier): (BridgeId, Carrier),
        packet: &Packet,
        bytes: &[u8],
        verdict: &mut Verdict,
    ) -> Decision {
        let mut decision = Decision::NONE;
        let Some(network) = self.network(bridge) else {
            return decision.drop(verdict, DropReason::UnknownVni);
        };
        let Network { config, .. } = network;
        let inner = packet.inner;
        let source = match self.admit(network, &carrier.tracks.address(config), carrier.tracks.checksum) {
            Ok(source) => source,
            Err(reason) => return decision.drop(verdict, reason),
        };
        let learns = config.ageing != Ageing::NoLearn;
        let station = inner.src().is_station();
        if !station && (learns || !self.switches.contains(Switches::CHECK_SOURCE_IF_LEARNING)) {
            return decision.drop(verdict, DropReason::SourceMacInvalid);
        }
        let popped = match config.vlan_decap {
            VlanDecap::Keep => 0,
            VlanDecap::Strip => inner.tags(),
            VlanDecap::Drop if inner.tags() == 0 => 0,
            VlanDecap::Drop => return decision.drop(verdict, DropReason::VlanTagged),
            VlanDecap::Map(vid) if inner.vid() == Some(vid) => 1,
            VlanDecap::Map(_) => return decision.drop(verdict, DropReason::VlanMismatch),
        };
        let dont_learn = config.gbp
            && carrier.flags.contains(TunnelFlags::D)
            && !self.switches.contains(Switches::IGNORE_DONT_LEARN);
        if learns && station && !dont_learn {
            decision.learn = Some(Learn { source, label: Label::NONE });
        } else if self.is_own(now, packet.src, None) {
            return decision.drop(verdict, DropReason::SourceMacOwn);
        }
        let mut frame = Frame::new(inner, popped, packet.frame);
        if network.bridge.labelled {
            let (labelled, learned) = self.label_from_tunnel(config, &carrier);
            frame.labelled = labelled;
            decision.learn = decision.learn.map(|learn| Learn { label: learned, ..learn });
        }
        match inner.ip() {
            // Linux sees a tagged frame's tag only, not what is behind it.
            _ if inner.tags() > 0 && self.switches.contains(Switches::ECN_SKIPS_TAGGED) => {}
            IpKind::Short => return decision.drop(verdict, DropReason::InnerShortIp),
            IpKind::V4 | IpKind::V6 => {
                let before = Ecn::from_tos(inner.tos());
                match ecn::decapsulate(before, Ecn::from_tos(carrier.tos)) {
                    Ok(after) if after == before => {}
                    Ok(after) => frame.set_ecn(after),
                    Err(_) => return decision.drop(verdict, DropReason::EcnConflict),
                }
            }
            _ => {}
        }
        self.forward(now, network, source, frame, packet.dst, bytes, decision, verdict)
    }

    /// Whether a destination address is ours: a unicast address of the underlay, or a group that the bridge floods to.
    #[inline(always)]
    pub(super) fn is_ours(&self, id: UnderlayId, underlay: &UnderlayConfig, bridge: &Bridge, address: IpAddr) -> bool {
        underlay.is_local(address) || self.is_joined(id, bridge, address)
    }

    #[inline(never)]
    fn is_joined(&self, id: UnderlayId, bridge: &Bridge, address: IpAddr) -> bool {
        self.switches.contains(Switches::ANY_DESTINATION)
            || address.is_multicast() && self.listed_at(bridge, id, address).is_some()
    }

    /// The first endpoint on a bridge's flood list that has this IP address. Cost: two cache lines of the map of
    /// memberships, and the endpoint's own.
    #[inline(always)]
    fn listed_at(&self, bridge: &Bridge, underlay: UnderlayId, address: IpAddr) -> Option<(EndpointId, &Endpoint)> {
        let id = self.flood_lists.find(bridge.flood_list?, self.endpoints.place(underlay, address))?;
        let endpoint = self.endpoints.get(id)?;
        let known = (endpoint.address.underlay, endpoint.address.address);
        (known == (underlay, address)).then_some((id, endpoint))
    }

    /// Which endpoint a sender is to this bridge: the one that it floods to, or else the one it would learn. An endpoint
    /// that other bridges have at the same IP address is not it: its VNI and tunnel header are theirs.
    #[inline(always)]
    fn sender(&self, bridge: &Bridge, address: &EndpointAddress) -> Option<EndpointId> {
        let Some((id, endpoint)) = self.listed_at(bridge, address.underlay, address.address) else {
            return self.endpoints.find(address);
        };
        if endpoint.address == *address {
            return Some(id);
        }
        // Where there are several on the list, it is the one without a port and VNI of its own.
        let listed = |other: &EndpointId| bridge.flood_list.is_some_and(|list| self.flood_lists.contains(list, *other));
        Some(self.endpoints.find(address).filter(listed).unwrap_or(id))
    }

    /// Who sent a packet, and whether this bridge listens to them.
    #[inline(always)]
    pub(super) fn admit(
        &self,
        network: Network<'_>,
        address: &EndpointAddress,
        checksum: UdpChecksum,
    ) -> Result<Source, DropReason> {
        let id = self.admitted(network, address, checksum)?;
        let endpoint = id.and_then(|id| self.endpoints.get(id));
        let group = endpoint.map_or(EndpointConfig::DEFAULT_GROUP, |e| e.config.split_horizon);
        Ok(Source::Endpoint { id, group })
    }

    /// The sender of a packet, if it is known, where this bridge listens to them.
    #[inline(never)]
    pub(super) fn admitted(
        &self,
        network: Network<'_>,
        address: &EndpointAddress,
        checksum: UdpChecksum,
    ) -> Result<Option<EndpointId>, DropReason> {
        self.admitted_inline(network, address, checksum)
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn admitted_inline(
        &self,
        network: Network<'_>,
        address: &EndpointAddress,
        checksum: UdpChecksum,
    ) -> Result<Option<EndpointId>, DropReason> {
        let Network { bridge, config, .. } = network;
        let EndpointAddress { underlay, address: src, .. } = *address;
        let id = self.sender(bridge, address);
        let admitted = match config.admission {
            Admission::Anyone => true,
            Admission::Configured => self.is_configured_at(underlay, src),
            Admission::FloodList => self.listed_at(bridge, underlay, src).is_some(),
        };
        if !admitted {
            return Err(DropReason::UnknownEndpoint);
        }
        if checksum == UdpChecksum::Zero
            && src.is_ipv6()
            && !self.is_configured_at(underlay, src)
            && !self.switches.contains(Switches::ZERO_CHECKSUM_FROM_ANYONE)
        {
            return Err(DropReason::ZeroChecksumUnknownEndpoint);
        }
        Ok(id)
    }

    #[inline(never)]
    fn is_configured_at(&self, underlay: UnderlayId, address: IpAddr) -> bool {
        self.endpoints.at(underlay, address).any(|(id, e)| self.is_configured(id, e))
    }
}

/// What Linux calls reserved in a Group Policy header: bits of the first byte and of the last, none between.
fn check_group_policy(header: &[u8]) -> Result<(), WireError> {
    match header.first_chunk::<{ vxlan::HEADER_LEN }>() {
        Some(&[first, .., last]) => vxlan::check_reserved(&[first & 0x7f, 0, 0, 0, 0, 0, 0, last], false),
        None => vxlan::check_reserved(header, true),
    }
}
