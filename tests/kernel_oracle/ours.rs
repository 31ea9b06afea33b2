//! A scenario on the engine's side.

use vtep::engine::{Command, DropReason, Egress, Event, Place, Profile, Verdict};
use vtep::table::{BridgeId, Destination, Duration, Owner, PortConfig, PortId};
use vtep::wire::{Encapsulation, Label, MacAddr, PortRange};

use crate::common::world::{VNI, Vtep};
use crate::lab::hex_mac;
use crate::scenario::{DEVICE_MAC, Device, Kind, Op, Scenario};
use crate::seen::{Row, Run, Seen, Sent, Table};

/// Runs a scenario on a new engine, in profile `Linux`.
pub(crate) fn run(scenario: &Scenario) -> Run {
    let mut vtep = vtep(&scenario.device);
    let (mut seen, mut misses) = (Vec::new(), Vec::new());
    for op in &scenario.ops {
        seen.push(step(&mut vtep, &scenario.device, op));
        misses.extend(vtep.events().iter().filter_map(|event| match event {
            Event::Miss { mac, .. } => Some(mac.0),
            _ => None,
        }));
    }
    Run { seen, fdb: table(&vtep), misses, reasons: true }
}

/// The engine as a VXLAN device: one bridge, whose one port is the host. The host is not learned about.
fn vtep(device: &Device) -> Vtep {
    let mut vtep = Vtep::with(Profile::Linux, Encapsulation::Vxlan, |setup| {
        device.configure(&mut setup.underlay, &mut setup.bridge);
        if let Some((from, to)) = device.source_ports {
            setup.config.source_ports = PortRange::new(from, to).unwrap();
        }
    });
    vtep.command(Command::RemoveBridge { id: BridgeId(1) });
    for port in [0, 1] {
        vtep.command(Command::RemovePort { id: PortId(port) });
    }
    let port = PortConfig { learning: false, ..PortConfig::new(BridgeId(0)) };
    vtep.command(Command::AddPort { id: PortId(0), config: port });
    vtep.command(Command::FdbAdd {
        bridge: BridgeId(0),
        mac: MacAddr(DEVICE_MAC),
        place: Place::Port(PortId(0)),
        owner: Owner::Local,
        sticky: false,
        label: Label::NONE,
    });
    vtep
}

fn step(vtep: &mut Vtep, device: &Device, op: &Op) -> Seen {
    match op {
        Op::Rx(frames) => {
            let (mut delivered, mut drop) = (Vec::new(), None);
            for frame in frames {
                let verdict = vtep.on_underlay(frame);
                drop = why_not(&verdict);
                for (to, bytes) in vtep.copies(&verdict, frame) {
                    match to {
                        Egress::Port(_) => delivered.push(bytes),
                        Egress::Underlay(_) => drop = Some("sent on".to_owned()),
                    }
                }
            }
            Seen::Rx { delivered, drop }
        }
        Op::Tx(frame) => {
            let verdict = vtep.on_port(0, frame);
            let copies = vtep.copies(&verdict, frame);
            let sent = copies.iter().map(|(_, bytes)| Sent::new(bytes, 1)).collect();
            Seen::Tx { sent, drop: why_not(&verdict) }
        }
        Op::Fdb(command) => {
            let result = vtep.try_command(command.command());
            limit(vtep, device);
            let said = result.err().map(|error| format!("{error:?}")).unwrap_or_default();
            Seen::Command { done: result.is_ok(), said }
        }
        Op::Wait(seconds) => {
            vtep.now = vtep.now.saturating_add(Duration::from_secs(*seconds));
            vtep.engine.tick(vtep.now);
            Seen::Nothing
        }
    }
}

fn why_not(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Drop(reason) => Some(DropReason::name(*reason).to_owned()),
        Verdict::Punt(punt) => Some(format!("punt: {}", punt.reason.name())),
        _ => None,
    }
}

/// The kernel's `maxaddress` counts static entries and the list for zero; the engine's limit is for learned ones.
fn limit(vtep: &mut Vtep, device: &Device) {
    let Some(most) = device.maxaddress else { return };
    let rows = table(vtep);
    let fixed = rows.values().filter(|rows| matches!(rows[0].kind, Kind::Static | Kind::External)).count();
    let mut config = *vtep.engine.bridge_config(BridgeId(0)).unwrap();
    config.max_macs = Some(most.saturating_sub(u32::try_from(fixed).unwrap()));
    vtep.command(Command::SetBridge { id: BridgeId(0), config });
}

/// The FDB in the kernel's terms.
fn table(vtep: &Vtep) -> Table {
    let engine = &vtep.engine;
    let row = |remote: vtep::engine::Remote, kind| Row {
        dst: remote.address,
        port: remote.port.unwrap_or(4789),
        vni: remote.vni.map_or(VNI, |vni| vni.get()),
        kind,
    };
    let mut table = Table::new();
    for (_, mac, entry) in engine.fdb() {
        let kind = match entry.owner() {
            Owner::Local => continue,
            Owner::Dynamic => Kind::Dynamic,
            Owner::Static => Kind::Static,
            Owner::Controller => Kind::External,
            owner => panic!("{mac:?} of {owner:?}"),
        };
        let rows = table.entry(hex_mac(mac.0)).or_default();
        match engine.place(entry.destination()) {
            Some(Place::Remote(remote)) => rows.push(row(remote, kind)),
            Some(place) => panic!("{mac:?} at {place:?}"),
            None => {
                let Destination::Group(list) = entry.destination() else {
                    panic!("{mac:?} at an endpoint that is gone")
                };
                let endpoints = engine.group(list).map(|id| engine.endpoints().get(id).unwrap());
                rows.extend(endpoints.map(|endpoint| row((*endpoint.address()).into(), kind)));
            }
        }
    }
    let defaults: Vec<Row> = engine
        .flood_list(BridgeId(0))
        .map(|id| row((*engine.endpoints().get(id).unwrap().address()).into(), Kind::Static))
        .collect();
    if !defaults.is_empty() {
        table.insert(hex_mac([0; 6]), defaults);
    }
    table
}
