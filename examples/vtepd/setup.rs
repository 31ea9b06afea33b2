//! From a command line to what the engine is told.

use std::net::IpAddr;

use vtep::engine::{Command, Config, Profile, Remote};
use vtep::table::{
    Action, Admission, Ageing, BridgeConfig, BridgeId, GroupMatch, Labels, PortConfig, PortId, Rule, UnderlayConfig,
    UnderlayId,
};
use vtep::wire::geneve::Schema;
use vtep::wire::template::max_inner_mtu;
use vtep::wire::{Encapsulation, PortRange, SecurityGroup, Vni};

use super::args::DaemonArgs;
use super::guard::GuardArgs;
use super::traffic::{self, TrafficArgs};

/// The one underlay.
pub const UNDERLAY: UnderlayId = UnderlayId(0);

/// A command line that makes sense.
#[derive(Clone, Debug)]
pub struct Setup {
    pub profile: Profile,
    /// One bridge for each VNI, in the order they were named.
    pub vnis: Vec<Vni>,
    /// One port for each TAP device, and its bridge.
    pub taps: Vec<(String, BridgeId)>,
    /// What all bridges have in common.
    pub bridge: BridgeConfig,
    /// The underlay, but for its MTU.
    pub underlay: UnderlayConfig,
    pub remotes: Vec<IpAddr>,
    pub group: Option<IpAddr>,
    /// The underlay's interface, where it was named.
    pub interface: Option<String>,
    pub source_ports: PortRange,
    /// The TAP devices' MTU, where it was given.
    pub mtu: Option<u16>,
    /// What protects each bridge.
    pub guard: GuardArgs,
    pub schema: Schema,
    /// TAP devices whose stations have a security group.
    pub groups: Vec<(String, SecurityGroup)>,
    pub rules: Vec<(GroupMatch, GroupMatch, Action)>,
    pub traffic: TrafficArgs,
}

impl Setup {
    /// Checks what the values mean together.
    pub fn new(args: &DaemonArgs) -> Result<Self, String> {
        let profile = Profile::from(args.profile);
        let encapsulation = Encapsulation::from(args.kind);
        if args.l3miss {
            return Err(
                "--l3miss reports what ARP suppression does not know, and this version suppresses no ARP: leave \
                        it out (--l2miss is there)"
                    .to_owned(),
            );
        }
        if args.gbp && encapsulation != Encapsulation::Vxlan {
            return Err("--gbp is an extension of VXLAN: leave it out, or write --type vxlan".to_owned());
        }
        let grouped = args.sg_option.is_some() || !args.group_of.is_empty() || args.policy.is_some();
        match encapsulation {
            Encapsulation::Vxlan | Encapsulation::Gpe if args.traffic.class_option.is_some() => {
                return Err(
                    "--class-option is an option of Geneve: write --type geneve, or leave it out (other tunnels carry \
                     classes in the outer DSCP only)"
                        .to_owned(),
                );
            }
            Encapsulation::Vxlan if args.sg_option.is_some() => {
                return Err("--sg-option is an option of Geneve: write --type geneve, or --gbp without it".to_owned());
            }
            Encapsulation::Vxlan if grouped && !args.gbp => {
                return Err("VXLAN carries security groups in the Group Policy extension: add --gbp".to_owned());
            }
            Encapsulation::Gpe if grouped => {
                return Err(
                    "VXLAN-GPE carries no security group: write --type geneve, or --type vxlan --gbp".to_owned()
                );
            }
            _ => {}
        }
        let (vnis, taps) = networks(args)?;
        if let Some((tap, _)) = args.group_of.iter().find(|(tap, _)| !taps.iter().any(|(name, _)| name == tap)) {
            return Err(format!("--group-of {tap}: no --tap or --vni names that device"));
        }
        if let Some((tap, group)) = args.group_of.iter().find(|(_, group)| args.gbp && group.policy_id().is_none()) {
            return Err(format!("--group-of {tap}={group}: VXLAN has 16 bits for a group, 65535 at most"));
        }
        if let Some((tap, _)) = args.traffic.class_of.iter().find(|(tap, _)| !taps.iter().any(|(name, _)| name == tap))
        {
            return Err(format!("--class-of {tap}: no --tap or --vni names that device"));
        }
        let mut setup = Self {
            profile,
            bridge: bridge(args, profile, encapsulation, *vnis.first().ok_or("no VNI")?),
            underlay: underlay(args, profile)?,
            vnis,
            taps,
            remotes: args.remote.clone(),
            group: args.group,
            interface: args.underlay.clone(),
            source_ports: source_ports(args, profile)?,
            mtu: args.mtu,
            guard: args.guard.clone(),
            schema: schema(args)?,
            groups: args.group_of.clone(),
            rules: args.policy.as_ref().map(|policy| policy.rules.clone()).unwrap_or_default(),
            traffic: args.traffic.clone(),
        };
        setup.bridge.options = (grouped || args.traffic.is_on()) && encapsulation == Encapsulation::Geneve;
        setup.bridge.traffic = args.traffic.is_on().then_some(traffic::MAP);
        setup.bridge.policy = args.policy.as_ref().map(|policy| policy.enforcement);
        setup.check_remotes()?;
        setup.remotes.dedup();
        Ok(setup)
    }

    /// The engine's configuration, with a seed from a random source.
    pub fn config(&self, seed: [u64; 2]) -> Config {
        // A sixteenth of the table a tick: few wake-ups, and none that takes long.
        let (endpoint_macs, schema) = (self.guard.endpoint_maxaddress, self.schema);
        Config {
            source_ports: self.source_ports,
            sweep: 4_096,
            endpoint_macs,
            schema,
            ..Config::new(self.profile, seed)
        }
    }

    /// Everything the engine is told at start but the ports, which follow when the TAP devices are there.
    pub fn commands(&self, underlay_mtu: u16) -> Vec<Command> {
        let mut commands = vec![self.underlay_command(underlay_mtu)];
        // Before the bridges that name it.
        commands.extend(self.traffic.command());
        for (id, vni) in (0..).map(BridgeId).zip(&self.vnis) {
            commands.push(Command::AddBridge { id, config: BridgeConfig { vni: *vni, ..self.bridge } });
            let members = self.remotes.iter().chain(&self.group);
            commands.extend(members.map(|a| Command::FloodAdd { bridge: id, remote: Remote::at(*a) }));
            commands.extend(self.guard.commands(id));
            let rules =
                self.rules.iter().map(|(from, to, action)| Rule { bridge: id, from: *from, to: *to, action: *action });
            commands.extend(rules.map(|rule| Command::SetRule { rule }));
        }
        commands
    }

    /// Tells the engine the underlay's MTU.
    pub fn underlay_command(&self, mtu: u16) -> Command {
        Command::SetUnderlay { id: UNDERLAY, config: UnderlayConfig { mtu, ..self.underlay } }
    }

    /// Adds the port of a TAP device.
    pub fn port_command(&self, port: PortId) -> Option<Command> {
        let (tap, bridge) = self.taps.get(port.index())?;
        let learning = self.bridge.ageing != Ageing::NoLearn;
        let max_macs = self.guard.port_maxaddress;
        let group = self.groups.iter().find(|(name, _)| name == tap).map(|(_, group)| *group).unwrap_or_default();
        let class = self.traffic.class_of(tap);
        Some(Command::AddPort {
            id: port,
            config: PortConfig { learning, max_macs, group, class, ..PortConfig::new(*bridge) },
        })
    }

    /// How many labels, rules and traffic maps there must be room for.
    pub fn labels_rules_and_maps(&self) -> (u16, u16, u16) {
        let grouped = self.bridge.options || self.bridge.gbp;
        let rules = self.rules.len().saturating_mul(self.vnis.len());
        let labels = if grouped { Labels::MAX } else { 0 };
        (labels, u16::try_from(rules).unwrap_or(u16::MAX), u16::from(self.traffic.is_on()))
    }

    /// The largest MTU of a TAP device whose frames fit the underlay.
    pub fn fitting_mtu(&self, underlay_mtu: u16) -> u16 {
        let ipv6 = self.underlay.ipv6.is_some();
        // The largest that are ever written (RFC 8926 section 4.4.1).
        let options = if self.bridge.options { Schema::MAX_WRITTEN } else { 0 };
        let mtu = max_inner_mtu(usize::from(underlay_mtu), self.bridge.encapsulation, ipv6, options, 0);
        u16::try_from(mtu).unwrap_or(u16::MAX)
    }

    /// The local addresses.
    pub fn locals(&self) -> impl Iterator<Item = IpAddr> {
        let (v4, v6) = (self.underlay.ipv4.map(IpAddr::V4), self.underlay.ipv6.map(IpAddr::V6));
        v4.into_iter().chain(v6)
    }

    fn check_remotes(&self) -> Result<(), String> {
        for remote in &self.remotes {
            if remote.is_multicast() {
                return Err(format!("--remote {remote} is a multicast group: write --group {remote}"));
            }
            if remote.is_unspecified() || remote.is_loopback() {
                return Err(format!("--remote {remote} is no other host: write the address of another VTEP"));
            }
            if self.locals().any(|local| local == *remote) {
                return Err(format!("--remote {remote} is --local as well: write the address of another VTEP"));
            }
        }
        if let Some(group) = self.group
            && !group.is_multicast()
        {
            return Err(format!("--group {group} is no multicast address: write --remote {group}"));
        }
        for peer in self.remotes.iter().chain(&self.group) {
            if self.underlay.local_for(*peer).is_none() {
                let family = if peer.is_ipv4() { "an IPv4" } else { "an IPv6" };
                return Err(format!("{peer} cannot be reached: add {family} address of this host as another --local"));
            }
        }
        Ok(())
    }
}

/// VNIs, and TAP devices with the bridge of theirs.
type Networks = (Vec<Vni>, Vec<(String, BridgeId)>);

fn networks(args: &DaemonArgs) -> Result<Networks, String> {
    let mut vnis: Vec<Vni> = Vec::new();
    let mut taps: Vec<(String, BridgeId)> = Vec::new();
    let first = args.id.zip(args.tap.clone());
    for (vni, tap) in first.into_iter().chain(args.networks.iter().cloned()) {
        if taps.iter().any(|(name, _)| *name == tap) {
            return Err(format!("{tap} is named twice: each VNI needs a TAP device of its own"));
        }
        let index = vnis.iter().position(|known| *known == vni).unwrap_or_else(|| {
            vnis.push(vni);
            vnis.len() - 1
        });
        taps.push((tap, BridgeId(u16::try_from(index).map_err(|_| "too many VNIs: 65535 at most")?)));
    }
    if taps.is_empty() {
        return Err("which network? Write --id 5000 --tap tap0, or --vni 5000=tap0 --vni 5001=tap1".to_owned());
    }
    Ok((vnis, taps))
}

/// Which options carry group and class.
fn schema(args: &DaemonArgs) -> Result<Schema, String> {
    let group = args.sg_option.or(Schema::DEFAULT.group);
    let class = args.traffic.class_option.or(Schema::DEFAULT.class);
    match (group, class) {
        (Some(option), other) if Some(option) == other => {
            Err(format!("{option} cannot be --sg-option and --class-option both at once"))
        }
        _ => Ok(Schema { group, class, ..Schema::DEFAULT }),
    }
}

fn underlay(args: &DaemonArgs, profile: Profile) -> Result<UnderlayConfig, String> {
    let first =
        *args.local.first().ok_or("which address do tunnels end at? Write --local ADDRESS, one of this host's")?;
    let mut config = profile.underlay(first);
    for local in &args.local {
        if local.is_unspecified() || local.is_multicast() || local.is_loopback() {
            return Err(format!("--local {local} is no address that others can send to"));
        }
        let known = match local {
            IpAddr::V4(a) => config.ipv4.replace(*a).map(IpAddr::V4),
            IpAddr::V6(a) => config.ipv6.replace(*a).map(IpAddr::V6),
        };
        if let Some(known) = known.filter(|known| known != local) {
            return Err(format!("--local {known} and --local {local}: one address of a family, please"));
        }
    }
    if let Some(ttl) = args.ttl {
        config.ttl = ttl;
        config.group_ttl = None;
    }
    config.tos = args.tos;
    config.df = args.df.map_or(config.df, Into::into);
    if args.udpcsum || args.noudpcsum {
        config.checksum_v4 = Some(args.udpcsum);
    }
    config.checksum_v6 = !args.udp6zerocsumtx;
    config.zero_checksum_v6 = args.udp6zerocsumrx;
    Ok(config)
}

fn bridge(args: &DaemonArgs, profile: Profile, encapsulation: Encapsulation, vni: Vni) -> BridgeConfig {
    let config = profile.bridge(encapsulation, vni);
    BridgeConfig {
        udp_port: args.dstport.unwrap_or(config.udp_port),
        ageing: if args.nolearning { Ageing::NoLearn } else { args.ageing },
        admission: if args.known_only { Admission::Configured } else { Admission::Anyone },
        gbp: args.gbp,
        l2miss: args.l2miss,
        max_macs: args.maxaddress,
        ..config
    }
}

fn source_ports(args: &DaemonArgs, profile: Profile) -> Result<PortRange, String> {
    match args.srcport.as_deref() {
        Some([min, max]) => {
            PortRange::new(*min, *max).ok_or(format!("--srcport {min} {max}: write --srcport {max} {min}"))
        }
        _ => Ok(profile.source_ports()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::Parser;

    fn setup(words: &str) -> Result<Setup, String> {
        let cli = Cli::try_parse_from(std::iter::once("vtepd").chain(words.split(' '))).map_err(|e| e.to_string())?;
        Setup::new(&cli.daemon)
    }

    #[test]
    fn two_taps_of_one_vni_are_one_bridge() {
        let setup = setup("--vni 7=a --vni 8=b --vni 7=c --local 10.0.0.1 --remote 10.0.0.2").unwrap();
        assert_eq!(setup.vnis.iter().map(|v| v.get()).collect::<Vec<_>>(), [7, 8]);
        assert_eq!(setup.taps, [("a".into(), BridgeId(0)), ("b".into(), BridgeId(1)), ("c".into(), BridgeId(0))]);
        // The underlay, then each bridge and its flood list.
        assert_eq!(setup.commands(1500).len(), 5);
        assert_eq!(setup.fitting_mtu(1500), 1450);
    }

    #[test]
    fn groups_take_room_in_the_tunnel_and_in_memory() {
        let words = "--type geneve --id 1 --tap a --local 10.0.0.1 --group-of a=12345 --sg-option 0x0100:1";
        let setup = setup(words).unwrap();
        assert_eq!(setup.schema.group, Some(vtep::wire::geneve::OptionId::new(0x0100, 1)));
        assert!(setup.bridge.options && setup.bridge.policy.is_none());
        assert_eq!(setup.fitting_mtu(1500), 1434);
        assert_eq!(setup.labels_rules_and_maps(), (4095, 0, 0));
        let Some(Command::AddPort { config, .. }) = setup.port_command(PortId(0)) else { panic!("a port") };
        assert_eq!(config.group.get(), 12_345);
    }

    #[test]
    fn classes_have_a_map_that_bridges_name_and_an_option_in_geneve() {
        let words = "--id 1 --tap a --local 10.0.0.1 --class-from dscp --class-of a=5";
        let vxlan = setup(words).unwrap();
        assert_eq!((vxlan.bridge.traffic, vxlan.bridge.options), (Some(traffic::MAP), false));
        assert_eq!((vxlan.labels_rules_and_maps(), vxlan.fitting_mtu(1500)), ((0, 0, 1), 1450));
        assert!(matches!(vxlan.commands(1500)[1], Command::SetTrafficMap { .. }), "before the bridge that names it");
        let Some(Command::AddPort { config, .. }) = vxlan.port_command(PortId(0)) else { panic!("a port") };
        assert_eq!(config.class.map(|class| class.get()), Some(5));
        let geneve = setup(&format!("--type geneve {words} --class-option 0x0102:7")).unwrap();
        assert_eq!(geneve.schema.class, Some(vtep::wire::geneve::OptionId::new(0x0102, 7)));
        assert_eq!((geneve.labels_rules_and_maps(), geneve.fitting_mtu(1500)), ((4095, 0, 1), 1434));
        let without = setup("--id 1 --tap a --local 10.0.0.1").unwrap();
        assert_eq!((without.bridge.traffic, without.labels_rules_and_maps()), (None, (0, 0, 0)));
    }

    #[test]
    fn profiles_choose_what_is_not_said() {
        let rfc = setup("--id 1 --tap a --local 10.0.0.1").unwrap();
        let linux = setup("--id 1 --tap a --local 10.0.0.1 --profile linux").unwrap();
        assert_eq!((rfc.source_ports, linux.source_ports), (PortRange::DYNAMIC, PortRange::LINUX));
        assert_eq!((rfc.underlay.checksum_v4, linux.underlay.checksum_v4), (None, Some(true)));
        let quiet = setup("--id 1 --tap a --local 10.0.0.1 --profile linux --noudpcsum --nolearning").unwrap();
        assert_eq!((quiet.underlay.checksum_v4, quiet.bridge.ageing), (Some(false), Ageing::NoLearn));
        assert_eq!(setup("--type geneve --id 1 --tap a --local fd00::1").unwrap().bridge.udp_port, 6081);
    }

    #[test]
    fn what_does_not_fit_together_is_answered_with_what_does() {
        for (words, answer) in [
            ("--local 10.0.0.1", "--id 5000 --tap tap0"),
            ("--id 1 --tap a", "Write --local"),
            ("--id 1 --tap a --local 10.0.0.1 --local 10.0.0.3", "one address of a family"),
            ("--id 1 --tap a --local 127.0.0.1", "no address that others can send to"),
            ("--id 1 --tap a --local 10.0.0.1 --remote fd00::2", "add an IPv6 address"),
            ("--id 1 --tap a --local 10.0.0.1 --remote 10.0.0.1", "--local as well"),
            ("--id 1 --tap a --local 10.0.0.1 --remote 239.1.1.1", "write --group 239.1.1.1"),
            ("--id 1 --tap a --local 10.0.0.1 --group 10.0.0.2", "write --remote 10.0.0.2"),
            ("--id 1 --tap a --vni 2=a --local 10.0.0.1", "named twice"),
            ("--id 1 --tap a --local 10.0.0.1 --l3miss", "--l2miss is there"),
            ("--type geneve --id 1 --tap a --local 10.0.0.1 --gbp", "--type vxlan"),
            ("--id 1 --tap a --local 10.0.0.1 --srcport 2000 1000", "--srcport 1000 2000"),
            ("--id 1 --tap a --local 10.0.0.1 --sg-option 0xff00:0x80", "write --type geneve"),
            ("--id 1 --tap a --local 10.0.0.1 --group-of a=7", "add --gbp"),
            ("--id 1 --tap a --local 10.0.0.1 --gbp --group-of a=65536", "65535 at most"),
            ("--id 1 --tap a --local 10.0.0.1 --gbp --group-of b=7", "no --tap or --vni"),
            ("--id 1 --tap a --local 10.0.0.1 --class-option 1:1", "write --type geneve"),
            ("--id 1 --tap a --local 10.0.0.1 --class-of b=7", "no --tap or --vni"),
            ("--type geneve --id 1 --tap a --local 10.0.0.1 --class-option 0xff00:0x80", "both at once"),
            ("--type gpe --id 1 --tap a --local 10.0.0.1 --group-of a=7", "VXLAN-GPE carries no security group"),
        ] {
            let error = setup(words).err().unwrap_or_default();
            assert!(error.contains(answer), "{words}: {error}");
        }
    }
}
