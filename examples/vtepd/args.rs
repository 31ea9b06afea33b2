//! The command line: `ip link`'s words, and a sentence for every value that means something else than it seems.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use vtep::engine::Profile;
use vtep::table::{Ageing, Duration};
use vtep::wire::geneve::OptionId;
use vtep::wire::{Df, Encapsulation, SecurityGroup, Tos, Ttl, Vni};

use super::policy::PolicyFile;
use super::traffic::TrafficArgs;

use super::guard::GuardArgs;

/// A userspace VTEP between TAP devices and the tunnels of other hosts.
///
/// It speaks `ip link`'s words for VXLAN devices. `vtepd ctl --ctl PATH fdb show` and so on speak those of `bridge fdb`.
#[derive(Parser)]
#[command(name = "vtepd", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Role>,
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

#[derive(Subcommand)]
pub enum Role {
    /// Ask a running vtepd, or tell it something
    Ctl(CtlArgs),
}

#[derive(Args)]
pub struct CtlArgs {
    /// The control socket: what vtepd was given as --ctl
    #[arg(long, value_name = "PATH")]
    pub ctl: PathBuf,
    /// Print JSON
    #[arg(short, long)]
    pub json: bool,
    /// Print counters and ages too
    #[arg(short, long)]
    pub stats: bool,
    /// fdb show|add|append|replace|del|flush …, link show, monitor, log
    #[arg(required = true, value_name = "WORD")]
    pub words: Vec<String>,
}

#[derive(Args)]
pub struct DaemonArgs {
    /// The tunnel header
    #[arg(long = "type", value_name = "TYPE", default_value = "vxlan")]
    pub kind: Kind,
    /// The VNI of the network behind --tap
    #[arg(long, value_name = "VNI", value_parser = vni, requires = "tap")]
    pub id: Option<Vni>,
    /// The TAP device of --id: created, or attached to where it exists
    #[arg(long, value_name = "NAME", value_parser = device, requires = "id")]
    pub tap: Option<String>,
    /// A VNI and its TAP device; repeatable, several devices for one VNI too
    #[arg(long = "vni", value_name = "VNI=TAP", value_parser = network)]
    pub networks: Vec<(Vni, String)>,
    /// This host's tunnel address; one IPv4 and one IPv6 address at most
    #[arg(long, value_name = "ADDRESS")]
    pub local: Vec<IpAddr>,
    /// Another VTEP, which gets what is flooded; repeatable
    #[arg(long, value_name = "ADDRESS")]
    pub remote: Vec<IpAddr>,
    /// An underlay multicast group, which gets what is flooded
    #[arg(long, value_name = "ADDRESS")]
    pub group: Option<IpAddr>,
    /// The interface the group is joined on, if it is not the one with the local address
    #[arg(long, value_name = "INTERFACE", value_parser = device)]
    pub underlay: Option<String>,
    /// The UDP port of all members: 4789 for VXLAN, 6081 for Geneve, 4790 for GPE unless given
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub dstport: Option<u16>,
    /// UDP source ports; a flow keeps its own
    #[arg(long, num_args = 2, value_names = ["MIN", "MAX"], value_parser = clap::value_parser!(u16).range(1..))]
    pub srcport: Option<Vec<u16>>,
    /// How long a learned MAC is kept without a packet from it: seconds, never, or nolearn
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = ageing)]
    pub ageing: Ageing,
    /// Learn no MAC from packets; the same as --ageing nolearn
    #[arg(long)]
    pub nolearning: bool,
    /// TTL of tunnel packets: 1 to 255, or inherit; 64 unless given, in profile linux 1 to a group
    #[arg(long, value_parser = ttl)]
    pub ttl: Option<Ttl>,
    /// TOS of tunnel packets: a multiple of 4, or inherit
    #[arg(long, default_value = "0", value_parser = tos)]
    pub tos: Tos,
    /// The don't-fragment bit over IPv4: set in profile rfc, unset in profile linux unless given
    #[arg(long, value_name = "set|unset|inherit")]
    pub df: Option<DfArg>,
    /// Report unicast destinations that are not in the forwarding database
    #[arg(long)]
    pub l2miss: bool,
    /// Not there yet: this version answers no ARP
    #[arg(long, hide = true)]
    pub l3miss: bool,
    /// Speak the Group Policy extension of VXLAN
    #[arg(long)]
    pub gbp: bool,
    /// The Geneve option of security groups: 0xff00:0x80 unless given
    #[arg(long, value_name = "CLASS:TYPE", value_parser = option_id)]
    pub sg_option: Option<OptionId>,
    /// The security group of the stations behind a TAP device; repeatable
    #[arg(long, value_name = "TAP=GROUP", value_parser = group_of)]
    pub group_of: Vec<(String, SecurityGroup)>,
    /// Which security groups may exchange frames; without it, groups are carried and learned only
    #[arg(long, value_name = "FILE", value_parser = policy)]
    pub policy: Option<PolicyFile>,
    #[command(flatten)]
    pub traffic: TrafficArgs,
    /// Send UDP checksums over IPv4
    #[arg(long, overrides_with = "noudpcsum")]
    pub udpcsum: bool,
    /// Send none
    #[arg(long)]
    pub noudpcsum: bool,
    /// Send no UDP checksums over IPv6
    #[arg(long)]
    pub udp6zerocsumtx: bool,
    /// Accept tunnel packets without UDP checksum over IPv6
    #[arg(long)]
    pub udp6zerocsumrx: bool,
    /// Most MACs learned in one VNI
    #[arg(long, value_name = "N", value_parser = maxaddress)]
    pub maxaddress: Option<u32>,
    #[command(flatten)]
    pub guard: GuardArgs,
    /// Whom to follow where the RFCs and the Linux kernel differ
    #[arg(long, default_value = "rfc")]
    pub profile: ProfileArg,
    /// Accept tunnel packets from configured VTEPs only: --remote, `fdb add … dst` and `fdb append … dst`
    #[arg(long)]
    pub known_only: bool,
    /// The TAP devices' MTU; what the underlay's leaves unless given
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u16).range(68..))]
    pub mtu: Option<u16>,
    /// The control socket, which appears once frames are forwarded
    #[arg(long, value_name = "PATH")]
    pub ctl: Option<PathBuf>,
    /// Write all tunnel packets to a capture
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
    /// Write everything that goes into the engine; `cargo run --example replay FILE` replays it
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Log, and print the counters at the end, as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Kind {
    Vxlan,
    Geneve,
    Gpe,
}

impl From<Kind> for Encapsulation {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Vxlan => Self::Vxlan,
            Kind::Geneve => Self::Geneve,
            Kind::Gpe => Self::Gpe,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub enum ProfileArg {
    Rfc,
    Linux,
}

impl From<ProfileArg> for Profile {
    fn from(profile: ProfileArg) -> Self {
        match profile {
            ProfileArg::Rfc => Self::Rfc,
            ProfileArg::Linux => Self::Linux,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub enum DfArg {
    Set,
    Unset,
    Inherit,
}

impl From<DfArg> for Df {
    fn from(df: DfArg) -> Self {
        match df {
            DfArg::Set => Self::Set,
            DfArg::Unset => Self::Unset,
            DfArg::Inherit => Self::Inherit,
        }
    }
}

fn vni(text: &str) -> Result<Vni, String> {
    text.parse().ok().and_then(Vni::new).ok_or("a VNI is a number from 0 to 16777215".to_owned())
}

/// Reads the name of an interface.
pub fn device(text: &str) -> Result<String, String> {
    let odd = |c: char| c.is_whitespace() || c == '/' || c == ':';
    if matches!(text, "" | "." | "..") || text.len() > 15 || text.contains(odd) {
        return Err("an interface's name has 1 to 15 characters, none of them a space, a slash or a colon".to_owned());
    }
    Ok(text.to_owned())
}

fn network(text: &str) -> Result<(Vni, String), String> {
    let (id, tap) = text.split_once('=').ok_or("write the VNI and its TAP device: --vni 5000=tap0")?;
    Ok((vni(id)?, device(tap)?))
}

fn option_id(text: &str) -> Result<OptionId, String> {
    super::node::option_id(text)
}

fn group_of(text: &str) -> Result<(String, SecurityGroup), String> {
    let (tap, group) = text.split_once('=').ok_or("write the TAP device and its group: --group-of tap0=12345")?;
    Ok((device(tap)?, super::policy::group(group)?))
}

fn policy(path: &str) -> Result<PolicyFile, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    PolicyFile::parse(&text)
}

fn ageing(text: &str) -> Result<Ageing, String> {
    match (text, text.parse()) {
        ("never", _) => Ok(Ageing::Never),
        ("nolearn", _) => Ok(Ageing::NoLearn),
        (_, Ok(0_u64)) => Err("0 seconds mean four things in four systems: write --ageing never to keep learned MACs \
                               until they are flushed, or --ageing nolearn to learn none"
            .to_owned()),
        (_, Ok(seconds)) => Ageing::After(Duration::from_secs(seconds))
            .validate()
            .map_err(|_| "at most 14400 seconds (4 hours); write --ageing never for no end".to_owned()),
        (_, Err(_)) => Err("write a number of seconds, never or nolearn".to_owned()),
    }
}

fn ttl(text: &str) -> Result<Ttl, String> {
    match (text, text.parse()) {
        ("inherit", _) => Ok(Ttl::Inherit),
        ("auto", _) | (_, Ok(0_u8)) => {
            Err("the routing table is not asked for a TTL here: write 1 to 255, or inherit".to_owned())
        }
        (_, Ok(ttl)) => Ok(Ttl::Fixed(ttl)),
        (_, Err(_)) => Err("write 1 to 255, or inherit".to_owned()),
    }
}

fn tos(text: &str) -> Result<Tos, String> {
    let number = text.strip_prefix("0x").map_or_else(|| text.parse(), |hex| u8::from_str_radix(hex, 16));
    match (text, number) {
        ("inherit", _) => Ok(Tos::Inherit),
        (_, Ok(tos)) if tos & 3 == 0 => Ok(Tos::Fixed(tos)),
        (_, Ok(tos)) => Err(format!(
            "the lower two bits are ECN's and always come from the inner packet: write {} or {:#x}, or inherit",
            tos & !3,
            tos & !3
        )),
        (_, Err(_)) => Err("write a multiple of 4 from 0 to 252 (0x.. too), or inherit".to_owned()),
    }
}

fn maxaddress(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(0) => Err("0 means no limit elsewhere: leave --maxaddress out for that, or write --nolearning to learn \
                      nothing"
            .to_owned()),
        Ok(most) => Ok(most),
        Err(_) => Err("write a number of MACs".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Cli, String> {
        Cli::try_parse_from(std::iter::once("vtepd").chain(words.split(' '))).map_err(|error| error.to_string())
    }

    #[test]
    fn everything_the_readme_shows_is_understood() {
        let cli = parse(
            "--type geneve --id 5000 --local 10.0.0.1 --tap tap0 --remote 10.0.0.2 --remote 10.0.0.3 --group 239.1.1.1 \
             --underlay eth0 --dstport 8472 --srcport 40000 50000 --ageing never --nolearning --ttl inherit --tos 0x10 \
             --df inherit --l2miss --gbp --noudpcsum --udp6zerocsumrx --maxaddress 5 --port-maxaddress 4 \
             --endpoint-maxaddress 3 --storm-control 100/200 --dup-addr-detection 5/180 --dup-addr-freeze permanent \
             --profile linux --known-only --mtu 1400 --ctl /run/v --pcap x.pcap --record r.txt --json",
        )
        .map(|cli| cli.daemon)
        .unwrap();
        assert_eq!(cli.id, Vni::new(5000));
        assert_eq!(cli.remote.len(), 2);
        assert_eq!(cli.srcport, Some(vec![40_000, 50_000]));
        assert_eq!((cli.ageing, cli.ttl, cli.tos), (Ageing::Never, Some(Ttl::Inherit), Tos::Fixed(16)));
        let cli = parse("--vni 1=a --vni 2=b --vni 2=c --local fd00::1").unwrap();
        assert_eq!(cli.daemon.networks.len(), 3);
        assert!(cli.command.is_none());
    }

    #[test]
    fn ctl_takes_its_flags_anywhere() {
        let cli = parse("ctl --ctl /run/v link show -s --json").unwrap();
        let Some(Role::Ctl(ctl)) = cli.command else { panic!("a client") };
        assert!(ctl.json && ctl.stats);
        assert_eq!(ctl.words, ["link", "show"]);
    }

    #[test]
    fn wrong_values_are_answered_with_right_ones() {
        for (words, answer) in [
            ("--ageing 0", "--ageing never"),
            ("--ageing 0", "--ageing nolearn"),
            ("--ageing 99999", "--ageing never"),
            ("--ttl 0", "1 to 255, or inherit"),
            ("--ttl auto", "1 to 255, or inherit"),
            ("--tos 1", "write 0 or 0x0, or inherit"),
            ("--tos 0x2e", "write 44 or 0x2c"),
            ("--maxaddress 0", "leave --maxaddress out"),
            ("--id 16777216 --tap t", "0 to 16777215"),
            ("--vni 5000", "--vni 5000=tap0"),
            ("--vni 5000=averyveryverylongname", "1 to 15 characters"),
            ("--tap tap0", "--id <VNI>"),
            ("--dstport 0", "1..=65535"),
            ("--sg-option 0xff00", "CLASS:TYPE"),
            ("--sg-option 1:256", "8 bits"),
            ("--group-of tap0", "--group-of tap0=12345"),
            ("--group-of tap0=0", "1 to 16777214"),
            ("--policy /nonexistent/policy", "No such file"),
            ("--class-of tap0", "--class-of tap0=5"),
            ("--class-dscp 5=64", "0 to 63"),
            ("--class-from tos", "pcp-or-dscp"),
        ] {
            let error = parse(words).err().unwrap_or_default();
            assert!(error.contains(answer), "{words}: {error}");
        }
    }
}
