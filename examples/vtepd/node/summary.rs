//! What `vtepd` and `replay` both end with: the state's digest and its counters.

use std::fmt;

use serde_json::{Value, json};
use vtep::engine::Engine;
use vtep::table::BridgeId;

/// A state in numbers. Its text is the same for the same state, on every target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// [`Engine::digest`].
    pub digest: u64,
    /// Whose they are (`all`, or a VNI), and the counters that are not zero.
    pub counters: Vec<(String, Vec<(String, u64)>)>,
}

impl Summary {
    pub fn new(engine: &Engine<'_>, bridges: u16) -> Self {
        let all = engine.counters();
        let mut whole = vec![("packets".to_owned(), all.packets())];
        whole.extend(all.iter().map(|(name, n)| (name.to_owned(), n)));
        let copies = [("copies", all.copies()), ("copies-too-big", all.copies_too_big())];
        whole.extend(copies.iter().filter(|(_, n)| *n != 0).map(|(name, n)| ((*name).to_owned(), *n)));
        let mut counters = vec![("all".to_owned(), whole)];
        for id in (0..bridges).map(BridgeId) {
            let (Some(config), Some(bridge)) = (engine.bridge_config(id), engine.bridge_counters(id)) else { continue };
            let mut list = vec![("packets".to_owned(), bridge.packets())];
            list.extend(bridge.iter().map(|(name, n)| (name.to_owned(), n)));
            list.push(("bytes-from-ports".to_owned(), bridge.bytes_from_ports()));
            list.push(("bytes-from-tunnels".to_owned(), bridge.bytes_from_tunnels()));
            counters.push((config.vni.to_string(), list));
        }
        Self { digest: engine.digest(), counters }
    }

    pub fn json(&self) -> Value {
        let list = |list: &[(String, u64)]| list.iter().map(|(name, n)| (name.clone(), json!(n))).collect::<Value>();
        let counters: Value = self.counters.iter().map(|(whose, counters)| (whose.clone(), list(counters))).collect();
        json!({ "digest": format!("{:016x}", self.digest), "counters": counters })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "digest {:016x}", self.digest)?;
        for (whose, counters) in &self.counters {
            for (name, n) in counters {
                writeln!(f, "counter {whose} {name} {n}")?;
            }
        }
        Ok(())
    }
}
