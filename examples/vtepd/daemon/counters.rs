//! What happened outside the engine.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Packets and bytes one way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    pub packets: u64,
    pub bytes: u64,
    pub errors: u64,
}

impl Traffic {
    #[inline]
    pub fn count(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }

    pub fn json(&self) -> Value {
        json!({ "bytes": self.bytes, "packets": self.packets, "errors": self.errors })
    }
}

/// The daemon's own counters; a TAP device's and the outbox's are with them.
#[derive(Debug, Default)]
pub struct Counters {
    /// Tunnel packets received.
    pub underlay: Traffic,
    /// Things that happen seldom, by name.
    pub incidents: BTreeMap<&'static str, u64>,
}

impl Counters {
    pub fn incident(&mut self, name: &'static str) {
        *self.incidents.entry(name).or_default() += 1;
    }
}
