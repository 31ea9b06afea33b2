//! The story of the security groups: frames carry their sender's group, the receiving VTEP decides with it.
//!
//! Behind the first VTEP are web servers, behind the second databases, behind the third a test machine and a guest that is
//! in no group. Web servers and databases may talk to each other, and nobody else to anybody.

mod print;

use vtep::engine::{Command, DropReason, Explanation, Input, Verdict};
use vtep::table::{Action, BridgeConfig, Enforcement, GroupMatch, Rule};
use vtep::wire::geneve::{Options, Schema};
use vtep::wire::{Encapsulation, Label, MacAddr, SecurityGroup, TrafficClass};

use crate::args::{Arguments, StoryKind};
use crate::check::{same, that};
use crate::frames::{Content, text};
use crate::node::{BRIDGE, UNDERLAY, Vtep, instant};
use crate::print::{counters, line};
use crate::underlay;
use crate::world::{Captured, Micros, World};

/// The groups' names and numbers. The numbers have 16 bits where VXLAN's Group Policy header carries them.
const WEB: u32 = 12_345;
const DB: u32 = 67_890;
const DB_IN_VXLAN: u32 = 6_789;
const TEST: u32 = 20_001;

/// VTEPs and pods that the story needs.
const VTEPS: usize = 3;
const PODS: usize = 2;

/// What a bridge is told that knows security groups: deny what no rule allows, judge where frames leave the tunnel.
pub fn guard(config: &mut BridgeConfig) {
    config.gbp = config.encapsulation == Encapsulation::Vxlan;
    config.options = !config.gbp;
    config.policy = Some(Enforcement::DEFAULT);
}

/// The label of a pod's port; none in other stories.
pub fn label(args: &Arguments, vtep: usize, nth: usize) -> Label {
    let (group, class) = match (args.story, vtep, nth) {
        (StoryKind::SecurityGroups, 0, _) => (WEB, 5),
        (StoryKind::SecurityGroups, 1, _) => (db(args), 1),
        (StoryKind::SecurityGroups, 2, 0) => (TEST, 0),
        _ => return Label::NONE,
    };
    Label::new(group_of(group), TrafficClass::new(class).unwrap_or_default())
}

fn db(args: &Arguments) -> u32 {
    if args.encapsulation() == Encapsulation::Vxlan { DB_IN_VXLAN } else { DB }
}

fn group_of(number: u32) -> SecurityGroup {
    SecurityGroup::new(number).unwrap_or_default()
}

pub struct Groups<'a> {
    args: &'a Arguments,
    world: World<'a>,
    /// Steps so far.
    step: usize,
    /// The pods with a part in it.
    web: usize,
    db: usize,
    test: usize,
    guest: usize,
}

/// What becomes of a frame: the pods that get it, and who drops it for what reason.
struct Fate {
    from: usize,
    content: Content,
    reaches: Vec<usize>,
    dropped: Option<(usize, DropReason)>,
}

impl<'a> Groups<'a> {
    pub fn new(args: &'a Arguments, world: World<'a>) -> Self {
        let nth = args.pods();
        Self { args, world, step: 0, web: 0, db: nth, test: 2 * nth, guest: 2 * nth + 1 }
    }

    /// Plays it: how it ended, and the underlay's frames.
    pub fn play(mut self) -> (Result<(), String>, Captured) {
        println!("{}", self.args);
        (self.tell(), self.world.captured)
    }

    fn tell(&mut self) -> Result<(), String> {
        let sizes = (self.args.vteps(), self.args.pods());
        same(|| "this story has three VTEPs with two pods each".into(), &sizes, &(VTEPS, PODS))?;
        self.rules()?;
        self.allowed()?;
        self.denied()?;
        self.unlabelled()?;
        self.explained()?;
        self.allowed_at_last()?;
        self.end()
    }

    fn rules(&mut self) -> Result<(), String> {
        let (web, db) = (group_of(WEB), group_of(db(self.args)));
        self.chapter("Every VTEP gets the same policy: what no rule allows is denied.");
        self.rule(web, db, Action::Allow)?;
        self.rule(db, web, Action::Allow)?;
        for pod in &self.world.pods {
            let label = label(self.args, pod.vtep, usize::from(pod.port.0));
            let name = match label.group() {
                group if group.is_none() => "no group".to_owned(),
                group => format!("{} ({group})", self.name(group)),
            };
            println!("  {:<10} behind {}: {name}", pod.ip.to_string(), self.world.vteps[pod.vtep].name);
        }
        println!("  allow {} {}\n  allow {} {}", self.name(web), self.name(db), self.name(db), self.name(web));
        Ok(())
    }

    /// The web server reaches the databases and nobody else, not even its neighbour.
    fn allowed(&mut self) -> Result<(), String> {
        let (web, db) = (self.web, self.db);
        let (asker, asked) = (self.world.pods[web].ip, self.world.pods[db].ip);
        self.chapter(&format!("{asker} (web) asks for {asked} (db) by ARP, and pings it."));
        self.ping(web, db, &[db, db + 1])?;
        let carried = self.carried()?;
        that(carried.iter().all(|group| !group.is_none()), || format!("groups in the tunnel: {carried:?}"))?;
        line(self.world.now, "tunnel", &format!("carried the groups {}", words(&carried)));
        for (vtep, pod) in [(1, web), (0, db)] {
            let expected = self.label_in_tunnel(pod);
            same(|| "label learned".into(), &self.learned(vtep, self.world.pods[pod].mac), &Some(expected))?;
        }
        Ok(())
    }

    /// The test machine is denied, by broadcast and by unicast.
    fn denied(&mut self) -> Result<(), String> {
        let (test, db) = (self.test, self.db);
        let (asker, asked) = (self.world.pods[test].ip, self.world.pods[db].ip);
        self.chapter(&format!("{asker} (test) asks for {asked} (db). Nobody hears it."));
        let frame = self.world.pods[test].ping(asked).map_err(text)?;
        self.world.send(test, frame);
        let content = Content::ArpRequest { sender: asker, target: asked };
        self.expect(&[Fate { from: test, content, reaches: vec![], dropped: None }])?;
        self.chapter(&format!(
            "{asker} (test) is told the MAC of {asked} and pings it. The VTEP of the database denies it."
        ));
        self.denied_ping(test, db, DropReason::PolicyDenied)
    }

    /// A frame without the option is denied: the policy fails closed.
    fn unlabelled(&mut self) -> Result<(), String> {
        let (guest, db) = (self.guest, self.db);
        let (asker, asked) = (self.world.pods[guest].ip, self.world.pods[db].ip);
        self.chapter(&format!(
            "{asker} is in no group, so its ping to {asked} (db) carries none. That is denied as well."
        ));
        self.denied_ping(guest, db, DropReason::SourceGroupMissing)?;
        let last = self.carried()?.last().copied();
        same(|| "group of the last frame in the tunnel".into(), &last, &Some(SecurityGroup::NONE))
    }

    /// What `explain` says of the last frames of test machine and web server, without changing anything.
    fn explained(&mut self) -> Result<(), String> {
        self.chapter("Why? `Engine::explain` runs the same code, and changes nothing.");
        let (web, db, test) = (self.web, self.db, self.test);
        let vtep = self.world.pods[db].vtep;
        let digest = self.world.vteps[vtep].engine.digest();
        for (from, denied) in [(web, None), (test, Some(DropReason::PolicyDenied))] {
            let bytes = self.last_frame(from, db)?;
            let told = explain(&self.world.vteps[vtep], self.world.now, &bytes);
            self.print_explanation(from, &told);
            same(|| "what the policy says".into(), &told.policy.map(|policy| policy.denied), &Some(denied))?;
            same(|| "verdict".into(), &matches!(told.verdict, Verdict::Drop(_)), &denied.is_some())?;
        }
        // Of a flood each copy is judged.
        let bytes = self.world.pods[web].announce().map_err(text)?;
        let port = self.world.pods[web].port;
        let engine = &self.world.vteps[0].engine;
        let told = engine.explain(instant(self.world.now), &Input::from_port(port, &bytes));
        let Verdict::Flood(flood) = told.verdict else { return Err(format!("a broadcast is {:?}", told.verdict)) };
        for copy in engine.explain_copies(&flood) {
            println!("  a broadcast of {}: {}", self.world.pods[web].ip, self.copy(&copy));
        }
        same(|| "digest of the engine".into(), &self.world.vteps[vtep].engine.digest(), &digest)
    }

    /// A rule is added while frames flow: the next one is judged by it.
    fn allowed_at_last(&mut self) -> Result<(), String> {
        let (test, db) = (self.test, self.db);
        let groups = (group_of(TEST), group_of(self::db(self.args)));
        self.chapter("The operator allows test and db to talk to each other, and the test machine pings again.");
        self.rule(groups.0, groups.1, Action::Allow)?;
        self.rule(groups.1, groups.0, Action::Allow)?;
        self.ping(test, db, &[])?;
        self.chapter("The operator takes it back.");
        let both = [groups, (groups.1, groups.0)];
        for (from, to) in both {
            for vtep in &mut self.world.vteps {
                let (from, to) = (GroupMatch::Is(from), GroupMatch::Is(to));
                vtep.command(self.world.now, &Command::RemoveRule { bridge: BRIDGE, from, to })?;
            }
        }
        self.denied_ping(test, db, DropReason::PolicyDenied)
    }

    fn end(&mut self) -> Result<(), String> {
        self.args.check_faults(self.world.captured.len())?;
        println!("\nWhat the VTEPs know:");
        for number in 0..VTEPS {
            self.print_fdb(number);
        }
        println!("\nFrames for which each rule decided, and packets:");
        for number in 0..VTEPS {
            self.print_rules(number);
        }
        self.world.vteps.iter().for_each(counters);
        // Step 2: the request to both databases and the echo to one; reply and echo to the web server.
        for (vtep, from, to, expected) in [(1, WEB, db(self.args), 3), (0, db(self.args), WEB, 2)] {
            let (from, to) = (GroupMatch::Is(group_of(from)), GroupMatch::Is(group_of(to)));
            let policy = self.world.vteps[vtep].engine.policy();
            let hits = policy.iter().find(|(rule, _)| (rule.from, rule.to) == (from, to)).map(|(_, hits)| hits);
            same(|| format!("frames of the rule {from:?} to {to:?}"), &hits, &Some(expected))?;
        }
        let drops = |vtep: usize, reason| self.world.vteps[vtep].engine.counters().drops(reason);
        same(|| "frames denied by the database's VTEP".into(), &drops(1, DropReason::PolicyDenied), &2)?;
        same(|| "frames without a group there".into(), &drops(1, DropReason::SourceGroupMissing), &1)?;
        for vtep in &self.world.vteps {
            same(|| format!("packets {} counted", vtep.name), &vtep.engine.counters().packets(), &vtep.steps)?;
        }
        Ok(())
    }

    /// All VTEPs get a rule.
    fn rule(&mut self, from: SecurityGroup, to: SecurityGroup, action: Action) -> Result<(), String> {
        let rule = Rule { bridge: BRIDGE, from: GroupMatch::Is(from), to: GroupMatch::Is(to), action };
        let now = self.world.now;
        self.world.vteps.iter_mut().try_for_each(|vtep| vtep.command(now, &Command::SetRule { rule }))
    }

    /// A ping that works, and whom the ARP request in front of it reaches, if one is needed.
    fn ping(&mut self, from: usize, to: usize, hear: &[usize]) -> Result<(), String> {
        let target = self.world.pods[to].ip;
        let frame = self.world.pods[from].ping(target).map_err(text)?;
        self.world.send(from, frame);
        let asker = &self.world.pods[from];
        let (ip, sequence) = (asker.ip, asker.sequence());
        let fate = |from, content, reaches| Fate { from, content, reaches, dropped: None };
        let mut fates = vec![
            fate(from, Content::ArpRequest { sender: ip, target }, hear.to_vec()),
            fate(to, Content::ArpReply { sender: target, target: ip }, vec![from]),
            fate(from, Content::EchoRequest { from: ip, to: target, sequence }, vec![to]),
            fate(to, Content::EchoReply { from: target, to: ip, sequence }, vec![from]),
        ];
        if hear.is_empty() {
            fates.drain(..2);
        }
        self.expect(&fates)
    }

    /// A ping that the VTEP of whom it is for drops. The sender needs no ARP.
    fn denied_ping(&mut self, from: usize, to: usize, reason: DropReason) -> Result<(), String> {
        let (target, mac, vtep) = (self.world.pods[to].ip, self.world.pods[to].mac, self.world.pods[to].vtep);
        self.world.pods[from].meet(target, mac);
        let frame = self.world.pods[from].ping(target).map_err(text)?;
        self.world.send(from, frame);
        let sender = &self.world.pods[from];
        let content = Content::EchoRequest { from: sender.ip, to: target, sequence: sender.sequence() };
        self.expect(&[Fate { from, content, reaches: vec![], dropped: Some((vtep, reason)) }])
    }

    /// Lets the world settle, and compares what became of each frame with what the story says.
    fn expect(&mut self, fates: &[Fate]) -> Result<(), String> {
        self.world.settle();
        let traces = core::mem::take(&mut self.world.traces);
        if let Some(fault) = self.world.faults.first() {
            return Err(fault.clone());
        }
        for (number, fate) in fates.iter().enumerate() {
            let trace = traces.get(number).ok_or_else(|| format!("{}: never sent", fate.content))?;
            let frame = trace.content;
            same(|| "frame of a pod".into(), &(trace.from, frame), &(fate.from, fate.content))?;
            let mut reached = trace.delivered.clone();
            reached.sort_unstable();
            same(|| format!("{frame}: pods that got it"), &reached, &fate.reaches)?;
            // The others drop what is for a pod that is not theirs.
            let dropped = trace.dropped.iter().find(|(vtep, _)| fate.dropped.is_none_or(|(at, _)| at == *vtep));
            let dropped = dropped.filter(|_| fate.dropped.is_some()).copied();
            same(|| format!("{frame}: dropped by"), &dropped, &fate.dropped)?;
            let mut arrived = trace.received.clone();
            arrived.sort_unstable();
            arrived.dedup();
            same(|| format!("{frame}: copies that arrived"), &trace.received.len(), &arrived.len())?;
            let copies = if trace.sent.iter().any(|to| to.is_multicast()) { VTEPS - 1 } else { trace.sent.len() };
            same(|| format!("{frame}: VTEPs that got it"), &arrived.len(), &copies)?;
        }
        match traces.get(fates.len()) {
            Some(extra) => Err(format!("{}: nobody expected it", extra.content)),
            None => Ok(()),
        }
    }

    /// The group that each underlay frame carries, in order.
    fn carried(&self) -> Result<Vec<SecurityGroup>, String> {
        self.world.captured.iter().map(|(_, bytes)| carried(bytes)).collect()
    }

    /// The last underlay frame with a frame of one pod for another.
    fn last_frame(&self, from: usize, to: usize) -> Result<Vec<u8>, String> {
        let macs = (self.world.pods[to].mac, self.world.pods[from].mac);
        let address = self.world.vteps[self.world.pods[to].vtep].address;
        for (_, bytes) in self.world.captured.iter().rev() {
            let outer = underlay::parse(bytes)?;
            let inner = outer.tunnel.inner.of(bytes).unwrap_or_default();
            if (outer.dst == address || outer.dst.is_multicast()) && inner.starts_with(&[macs.0.0, macs.1.0].concat()) {
                return Ok(bytes.clone());
            }
        }
        Err(format!("no frame from {} to {} in the tunnels", macs.1, macs.0))
    }

    /// What a tunnel carries of a pod's label: VXLAN has no room for classes.
    fn label_in_tunnel(&self, pod: usize) -> Label {
        let pod = &self.world.pods[pod];
        let label = label(self.args, pod.vtep, usize::from(pod.port.0));
        let class = if self.args.encapsulation() == Encapsulation::Vxlan { 0 } else { label.class().get() };
        Label::new(label.group(), TrafficClass::new(class).unwrap_or_default())
    }

    fn learned(&self, vtep: usize, mac: MacAddr) -> Option<Label> {
        let engine = &self.world.vteps[vtep].engine;
        engine.lookup(BRIDGE, mac).map(|entry| engine.label(entry))
    }

    /// The heading of a step.
    fn chapter(&mut self, text: &str) {
        self.step += 1;
        println!("\n{}. {text}", self.step);
    }
}

fn explain(vtep: &Vtep<'_>, now: Micros, bytes: &[u8]) -> Explanation {
    vtep.engine.explain(instant(now), &Input::from_underlay(UNDERLAY, bytes))
}

/// Reads a frame's security group from outside, as any receiver could.
fn carried(bytes: &[u8]) -> Result<SecurityGroup, String> {
    let outer = underlay::parse(bytes)?;
    if outer.tunnel.encap == Encapsulation::Vxlan {
        return Ok(SecurityGroup::from_policy_id(outer.tunnel.policy));
    }
    let area = outer.tunnel.options.of(bytes).unwrap_or_default();
    for option in Options::new(area) {
        let option = option.map_err(text)?;
        if Some(option.id()) == Schema::DEFAULT.group {
            let number = option.data.try_into().map(u32::from_be_bytes).map_err(|_| "a group of another length")?;
            return SecurityGroup::new(number).ok_or_else(|| format!("{number} is no group"));
        }
    }
    Ok(SecurityGroup::NONE)
}

fn words(groups: &[SecurityGroup]) -> String {
    groups.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
