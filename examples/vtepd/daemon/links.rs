//! `link show`: the devices as `ip -d link show` shows VXLAN devices, and all counters.

use std::fmt::Write;
use std::net::IpAddr;

use serde_json::{Value, json};
use vtep::engine::{DropReason, Profile};
use vtep::table::{Admission, Ageing, BridgeConfig, UnderlayConfig};
use vtep::wire::{Df, Encapsulation, Tos, Ttl};

use super::counters::Traffic;
use super::{Daemon, Path};
use crate::setup::{Setup, UNDERLAY};

/// These devices and, with counters, the underlay they share.
pub fn show(daemon: &Daemon<'_>, ports: &[usize], json: bool, stats: bool) -> String {
    if json {
        let mut all: Vec<Value> = ports.iter().map(|port| link_json(daemon, *port, stats)).collect();
        if stats {
            all.push(underlay_json(daemon));
        }
        return format!("{}\n", Value::Array(all));
    }
    let mut text = String::new();
    for port in ports {
        link_text(daemon, *port, stats, &mut text);
    }
    if stats {
        underlay_text(daemon, &mut text);
    }
    text
}

fn link_text(daemon: &Daemon<'_>, port: usize, stats: bool, out: &mut String) {
    let tap = &daemon.taps[port];
    let Some(link) = Settings::of(daemon, port) else { return };
    let flag = if tap.is_there() { "UP" } else { "GONE" };
    // Writing to a string does not fail.
    let _ = writeln!(out, "{}: <{flag}> mtu {}\n    {}", tap.name, daemon.watch.tap_mtu, link.words());
    if stats {
        traffic_text(&tap.sent, &tap.received, out);
        counters_text(&format!("vni {}", link.bridge.vni), &vni_counters(daemon, port), out);
    }
}

fn underlay_text(daemon: &Daemon<'_>, out: &mut String) {
    let interface = daemon.watch.underlay.interface.as_ref().map_or("?", |interface| interface.name.as_str());
    let flag = if daemon.watch.underlay.is_whole() { "UP" } else { "GONE" };
    let _ = writeln!(out, "underlay {interface}: <{flag}> mtu {}", daemon.watch.underlay.mtu());
    traffic_text(&daemon.counters.underlay, &daemon.outbox.traffic, out);
    counters_text("all", &all_counters(daemon), out);
    for (name, n) in &daemon.outbox.refused {
        let _ = writeln!(out, "    refused {name} {n}");
    }
    for (name, n) in &daemon.counters.incidents {
        let _ = writeln!(out, "    incident {name} {n}");
    }
    for (peer, path) in &daemon.paths {
        if let Some(mtu) = path.mtu {
            let _ = writeln!(out, "    path {peer} mtu {mtu}");
        }
        if path.unreachable {
            let _ = writeln!(out, "    path {peer} unreachable");
        }
    }
}

fn traffic_text(received: &Traffic, sent: &Traffic, out: &mut String) {
    for (name, traffic) in [("RX", received), ("TX", sent)] {
        let Traffic { bytes, packets, errors } = traffic;
        let _ = writeln!(out, "    {name}:  bytes packets errors\n    {bytes:>10} {packets:>7} {errors:>6}");
    }
}

fn counters_text(whose: &str, counters: &[(&'static str, u64)], out: &mut String) {
    for (name, n) in counters {
        let kind = if is_drop(name) { "dropped" } else { "counter" };
        let _ = writeln!(out, "    {whose} {kind} {name} {n}");
    }
}

fn link_json(daemon: &Daemon<'_>, port: usize, stats: bool) -> Value {
    let tap = &daemon.taps[port];
    let Some(link) = Settings::of(daemon, port) else { return Value::Null };
    let mut json = json!({
        "ifname": tap.name,
        "flags": [if tap.is_there() { "UP" } else { "GONE" }],
        "mtu": daemon.watch.tap_mtu,
        "linkinfo": { "info_kind": link.kind(), "info_data": link.json() },
    });
    if stats {
        json["stats64"] = json!({ "rx": tap.sent.json(), "tx": tap.received.json() });
        json["vni"] = counters_json(&vni_counters(daemon, port));
    }
    json
}

fn underlay_json(daemon: &Daemon<'_>) -> Value {
    let underlay = &daemon.watch.underlay;
    let map = |counters: &std::collections::BTreeMap<&'static str, u64>| {
        counters.iter().map(|(name, n)| ((*name).to_owned(), json!(n))).collect::<Value>()
    };
    let path = |path: &Path| json!({ "mtu": path.mtu, "unreachable": path.unreachable });
    let paths = daemon.paths.iter().map(|(peer, known)| (peer.to_string(), path(known))).collect::<Value>();
    json!({
        "underlay": underlay.interface.as_ref().map(|interface| interface.name.clone()),
        "flags": [if underlay.is_whole() { "UP" } else { "GONE" }],
        "mtu": underlay.mtu(),
        "stats64": { "rx": daemon.counters.underlay.json(), "tx": daemon.outbox.traffic.json() },
        "all": counters_json(&all_counters(daemon)),
        "refused": map(&daemon.outbox.refused),
        "incidents": map(&daemon.counters.incidents),
        "paths": paths,
    })
}

fn counters_json(counters: &[(&'static str, u64)]) -> Value {
    let list = |drops: bool| {
        let of_kind = counters.iter().filter(|(name, _)| is_drop(name) == drops);
        of_kind.map(|(name, n)| ((*name).to_owned(), json!(n))).collect::<Value>()
    };
    json!({ "counters": list(false), "dropped": list(true) })
}

fn vni_counters(daemon: &Daemon<'_>, port: usize) -> Vec<(&'static str, u64)> {
    let Some(counters) = daemon.node.engine().bridge_counters(daemon.setup.taps[port].1) else { return Vec::new() };
    std::iter::once(("packets", counters.packets())).chain(counters.iter()).collect()
}

fn all_counters(daemon: &Daemon<'_>) -> Vec<(&'static str, u64)> {
    let engine = daemon.node.engine();
    let mut list = vec![("packets", engine.counters().packets())];
    list.extend(engine.counters().iter());
    list.push(("copies", engine.counters().copies()));
    list.push(("lost-events", engine.lost_events()));
    list
}

fn is_drop(name: &str) -> bool {
    DropReason::ALL.iter().any(|reason| reason.name() == name)
}

/// The settings of a device's VNI, in the order of `ip -d link show`.
struct Settings<'s> {
    bridge: &'s BridgeConfig,
    underlay: &'s UnderlayConfig,
    setup: &'s Setup,
    interface: Option<&'s str>,
}

impl<'s> Settings<'s> {
    fn of(daemon: &'s Daemon<'_>, port: usize) -> Option<Self> {
        let engine = daemon.node.engine();
        Some(Self {
            bridge: engine.bridge_config(daemon.setup.taps[port].1)?,
            underlay: engine.underlay_config(UNDERLAY)?,
            setup: &daemon.setup,
            interface: daemon.watch.underlay.interface.as_ref().map(|interface| interface.name.as_str()),
        })
    }

    fn kind(&self) -> &'static str {
        match self.bridge.encapsulation {
            Encapsulation::Vxlan | Encapsulation::Gpe => "vxlan",
            Encapsulation::Geneve => "geneve",
        }
    }

    fn words(&self) -> String {
        let Self { bridge, underlay, setup, .. } = self;
        let mut words = vec![format!("{} id {}", self.kind(), bridge.vni)];
        words.extend(setup.group.map(|group| format!("group {group}")));
        words.extend(setup.remotes.iter().map(|remote| format!("remote {remote}")));
        words.extend(setup.locals().map(|local| format!("local {local}")));
        words.extend(self.interface.map(|name| format!("dev {name}")));
        words.push(format!("srcport {} {}", setup.source_ports.min(), setup.source_ports.max()));
        words.push(format!("dstport {}", bridge.udp_port));
        let flag = |on: bool, word: &str| on.then(|| word.to_owned());
        words.extend(flag(bridge.ageing == Ageing::NoLearn, "nolearning"));
        words.extend(flag(bridge.l2miss, "l2miss"));
        words.push(format!("tos {}", tos(underlay.tos)));
        words.push(format!("ttl {}", ttl(underlay.ttl)));
        words.push(format!("df {}", df(underlay.df)));
        match bridge.ageing {
            Ageing::After(time) => words.push(format!("ageing {}", time.as_secs())),
            Ageing::Never => words.push("ageing never".to_owned()),
            Ageing::NoLearn => {}
        }
        words.extend(bridge.max_macs.map(|most| format!("maxaddr {most}")));
        words.push(format!("{}udpcsum", no(self.checksum_v4())));
        words.push(format!("{}udp6zerocsumtx", no(!underlay.checksum_v6)));
        words.push(format!("{}udp6zerocsumrx", no(underlay.zero_checksum_v6)));
        words.extend(flag(bridge.gbp, "gbp"));
        words.extend(flag(bridge.encapsulation == Encapsulation::Gpe, "gpe"));
        words.extend(flag(bridge.admission == Admission::Configured, "known-only"));
        words.push(format!("profile {}", self.profile()));
        words.join(" ")
    }

    fn json(&self) -> Value {
        let Self { bridge, underlay, setup, .. } = self;
        let strings = |addresses: &[IpAddr]| addresses.iter().map(|a| json!(a.to_string())).collect::<Value>();
        json!({
            "id": bridge.vni.get(),
            "group": setup.group.map(|group| group.to_string()),
            "remotes": strings(&setup.remotes),
            "locals": strings(&setup.locals().collect::<Vec<_>>()),
            "link": self.interface,
            "port_range": { "low": setup.source_ports.min(), "high": setup.source_ports.max() },
            "port": bridge.udp_port,
            "learning": bridge.ageing != Ageing::NoLearn,
            "l2miss": bridge.l2miss,
            "tos": tos(underlay.tos),
            "ttl": ttl(underlay.ttl),
            "df": df(underlay.df),
            "ageing": match bridge.ageing {
                Ageing::After(time) => json!(time.as_secs()),
                Ageing::Never => json!("never"),
                Ageing::NoLearn => json!("nolearn"),
            },
            "limit": bridge.max_macs,
            "udp_csum": self.checksum_v4(),
            "udp_zero_csum6_tx": !underlay.checksum_v6,
            "udp_zero_csum6_rx": underlay.zero_checksum_v6,
            "gbp": bridge.gbp,
            "gpe": bridge.encapsulation == Encapsulation::Gpe,
            "known_only": bridge.admission == Admission::Configured,
            "profile": self.profile(),
        })
    }

    fn checksum_v4(&self) -> bool {
        self.underlay.checksum_v4.unwrap_or(self.bridge.encapsulation == Encapsulation::Geneve)
    }

    fn profile(&self) -> &'static str {
        match self.setup.profile {
            Profile::Rfc => "rfc",
            Profile::Linux => "linux",
        }
    }
}

fn no(on: bool) -> &'static str {
    if on { "" } else { "no" }
}

fn tos(tos: Tos) -> String {
    match tos {
        Tos::Fixed(tos) => format!("{tos:#x}"),
        Tos::Inherit => "inherit".to_owned(),
    }
}

fn ttl(ttl: Ttl) -> String {
    match ttl {
        Ttl::Fixed(ttl) => ttl.to_string(),
        Ttl::Inherit => "inherit".to_owned(),
    }
}

fn df(df: Df) -> &'static str {
    match df {
        Df::Set => "set",
        Df::Unset => "unset",
        Df::Inherit => "inherit",
    }
}
