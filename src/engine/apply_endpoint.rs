//! Endpoints: adding, changing and removing them, by command or for a packet.

use core::net::IpAddr;

use super::apply::is_destination;
use super::{CommandError, Done, EndpointHandle, Engine, Switches};
use crate::table::{
    Destination, Endpoint, EndpointAddress, EndpointConfig, EndpointId, Fragments, GroupId, Horizon, Origin,
};
use crate::wire::{Depth, Df, Encapsulation, EtherType, Link, MacAddr, Tag, Template, TemplateConfig, Ttl};

impl Engine<'_> {
    pub(super) fn set_endpoint(
        &mut self,
        address: EndpointAddress,
        config: EndpointConfig,
    ) -> Result<Done, CommandError> {
        let new = self.make_endpoint(address, config, Origin::Configured)?;
        let Some(id) = self.endpoints.find(&address) else {
            let id = self.insert_endpoint(new, u16::MAX)?;
            return self.handle(id).map(Done::Endpoint);
        };
        let limit = self.fdb.set_destination_limit(Destination::Endpoint(id), config.max_macs);
        limit.map_err(|_| CommandError::EndpointsFull)?;
        if let Some(endpoint) = self.endpoints.get_mut(id) {
            *endpoint = Endpoint { memberships: endpoint.memberships, generation: endpoint.generation, ..new };
        }
        for index in 0..self.flood_lists.capacity() {
            self.refresh_horizon(GroupId(index));
        }
        self.handle(id).map(Done::Endpoint)
    }

    pub(super) fn remove_endpoint(&mut self, address: &EndpointAddress) -> Result<Done, CommandError> {
        let id = self.endpoints.find(address).ok_or(CommandError::NoSuchEndpoint)?;
        if self.endpoints.get(id).is_some_and(|e| self.is_named(id, e)) {
            return Err(CommandError::InUse);
        }
        self.forget_endpoint(id);
        Ok(Done::Ok)
    }

    pub(super) fn handle(&self, id: EndpointId) -> Result<EndpointHandle, CommandError> {
        let endpoint = self.endpoints.get(id).ok_or(CommandError::NoSuchEndpoint)?;
        Ok(EndpointHandle { id, generation: endpoint.generation })
    }

    /// Adds an endpoint that goes when nothing needs it any more. Up to `budget` others are looked at for one that is not
    /// needed now, if there is no place.
    pub(super) fn add_endpoint(&mut self, address: EndpointAddress, budget: u16) -> Result<EndpointId, CommandError> {
        let config = EndpointConfig { max_macs: self.endpoint_macs, ..EndpointConfig::default() };
        let endpoint = self.make_endpoint(address, config, Origin::Automatic)?;
        self.insert_endpoint(endpoint, budget)
    }

    fn insert_endpoint(&mut self, endpoint: Endpoint, budget: u16) -> Result<EndpointId, CommandError> {
        let inserted = self.endpoints.insert(endpoint).or_else(|_| {
            self.recycle_endpoints(budget);
            self.endpoints.insert(endpoint)
        });
        let id = inserted.map_err(|_| CommandError::EndpointsFull)?;
        let limit = self.fdb.set_destination_limit(Destination::Endpoint(id), endpoint.config.max_macs);
        if limit.is_err() {
            self.endpoints.remove(id);
            return Err(CommandError::EndpointsFull);
        }
        Ok(id)
    }

    /// Frees endpoints that nothing needs, looking at no more than `budget` of them.
    pub(super) fn recycle_endpoints(&mut self, budget: u16) {
        let capacity = u16::try_from(self.endpoints.capacity()).unwrap_or(u16::MAX);
        for _ in 0..budget.min(capacity) {
            let id = EndpointId(self.recycle_from);
            self.recycle_from = self.recycle_from.saturating_add(1);
            if self.recycle_from >= capacity {
                self.recycle_from = 0;
            }
            if self.endpoints.get(id).is_some_and(|e| self.is_idle(id, e)) {
                self.forget_endpoint(id);
            }
        }
    }

    /// Removes an endpoint, and makes sure that no entry left over can ever point to its successor.
    pub(super) fn forget_endpoint(&mut self, id: EndpointId) {
        if !self.is_unused(Destination::Endpoint(id)) {
            self.fdb.flush_destination(Destination::Endpoint(id));
        }
        self.endpoints.remove(id);
        // Whoever has the index next has a limit of its own, if any.
        let _ = self.fdb.set_destination_limit(Destination::Endpoint(id), None);
    }

    /// Whether commands have made an endpoint known, by itself, on a flood list or in an entry: not packets.
    pub(super) fn is_configured(&self, id: EndpointId, endpoint: &Endpoint) -> bool {
        endpoint.origin == Origin::Configured || self.is_named(id, endpoint)
    }

    /// Whether a flood list or an FDB entry that is not dynamic needs an endpoint.
    fn is_named(&self, id: EndpointId, endpoint: &Endpoint) -> bool {
        endpoint.memberships > 0 || self.pinned(Destination::Endpoint(id)) > 0
    }

    /// Whether nothing needs an endpoint: it may go at any time.
    pub(super) fn is_idle(&self, id: EndpointId, endpoint: &Endpoint) -> bool {
        endpoint.origin == Origin::Automatic && endpoint.memberships == 0 && self.is_unused(Destination::Endpoint(id))
    }

    /// An endpoint's record, with its header made from the underlay's configuration.
    pub(super) fn make_endpoint(
        &self,
        address: EndpointAddress,
        config: EndpointConfig,
        origin: Origin,
    ) -> Result<Endpoint, CommandError> {
        let underlay = self.underlay(address.underlay).ok_or(CommandError::NoSuchUnderlay)?;
        let src = underlay.local_for(address.address).ok_or(CommandError::NoLocalAddress)?;
        if !is_destination(address.address) || underlay.is_local(address.address) {
            return Err(CommandError::BadAddress);
        }
        if address.port == 0 {
            return Err(CommandError::BadValue);
        }
        let next_hop = multicast_mac(address.address).or(config.next_hop);
        let link = underlay.link.and_then(|link| {
            let vlan = link.vlan.map(|vid| Tag { tpid: EtherType::VLAN, tci: vid });
            Some(Link { dst: next_hop.or(link.gateway)?, src: link.mac, vlan })
        });
        let udp_checksum = match address.address {
            IpAddr::V4(_) => underlay.checksum_v4.unwrap_or(address.encapsulation == Encapsulation::Geneve),
            IpAddr::V6(_) => underlay.checksum_v6,
        };
        let ttl = match underlay.group_ttl {
            Some(ttl) if address.address.is_multicast() => Ttl::Fixed(ttl),
            _ => underlay.ttl,
        };
        let template = Template::new(&TemplateConfig {
            link,
            dst_port: address.port,
            ttl,
            tos: underlay.tos,
            df: underlay.df,
            udp_checksum,
            ecn: underlay.ecn,
            ..TemplateConfig::new(address.encapsulation, src, address.address)
        })
        .map_err(|_| CommandError::BadValue)?;
        let overhead = u32::try_from(template.header_len(Depth::Ip, 0)).unwrap_or(u32::MAX);
        let fragments = match underlay.df {
            _ if !self.switches.contains(Switches::UNDERLAY_FRAGMENTS) || address.address.is_ipv6() => Fragments::Never,
            Df::Set => Fragments::Never,
            Df::Inherit => Fragments::AsInner,
            Df::Unset => Fragments::Always,
        };
        Ok(Endpoint {
            template,
            address,
            config,
            origin,
            memberships: 0,
            max_frame: u32::from(underlay.mtu).saturating_sub(overhead),
            fragments,
            generation: 0,
        })
    }

    /// Works out anew which split-horizon groups a flood list has. Cost: linear in its members.
    pub(super) fn refresh_horizon(&mut self, list: GroupId) {
        let members = self.flood_lists.iter(list).filter_map(|id| self.endpoints.get(id));
        let horizon = members.fold(Horizon::Empty, |horizon, e| horizon.with(e.config.split_horizon));
        self.flood_lists.set_horizon(list, horizon);
    }
}

/// The Ethernet address of an IP multicast group (RFC 1112 section 6.4, RFC 2464 section 7).
fn multicast_mac(address: IpAddr) -> Option<MacAddr> {
    match address {
        IpAddr::V4(a) if a.is_multicast() => {
            let [_, b, c, d] = a.octets();
            Some(MacAddr([0x01, 0x00, 0x5e, b & 0x7f, c, d]))
        }
        IpAddr::V6(a) if a.is_multicast() => {
            let [.., w, x, y, z] = a.octets();
            Some(MacAddr([0x33, 0x33, w, x, y, z]))
        }
        _ => None,
    }
}
