//! What the reader of this story sees: names of groups, decisions in words, tables.

use vtep::engine::{CopyDecision, Explanation, Place, PolicyDecision, Verdict};
use vtep::table::{Action, GroupMatch};
use vtep::wire::{Label, SecurityGroup};

use super::{Groups, TEST, WEB, db};
use crate::args::VNI;
use crate::print;

impl Groups<'_> {
    pub(super) fn name(&self, group: SecurityGroup) -> String {
        match group.get() {
            WEB => "web".to_owned(),
            TEST => "test".to_owned(),
            number if number == db(self.args) => "db".to_owned(),
            _ if group.is_none() => "no group".to_owned(),
            number => number.to_string(),
        }
    }

    pub(super) fn print_explanation(&self, from: usize, told: &Explanation) {
        let (src, dst) = told.macs.map_or_else(Default::default, |(src, dst)| (src.to_string(), dst.to_string()));
        println!("  echo request of {}, {src} to {dst}", self.world.pods[from].ip);
        println!("    its group    {}, class {}", self.name(told.label.group()), told.label.class());
        let place =
            told.learns.map(|(place, label)| format!("at {} in {}", print::name(&place), self.name(label.group())));
        println!("    learns       {}", place.map_or_else(|| "nothing".to_owned(), |place| format!("{src} {place}")));
        println!(
            "    policy       {}",
            told.policy.map_or_else(|| "not asked".to_owned(), |policy| self.decision(&policy))
        );
        let port = |port| self.world.pods.iter().find(|pod| (pod.vtep, pod.port) == (1, port)).map(|pod| pod.ip);
        let verdict = match &told.verdict {
            Verdict::Deliver(deliver) => {
                port(deliver.port.id).map_or_else(String::new, |ip| format!("delivered to {ip}"))
            }
            other => print::verdict(other, &[], &[]),
        };
        println!("    verdict      {verdict}");
    }

    fn decision(&self, policy: &PolicyDecision) -> String {
        let why = match policy.rule {
            Some(rule) => format!("a rule says {}", action(rule.action)),
            None => "no rule speaks of them".to_owned(),
        };
        let denied = policy.denied.map_or_else(|| "allowed".to_owned(), |reason| reason.name().to_owned());
        format!("{} to {}: {why}: {denied}", self.name(policy.from), self.name(policy.to))
    }

    pub(super) fn copy(&self, copy: &CopyDecision) -> String {
        match copy {
            CopyDecision::Port(port, policy) => {
                let policy = policy.map_or_else(|| "not judged".to_owned(), |policy| self.decision(&policy));
                format!("to {}, {policy}", print::port_name(port.0))
            }
            CopyDecision::Endpoint(id) => {
                let address =
                    self.world.vteps[0].engine.endpoints().get(*id).map(|endpoint| endpoint.address().address);
                let address = address.map_or_else(|| format!("{id:?}"), |address| address.to_string());
                format!("to {address}, which judges it")
            }
        }
    }

    /// A forwarding database with what was learned beside each MAC.
    pub(super) fn print_fdb(&self, number: usize) {
        let vtep = &self.world.vteps[number];
        let mut rows: Vec<[String; 5]> = Vec::new();
        for (_, mac, entry) in vtep.engine.fdb() {
            let place = vtep.engine.place(entry.destination());
            let local = place.and_then(|place| match place {
                Place::Port(port) => vtep.engine.port_config(port),
                _ => None,
            });
            let label = match local {
                Some(port) => Label::new(port.group, port.class.unwrap_or_default()),
                None => vtep.engine.label(entry),
            };
            let at =
                if local.is_some() { "LOCAL".to_owned() } else { place.as_ref().map(print::name).unwrap_or_default() };
            let group = if label.group().is_none() { "-".to_owned() } else { format!("sg-{}", label.group()) };
            rows.push([VNI.to_string(), mac.to_string(), at, group, label.class().to_string()]);
        }
        rows.sort();
        println!("\n{}, {}", vtep.name, vtep.address);
        let row =
            |[vni, mac, at, group, class]: &[String; 5]| println!("{vni:<5} {mac:<17} {at:<16} {group:<15} {class}");
        row(&["VNI", "MAC", "VTEP IP", "Security-Group", "QoS"].map(str::to_owned));
        println!("{}", "─".repeat(60));
        rows.iter().for_each(row);
    }

    pub(super) fn print_rules(&self, number: usize) {
        let vtep = &self.world.vteps[number];
        let matched = |group| match group {
            GroupMatch::Any => "any".to_owned(),
            GroupMatch::Is(group) => self.name(group),
        };
        let mut rules: Vec<String> = vtep
            .engine
            .policy()
            .iter()
            .map(|(rule, hits)| format!("{} {} {}: {hits}", action(rule.action), matched(rule.from), matched(rule.to)))
            .collect();
        rules.sort();
        let denied = vtep.engine.counters().copies_denied();
        println!("{:<6} {}; {denied} copies of floods denied", vtep.name, rules.join("; "));
    }
}

fn action(action: Action) -> &'static str {
    match action {
        Action::Allow => "allow",
        Action::Deny => "deny",
    }
}
