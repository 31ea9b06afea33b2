//! The forwarding database and its events, in iproute2's line format and as its JSON.

use std::fmt;
use std::net::IpAddr;

use serde_json::{Map, Value, json};
use vtep::engine::{Engine, Event, Place};
use vtep::table::{BridgeConfig, BridgeId, Destination, EndpointAddress, EndpointId, Entry, Owner};
use vtep::wire::{Label, MacAddr, Vni};

use super::request::{Selection, State};
use super::setup::Setup;

/// One line of `fdb show`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub bridge: BridgeId,
    pub mac: MacAddr,
    pub at: At,
    pub state: State,
    pub sticky: bool,
    /// Seconds since it was refreshed, if that is asked for.
    pub used: Option<u64>,
    /// Its security group and traffic class.
    pub label: Label,
}

/// Where a MAC is, in names. What is the device's default is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct At {
    pub dev: String,
    pub dst: Option<IpAddr>,
    pub port: Option<u16>,
    pub vni: Option<Vni>,
    pub via: Option<String>,
    pub blackhole: bool,
}

/// All entries: flood lists first, then stations and groups, sorted by VNI and MAC.
pub fn rows(engine: &Engine<'_>, setup: &Setup, selection: &Selection, used: bool) -> Vec<Row> {
    let mut rows = Vec::new();
    for id in (0..).map(BridgeId).take(setup.vnis.len()) {
        for member in engine.flood_list(id) {
            rows.extend(permanent(engine, setup, id, MacAddr::ZERO, member));
        }
    }
    for (bridge, mac, entry) in engine.fdb() {
        if let Destination::Group(list) = entry.destination() {
            rows.extend(engine.group(list).filter_map(|member| permanent(engine, setup, bridge, mac, member)));
            continue;
        }
        let Some(place) = engine.place(entry.destination()) else { continue };
        let Some(at) = at(engine, setup, bridge, &place) else { continue };
        rows.push(Row {
            bridge,
            mac,
            at,
            state: state(entry.owner(), entry.sticky()),
            sticky: entry.sticky() && matches!(entry.owner(), Owner::Dynamic | Owner::Controller | Owner::Evpn),
            used: used.then_some(entry.age().as_secs()),
            label: label(engine, entry),
        });
    }
    rows.retain(|row| selection.covers(setup, row));
    // Stable: the members of a list stay in their order.
    rows.sort_by_key(|row| (row.bridge, row.mac));
    rows
}

impl Selection {
    fn covers(&self, setup: &Setup, row: &Row) -> bool {
        let bridge_of = |name: &String| setup.taps.iter().find(|(tap, _)| tap == name).map(|(_, bridge)| *bridge);
        // A remote entry belongs to all devices of its VNI.
        let dev = |dev: &String| *dev == row.at.dev || row.at.dst.is_some() && bridge_of(dev) == Some(row.bridge);
        self.dev.as_ref().is_none_or(dev)
            && self.dst.is_none_or(|dst| row.at.dst == Some(dst))
            && (self.states.is_empty() || self.states.contains(&row.state))
    }
}

/// A destination that a flood goes to.
fn permanent(engine: &Engine<'_>, setup: &Setup, bridge: BridgeId, mac: MacAddr, id: EndpointId) -> Option<Row> {
    let place = engine.place(Destination::Endpoint(id))?;
    let at = at(engine, setup, bridge, &place)?;
    Some(Row { bridge, mac, at, state: State::Permanent, sticky: false, used: None, label: Label::NONE })
}

/// An entry's label; the group of a station behind a port that has one is the port's.
fn label(engine: &Engine<'_>, entry: Entry) -> Label {
    let known = engine.label(entry);
    let port = match entry.destination() {
        Destination::Port(port) => engine.port_config(port),
        _ => None,
    };
    match port.map(|port| port.group) {
        Some(group) if !group.is_none() => Label::new(group, known.class()),
        _ => known,
    }
}

fn state(owner: Owner, sticky: bool) -> State {
    match owner {
        Owner::Dynamic => State::Dynamic,
        Owner::Static if !sticky => State::Static,
        Owner::Evpn | Owner::Controller => State::ExternLearn,
        _ => State::Permanent,
    }
}

/// Names a place, seen from a bridge.
pub fn at(engine: &Engine<'_>, setup: &Setup, bridge: BridgeId, place: &Place) -> Option<At> {
    let config = engine.bridge_config(bridge)?;
    let several = setup.vnis.len() > 1;
    let own = || setup.taps.iter().find(|(_, of)| *of == bridge).map(|(tap, _)| tap.clone());
    Some(match place {
        Place::Port(port) => {
            At { dev: setup.taps.get(port.index())?.0.clone(), vni: several.then_some(config.vni), ..At::default() }
        }
        Place::Remote(remote) => remote_at(own()?, &remote.resolve(config), config, setup),
        Place::Blackhole => At { dev: own()?, vni: several.then_some(config.vni), blackhole: true, ..At::default() },
        _ => At { dev: own()?, vni: several.then_some(config.vni), ..At::default() },
    })
}

fn remote_at(dev: String, address: &EndpointAddress, config: &BridgeConfig, setup: &Setup) -> At {
    let vni = address.vni.or((setup.vnis.len() > 1).then_some(config.vni));
    At {
        dev,
        dst: Some(address.address),
        port: Some(address.port).filter(|port| *port != config.udp_port),
        vni,
        via: setup.interface.clone().filter(|_| address.address.is_multicast()),
        blackhole: false,
    }
}

impl At {
    fn json(&self) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("ifname".into(), json!(self.dev));
        let mut put = |key: &str, value: Option<Value>| value.map(|value| map.insert(key.into(), value));
        put("dst", self.dst.map(|dst| json!(dst.to_string())));
        put("port", self.port.map(|port| json!(port)));
        put("vni", self.vni.map(|vni| json!(vni.get())));
        put("viaIf", self.via.as_ref().map(|via| json!(via)));
        map
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dev {}", self.dev)?;
        if let Some(dst) = self.dst {
            write!(f, " dst {dst}")?;
        }
        if let Some(port) = self.port {
            write!(f, " port {port}")?;
        }
        if let Some(vni) = self.vni {
            write!(f, " vni {vni}")?;
        }
        if let Some(via) = &self.via {
            write!(f, " via {via}")?;
        }
        Ok(())
    }
}

impl Row {
    fn flags(&self) -> impl Iterator<Item = &'static str> {
        let extern_learn = (self.state == State::ExternLearn).then_some("extern_learn");
        let sticky = self.sticky.then_some("sticky");
        let blackhole = self.at.blackhole.then_some("blackhole");
        std::iter::once("self").chain(extern_learn).chain(sticky).chain(blackhole)
    }

    fn state_word(&self) -> &'static str {
        match self.state {
            State::Permanent => "permanent",
            State::Static => "static",
            State::Dynamic | State::ExternLearn => "",
        }
    }

    pub fn json(&self) -> Value {
        let mut map = Map::new();
        map.insert("mac".into(), json!(self.mac.to_string()));
        map.append(&mut self.at.json());
        if let Some(used) = self.used {
            map.insert("used".into(), json!(used));
            map.insert("updated".into(), json!(used));
        }
        if !self.label.is_none() {
            map.insert("group".into(), json!(self.label.group().get()));
            map.insert("class".into(), json!(self.label.class().get()));
        }
        map.insert("flags".into(), self.flags().map(Value::from).collect());
        map.insert("state".into(), json!(self.state_word()));
        Value::Object(map)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.mac, self.at)?;
        if let Some(used) = self.used {
            write!(f, " used {used}/{used}")?;
        }
        if !self.label.is_none() {
            write!(f, " group {} class {}", self.label.group(), self.label.class())?;
        }
        for word in self.flags().chain(Some(self.state_word()).filter(|word| !word.is_empty())) {
            write!(f, " {word}")?;
        }
        Ok(())
    }
}

/// One line of `monitor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    what: &'static str,
    mac: MacAddr,
    at: At,
    from: Option<At>,
}

impl News {
    pub fn of(engine: &Engine<'_>, setup: &Setup, event: &Event) -> Option<Self> {
        let (what, bridge, mac, place, from) = match event {
            Event::Learned { bridge, mac, place, .. } => ("learned", *bridge, *mac, Some(place), None),
            Event::Moved { bridge, mac, from, to, .. } => ("moved", *bridge, *mac, Some(to), Some(from)),
            Event::MoveRefused { bridge, mac, place } => ("move-refused", *bridge, *mac, Some(place), None),
            Event::Aged { bridge, mac, place } => ("aged", *bridge, *mac, Some(place), None),
            Event::Evicted { bridge, mac, place } => ("evicted", *bridge, *mac, Some(place), None),
            Event::TableFull { bridge, mac, place } => ("table-full", *bridge, *mac, Some(place), None),
            Event::Miss { bridge, mac } => ("miss", *bridge, *mac, None, None),
            Event::Duplicate { bridge, mac, place, other } => ("duplicate", *bridge, *mac, Some(place), Some(other)),
            Event::DuplicateCleared { bridge, mac } => ("duplicate-cleared", *bridge, *mac, None, None),
            Event::Relabelled { bridge, mac, place, .. } => ("relabelled", *bridge, *mac, Some(place), None),
            Event::LabelsFull { bridge, mac, place, .. } => ("labels-full", *bridge, *mac, Some(place), None),
            _ => return None,
        };
        // A miss is nowhere: what is left is the device and, among several, the VNI.
        let here = at(engine, setup, bridge, place.unwrap_or(&Place::Host))?;
        Some(Self { what, mac, at: here, from: from.and_then(|from| at(engine, setup, bridge, from)) })
    }

    pub fn json(&self) -> Value {
        let mut map = Map::new();
        map.insert("event".into(), json!(self.what));
        map.insert("mac".into(), json!(self.mac.to_string()));
        map.append(&mut self.at.json());
        if let Some(from) = &self.from {
            map.insert("from".into(), Value::Object(from.json()));
        }
        Value::Object(map)
    }
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.what, self.mac, self.at)?;
        if let Some(from) = &self.from {
            write!(f, " from {from}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use vtep::wire::{SecurityGroup, TrafficClass};

    fn row(at: At, state: State) -> Row {
        Row {
            bridge: BridgeId(0),
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
            at,
            state,
            sticky: false,
            used: None,
            label: Label::NONE,
        }
    }

    fn remote() -> At {
        At { dev: "tap0".to_owned(), dst: Some(Ipv4Addr::new(10, 0, 0, 2).into()), ..At::default() }
    }

    #[test]
    fn lines_are_those_of_bridge_fdb() {
        let other = At { port: Some(8472), vni: Vni::new(77), ..remote() };
        let group = At { dst: Some(Ipv4Addr::new(239, 1, 1, 1).into()), via: Some("eth0".to_owned()), ..remote() };
        let local = At { dst: None, ..remote() };
        let label = Label::new(SecurityGroup::new(12_345).unwrap(), TrafficClass::new(5).unwrap());
        let lines = [
            (row(remote(), State::Dynamic), "dev tap0 dst 10.0.0.2 self"),
            (row(other, State::ExternLearn), "dev tap0 dst 10.0.0.2 port 8472 vni 77 self extern_learn"),
            (row(group, State::Permanent), "dev tap0 dst 239.1.1.1 via eth0 self permanent"),
            (row(local.clone(), State::Static), "dev tap0 self static"),
            (row(At { blackhole: true, ..local }, State::Permanent), "dev tap0 self blackhole permanent"),
            (Row { used: Some(7), ..row(remote(), State::Dynamic) }, "dev tap0 dst 10.0.0.2 used 7/7 self"),
            (Row { sticky: true, ..row(remote(), State::Dynamic) }, "dev tap0 dst 10.0.0.2 self sticky"),
            (Row { label, ..row(remote(), State::Dynamic) }, "dev tap0 dst 10.0.0.2 group 12345 class 5 self"),
        ];
        for (row, line) in lines {
            assert_eq!(row.to_string(), format!("02:00:00:00:00:01 {line}"));
        }
    }

    #[test]
    fn json_is_that_of_bridge_fdb() {
        let other = At { port: Some(8472), vni: Vni::new(77), via: Some("eth0".to_owned()), ..remote() };
        assert_eq!(
            row(other, State::Permanent).json(),
            json!({
                "mac": "02:00:00:00:00:01", "ifname": "tap0", "dst": "10.0.0.2", "port": 8472, "vni": 77,
                "viaIf": "eth0", "flags": ["self"], "state": "permanent",
            })
        );
        assert_eq!(row(remote(), State::Dynamic).json()["state"], "");
    }

    #[test]
    fn news_name_both_places() {
        let to = At { dst: Some(Ipv4Addr::new(10, 0, 0, 3).into()), ..remote() };
        let news = News { what: "moved", mac: MacAddr([2, 0, 0, 0, 0, 1]), at: to, from: Some(remote()) };
        assert_eq!(news.to_string(), "moved 02:00:00:00:00:01 dev tap0 dst 10.0.0.3 from dev tap0 dst 10.0.0.2");
        assert_eq!(news.json()["from"]["dst"], "10.0.0.2");
    }
}
