//! What happens in a run, as data: it can be written down, cut smaller and played again.
//!
//! A scenario's file has the seed and the shape as JSON on the first line and one event on each further line.

use serde::{Deserialize, Serialize};

/// Simulated time, microseconds from the start.
pub type Micros = u64;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// Decides what the network does to each packet.
    pub seed: u64,
    pub shape: Shape,
    /// In the order of their times.
    #[serde(skip)]
    pub events: Vec<Event>,
}

/// What there is at the start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    pub vteps: Vec<VtepShape>,
    pub tenants: Vec<TenantShape>,
    pub hosts: Vec<HostShape>,
    /// IPv6 underlay.
    pub ipv6: bool,
    /// IP packets the underlay carries, bytes.
    pub mtu: u16,
    /// Whether UDP checksums of zero are sent and accepted over IPv6.
    pub zero_checksum: bool,
    /// Whether a sender gets its own multicast packets back.
    pub loops: bool,
    /// Whether multicast packets reach VTEPs that have not joined.
    pub spills: bool,
    /// Whether all tenants share one underlay group.
    pub shared_group: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VtepShape {
    /// Profile `Linux` instead of `Rfc`.
    pub linux: bool,
    /// FDB buckets; four MACs each.
    pub buckets: usize,
    pub endpoints: usize,
    /// Places in the queue of events.
    pub events: usize,
    /// FDB slots a tick sweeps.
    pub sweep: u16,
    /// It gets IP packets, not Ethernet frames, from the underlay.
    pub packets: bool,
    /// Its clock at the start, milliseconds.
    pub clock: u64,
    /// Whether a second engine takes the same packets in batches, and has to do the same.
    #[serde(default)]
    pub batches: bool,
    /// Whether it has memory for the labels of what it learns.
    #[serde(default)]
    pub labels: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TenantShape {
    pub vni: u32,
    pub geneve: bool,
    /// Floods go to a multicast group; otherwise a copy to each VTEP.
    pub multicast: bool,
    /// Seconds; 0 is never.
    pub ageing: u16,
    /// Who is listened to: 0 anybody, 1 configured endpoints, 2 the flood list.
    pub admission: u8,
    /// The VTEPs that have this tenant; all, if empty.
    pub vteps: Vec<u16>,
    #[serde(default)]
    pub policy: Option<PolicyShape>,
    /// Storm control: frames a second and at once, of each kind.
    #[serde(default)]
    pub storm: Option<(u32, u32)>,
    #[serde(default)]
    pub duplicates: Option<DuplicatesShape>,
}

/// Security groups of a tenant: each host has one, by its port; tunnels carry it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyShape {
    /// Frames that no rule speaks of are allowed.
    pub allow: bool,
    /// What cannot be judged for want of a group counts as of this one; 0: it is denied.
    pub unlabelled: u32,
    /// Frames are judged where they enter the tunnels, too.
    pub ingress: bool,
    pub rules: Vec<RuleShape>,
}

/// A rule; 0 is any group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleShape {
    pub from: u32,
    pub to: u32,
    pub allow: bool,
}

/// MACs that move so often in so many seconds are duplicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuplicatesShape {
    pub moves: u16,
    pub window: u16,
    /// 0: it is only told; 1: their entries stay; 2: their frames are dropped, too.
    pub action: u8,
    /// Seconds; 0: until a command clears it.
    pub recover: u16,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostShape {
    pub tenant: u16,
    /// The last octets of its MAC and of its IP address.
    pub number: u32,
    pub vtep: u16,
    /// The VLAN ID of its port.
    pub tag: Option<u16>,
    /// Whether it sits behind a port with others of its kind, if there is one.
    pub shares: bool,
    /// Its security group, where its tenant has some.
    #[serde(default)]
    pub group: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its number in the scenario as it was made; stays when others are dropped, so that the network's chance stays too.
    pub id: u32,
    pub at: Micros,
    pub what: What,
}

/// What happens. Whatever names something that is not there does nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum What {
    /// A host sends a frame.
    Send {
        host: u32,
        to: To,
        from: Source,
        body: Body,
        size: u16,
    },
    /// A host sends frames from many MACs that are nobody's.
    MacFlood {
        host: u32,
        count: u16,
        salt: u32,
    },
    /// A host goes to another VTEP; `clean` takes the old port away.
    Move {
        host: u32,
        vtep: u16,
        clean: bool,
        announce: bool,
    },
    /// A host takes the MAC of another.
    Clone {
        host: u32,
        of: u32,
    },
    /// The port a host is behind is removed; the host stays unplugged.
    Unplug {
        host: u32,
    },
    /// An unplugged host comes back.
    Plug {
        host: u32,
    },
    /// A VTEP starts anew with empty tables; `address` says which of its addresses it has.
    Restart {
        vtep: u16,
        address: u8,
    },
    /// Two VTEPs start anew with each other's address.
    Swap {
        a: u16,
        b: u16,
    },
    /// A VTEP is told another address of its own, and goes on.
    Renumber {
        vtep: u16,
        address: u8,
    },
    Stop {
        vtep: u16,
    },
    Start {
        vtep: u16,
    },
    /// The controller makes a VTEP's flood lists what they should be.
    Reconcile {
        vtep: u16,
    },
    /// Each VTEP's side; packets between sides are lost.
    Partition {
        sides: Vec<u8>,
    },
    Weather(Weather),
    /// A VTEP's clock jumps, milliseconds.
    Clock {
        vtep: u16,
        by: i64,
    },
    FloodAdd {
        vtep: u16,
        tenant: u16,
        member: Member,
    },
    FloodRemove {
        vtep: u16,
        tenant: u16,
        member: Member,
    },
    Pin {
        vtep: u16,
        tenant: u16,
        number: u32,
        place: Spot,
        owner: u8,
        sticky: bool,
        replace: bool,
    },
    Unpin {
        vtep: u16,
        nth: u8,
    },
    /// Another core has learned.
    Learn {
        vtep: u16,
        tenant: u16,
        number: u32,
        place: Spot,
    },
    RemoveBridge {
        vtep: u16,
        tenant: u16,
    },
    /// At the `nth` free index.
    AddBridge {
        vtep: u16,
        tenant: u16,
        nth: u8,
    },
    SetBridge {
        vtep: u16,
        tenant: u16,
        limit: Option<u32>,
        ageing: Ageing,
        flood: u8,
    },
    Flush {
        vtep: u16,
        flush: Flush,
        times: u8,
    },
    /// An endpoint is configured, or its limit changed.
    SetEndpoint {
        vtep: u16,
        tenant: u16,
        member: Member,
        limit: Option<u32>,
    },
    RemoveEndpoint {
        vtep: u16,
        tenant: u16,
        member: Member,
    },
    /// A VTEP's ticks fail to come, or come again.
    Ticks {
        vtep: u16,
        on: bool,
    },
    /// A VTEP puts off carrying out its verdicts, or does it now.
    Hold {
        vtep: u16,
        on: bool,
    },
    /// Somebody in the underlay sends a tunnel packet.
    Rogue {
        vtep: u16,
        tenant: u16,
        from: Member,
        number: u32,
        odd: u8,
    },
    /// A rule is set at one VTEP, or taken away.
    Rule {
        vtep: u16,
        tenant: u16,
        rule: RuleShape,
        remove: bool,
    },
    /// All troubles end; hosts announce themselves; what everybody knows is checked. `wait`: only after what is wrong
    /// has aged.
    Heal {
        wait: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum To {
    Host(u32),
    Everyone,
    Group(u8),
    /// 01-80-C2-00-00-0X.
    Reserved(u8),
    /// A MAC that is nobody's.
    Nobody(u32),
    Zero,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Source {
    Own,
    /// The MAC of another.
    Host(u32),
    Nobody(u32),
    Zero,
    Group,
    Broadcast,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Body {
    /// An ARP request: whoever it is for answers.
    Ask(u32),
    Announce,
    /// UDP over IPv4, with that ECN field.
    V4(u8),
    V6(u8),
    Other,
    /// A cut IPv4 header.
    Short,
    /// A VXLAN packet of some other VNI inside.
    Nested,
    /// With a tag of its own.
    Tagged(u16),
    Runt,
}

/// Who is on a flood list, or should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Member {
    Vtep(u16),
    /// The VTEP itself.
    Own,
    /// The tenant's multicast group.
    Group,
    /// An address nobody has.
    Nobody(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Spot {
    /// The port a host is behind.
    Host(u32),
    Vtep(u16),
    Nobody(u8),
    Here,
    Blackhole,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Ageing {
    AsUsual,
    Never,
    NoLearn,
    Millis(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Flush {
    Tenant(u16),
    Host(u32),
    Vtep(u16, u16),
    Dynamic,
    /// Static ones too.
    All(u16),
}

/// What the network does to packets, in parts of 10,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Weather {
    pub lose: u16,
    pub duplicate: u16,
    pub corrupt: u16,
    /// Long delays, which reorder.
    pub late: u16,
    /// Congestion marks.
    pub mark: u16,
}

impl Weather {
    pub const CALM: Self = Self { lose: 0, duplicate: 0, corrupt: 0, late: 0, mark: 0 };
}

impl Scenario {
    /// Reads a scenario's file.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().zip(1..).filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
        let (first, _) = lines.next().ok_or("an empty file")?;
        let mut scenario: Self = serde_json::from_str(first).map_err(|error| error.to_string())?;
        for (line, number) in lines {
            let event = serde_json::from_str(line).map_err(|error| format!("line {number}: {error}"))?;
            scenario.events.push(event);
        }
        Ok(scenario)
    }

    /// The file.
    ///
    /// # Errors
    /// None that can happen: there is nothing in a scenario that JSON does not know.
    pub fn write(&self) -> Result<String, String> {
        let text = |error: serde_json::Error| error.to_string();
        let mut file = serde_json::to_string(self).map_err(text)?;
        for event in &self.events {
            file.push('\n');
            file.push_str(&serde_json::to_string(event).map_err(text)?);
        }
        file.push('\n');
        Ok(file)
    }
}
