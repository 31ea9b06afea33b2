//! What everybody agrees on: addresses, VNIs, groups.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::BTreeMap;

use vtep::engine::Profile;
use vtep::table::{Admission, Ageing, BridgeConfig, Duration};
use vtep::wire::{Encapsulation, Vni};

use super::packet::Packet;
use super::scenario::{Member, PolicyShape, Shape, TenantShape};

#[derive(Clone, Debug)]
pub struct Wires {
    pub tenants: Vec<TenantShape>,
    pub mtu: u16,
    pub zero_checksum: bool,
    ipv6: bool,
    shared_group: bool,
    by_header: BTreeMap<(bool, u32), usize>,
    /// The security groups that there are.
    groups: BTreeMap<(usize, u32), u32>,
}

/// A row of addresses that are nobody's.
const NOBODY: u8 = 200;

impl Wires {
    pub fn new(shape: &Shape) -> Self {
        let Shape { tenants, mtu, zero_checksum, ipv6, shared_group, .. } = shape;
        Self {
            tenants: tenants.clone(),
            mtu: *mtu,
            zero_checksum: *zero_checksum,
            ipv6: *ipv6,
            shared_group: *shared_group,
            groups: shape
                .hosts
                .iter()
                .filter(|host| host.group != 0)
                .map(|host| ((usize::from(host.tenant), host.number), host.group))
                .collect(),
            by_header: tenants.iter().zip(0..).map(|(tenant, at)| ((tenant.geneve, tenant.vni), at)).collect(),
        }
    }

    /// The address of a number in a row.
    pub fn address(&self, (number, row): (usize, u8)) -> IpAddr {
        let [_, _, high, low] = (number as u32 + 1).to_be_bytes();
        match self.ipv6 {
            false => Ipv4Addr::new(172, row.wrapping_add(16), high, low).into(),
            true => Ipv6Addr::new(0x2001, 0xdb8, u16::from(row), 0, 0, 0, 0, number as u16 + 1).into(),
        }
    }

    pub fn group(&self, tenant: usize) -> IpAddr {
        let number = if self.shared_group { 0 } else { tenant as u16 };
        let [high, low] = number.to_be_bytes();
        match self.ipv6 {
            false => Ipv4Addr::new(239, 1, high, low).into(),
            true => Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 1, number).into(),
        }
    }

    /// The VTEPs that have a tenant, of so many.
    pub fn vteps(&self, tenant: usize, all: usize) -> impl Iterator<Item = usize> + '_ {
        let some = &self.tenants[tenant].vteps;
        let count = if some.is_empty() { all } else { some.len() };
        (0..count).map(|at| some.get(at).map_or(at, |vtep| usize::from(*vtep)))
    }

    pub fn encapsulation(&self, tenant: usize) -> Encapsulation {
        if self.tenants[tenant].geneve { Encapsulation::Geneve } else { Encapsulation::Vxlan }
    }

    /// Whose packet it is, by its tunnel header.
    pub fn tenant_of(&self, packet: &Packet) -> Option<usize> {
        self.by_header.get(&(packet.geneve, packet.vni)).copied()
    }

    pub fn bridge_config(&self, profile: Profile, tenant: usize) -> BridgeConfig {
        let TenantShape { vni, ageing, admission, ref policy, geneve, .. } = self.tenants[tenant];
        let config = profile.bridge(self.encapsulation(tenant), Vni::truncating(vni));
        BridgeConfig {
            ageing: match ageing {
                0 => Ageing::Never,
                secs => Ageing::After(Duration::from_secs(secs.into())),
            },
            admission: match admission {
                0 => Admission::Anyone,
                1 => Admission::Configured,
                _ => Admission::FloodList,
            },
            gbp: policy.is_some() && !geneve,
            options: policy.is_some() && geneve,
            policy: policy.as_ref().map(PolicyShape::enforcement),
            ..config
        }
    }

    /// The group of the host with that number in a tenant.
    pub fn group_of(&self, tenant: usize, number: u32) -> u32 {
        self.groups.get(&(tenant, number)).copied().unwrap_or(0)
    }

    /// The address of a member of a flood list that is no other VTEP.
    pub fn member(&self, tenant: usize, member: Member, own: IpAddr) -> IpAddr {
        match member {
            Member::Vtep(_) | Member::Own => own,
            Member::Group => self.group(tenant),
            Member::Nobody(number) => self.nobody(number),
        }
    }

    pub fn nobody(&self, number: u8) -> IpAddr {
        self.address((usize::from(number), NOBODY))
    }
}
