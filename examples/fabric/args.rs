//! The command line, and the names and numbers that follow from it.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::RangeInclusive;
use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};
use vtep::wire::{Encapsulation, MacAddr, Vni};

use crate::chaos::Promise;

/// Play the flood-and-learn story on real frames in memory
#[derive(Parser)]
#[command(name = "fabric")]
pub struct Arguments {
    /// VTEPs in the fabric
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=32))]
    vteps: u8,
    /// Pods behind each VTEP
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    pods: u8,
    /// What is told
    #[arg(long, value_enum, default_value_t)]
    pub story: StoryKind,
    /// The tunnel header: vxlan, or geneve where the story is about security groups, unless given
    #[arg(long, value_enum)]
    encap: Option<Encap>,
    /// How broadcast, unknown unicast and multicast reach the other VTEPs
    #[arg(long, value_enum, default_value_t)]
    pub flood: Flood,
    /// The IP version of the underlay
    #[arg(long, value_enum, default_value_t)]
    underlay: Family,
    /// Seed of hash keys, link latencies and ICMP identifiers: one seed, one output
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where to write the underlay's frames
    #[arg(long, value_name = "FILE", default_value = "fabric.pcap")]
    pub pcap: PathBuf,
    /// Lose the N-th underlay frame; the story must notice and fail
    #[arg(long, value_name = "N")]
    pub lose: Option<usize>,
    /// Deliver the N-th underlay frame twice; the story must notice and fail
    #[arg(long, value_name = "N")]
    pub duplicate: Option<usize>,
    #[command(flatten)]
    pub chaos: ChaosArguments,
}

/// Troubles instead of the story: a network that misbehaves, hosts that move, operators that err.
#[derive(Args)]
#[command(next_help_heading = "Chaos")]
pub struct ChaosArguments {
    /// Play the scenario that this seed makes
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seeds", "replay"])]
    pub chaos: Option<u64>,
    /// What the seed decides about
    #[arg(long, value_enum, default_value_t)]
    pub scenario: Kind,
    /// VTEPs of the large scenario, and MACs behind each
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u16).range(20..=2000))]
    pub size: u16,
    /// Play one seed after another, the last one included
    #[arg(long, value_name = "FROM..TO", value_parser = seeds, conflicts_with = "replay")]
    pub seeds: Option<RangeInclusive<u64>>,
    /// Play a scenario from a file
    #[arg(long, value_name = "FILE")]
    pub replay: Option<PathBuf>,
    /// Write the scenario to a file; one that fails, cut down to what makes it fail
    #[arg(long, value_name = "FILE")]
    pub keep: Option<PathBuf>,
    /// Break that promise behind the simulator's back, which must notice and fail
    #[arg(long, value_name = "PROMISE", value_parser = promise)]
    pub sabotage: Option<Promise>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A few VTEPs and a thousand or more mishaps
    #[default]
    Standard,
    /// A thousand VTEPs with a thousand MACs each
    Large,
}

/// The stories there are.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum StoryKind {
    /// How VTEPs learn who is where, forget it, and learn it anew
    #[default]
    FloodAndLearn,
    /// How frames carry their sender's security group, and a policy decides with it
    SecurityGroups,
}

fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let ends = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    ends.map(|(from, to)| from..=to).ok_or_else(|| "not FROM..TO".into())
}

fn promise(text: &str) -> Result<Promise, String> {
    let names = || Promise::ALL.map(Promise::name).join(", ");
    Promise::ALL.into_iter().find(|promise| promise.name() == text).ok_or_else(|| format!("one of {}", names()))
}

#[derive(Clone, Copy, ValueEnum)]
enum Encap {
    Vxlan,
    Geneve,
}

/// How BUM traffic reaches the other VTEPs.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Flood {
    /// Head-end replication: the sender makes a copy for each VTEP
    #[default]
    Her,
    /// An underlay multicast group: the network makes the copies
    Multicast,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Family {
    #[default]
    V4,
    V6,
}

/// The tenant network all pods are in.
pub const VNI: Vni = Vni::truncating(5000);
/// The underlay's router, everybody's next hop.
pub const ROUTER: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0xfe]);

impl Arguments {
    /// Whether troubles are asked for.
    pub fn is_chaos(&self) -> bool {
        let ChaosArguments { chaos, seeds, replay, .. } = &self.chaos;
        chaos.is_some() || seeds.is_some() || replay.is_some()
    }

    pub fn vteps(&self) -> usize {
        usize::from(self.vteps)
    }

    pub fn pods(&self) -> usize {
        usize::from(self.pods)
    }

    pub fn encapsulation(&self) -> Encapsulation {
        match (self.encap, self.story) {
            (Some(Encap::Geneve), _) | (None, StoryKind::SecurityGroups) => Encapsulation::Geneve,
            (Some(Encap::Vxlan), _) | (None, StoryKind::FloodAndLearn) => Encapsulation::Vxlan,
        }
    }

    /// 192.168.1.10, .20, .30 and on; 2001:db8::10, ::20, ::30 and on.
    pub fn vtep_address(&self, vtep: usize) -> IpAddr {
        let number = vtep as u32 + 1;
        match self.underlay {
            Family::V4 => Ipv4Addr::from_bits(Ipv4Addr::new(192, 168, 1, 0).to_bits() + 10 * number).into(),
            Family::V6 => {
                let network = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0);
                Ipv6Addr::from_bits(network.to_bits() + 16 * u128::from(number)).into()
            }
        }
    }

    pub fn vtep_mac(&self, vtep: usize) -> MacAddr {
        let [_, _, high, low] = (vtep as u32 + 1).to_be_bytes();
        MacAddr([0x02, 0, 0, 1, high, low])
    }

    /// The underlay group of VNI 5000.
    pub fn group(&self) -> IpAddr {
        match self.underlay {
            Family::V4 => Ipv4Addr::new(239, 1, 1, 1).into(),
            Family::V6 => Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0x239, 0x101).into(),
        }
    }

    /// 10.1.1.10 and on behind the first VTEP, 10.1.1.20 and on behind the second.
    pub fn pod_address(&self, vtep: usize, nth: usize) -> Ipv4Addr {
        let stride = self.pods().max(10) as u32;
        Ipv4Addr::from_bits(Ipv4Addr::new(10, 1, 1, 0).to_bits() + stride * (vtep as u32 + 1) + nth as u32)
    }

    /// Fails where a fault is to be made in an underlay frame that is never sent: `sent` are.
    pub fn check_faults(&self, sent: usize) -> Result<(), String> {
        for number in [self.lose, self.duplicate].into_iter().flatten() {
            if !(1..=sent).contains(&number) {
                return Err(format!("there is no underlay frame {number} in this story"));
            }
        }
        Ok(())
    }

    /// The locally administered MAC that container networks derive from an IPv4 address.
    pub fn pod_mac(ip: Ipv4Addr) -> MacAddr {
        let [a, b, c, d] = ip.octets();
        MacAddr([0x02, 0x42, a, b, c, d])
    }
}

impl fmt::Display for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encap = match self.encapsulation() {
            Encapsulation::Geneve => "Geneve",
            _ => "VXLAN",
        };
        let family = match self.underlay {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        };
        let (vteps, pods, seed, port) = (self.vteps, self.pods, self.seed, self.encapsulation().default_port());
        write!(f, "{vteps} VTEPs, {pods} pods behind each; {encap}, UDP port {port}, VNI {VNI}, over {family}; ")?;
        match self.flood {
            Flood::Her => write!(f, "head-end replication; ")?,
            Flood::Multicast => write!(f, "multicast group {}; ", self.group())?,
        }
        write!(f, "seed {seed}")
    }
}
