//! Words for everything a record holds. `-` stands for nothing.

use std::fmt::Display;
use std::net::IpAddr;
use std::str::FromStr;

use vtep::engine::{Command, Config, Flush, Place, Remote, Switches};
use vtep::table::fdb::Owners;
use vtep::table::{
    Admission, Ageing, BridgeConfig, BridgeId, Duration, FloodSwitches, Owner, PortConfig, PortId, UnderlayConfig,
    UnderlayId, VlanDecap, VlanEncap, WhenFull,
};
use vtep::wire::{Checksums, Df, EcnMode, Encapsulation, MacAddr, PortRange, Tos, Ttl, Vni};

use super::guard;
use super::label_text as labels;
use super::tables::Sizes;

const ENCAPSULATIONS: &[(&str, Encapsulation)] =
    &[("vxlan", Encapsulation::Vxlan), ("gpe", Encapsulation::Gpe), ("geneve", Encapsulation::Geneve)];
const DFS: &[(&str, Df)] = &[("set", Df::Set), ("unset", Df::Unset), ("inherit", Df::Inherit)];
const ECNS: &[(&str, EcnMode)] =
    &[("normal", EcnMode::Normal), ("compat", EcnMode::Compat), ("rfc3168", EcnMode::Legacy3168)];
const ADMISSIONS: &[(&str, Admission)] =
    &[("anyone", Admission::Anyone), ("configured", Admission::Configured), ("flood-list", Admission::FloodList)];
const WHEN_FULL: &[(&str, WhenFull)] = &[("evict", WhenFull::Evict), ("refuse", WhenFull::Refuse)];
const VERIFIES: &[(&str, Checksums)] = &[("0", Checksums::Trust), ("1", Checksums::Verify)];
const ENCAPS: &[(&str, VlanEncap)] =
    &[("strip", VlanEncap::Strip), ("keep", VlanEncap::Keep), ("drop", VlanEncap::Drop)];
const DECAPS: &[(&str, VlanDecap)] =
    &[("strip", VlanDecap::Strip), ("keep", VlanDecap::Keep), ("drop", VlanDecap::Drop)];

pub fn sizes(s: &Sizes) -> String {
    let labels = match (s.labels, s.rules, s.maps) {
        (0, 0, 0) => String::new(),
        (labels, rules, maps) => format!(" labels={labels} rules={rules} maps={maps}"),
    };
    format!(
        "sizes buckets={} bridges={} ports={} endpoints={} groups={} members={} events={}{labels}",
        s.buckets, s.bridges, s.ports, s.endpoints, s.groups, s.members, s.events
    )
}

pub fn read_sizes(f: &Fields<'_>) -> Result<Sizes, String> {
    Ok(Sizes {
        buckets: f.get("buckets")?,
        bridges: f.get("bridges")?,
        ports: f.get("ports")?,
        endpoints: f.get("endpoints")?,
        groups: f.get("groups")?,
        members: f.get("members")?,
        events: f.get("events")?,
        labels: f.get("labels").unwrap_or(0),
        rules: f.get("rules").unwrap_or(0),
        maps: f.get("maps").unwrap_or(0),
    })
}

pub fn config(c: &Config) -> String {
    let [a, b] = c.seed;
    let (min, max) = (c.source_ports.min(), c.source_ports.max());
    let (switches, full, sweep) = (c.switches.bits(), name(WHEN_FULL, c.when_full), c.sweep);
    let quota = c.endpoint_macs.map_or_else(String::new, |macs| format!(" endpoint-macs={macs}"));
    let more = quota + &labels::schema(&c.schema);
    format!("config switches={switches} seed={a},{b} source-ports={min},{max} when-full={full} sweep={sweep}{more}")
}

pub fn read_config(f: &Fields<'_>) -> Result<Config, String> {
    let (a, b) = f.pair("seed")?;
    let (min, max) = f.pair("source-ports")?;
    Ok(Config {
        switches: Switches::from_bits(f.get("switches")?).ok_or("unknown switches")?,
        seed: [a, b],
        source_ports: PortRange::new(min, max).ok_or("source ports run backwards")?,
        when_full: f.named("when-full", WHEN_FULL)?,
        sweep: f.get("sweep")?,
        endpoint_macs: f.given("endpoint-macs")?,
        schema: labels::read_schema(f)?,
    })
}

/// `None` for what this daemon never does.
pub fn command(command: &Command) -> Option<String> {
    Some(match command {
        Command::SetUnderlay { config: UnderlayConfig { link: Some(_), .. }, .. } => return None,
        Command::SetUnderlay { id, config } => format!("set-underlay id={} {}", id.0, underlay(config)),
        Command::AddBridge { id, config } => format!("add-bridge id={} {}", id.0, bridge(config)),
        Command::SetBridge { id, config } => format!("set-bridge id={} {}", id.0, bridge(config)),
        Command::RemoveBridge { id } => format!("remove-bridge id={}", id.0),
        Command::AddPort { id, config } => format!("add-port id={} {}", id.0, port(config)),
        Command::RemovePort { id } => format!("remove-port id={}", id.0),
        Command::FloodAdd { bridge, remote: r } => format!("flood-add bridge={} remote={}", bridge.0, remote(r)),
        Command::FloodRemove { bridge, remote: r } => format!("flood-remove bridge={} remote={}", bridge.0, remote(r)),
        Command::FdbAdd { bridge, mac, place: p, owner, sticky, label } => {
            let (place, owner, sticky, label) = (place(p)?, owner.name(), u8::from(*sticky), labels::label(*label));
            format!("fdb-add bridge={} mac={mac} place={place} owner={owner} sticky={sticky}{label}", bridge.0)
        }
        Command::FdbReplace { bridge, mac, place: p, owner, sticky, label } => {
            let (place, owner, sticky, label) = (place(p)?, owner.name(), u8::from(*sticky), labels::label(*label));
            format!("fdb-replace bridge={} mac={mac} place={place} owner={owner} sticky={sticky}{label}", bridge.0)
        }
        Command::FdbAppend { bridge, mac, remote: r } => {
            format!("fdb-append bridge={} mac={mac} remote={}", bridge.0, remote(r))
        }
        Command::FdbDelete { bridge, mac, remote: r } => {
            let remote = r.as_ref().map_or_else(|| "-".to_owned(), remote);
            format!("fdb-delete bridge={} mac={mac} remote={remote}", bridge.0)
        }
        Command::Learn { bridge, mac, place: p, label } => {
            format!("learn bridge={} mac={mac} place={}{}", bridge.0, place(p)?, labels::label(*label))
        }
        Command::Flush(Flush { bridge, place: p, owners }) => {
            let place = p.as_ref().map_or(Some("-".to_owned()), place)?;
            format!("flush bridge={} place={place} owners={}", opt(bridge.map(|b| b.0)), owners.bits())
        }
        Command::SetPort { id, config } => format!("set-port id={} {}", id.0, port(config)),
        _ => return labels::command(command).or_else(|| guard::command(command)),
    })
}

pub fn read_command(word: &str, f: &Fields<'_>) -> Result<Command, String> {
    let bridge = || f.get("bridge").map(BridgeId);
    let mac = || mac_address(f.text("mac")?);
    Ok(match word {
        "set-underlay" => Command::SetUnderlay { id: UnderlayId(f.get("id")?), config: read_underlay(f)? },
        "add-bridge" => Command::AddBridge { id: BridgeId(f.get("id")?), config: read_bridge(f)? },
        "set-bridge" => Command::SetBridge { id: BridgeId(f.get("id")?), config: read_bridge(f)? },
        "remove-bridge" => Command::RemoveBridge { id: BridgeId(f.get("id")?) },
        "add-port" => Command::AddPort { id: PortId(f.get("id")?), config: read_port(f)? },
        "set-port" => Command::SetPort { id: PortId(f.get("id")?), config: read_port(f)? },
        "remove-port" => Command::RemovePort { id: PortId(f.get("id")?) },
        "flood-add" => Command::FloodAdd { bridge: bridge()?, remote: read_remote(f.text("remote")?)? },
        "flood-remove" => Command::FloodRemove { bridge: bridge()?, remote: read_remote(f.text("remote")?)? },
        "fdb-add" | "fdb-replace" => {
            let (bridge, mac, place) = (bridge()?, mac()?, read_place(f.text("place")?)?);
            let owner = f.text("owner")?;
            let owner = *Owner::ALL.iter().find(|o| o.name() == owner).ok_or("unknown owner")?;
            let (sticky, label) = (f.flag("sticky")?, labels::read_label(f)?);
            match word {
                "fdb-add" => Command::FdbAdd { bridge, mac, place, owner, sticky, label },
                _ => Command::FdbReplace { bridge, mac, place, owner, sticky, label },
            }
        }
        "fdb-append" => Command::FdbAppend { bridge: bridge()?, mac: mac()?, remote: read_remote(f.text("remote")?)? },
        "fdb-delete" => {
            let remote = Some(f.text("remote")?).filter(|text| *text != "-").map(read_remote).transpose()?;
            Command::FdbDelete { bridge: bridge()?, mac: mac()?, remote }
        }
        "learn" => {
            let (place, label) = (read_place(f.text("place")?)?, labels::read_label(f)?);
            Command::Learn { bridge: bridge()?, mac: mac()?, place, label }
        }
        "flush" => Command::Flush(Flush {
            bridge: f.opt("bridge")?.map(BridgeId),
            place: Some(f.text("place")?).filter(|text| *text != "-").map(read_place).transpose()?,
            owners: Owners::from_bits(f.get("owners")?).ok_or("unknown owners")?,
        }),
        _ => return labels::read_command(word, f).unwrap_or_else(|| guard::read_command(word, f)),
    })
}

fn port(c: &PortConfig) -> String {
    let (vlan, learning, max) = (opt(c.vlan), u8::from(c.learning), opt(c.max_macs));
    format!("bridge={} vlan={vlan} learning={learning} max={max}{}", c.bridge.0, labels::port(c))
}

fn read_port(f: &Fields<'_>) -> Result<PortConfig, String> {
    let config = PortConfig {
        vlan: f.opt("vlan")?,
        learning: f.flag("learning")?,
        max_macs: f.opt("max")?,
        ..PortConfig::new(f.get("bridge").map(BridgeId)?)
    };
    labels::read_port(f, config)
}

fn underlay(c: &UnderlayConfig) -> String {
    let ttl = match c.ttl {
        Ttl::Fixed(ttl) => ttl.to_string(),
        Ttl::Inherit => "inherit".to_owned(),
    };
    let tos = match c.tos {
        Tos::Fixed(tos) => tos.to_string(),
        Tos::Inherit => "inherit".to_owned(),
    };
    format!(
        "ipv4={} ipv6={} vrf={} mtu={} ttl={ttl} gttl={} tos={tos} df={} ecn={} csum4={} csum6={} zero6={} verify={}",
        opt(c.ipv4),
        opt(c.ipv6),
        c.vrf,
        c.mtu,
        opt(c.group_ttl),
        name(DFS, c.df),
        name(ECNS, c.ecn),
        opt(c.checksum_v4.map(u8::from)),
        u8::from(c.checksum_v6),
        u8::from(c.zero_checksum_v6),
        name(VERIFIES, c.verify),
    )
}

fn read_underlay(f: &Fields<'_>) -> Result<UnderlayConfig, String> {
    Ok(UnderlayConfig {
        ipv4: f.opt("ipv4")?,
        ipv6: f.opt("ipv6")?,
        link: None,
        vrf: f.get("vrf")?,
        mtu: f.get("mtu")?,
        ttl: if f.text("ttl")? == "inherit" { Ttl::Inherit } else { Ttl::Fixed(f.get("ttl")?) },
        group_ttl: f.opt("gttl")?,
        tos: if f.text("tos")? == "inherit" { Tos::Inherit } else { Tos::Fixed(f.get("tos")?) },
        df: f.named("df", DFS)?,
        ecn: f.named("ecn", ECNS)?,
        checksum_v4: f.opt::<u8>("csum4")?.map(|on| on != 0),
        checksum_v6: f.flag("csum6")?,
        zero_checksum_v6: f.flag("zero6")?,
        verify: f.named("verify", VERIFIES)?,
    })
}

fn bridge(c: &BridgeConfig) -> String {
    let ageing = match c.ageing {
        Ageing::Never => "never".to_owned(),
        Ageing::NoLearn => "nolearn".to_owned(),
        Ageing::After(time) => time.as_millis().to_string(),
    };
    let encap_vlan = match c.vlan_encap {
        VlanEncap::Map(vid) => vid.to_string(),
        policy => name(ENCAPS, policy).to_owned(),
    };
    let decap_vlan = match c.vlan_decap {
        VlanDecap::Map(vid) => vid.to_string(),
        policy => name(DECAPS, policy).to_owned(),
    };
    format!(
        "encap={} port={} vni={} ageing={ageing} flood={} encap-vlan={encap_vlan} decap-vlan={decap_vlan} \
         admission={} gbp={} l2miss={} host={} max={}{}",
        name(ENCAPSULATIONS, c.encapsulation),
        c.udp_port,
        c.vni,
        c.flood.bits(),
        name(ADMISSIONS, c.admission),
        u8::from(c.gbp),
        u8::from(c.l2miss),
        u8::from(c.host),
        opt(c.max_macs),
        labels::bridge(c),
    )
}

fn read_bridge(f: &Fields<'_>) -> Result<BridgeConfig, String> {
    let vni = Vni::new(f.get("vni")?).ok_or("a VNI has 24 bits")?;
    let config = BridgeConfig {
        udp_port: f.get("port")?,
        ageing: match f.text("ageing")? {
            "never" => Ageing::Never,
            "nolearn" => Ageing::NoLearn,
            _ => Ageing::After(Duration::from_millis(f.get("ageing")?)),
        },
        flood: FloodSwitches::from_bits(f.get("flood")?).ok_or("unknown flood switches")?,
        vlan_encap: f.named("encap-vlan", ENCAPS).or_else(|_| f.get("encap-vlan").map(VlanEncap::Map))?,
        vlan_decap: f.named("decap-vlan", DECAPS).or_else(|_| f.get("decap-vlan").map(VlanDecap::Map))?,
        admission: f.named("admission", ADMISSIONS)?,
        gbp: f.flag("gbp")?,
        l2miss: f.flag("l2miss")?,
        host: f.flag("host")?,
        max_macs: f.opt("max")?,
        ..BridgeConfig::new(f.named("encap", ENCAPSULATIONS)?, vni)
    };
    labels::read_bridge(f, config)
}

fn remote(r: &Remote) -> String {
    let encap = opt(r.encapsulation.map(|e| name(ENCAPSULATIONS, e)));
    format!("{},{},{encap},{},{}", r.underlay.0, r.address, opt(r.port), opt(r.vni))
}

fn read_remote(text: &str) -> Result<Remote, String> {
    let wrong = || format!("\"{text}\" is no remote endpoint");
    let words: Vec<&str> = text.split(',').collect();
    let [underlay, address, encap, port, vni] = words[..] else { return Err(wrong()) };
    let given = |word: &'_ str| word != "-";
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let vni = if given(vni) { Some(vni.parse().ok().and_then(Vni::new).ok_or_else(wrong)?) } else { None };
    Ok(Remote {
        underlay: UnderlayId(underlay.parse().map_err(|_| wrong())?),
        address,
        encapsulation: if given(encap) { Some(value(ENCAPSULATIONS, encap).ok_or_else(wrong)?) } else { None },
        port: if given(port) { Some(port.parse().map_err(|_| wrong())?) } else { None },
        vni,
    })
}

fn place(place: &Place) -> Option<String> {
    Some(match place {
        Place::Port(port) => format!("port:{}", port.0),
        Place::Remote(r) => format!("remote:{}", remote(r)),
        Place::Host => "host".to_owned(),
        Place::Blackhole => "blackhole".to_owned(),
        _ => return None,
    })
}

fn read_place(text: &str) -> Result<Place, String> {
    match text.split_once(':') {
        None if text == "host" => Ok(Place::Host),
        None if text == "blackhole" => Ok(Place::Blackhole),
        Some(("port", id)) => id.parse().map(|id| Place::Port(PortId(id))).map_err(|_| "no port".to_owned()),
        Some(("remote", r)) => read_remote(r).map(Place::Remote),
        _ => Err(format!("\"{text}\" is no place")),
    }
}

/// Reads `02:00:00:00:00:01`.
pub fn mac_address(text: &str) -> Result<MacAddr, String> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        let part = parts.next().filter(|part| matches!(part.len(), 1 | 2) && !part.starts_with('+'));
        *byte = part.and_then(|part| u8::from_str_radix(part, 16).ok()).ok_or(format!("\"{text}\" is no MAC"))?;
    }
    if parts.next().is_some() { Err(format!("\"{text}\" is no MAC")) } else { Ok(MacAddr(mac)) }
}

/// Appends two digits a byte.
pub fn put_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend(bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]));
}

pub fn read_hex(text: &str) -> Result<Vec<u8>, String> {
    let digit = |c: u8| char::from(c).to_digit(16).ok_or("not hexadecimal");
    if text.len() % 2 != 0 {
        return Err("half a byte".to_owned());
    }
    text.as_bytes().chunks_exact(2).map(|pair| Ok((digit(pair[0])? << 4 | digit(pair[1])?) as u8)).collect()
}

/// `key=value` words of one line.
pub struct Fields<'l>(Vec<(&'l str, &'l str)>);

impl<'l> Fields<'l> {
    pub fn new(text: &'l str) -> Self {
        Self(text.split(' ').filter_map(|word| word.split_once('=')).collect())
    }

    pub(super) fn text(&self, key: &str) -> Result<&'l str, String> {
        self.0.iter().find(|(k, _)| *k == key).map(|(_, value)| *value).ok_or(format!("no {key}="))
    }

    pub(super) fn get<T: FromStr>(&self, key: &str) -> Result<T, String> {
        let text = self.text(key)?;
        text.parse().map_err(|_| format!("{key}={text}"))
    }

    /// What records of before do not have.
    /// What a key says, if the line has it.
    pub(super) fn word(&self, key: &str) -> Option<&'l str> {
        self.text(key).ok()
    }

    fn given<T: FromStr>(&self, key: &str) -> Result<Option<T>, String> {
        if self.text(key).is_ok() { self.get(key).map(Some) } else { Ok(None) }
    }

    pub(super) fn opt<T: FromStr>(&self, key: &str) -> Result<Option<T>, String> {
        if self.text(key)? == "-" { Ok(None) } else { self.get(key).map(Some) }
    }

    pub(super) fn flag(&self, key: &str) -> Result<bool, String> {
        self.get::<u8>(key).map(|value| value != 0)
    }

    pub(super) fn pair<T: FromStr>(&self, key: &str) -> Result<(T, T), String> {
        let text = self.text(key)?;
        let pair = text.split_once(',').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        pair.ok_or(format!("{key}={text}"))
    }

    pub(super) fn named<T: Copy>(&self, key: &str, names: &[(&str, T)]) -> Result<T, String> {
        let text = self.text(key)?;
        value(names, text).ok_or(format!("{key}={text}"))
    }
}

pub(super) fn name<T: PartialEq>(names: &[(&'static str, T)], value: T) -> &'static str {
    names.iter().find(|(_, v)| *v == value).map_or("?", |(name, _)| name)
}

pub(super) fn value<T: Copy>(names: &[(&str, T)], name: &str) -> Option<T> {
    names.iter().find(|(n, _)| *n == name).map(|(_, value)| *value)
}

pub(super) fn opt<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}
