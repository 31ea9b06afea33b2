//! Random networks, and what happens in them.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use proptest::sample::select;
use vtep::engine::{Command, Flush, Place, Profile, Remote};
use vtep::table::fdb::Owners;
use vtep::table::{
    Admission, Ageing, BridgeConfig, BridgeId, DuplicateAction, DuplicateDetection, Duration, EndpointConfig,
    FloodSwitches, Owner, PortConfig, PortId, Rate, StormControl, UnderlayConfig, UnderlayId, UnderlayLink, VlanDecap,
    VlanEncap,
};
use vtep::wire::{Df, Encapsulation, Label, MacAddr, Tos, Ttl, Vni};

use super::super::common::world::build::Checksum;
use super::packet::{Body, Form, Header, Inner, Tunnelled};

/// What happens.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Port(u16, Inner),
    Underlay(Tunnelled),
    /// One of the two, made to fit what is there: the port or bridge is the one of this number among those that are.
    Aimed(u8, Box<Op>),
    Command(Command),
    /// To this time, in milliseconds: forwards, or back.
    Clock(i64),
    Tick,
}

/// A network to begin with.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) profile: Profile,
    pub(crate) setup: Vec<Command>,
}

pub(crate) const OWN: IpAddr = v4(192, 0, 2, 1);
pub(crate) const OWN6: IpAddr = v6(1);
pub(crate) const OWN_ELSEWHERE: IpAddr = v4(198, 51, 100, 1);
pub(crate) const REMOTES: [IpAddr; 5] = [v4(192, 0, 2, 2), v4(192, 0, 2, 3), v4(198, 51, 100, 2), v6(2), v6(3)];
pub(crate) const GROUPS: [IpAddr; 3] =
    [v4(239, 1, 1, 1), v4(239, 1, 1, 2), IpAddr::V6(Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 7))];
pub(crate) const ODD: [IpAddr; 8] = [
    v4(0, 0, 0, 0),
    v4(0, 1, 2, 3),
    v4(127, 0, 0, 1),
    v4(255, 255, 255, 255),
    v4(224, 0, 0, 1),
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
    v4(240, 0, 0, 1),
];
/// UDP ports, and what the bridges here use them for.
pub(crate) const UDP_PORTS: [(u16, Encapsulation); 5] = [
    (4789, Encapsulation::Vxlan),
    (6081, Encapsulation::Geneve),
    (8472, Encapsulation::Vxlan),
    (4790, Encapsulation::Gpe),
    (6082, Encapsulation::Geneve),
];
pub(crate) const VNIS: [u32; 4] = [0, 5000, 0xff_ffff, 5001];
pub(crate) const VIDS: [u16; 3] = [5, 6, 0];

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn v6(last: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last))
}

pub(crate) const fn station(last: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, last])
}

fn stations() -> BoxedStrategy<MacAddr> {
    (0..6_u8).prop_map(station).boxed()
}

/// Group addresses, zero, and those that bridges keep to themselves.
pub(crate) const ODD_MACS: [MacAddr; 6] = [
    MacAddr::BROADCAST,
    MacAddr([1, 0, 0x5e, 1, 2, 3]),
    MacAddr([0x33, 0x33, 0, 0, 0, 1]),
    MacAddr([1, 0x80, 0xc2, 0, 0, 0xe]),
    MacAddr([1, 0x80, 0xc2, 0, 0, 0x10]),
    MacAddr::ZERO,
];

fn odd_macs() -> BoxedStrategy<MacAddr> {
    select(ODD_MACS.to_vec()).boxed()
}

fn inner() -> BoxedStrategy<Inner> {
    let dst = prop_oneof![3 => stations(), 2 => odd_macs()];
    let src = prop_oneof![12 => stations(), 1 => odd_macs()];
    let tag = (select(vec![0x8100_u16, 0x88a8]), select(VIDS.to_vec()), 0..8_u16)
        .prop_map(|(tpid, vid, pcp)| (tpid, pcp << 13 | vid));
    let tags = prop_oneof![
        4 => Just(Vec::new()),
        4 => prop::collection::vec(tag.clone(), 1),
        1 => prop::collection::vec(tag, 2..5),
    ];
    let len = prop_oneof![4 => 0..80_usize, 1 => 1150..1500_usize];
    let tos = prop_oneof![0..4_u8, any::<u8>()];
    let v4 = (tos.clone(), 1..255_u8, any::<bool>(), len.clone()).prop_map(|(tos, ttl, df, data)| Body::V4 {
        tos,
        ttl,
        df,
        data,
    });
    let v6 = (tos, 1..255_u8, len).prop_map(|(tos, ttl, data)| Body::V6 { tos, ttl, data });
    let body = prop_oneof![2 => Just(Body::Arp), 6 => v4, 2 => v6, 1 => Just(Body::NotV4)];
    let missing = prop_oneof![10 => Just(0), 1 => 0..70_usize];
    (dst, src, tags, body, missing)
        .prop_map(|(dst, src, tags, body, missing)| Inner { dst, src, tags, body, missing })
        .boxed()
}

fn tunnelled() -> BoxedStrategy<Tunnelled> {
    let form = select(vec![Form::Frame, Form::Packet, Form::Socket]);
    let src = prop_oneof![10 => select(REMOTES.to_vec()), 1 => select(ODD.to_vec()), 1 => select(vec![OWN, OWN6])];
    let dst = prop_oneof![
        10 => Just(None),
        2 => select(GROUPS.to_vec()).prop_map(Some),
        1 => select(vec![REMOTES[0], REMOTES[4], OWN_ELSEWHERE]).prop_map(Some),
    ];
    let udp_port = prop_oneof![3 => Just(4789), 2 => Just(6081), 2 => select(vec![8472_u16, 4790, 6082, 53])];
    let checksum = prop_oneof![6 => Just(Checksum::Right), 3 => Just(Checksum::Zero), 1 => Just(Checksum::Wrong)];
    let header = prop_oneof![
        12 => Just(Header::Plain),
        3 => select(vec![Header::Unusable, Header::Reserved, Header::Control, Header::Routed, Header::Overlong]),
        2 => any::<bool>().prop_map(|dont_learn| Header::Policy { dont_learn }),
        2 => any::<(bool, bool)>().prop_map(|(critical, announced)| Header::Option { critical, announced }),
    ];
    let underlay = prop_oneof![12 => Just(0_u8), 2 => Just(1), 1 => Just(2)];
    let vni = prop_oneof![6 => Just(5000_u32), 2 => select(VNIS.to_vec())];
    (underlay, form, src, dst, udp_port, 0..4_u8, checksum, vni, header, inner())
        .prop_map(|(underlay, form, src, dst, dst_port, tos, checksum, vni, header, inner)| {
            let own = match (src.is_ipv6(), underlay) {
                (true, _) => OWN6,
                (false, 1) => OWN_ELSEWHERE,
                (false, _) => OWN,
            };
            // Both addresses are of one family.
            let dst = dst.filter(|dst| dst.is_ipv6() == src.is_ipv6()).unwrap_or(own);
            let src_port = if tos == 1 { dst_port } else { 50_000 };
            Tunnelled { underlay, form, src, dst, src_port, dst_port, tos, checksum, vni, header, inner }
        })
        .boxed()
}

fn remote() -> BoxedStrategy<Remote> {
    let address = prop_oneof![
        20 => select(REMOTES.to_vec()),
        4 => select(GROUPS.to_vec()),
        1 => select(ODD.to_vec()),
        1 => Just(OWN),
    ];
    let underlay = prop_oneof![14 => Just(0_u8), 1 => Just(1), 1 => Just(2)];
    let encapsulation = prop_oneof![8 => Just(None), 1 => Just(Some(Encapsulation::Geneve))];
    let port = prop_oneof![8 => Just(None), 1 => Just(Some(9999_u16)), 1 => Just(Some(4789))];
    let vni = prop_oneof![6 => Just(None), 1 => select(VNIS.to_vec()).prop_map(Vni::new)];
    (underlay, address, encapsulation, port, vni)
        .prop_map(|(underlay, address, encapsulation, port, vni)| Remote {
            underlay: UnderlayId(underlay),
            address,
            encapsulation,
            port,
            vni,
        })
        .boxed()
}

fn place() -> BoxedStrategy<Place> {
    prop_oneof![
        3 => port_id().prop_map(Place::Port),
        4 => remote().prop_map(Place::Remote),
        1 => Just(Place::Host),
        1 => Just(Place::Blackhole),
    ]
    .boxed()
}

fn bridge_id() -> BoxedStrategy<BridgeId> {
    prop_oneof![8 => Just(0), 5 => Just(1), 3 => Just(2), 1 => Just(3)].prop_map(BridgeId).boxed()
}

fn port_id() -> BoxedStrategy<PortId> {
    (0..7_u16).prop_map(PortId).boxed()
}

pub(crate) fn bridge_config() -> BoxedStrategy<BridgeConfig> {
    let udp = prop_oneof![6 => Just(UDP_PORTS[0]), 4 => Just(UDP_PORTS[1]), 2 => select(UDP_PORTS.to_vec())];
    let vni = prop_oneof![3 => Just(5000_u32), 2 => select(VNIS.to_vec())];
    let ageing = prop_oneof![
        4 => Just(300_000_u64), 3 => Just(1000), 2 => Just(7000), 1 => Just(0), 1 => Just(u64::MAX)
    ]
    .prop_map(|ms| Ageing::After(Duration::from_millis(ms)));
    let ageing = prop_oneof![8 => ageing, 1 => Just(Ageing::Never), 1 => Just(Ageing::NoLearn)];
    let flood =
        prop_oneof![4 => Just(FloodSwitches::all()), 2 => (0..8_u8).prop_map(FloodSwitches::from_bits_truncate)];
    let vid = select(VIDS.to_vec());
    let encap = prop_oneof![
        2 => Just(VlanEncap::Strip), 3 => Just(VlanEncap::Keep), 1 => Just(VlanEncap::Drop),
        2 => vid.clone().prop_map(VlanEncap::Map)
    ];
    let decap = prop_oneof![
        2 => Just(VlanDecap::Drop), 3 => Just(VlanDecap::Keep), 1 => Just(VlanDecap::Strip),
        2 => vid.prop_map(VlanDecap::Map)
    ];
    let admission =
        prop_oneof![4 => Just(Admission::Anyone), 1 => Just(Admission::Configured), 1 => Just(Admission::FloodList)];
    (udp, vni, ageing, flood, encap, decap, admission, any::<[bool; 3]>())
        .prop_map(
            |(
                (udp_port, encapsulation),
                vni,
                ageing,
                flood,
                vlan_encap,
                vlan_decap,
                admission,
                [gbp, l2miss, host],
            )| {
                BridgeConfig {
                    udp_port,
                    ageing,
                    flood,
                    vlan_encap,
                    vlan_decap,
                    admission,
                    gbp,
                    l2miss,
                    host,
                    ..BridgeConfig::new(encapsulation, Vni::truncating(vni))
                }
            },
        )
        .boxed()
}

fn port_config() -> BoxedStrategy<PortConfig> {
    let vlan = prop_oneof![5 => Just(None), 2 => Just(Some(5)), 2 => Just(Some(6)), 1 => Just(Some(4095))];
    (bridge_id(), vlan, prop::bool::weighted(0.8))
        .prop_map(|(bridge, vlan, learning)| PortConfig { vlan, learning, ..PortConfig::new(bridge) })
        .boxed()
}

fn owner() -> BoxedStrategy<Owner> {
    select(Owner::ALL.to_vec()).boxed()
}

fn owners() -> BoxedStrategy<Owners> {
    prop_oneof![3 => Just(Owners::DYNAMIC), 1 => (0..32_u8).prop_map(Owners::from_bits_truncate)].boxed()
}

/// The underlay: both families, with everything that varies.
fn underlay(profile: Profile, id: u8) -> BoxedStrategy<Command> {
    let address = if id == 0 { OWN } else { OWN_ELSEWHERE };
    let ipv6 = match OWN6 {
        IpAddr::V6(address) if id == 0 => Some(address),
        _ => None,
    };
    let mtu = prop_oneof![3 => Just(1500_u16), 1 => Just(1280), 1 => Just(9000)];
    let df = prop_oneof![2 => Just(None), 1 => select(vec![Df::Set, Df::Unset, Df::Inherit]).prop_map(Some)];
    let link = (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(link, vlan, gateway)| {
        link.then_some(UnderlayLink {
            mac: station(0xee),
            vlan: vlan.then_some(77),
            gateway: gateway.then_some(station(0xef)),
        })
    });
    let inherit = any::<[bool; 3]>();
    (mtu, df, any::<[bool; 2]>(), link, inherit)
        .prop_map(move |(mtu, df, [zero_checksum_v6, checksum_v4], link, [ttl, tos, checksum])| {
            let default = profile.underlay(address);
            let config = UnderlayConfig {
                ipv6,
                mtu,
                zero_checksum_v6,
                link,
                df: df.unwrap_or(default.df),
                ttl: if ttl { Ttl::Inherit } else { default.ttl },
                tos: if tos { Tos::Inherit } else { default.tos },
                checksum_v4: if checksum { Some(checksum_v4) } else { default.checksum_v4 },
                ..default
            };
            Command::SetUnderlay { id: UnderlayId(id), config }
        })
        .boxed()
}

fn flooding() -> BoxedStrategy<Command> {
    let remote = || (bridge_id(), remote());
    prop_oneof![
        6 => remote().prop_map(|(bridge, remote)| Command::FloodAdd { bridge, remote }),
        2 => remote().prop_map(|(bridge, remote)| Command::FloodRemove { bridge, remote }),
    ]
    .boxed()
}

/// A change of anything.
pub(crate) fn command(profile: Profile) -> BoxedStrategy<Command> {
    let any_mac = || prop_oneof![12 => stations(), 1 => odd_macs()];
    let group = || prop_oneof![6 => odd_macs(), 1 => stations()];
    let entry = || (bridge_id(), any_mac(), place(), owner(), prop::bool::weighted(0.2));
    let endpoint = || {
        (remote(), bridge_config())
            .prop_map(|(remote, config)| remote.resolve(&BridgeConfig { vni: Vni::truncating(5000), ..config }))
    };
    let bridges = prop_oneof![
        2 => (bridge_id(), bridge_config()).prop_map(|(id, config)| Command::AddBridge { id, config }),
        2 => (bridge_id(), bridge_config()).prop_map(|(id, config)| Command::SetBridge { id, config }),
        1 => bridge_id().prop_map(|id| Command::RemoveBridge { id }),
        4 => (port_id(), port_config()).prop_map(|(id, config)| Command::AddPort { id, config }),
        2 => port_id().prop_map(|id| Command::RemovePort { id }),
    ];
    let endpoints = prop_oneof![
        3 => (endpoint(), 0..4_u8).prop_map(|(address, split_horizon)| Command::SetEndpoint {
            address,
            config: EndpointConfig { split_horizon, ..EndpointConfig::default() },
        }),
        1 => endpoint().prop_map(|address| Command::RemoveEndpoint { address }),
    ];
    let entries = prop_oneof![
        4 => entry().prop_map(|(bridge, mac, place, owner, sticky)| {
            Command::FdbAdd { bridge, mac, place, owner, sticky, label: Label::NONE }
        }),
        4 => entry().prop_map(|(bridge, mac, place, owner, sticky)| {
            Command::FdbReplace { bridge, mac, place, owner, sticky, label: Label::NONE }
        }),
        4 => (bridge_id(), group(), remote()).prop_map(|(bridge, mac, remote)| {
            Command::FdbAppend { bridge, mac, remote }
        }),
        3 => (bridge_id(), any_mac(), prop::option::weighted(0.3, remote())).prop_map(|(bridge, mac, remote)| {
            Command::FdbDelete { bridge, mac, remote }
        }),
        2 => (bridge_id(), any_mac(), place()).prop_map(|(bridge, mac, place)| Command::Learn { bridge, mac, place, label: Label::NONE }),
        2 => (prop::option::of(bridge_id()), prop::option::of(place()), owners()).prop_map(
            |(bridge, place, owners)| Command::Flush(Flush { bridge, place, owners })
        ),
    ];
    prop_oneof![3 => bridges, 3 => endpoints, 4 => flooding(), 8 => entries, 2 => guard(), 1 => underlay(profile, 0)]
        .boxed()
}

/// Storm control and duplicate detection.
fn guard() -> BoxedStrategy<Command> {
    let rate = || {
        let rates = (select(vec![0_u32, 1, 3, 1000]), select(vec![1_u32, 2, 5, 0]));
        prop::option::weighted(0.7, rates.prop_map(|(per_second, burst)| Rate { per_second, burst }))
    };
    let storm = (rate(), rate(), rate()).prop_map(|(broadcast, unknown_unicast, multicast)| StormControl {
        broadcast,
        unknown_unicast,
        multicast,
    });
    let seconds = || select(vec![0_u64, 1, 8, 180, 100_000]).prop_map(Duration::from_secs);
    let action = select(vec![DuplicateAction::Alert, DuplicateAction::Freeze, DuplicateAction::Drop]);
    let detection = (select(vec![1_u16, 2, 3, 0]), seconds(), action, prop::option::of(seconds()))
        .prop_map(|(max_moves, window, action, recover)| DuplicateDetection { max_moves, window, action, recover });
    prop_oneof![
        3 => (bridge_id(), storm).prop_map(|(bridge, config)| Command::SetStormControl { bridge, config }),
        4 => (bridge_id(), prop::option::weighted(0.8, detection)).prop_map(|(bridge, config)| {
            Command::SetDuplicateDetection { bridge, config }
        }),
        1 => (bridge_id(), prop::option::of(stations())).prop_map(|(bridge, mac)| Command::ClearDuplicate { bridge, mac }),
    ]
    .boxed()
}

/// A configuration that is not refused for its own sake.
pub(crate) fn sound(config: BridgeConfig) -> BridgeConfig {
    let ageing = match config.ageing {
        Ageing::After(time) if time == Duration::ZERO || time > Ageing::MAX => Ageing::DEFAULT,
        ageing => ageing,
    };
    let vlan_encap = if config.vlan_encap == VlanEncap::Map(0) { VlanEncap::Map(5) } else { config.vlan_encap };
    let vlan_decap = if config.vlan_decap == VlanDecap::Map(0) { VlanDecap::Map(5) } else { config.vlan_decap };
    BridgeConfig { ageing, vlan_encap, vlan_decap, ..config }
}

pub(crate) fn scenes() -> BoxedStrategy<Scene> {
    // Profile `Linux` has the kernel itself for a reference: `tests/kernel_oracle`.
    let profiles = Just(Profile::Rfc);
    profiles
        .prop_flat_map(|profile| {
            let underlays = (underlay(profile, 0), prop::option::of(underlay(profile, 1)));
            let bridges = prop::collection::vec(bridge_config(), 1..4);
            let ports = prop::collection::vec(port_config(), 0..6);
            let remotes = prop::collection::vec((bridge_id(), remote()), 0..6);
            (underlays, bridges, ports, remotes).prop_map(move |((first, second), bridges, ports, remotes)| {
                // Without what would be refused, so that there is something to begin with.
                let some = |id: BridgeId| BridgeId(id.0 % u16::try_from(bridges.len()).unwrap());
                let bridge = |(id, config): (u16, &BridgeConfig)| {
                    let vni = Vni::truncating(5000 + u32::from(id));
                    Command::AddBridge { id: BridgeId(id), config: BridgeConfig { vni, ..sound(*config) } }
                };
                let port = |(id, config): (u16, PortConfig)| Command::AddPort {
                    id: PortId(id),
                    config: PortConfig { bridge: some(config.bridge), ..config },
                };
                let remote = |(bridge, remote)| Command::FloodAdd { bridge: some(bridge), remote };
                let setup = core::iter::once(first)
                    .chain(second)
                    .chain((0..).zip(&bridges).map(bridge))
                    .chain((0..).zip(ports).map(port))
                    .chain(remotes.into_iter().map(remote));
                Scene { profile, setup: setup.collect() }
            })
        })
        .boxed()
}

pub(crate) fn ops(profile: Profile, count: usize) -> BoxedStrategy<Vec<Op>> {
    let clock = prop_oneof![
        40 => 0..600_i64,
        30 => 0..20_000_i64,
        10 => 0..700_000_i64,
        5 => -100_000..0_i64,
        1 => Just(i64::MAX / 1024),
    ];
    let packet = prop_oneof![
        10 => (0..7_u16, inner()).prop_map(|(port, frame)| Op::Port(port, frame)),
        12 => tunnelled().prop_map(Op::Underlay),
    ];
    let op = prop_oneof![
        4 => packet.clone(),
        20 => (any::<u8>(), packet).prop_map(|(at, packet)| Op::Aimed(at, Box::new(packet))),
        7 => command(profile).prop_map(Op::Command),
        4 => clock.prop_map(Op::Clock),
        2 => Just(Op::Tick),
    ];
    prop::collection::vec(op, 0..count).boxed()
}
