//! `policy show`: the rules, and what each has decided about.

use serde_json::{Value, json};
use vtep::table::{Action, GroupMatch, Rule};

use super::Daemon;

/// One line a rule, in the words of a policy file; in JSON with all there is to say.
pub fn show(daemon: &Daemon<'_>, as_json: bool, stats: bool) -> String {
    let mut rules: Vec<(u32, Rule, u64)> = daemon
        .node
        .engine()
        .policy()
        .iter()
        .map(|(rule, packets)| (daemon.setup.vnis[rule.bridge.index()].get(), rule, packets))
        .collect();
    rules.sort_by_key(|(vni, rule, _)| (*vni, rule.from, rule.to));
    if as_json {
        let rows = rules.iter().map(|(vni, Rule { from, to, action, .. }, packets)| {
            let mut row = json!({ "vni": vni, "action": word(*action), "from": value(*from), "to": value(*to) });
            if stats {
                row["packets"] = json!(packets);
            }
            row
        });
        return format!("{}\n", rows.collect::<Value>());
    }
    let lines = rules.iter().map(|(vni, Rule { from, to, action, .. }, packets)| {
        let packets = if stats { format!(" packets {packets}") } else { String::new() };
        format!("vni {vni} {} {} {}{packets}\n", word(*action), text(*from), text(*to))
    });
    lines.collect()
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Allow => "allow",
        Action::Deny => "deny",
    }
}

fn text(group: GroupMatch) -> String {
    match group {
        GroupMatch::Any => "any".to_owned(),
        GroupMatch::Is(group) => group.to_string(),
    }
}

fn value(group: GroupMatch) -> Value {
    match group {
        GroupMatch::Any => json!("any"),
        GroupMatch::Is(group) => json!(group.get()),
    }
}
