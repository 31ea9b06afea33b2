//! Rules, storm control and duplicate detection of bridges, and the books about them.

use vtep::engine::{Command, CommandError};
use vtep::table::{BridgeId, DuplicateAction, DuplicateDetection, Duration, StormControl};

use super::scenario::RuleShape;
use super::storm::Storm;
use super::violation::{Held, Promise};
use super::world::World;

impl World<'_> {
    /// A bridge's rules are those of its tenant.
    pub fn set_rules(&mut self, vtep: usize, tenant: usize) -> Held {
        let Some(policy) = self.wires.tenants[tenant].policy.clone() else { return Ok(()) };
        let Some(id) = self.nodes[vtep].books.bridge_of(tenant) else { return Ok(()) };
        let there = self.nodes[vtep].books.bridge(id).map(|book| book.rules.clone()).unwrap_or_default();
        there.into_iter().try_for_each(|rule| self.set_rule(vtep, tenant, rule, true))?;
        policy.rules.into_iter().try_for_each(|rule| self.set_rule(vtep, tenant, rule, false))
    }

    /// Sets a rule, or takes it away. What waits was decided by the old ones.
    pub fn set_rule(&mut self, vtep: usize, tenant: usize, rule: RuleShape, remove: bool) -> Held {
        let waits = self.nodes[vtep].held.is_some();
        self.release(vtep)?;
        let node = &mut self.nodes[vtep];
        if waits {
            node.held = Some(Vec::new());
        }
        let Some(id) = node.books.bridge_of(tenant).filter(|_| self.wires.tenants[tenant].policy.is_some()) else {
            return Ok(());
        };
        let command = if remove { rule.remove(BridgeId(id)) } else { rule.set(BridgeId(id)) };
        let done = node.command(self.now, &command)?;
        let Some(book) = &mut node.books.bridges[usize::from(id)] else { return Ok(()) };
        let there = rule.take(&mut book.rules);
        let right = match done {
            Ok(_) => there || !remove,
            Err(CommandError::NotFound) => remove && !there,
            Err(_) => false,
        };
        if !remove {
            rule.put(&mut book.rules);
        }
        Promise::Obeys.that(right, || format!("VTEP {vtep}: {command:?}: {done:?}, there: {there}"))
    }

    /// A bridge's storm control, on or off.
    pub fn set_storm(&mut self, vtep: usize, tenant: usize, on: bool) -> Held {
        let node = &mut self.nodes[vtep];
        let rate = self.wires.tenants[tenant].storm;
        let (Some(rate), Some(id)) = (rate, node.books.bridge_of(tenant)) else { return Ok(()) };
        let config = if on { Storm::control(rate) } else { StormControl::OFF };
        node.must(self.now, &Command::SetStormControl { bridge: BridgeId(id), config })?;
        if let Some(book) = &mut node.books.bridges[usize::from(id)] {
            book.storm = on.then(|| Storm::new(rate));
        }
        Ok(())
    }

    /// A bridge looks for duplicates, and has seen none.
    pub fn set_duplicates(&mut self, vtep: usize, tenant: usize) -> Held {
        let node = &mut self.nodes[vtep];
        let shape = self.wires.tenants[tenant].duplicates;
        let (Some(shape), Some(id)) = (shape, node.books.bridge_of(tenant)) else { return Ok(()) };
        let bridge = BridgeId(id);
        let seconds = |seconds: u16| Duration::from_secs(seconds.into());
        let config = DuplicateDetection {
            max_moves: shape.moves,
            window: seconds(shape.window),
            action: [DuplicateAction::Alert, DuplicateAction::Freeze, DuplicateAction::Drop]
                [usize::from(shape.action) % 3],
            recover: (shape.recover > 0).then(|| seconds(shape.recover)),
        };
        node.must(self.now, &Command::SetDuplicateDetection { bridge, config: Some(config) })?;
        node.must(self.now, &Command::ClearDuplicate { bridge, mac: None })?;
        if let Some(book) = &mut node.books.bridges[usize::from(id)] {
            book.duplicates = Some(shape);
        }
        Ok(())
    }
}
