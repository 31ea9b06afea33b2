//! What the reader sees: one line a step, and tables at the end.

use core::fmt::Display;
use core::net::{IpAddr, Ipv4Addr};

use vtep::engine::{Event, Place, Verdict};
use vtep::wire::MacAddr;

use crate::args::VNI;
use crate::node::{BRIDGE, Vtep};
use crate::world::Micros;

/// A line with the simulated time, in seconds, and who it is about.
pub fn line(now: Micros, who: &str, text: &str) {
    println!("[{:>3}.{:06}] {who:<6} {text}", now / 1_000_000, now % 1_000_000);
}

/// What was done with a frame.
pub fn verdict(verdict: &Verdict, ports: &[Ipv4Addr], remotes: &[IpAddr]) -> String {
    let tunnels = match remotes {
        [] => None,
        [group] if group.is_multicast() => Some(format!("group {group}")),
        [one] => Some(one.to_string()),
        many => Some(format!("{} VTEPs, a copy each", many.len())),
    };
    let pods = match ports {
        [] => None,
        [one] => Some(format!("pod {one}")),
        many => Some(format!("{} pods", many.len())),
    };
    match verdict {
        Verdict::Deliver(_) => format!("delivered to {}", pods.unwrap_or_default()),
        Verdict::Encapsulate(_) => format!("sent to {}", tunnels.unwrap_or_default()),
        Verdict::Flood(_) => {
            let places: Vec<String> = [pods, tunnels].into_iter().flatten().collect();
            match places.is_empty() {
                true => "flooded to nobody: the policy denies every copy".to_owned(),
                false => format!("flooded to {}", places.join(" and ")),
            }
        }
        Verdict::Drop(reason) => format!("dropped, {}", reason.name()),
        other => format!("{}, which has no place in this story", other.kind().name()),
    }
}

/// What a VTEP reports, in words.
pub fn event(event: &Event) -> String {
    match event {
        Event::Learned { mac, place, .. } => learned(*mac, &name(place)),
        Event::Moved { mac, from, to, .. } => moved(*mac, &name(from), &name(to)),
        Event::Aged { mac, place, .. } => aged(*mac, &name(place)),
        other => format!("unforeseen: {other:?}"),
    }
}

pub fn learned(mac: MacAddr, place: &str) -> String {
    format!("learned {mac} at {place}")
}

pub fn moved(mac: MacAddr, from: &str, to: &str) -> String {
    format!("{mac} moved from {from} to {to}")
}

pub fn aged(mac: MacAddr, place: &str) -> String {
    format!("forgot {mac} at {place}")
}

/// A place as this program calls it.
pub fn name(place: &Place) -> String {
    match place {
        Place::Port(port) => port_name(port.0),
        Place::Remote(remote) => remote.address.to_string(),
        other => format!("{other:?}"),
    }
}

pub fn port_name(port: u16) -> String {
    format!("port {port}")
}

/// What a VTEP knows, where it is not much.
pub fn known(vtep: &Vtep<'_>) -> String {
    let known: Vec<String> = vtep
        .engine
        .fdb()
        .filter_map(|(_, mac, entry)| Some(format!("{mac} at {}", name(&vtep.engine.place(entry.destination())?))))
        .collect();
    if known.is_empty() { "knows nobody any more".into() } else { format!("still knows {}", known.join(", ")) }
}

/// A VTEP's forwarding database, by MAC.
pub fn fdb(vtep: &Vtep<'_>) {
    let mut rows: Vec<[String; 6]> = vtep
        .engine
        .fdb()
        .map(|(_, mac, entry)| {
            let (remote, port) = match vtep.engine.place(entry.destination()) {
                Some(Place::Remote(remote)) => {
                    (remote.address.to_string(), remote.port.map_or("-".into(), |port| port.to_string()))
                }
                Some(Place::Port(_)) => ("LOCAL".into(), "-".into()),
                other => (format!("{other:?}"), "-".into()),
            };
            let flags = format!("{}{}", entry.owner().name(), if entry.sticky() { " sticky" } else { "" });
            [VNI.to_string(), mac.to_string(), remote, port, format!("{}s", entry.age().as_secs()), flags]
        })
        .collect();
    rows.sort();
    println!("\n{}, {}", vtep.name, vtep.address);
    let titles = ["VNI", "Inner MAC", "Remote VTEP IP", "Port", "Age", "Flags"];
    row(&titles);
    println!("{}", "─".repeat(65));
    rows.iter().for_each(row);
}

fn row<T: Display>([vni, mac, remote, port, age, flags]: &[T; 6]) {
    println!("{vni:<5} {mac:<17} {remote:<16} {port:<5} {age:<5} {flags}");
}

/// A VTEP's counters: what became of the packets it got, and that it is all of them.
pub fn counters(vtep: &Vtep<'_>) {
    let counters = vtep.engine.counters();
    let parts: Vec<String> = counters.iter().map(|(name, count)| format!("{count} {name}")).collect();
    let bytes = vtep.engine.bridge_counters(BRIDGE).map_or((0, 0), |c| (c.bytes_from_ports(), c.bytes_from_tunnels()));
    println!(
        "{:<6} {} packets in = {}; {} copies of floods; {} bytes from pods, {} bytes from tunnels",
        vtep.name,
        counters.packets(),
        parts.join(" + "),
        counters.copies(),
        bytes.0,
        bytes.1,
    );
}
