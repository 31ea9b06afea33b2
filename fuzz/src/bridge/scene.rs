//! Networks to begin with, and changes to them.

use core::net::IpAddr;

use vtep::engine::{Command, Flush, Place, Profile, Remote};
use vtep::table::fdb::Owners;
use vtep::table::{
    Admission, Ageing, BridgeConfig, BridgeId, DuplicateAction, DuplicateDetection, Duration, EndpointAddress,
    EndpointConfig, FloodSwitches, Owner, PortConfig, PortId, Rate, StormControl, UnderlayConfig, UnderlayId,
    UnderlayLink, VlanDecap, VlanEncap,
};
use vtep::wire::{Df, Encapsulation, Label, MacAddr, Tos, Ttl, Vni};

use super::super::draw::Draw;
use super::super::reference::Scene;
use super::super::reference::ops::{
    GROUPS, ODD, ODD_MACS, OWN, OWN_ELSEWHERE, OWN6, REMOTES, UDP_PORTS, VIDS, VNIS, sound, station,
};

impl Draw<'_> {
    /// A network without what would be refused, so that there is something to begin with.
    pub(super) fn scene(&mut self) -> Scene {
        // Profile `Linux` has the kernel itself for a reference.
        let profile = Profile::Rfc;
        let mut setup = vec![self.underlay(profile, 0)];
        if self.chance(2) {
            setup.push(self.underlay(profile, 1));
        }
        let bridges = 1 + self.up_to(3) as u16;
        for id in 0..bridges {
            let config = BridgeConfig { vni: Vni::truncating(5000 + u32::from(id)), ..sound(self.bridge_config()) };
            setup.push(Command::AddBridge { id: BridgeId(id), config });
        }
        let some = |id: BridgeId| BridgeId(id.0 % bridges);
        for id in 0..self.up_to(6) as u16 {
            let config = self.port_config();
            let config = PortConfig { bridge: some(config.bridge), ..config };
            setup.push(Command::AddPort { id: PortId(id), config });
        }
        for _ in 0..self.up_to(6) {
            setup.push(Command::FloodAdd { bridge: some(self.any_bridge()), remote: self.remote() });
        }
        Scene { profile, setup }
    }

    pub(super) fn command(&mut self, profile: Profile) -> Command {
        match self.up_to(32) {
            0..=1 => Command::AddBridge { id: self.any_bridge(), config: self.bridge_config() },
            2..=3 => Command::SetBridge { id: self.any_bridge(), config: self.bridge_config() },
            4 => Command::RemoveBridge { id: self.any_bridge() },
            5..=7 => Command::AddPort { id: self.port_id(), config: self.port_config() },
            8 => Command::RemovePort { id: self.port_id() },
            9..=10 => {
                let address = self.endpoint();
                let config = EndpointConfig { split_horizon: self.up_to(4) as u8, ..EndpointConfig::default() };
                Command::SetEndpoint { address, config }
            }
            11 => Command::RemoveEndpoint { address: self.endpoint() },
            12..=15 => Command::FloodAdd { bridge: self.any_bridge(), remote: self.remote() },
            16..=17 => Command::FloodRemove { bridge: self.any_bridge(), remote: self.remote() },
            18..=19 => Command::FdbAdd {
                bridge: self.any_bridge(),
                mac: self.any_mac(),
                place: self.place(),
                owner: self.owner(),
                sticky: self.chance(5),
                label: Label::NONE,
            },
            20..=21 => Command::FdbReplace {
                bridge: self.any_bridge(),
                mac: self.any_mac(),
                place: self.place(),
                owner: self.owner(),
                sticky: self.chance(5),
                label: Label::NONE,
            },
            22..=24 => {
                let mac = if self.chance(6) { self.any_mac() } else { self.one(&ODD_MACS) };
                Command::FdbAppend { bridge: self.any_bridge(), mac, remote: self.remote() }
            }
            25..=26 => Command::FdbDelete {
                bridge: self.any_bridge(),
                mac: self.any_mac(),
                remote: self.chance(3).then(|| self.remote()),
            },
            27..=28 => Command::Learn {
                bridge: self.any_bridge(),
                mac: self.any_mac(),
                place: self.place(),
                label: Label::NONE,
            },
            29..=30 => Command::Flush(Flush {
                bridge: self.chance(2).then(|| self.any_bridge()),
                place: self.chance(2).then(|| self.place()),
                owners: if self.chance(3) { Owners::from_bits_truncate(self.byte()) } else { Owners::DYNAMIC },
            }),
            _ if self.chance(2) => self.guard(),
            _ => self.underlay(profile, 0),
        }
    }

    /// Storm control and duplicate detection.
    fn guard(&mut self) -> Command {
        let bridge = self.any_bridge();
        match self.up_to(8) {
            0..=2 => {
                let [broadcast, unknown_unicast, multicast] = [(); 3].map(|()| {
                    let (per_second, burst) = (self.one(&[0, 1, 3, 1000]), self.one(&[1, 2, 5, 0]));
                    self.chance(2).then_some(Rate { per_second, burst })
                });
                let config = StormControl { broadcast, unknown_unicast, multicast };
                Command::SetStormControl { bridge, config }
            }
            3..=6 => {
                let mut seconds = || Duration::from_secs(self.one(&[8, 180, 1, 100_000, 0]));
                let (window, recover) = (seconds(), seconds());
                let config = DuplicateDetection {
                    max_moves: self.one(&[2, 1, 3, 0]),
                    window,
                    action: self.one(&[DuplicateAction::Drop, DuplicateAction::Freeze, DuplicateAction::Alert]),
                    recover: self.chance(2).then_some(recover),
                };
                let config = if self.chance(5) { None } else { Some(config) };
                Command::SetDuplicateDetection { bridge, config }
            }
            _ => Command::ClearDuplicate { bridge, mac: self.chance(2).then(|| self.station()) },
        }
    }

    pub(super) fn any_mac(&mut self) -> MacAddr {
        if self.chance(13) { self.one(&ODD_MACS) } else { self.station() }
    }

    pub(super) fn station(&mut self) -> MacAddr {
        station(self.up_to(6) as u8)
    }

    pub(super) fn any_bridge(&mut self) -> BridgeId {
        BridgeId(self.seldom(16, &[0, 0, 1, 1, 2], &[3]))
    }

    pub(super) fn port_id(&mut self) -> PortId {
        PortId(self.up_to(7) as u16)
    }

    fn owner(&mut self) -> Owner {
        self.one(Owner::ALL)
    }

    fn place(&mut self) -> Place {
        match self.up_to(8) {
            0..=2 => Place::Port(self.port_id()),
            3..=5 => Place::Remote(self.remote()),
            6 => Place::Host,
            _ => Place::Blackhole,
        }
    }

    fn remote(&mut self) -> Remote {
        let address = match self.up_to(16) {
            0..=11 => self.one(&REMOTES),
            12..=13 => self.one(&GROUPS),
            14 => self.one(&ODD),
            _ => OWN,
        };
        Remote {
            underlay: UnderlayId(self.seldom(8, &[0], &[1, 2])),
            address,
            encapsulation: self.seldom(8, &[None], &[Some(Encapsulation::Geneve), Some(Encapsulation::Gpe)]),
            port: self.seldom(5, &[None], &[Some(9999), Some(4789), Some(0)]),
            vni: if self.chance(6) { Vni::new(self.one(&VNIS)) } else { None },
        }
    }

    fn endpoint(&mut self) -> EndpointAddress {
        let (remote, config) = (self.remote(), self.bridge_config());
        remote.resolve(&BridgeConfig { vni: Vni::truncating(5000), ..config })
    }

    fn bridge_config(&mut self) -> BridgeConfig {
        let (udp_port, encapsulation) = self.seldom(3, &UDP_PORTS[..2], &UDP_PORTS);
        let vni = Vni::truncating(self.seldom(3, &[5000], &VNIS));
        let ageing = match self.up_to(10) {
            0 => Ageing::Never,
            1 => Ageing::NoLearn,
            n => {
                Ageing::After(Duration::from_millis([300_000, 300_000, 300_000, 1000, 1000, 7000, 0, u64::MAX][n - 2]))
            }
        };
        let flood = if self.chance(3) { FloodSwitches::from_bits_truncate(self.byte()) } else { FloodSwitches::all() };
        let vid = self.one(&VIDS);
        BridgeConfig {
            udp_port,
            ageing,
            flood,
            vlan_encap: self.one(&[VlanEncap::Keep, VlanEncap::Strip, VlanEncap::Map(vid), VlanEncap::Drop]),
            vlan_decap: self.one(&[VlanDecap::Keep, VlanDecap::Drop, VlanDecap::Map(vid), VlanDecap::Strip]),
            admission: self.seldom(3, &[Admission::Anyone], &[Admission::Configured, Admission::FloodList]),
            gbp: self.chance(2),
            l2miss: self.chance(2),
            host: self.chance(2),
            ..BridgeConfig::new(encapsulation, vni)
        }
    }

    fn port_config(&mut self) -> PortConfig {
        let vlan = self.seldom(10, &[None, None, Some(5), Some(6)], &[Some(4095), Some(0)]);
        PortConfig { vlan, learning: !self.chance(5), ..PortConfig::new(self.any_bridge()) }
    }

    /// Both families, with everything that varies.
    fn underlay(&mut self, profile: Profile, id: u8) -> Command {
        let default = profile.underlay(if id == 0 { OWN } else { OWN_ELSEWHERE });
        let ipv6 = match OWN6 {
            IpAddr::V6(address) if id == 0 => Some(address),
            _ => None,
        };
        let link = self.chance(2).then(|| UnderlayLink {
            mac: station(0xee),
            vlan: self.chance(2).then_some(77),
            gateway: self.chance(2).then_some(station(0xef)),
        });
        let config = UnderlayConfig {
            ipv6,
            mtu: self.seldom(3, &[1500], &[1280, 9000]),
            zero_checksum_v6: self.chance(2),
            link,
            df: self.seldom(3, &[default.df], &[Df::Set, Df::Unset, Df::Inherit]),
            ttl: self.one(&[default.ttl, Ttl::Inherit]),
            tos: self.one(&[default.tos, Tos::Inherit]),
            checksum_v4: self.one(&[default.checksum_v4, Some(true), Some(false)]),
            ..default
        };
        Command::SetUnderlay { id: UnderlayId(id), config }
    }
}
