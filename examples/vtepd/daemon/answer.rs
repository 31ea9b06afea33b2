//! Carrying out what a client asks for.

use std::io::Read;

use serde_json::Value;
use vtep::engine::{Command, CommandError, Done, Flush, Place, Remote};
use vtep::table::{BridgeId, Owner, PortId};
use vtep::table::{Instant, fdb::Owners};
use vtep::wire::MacAddr;

use super::Daemon;
use super::{links, rules};
use crate::request::{Change, Request, Selection, State, Verb, What};
use crate::rows::{Row, rows};
use crate::setup::UNDERLAY;

/// What a client gets.
pub enum Answer {
    Text(String),
    Stream(Box<dyn Read>),
    /// Events as they happen.
    Monitor {
        json: bool,
    },
    /// A sentence that says why not.
    Refused(String),
}

impl Daemon<'_> {
    pub fn answer(&mut self, now: Instant, request: &Request) -> Answer {
        let done = match &request.what {
            What::FdbShow(selection) => self.show(selection, request),
            What::FdbChange(change) => self.change(now, change).map(|()| Answer::Text(String::new())),
            What::FdbFlush(selection) => self.flush(now, selection).map(|()| Answer::Text(String::new())),
            What::LinkShow(dev) => match dev {
                Some(dev) => self.port_of(dev).map(|port| vec![port]),
                None => Ok((0..self.setup.taps.len()).collect()),
            }
            .map(|ports| Answer::Text(links::show(self, &ports, request.json, request.stats))),
            What::PolicyShow => Ok(Answer::Text(rules::show(self, request.json, request.stats))),
            What::Monitor => Ok(Answer::Monitor { json: request.json }),
            What::Log => {
                let digest = self.node.engine().digest();
                let at = self.node.engine().now();
                self.node.journal().copy(at, digest).map(Answer::Stream).map_err(|error| error.to_string())
            }
        };
        done.unwrap_or_else(Answer::Refused)
    }

    fn show(&self, selection: &Selection, request: &Request) -> Result<Answer, String> {
        if let Some(dev) = &selection.dev {
            self.port_of(dev)?;
        }
        let rows = rows(self.node.engine(), &self.setup, selection, request.stats);
        Ok(Answer::Text(if request.json {
            format!("{}\n", rows.iter().map(Row::json).collect::<Value>())
        } else {
            rows.iter().map(|row| format!("{row}\n")).collect()
        }))
    }

    fn change(&mut self, now: Instant, change: &Change) -> Result<(), String> {
        let (port, bridge) = self.target(change.dev.as_ref())?;
        self.check_via(change)?;
        if !change.label.is_none() && self.setup.labels_rules_and_maps().0 == 0 {
            return Err(
                "no groups and classes here: start vtepd with --group-of, --policy or one of the flags of classes"
                    .to_owned(),
            );
        }
        let (mac, remote) = (change.mac, change.dst.map(|address| self.remote(change, address)));
        let place = match &remote {
            Some(remote) => Place::Remote(*remote),
            None if change.blackhole => Place::Blackhole,
            None => Place::Port(port),
        };
        let owner = match change.state {
            State::Dynamic => Owner::Dynamic,
            State::ExternLearn => Owner::Controller,
            State::Static | State::Permanent => Owner::Static,
        };
        // No packet moves a static entry, so that the flag is free to tell `permanent` from `static`.
        let sticky = change.sticky || change.state == State::Permanent;
        let command = match (change.verb, remote) {
            (Verb::Delete, remote) => Command::FdbDelete { bridge, mac, remote },
            (Verb::Add, Some(remote)) if !mac.is_station() => {
                if self.has_destinations(bridge, mac) {
                    return Err(format!("{mac} has destinations already: append adds another"));
                }
                Command::FdbAppend { bridge, mac, remote }
            }
            (Verb::Append, Some(remote)) => Command::FdbAppend { bridge, mac, remote },
            (Verb::Replace, _) => Command::FdbReplace { bridge, mac, place, owner, sticky, label: change.label },
            (Verb::Add | Verb::Append, _) => Command::FdbAdd { bridge, mac, place, owner, sticky, label: change.label },
        };
        self.node.command(now, &command).map(drop).map_err(|error| sentence(error, change))
    }

    /// Learned entries go unless others are named. Flood lists stay: `fdb del 00:00:00:00:00:00` is for them.
    fn flush(&mut self, now: Instant, selection: &Selection) -> Result<(), String> {
        let bridge = selection.dev.as_ref().map(|dev| self.target(Some(dev)).map(|(_, bridge)| bridge)).transpose()?;
        let learned = selection.states.is_empty() || selection.states == [State::Dynamic];
        if learned && selection.dst.is_none() {
            let flush = Flush { bridge, place: None, owners: Owners::DYNAMIC };
            return self.node.command(now, &Command::Flush(flush)).map(drop).map_err(|error| error.to_string());
        }
        let mut selection = selection.clone();
        if selection.states.is_empty() {
            selection.states.push(State::Dynamic);
        }
        for row in rows(self.node.engine(), &self.setup, &selection, false) {
            if row.mac == MacAddr::ZERO {
                continue;
            }
            match self.node.command(now, &Command::FdbDelete { bridge: row.bridge, mac: row.mac, remote: None }) {
                // A group's entry goes with the first of its rows.
                Ok(Done::Ok) | Err(CommandError::NotFound) => {}
                other => drop(other.map_err(|error| error.to_string())?),
            }
        }
        Ok(())
    }

    fn remote(&self, change: &Change, address: std::net::IpAddr) -> Remote {
        Remote { underlay: UNDERLAY, port: change.port, vni: change.vni, ..Remote::at(address) }
    }

    fn has_destinations(&self, bridge: BridgeId, mac: MacAddr) -> bool {
        let engine = self.node.engine();
        if mac == MacAddr::ZERO {
            engine.flood_list(bridge).next().is_some()
        } else {
            engine.lookup(bridge, mac).is_some()
        }
    }

    /// There is one underlay; its name may be said.
    fn check_via(&self, change: &Change) -> Result<(), String> {
        let interface = self.watch.underlay.interface.as_ref().map(|interface| interface.name.as_str());
        match change.via.as_deref() {
            Some(via) if Some(via) != interface => {
                Err(format!("the underlay is {}: leave via {via} out", interface.unwrap_or("gone")))
            }
            _ => Ok(()),
        }
    }

    /// The port and bridge of a TAP device; of the only one if none is named.
    fn target(&self, dev: Option<&String>) -> Result<(PortId, BridgeId), String> {
        let index = match dev {
            Some(dev) => self.port_of(dev)?,
            None if self.setup.vnis.len() == 1 => 0,
            None => return Err(format!("which device? Add dev and one of {}", self.tap_names())),
        };
        Ok((PortId(index as u16), self.setup.taps[index].1))
    }

    fn port_of(&self, dev: &str) -> Result<usize, String> {
        let port = self.setup.taps.iter().position(|(name, _)| name == dev);
        port.ok_or_else(|| format!("there is no device {dev}: there is {}", self.tap_names()))
    }

    fn tap_names(&self) -> String {
        self.setup.taps.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// Why the engine refused.
fn sentence(error: CommandError, change: &Change) -> String {
    let Change { mac, dst, .. } = change;
    match (error, dst) {
        (CommandError::Exists, Some(dst)) if !mac.is_station() => format!("{mac} has the destination {dst} already"),
        (CommandError::Exists, _) => format!("{mac} has an entry already: replace changes it"),
        (CommandError::NotFound, Some(dst)) => format!("{mac} has no entry with dst {dst}"),
        (CommandError::NotFound, None) => format!("{mac} has no entry"),
        (CommandError::NoLocalAddress, Some(dst)) => {
            format!("{dst} cannot be reached: vtepd has no --local address of its family")
        }
        (CommandError::BadAddress, Some(dst)) => format!("{dst} is no other host's address"),
        (CommandError::NoSuchPort, _) => "the TAP device is gone".to_owned(),
        (error, _) => error.to_string(),
    }
}
