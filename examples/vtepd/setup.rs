//! From a command line to what the engine is told.

use std::net::IpAddr;

use vtep::engine::{Command, Config, Profile, Remote};
use vtep::table::{Admission, Ageing, BridgeConfig, BridgeId, PortConfig, PortId, UnderlayConfig, UnderlayId};
use vtep::wire::template::max_inner_mtu;
use vtep::wire::{Encapsulation, PortRange, Vni};

use super::args::DaemonArgs;
use super::guard::GuardArgs;

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
        let (vnis, taps) = networks(args)?;
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
        };
        setup.check_remotes()?;
        setup.remotes.dedup();
        Ok(setup)
    }

    /// The engine's configuration, with a seed from a random source.
    pub fn config(&self, seed: [u64; 2]) -> Config {
        // A sixteenth of the table a tick: few wake-ups, and none that takes long.
        let endpoint_macs = self.guard.endpoint_maxaddress;
        Config { source_ports: self.source_ports, sweep: 4_096, endpoint_macs, ..Config::new(self.profile, seed) }
    }

    /// Everything the engine is told at start but the ports, which follow when the TAP devices are there.
    pub fn commands(&self, underlay_mtu: u16) -> Vec<Command> {
        let mut commands = vec![self.underlay_command(underlay_mtu)];
        for (id, vni) in (0..).map(BridgeId).zip(&self.vnis) {
            commands.push(Command::AddBridge { id, config: BridgeConfig { vni: *vni, ..self.bridge } });
            let members = self.remotes.iter().chain(&self.group);
            commands.extend(members.map(|a| Command::FloodAdd { bridge: id, remote: Remote::at(*a) }));
            commands.extend(self.guard.commands(id));
        }
        commands
    }

    /// Tells the engine the underlay's MTU.
    pub fn underlay_command(&self, mtu: u16) -> Command {
        Command::SetUnderlay { id: UNDERLAY, config: UnderlayConfig { mtu, ..self.underlay } }
    }

    /// Adds the port of a TAP device.
    pub fn port_command(&self, port: PortId) -> Option<Command> {
        let (_, bridge) = self.taps.get(port.index())?;
        let learning = self.bridge.ageing != Ageing::NoLearn;
        let max_macs = self.guard.port_maxaddress;
        Some(Command::AddPort { id: port, config: PortConfig { learning, max_macs, ..PortConfig::new(*bridge) } })
    }

    /// The largest MTU of a TAP device whose frames fit the underlay.
    pub fn fitting_mtu(&self, underlay_mtu: u16) -> u16 {
        let ipv6 = self.underlay.ipv6.is_some();
        let mtu = max_inner_mtu(usize::from(underlay_mtu), self.bridge.encapsulation, ipv6, 0, 0);
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
        ] {
            let error = setup(words).err().unwrap_or_default();
            assert!(error.contains(answer), "{words}: {error}");
        }
    }
}
