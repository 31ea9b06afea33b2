//! A tenant's policy in the plainest form, to hold the engines' against.

use vtep::engine::Command;
use vtep::table::{Action, BridgeId, Enforce, Enforcement, GroupMatch, Rule};
use vtep::wire::SecurityGroup;

use super::scenario::{PolicyShape, RuleShape};

impl PolicyShape {
    /// Whether a frame of one group may go to a station of another; 0 is none.
    pub fn allows(&self, rules: &[RuleShape], from: u32, to: u32) -> bool {
        let known = |group| if group == 0 { self.unlabelled } else { group };
        let (from, to) = (known(from), known(to));
        if from == 0 || to == 0 {
            return false;
        }
        let rule = |from, to| rules.iter().find(|rule| (rule.from, rule.to) == (from, to)).map(|rule| rule.allow);
        let half = [rule(from, 0), rule(0, to)];
        let half = if half.contains(&Some(false)) { Some(false) } else { half[0].or(half[1]) };
        rule(from, to).or(half).or(rule(0, 0)).unwrap_or(self.allow)
    }

    pub fn enforcement(&self) -> Enforcement {
        Enforcement {
            at: if self.ingress { Enforce::all() } else { Enforce::EGRESS },
            default: action(self.allow),
            unlabelled: group(self.unlabelled),
            host: SecurityGroup::NONE,
        }
    }
}

impl RuleShape {
    fn groups(self) -> [GroupMatch; 2] {
        [self.from, self.to].map(|group| match SecurityGroup::new(group) {
            Some(group) if !group.is_none() => GroupMatch::Is(group),
            _ => GroupMatch::Any,
        })
    }

    pub fn set(self, bridge: BridgeId) -> Command {
        let [from, to] = self.groups();
        Command::SetRule { rule: Rule { bridge, from, to, action: action(self.allow) } }
    }

    pub fn remove(self, bridge: BridgeId) -> Command {
        let [from, to] = self.groups();
        Command::RemoveRule { bridge, from, to }
    }

    /// Puts it into a list where none has the same groups.
    pub fn put(self, rules: &mut Vec<Self>) {
        self.take(rules);
        rules.push(self);
    }

    /// Takes that of the same groups out; whether there was one.
    pub fn take(self, rules: &mut Vec<Self>) -> bool {
        let before = rules.len();
        rules.retain(|rule| (rule.from, rule.to) != (self.from, self.to));
        rules.len() < before
    }
}

/// A group by its number.
pub fn group(number: u32) -> SecurityGroup {
    SecurityGroup::new(number).unwrap_or_default()
}

fn action(allow: bool) -> Action {
    if allow { Action::Allow } else { Action::Deny }
}
