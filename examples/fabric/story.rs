//! The story, step by step, each checked.

use vtep::engine::VerdictKind;
use vtep::table::Duration;
use vtep::wire::MacAddr;

use crate::args::Arguments;
use crate::check::{self, same, that};
use crate::frames::{Content, text};
use crate::model::Model;
use crate::node::{BRIDGE, Vtep};
use crate::print;
use crate::world::{Captured, Micros, World};

const SECOND: Micros = 1_000_000;

pub struct Story<'a> {
    args: &'a Arguments,
    world: World<'a>,
    model: Model<'a>,
    /// The first pod of the first VTEP, and the first of the second.
    a: usize,
    b: usize,
    /// Steps so far.
    step: usize,
    /// Pods' frames since the story last said so.
    frames: usize,
    /// Underlay frames when it last did.
    told: usize,
}

/// How a frame is to travel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// To everybody.
    Flood,
    /// To one port or one VTEP.
    Unicast,
}

/// A frame that a pod is expected to send.
struct Saying {
    from: usize,
    dst: MacAddr,
    content: Content,
    way: Way,
}

impl<'a> Story<'a> {
    pub fn new(args: &'a Arguments, world: World<'a>) -> Self {
        Self { args, world, model: Model::new(args), a: 0, b: args.pods(), step: 0, frames: 0, told: 0 }
    }

    /// Plays it: how it ended, and the underlay's frames.
    pub fn play(mut self) -> (Result<(), String>, Captured) {
        println!("{}", self.args);
        (self.tell(), self.world.captured)
    }

    fn tell(&mut self) -> Result<(), String> {
        self.first_contact()?;
        self.everybody()?;
        self.known()?;
        self.silence()?;
        self.relearning()?;
        self.moving()?;
        self.end()
    }

    fn first_contact(&mut self) -> Result<(), String> {
        let (a, b) = (self.a, self.b);
        let (asker, asked) = (self.world.pods[a].ip, self.world.pods[b].ip);
        self.chapter(&format!("Nobody knows anybody. {asker} asks for {asked} by ARP, and pings it."));
        check::tables(&self.world, &mut self.model)?;
        self.ping(a, b, Way::Unicast)?;
        // The request went to everybody, so every VTEP knows the asker; the reply went to one, so only two know the other.
        for number in 0..self.args.vteps() {
            let knows = |pod: usize| self.world.vteps[number].engine.lookup(BRIDGE, self.world.pods[pod].mac).is_some();
            let name = &self.world.vteps[number].name;
            that(knows(a), || format!("{name} does not know who asked"))?;
            same(|| format!("{name} knows who answered"), &knows(b), &(number < 2))?;
        }
        self.checked()
    }

    fn everybody(&mut self) -> Result<(), String> {
        let others = self.world.pods.len() - 1;
        self.chapter("Every other pod announces itself and pings the first pod of the next host.");
        self.world.narrate = false;
        for pod in 1..self.world.pods.len() {
            self.announce(pod)?;
            let next = (self.world.pods[pod].vtep + 1) % self.args.vteps() * self.args.pods();
            self.ping(pod, next, Way::Unicast)?;
        }
        self.world.narrate = true;
        for vtep in &self.world.vteps {
            same(|| format!("MACs {} knows", vtep.name), &vtep.engine.fdb().count(), &(others + 1))?;
        }
        self.checked()
    }

    fn known(&mut self) -> Result<(), String> {
        let (a, b) = (self.a, self.b);
        self.chapter("Everybody is known: nothing but ARP requests is flooded.");
        let before = self.world.captured.len();
        self.ping(a, b, Way::Unicast)?;
        same(|| "underlay frames of a ping".into(), &(self.world.captured.len() - before), &2)?;
        if self.args.pods() > 1 {
            // Neighbours on one host have asked each other for nothing yet: after the ARP request nothing leaves the host.
            let neighbour = a + 1;
            self.ping(neighbour, a, Way::Unicast)?;
            let before = self.world.captured.len();
            self.ping(neighbour, a, Way::Unicast)?;
            same(|| "underlay frames of a ping on one host".into(), &(self.world.captured.len() - before), &0)?;
        }
        self.checked()
    }

    fn silence(&mut self) -> Result<(), String> {
        let (a, b) = (self.a, self.b);
        let to = self.world.pods[b].ip;
        self.chapter(&format!("Silence, but for one datagram to {to} after 200 s. MACs are forgotten after 300 s."));
        let since = self.world.now;
        self.world.pass(since + 200 * SECOND);
        let frame = self.world.pods[a].datagram(to)?;
        self.world.send(a, frame);
        let content = Content::Datagram { from: self.world.pods[a].ip, to };
        self.expect(&[Saying { from: a, dst: self.world.pods[b].mac, content, way: Way::Unicast }])?;
        // A MAC is as old as the last frame from it. Frames to it do not count.
        let [first, second, ..] = self.world.vteps.as_slice() else { return Err("fewer than two VTEPs".into()) };
        let age = |vtep: &Vtep<'_>, pod: usize| {
            let entry = vtep.engine.lookup(BRIDGE, self.world.pods[pod].mac);
            entry.map_or(Duration::from_millis(u64::MAX), |entry| entry.age())
        };
        let (sender, destination) = (age(second, a), age(first, b));
        that(sender < Duration::from_secs(1), || format!("age of the sender's MAC: {} s", sender.as_secs()))?;
        let unchanged = Duration::from_secs(199)..Duration::from_secs(202);
        let what = || format!("age of the destination's MAC, which has sent nothing: {} s", destination.as_secs());
        that(unchanged.contains(&destination), what)?;

        self.world.pass(since + 299 * SECOND);
        check::tables(&self.world, &mut self.model)?;
        self.world.pass(since + 301 * SECOND);
        check::tables(&self.world, &mut self.model)?;
        for (number, vtep) in self.world.vteps.iter().enumerate() {
            let expected = usize::from(number < 2);
            same(|| format!("MACs {} knows after 301 s", vtep.name), &vtep.engine.fdb().count(), &expected)?;
            print::line(self.world.now, &vtep.name, &print::known(vtep));
        }
        self.world.pass(since + 502 * SECOND);
        check::tables(&self.world, &mut self.model)?;
        // An entry that has aged is absent at once; what it took is freed, and reported, when a sweep comes by.
        self.world.pass(since + 900 * SECOND);
        check::tables(&self.world, &mut self.model)?;
        for (number, vtep) in self.world.vteps.iter().enumerate() {
            let count = self.world.aged.iter().filter(|(at, _)| *at == number).count();
            print::line(self.world.now, &vtep.name, &format!("has swept {count} MACs from its FDB and reported each"));
        }
        check::ageing(&mut self.world, &mut self.model)?;
        for vtep in &self.world.vteps {
            same(|| format!("entries in the FDB of {}", vtep.name), &vtep.engine.table().len(), &0)?;
        }
        self.checked()
    }

    fn relearning(&mut self) -> Result<(), String> {
        let (a, b) = (self.a, self.b);
        self.chapter("The pods still know each other's MACs, the VTEPs do not: one flood, and they know again.");
        self.ping(a, b, Way::Flood)?;
        self.ping(a, b, Way::Unicast)?;
        self.checked()
    }

    fn moving(&mut self) -> Result<(), String> {
        let (a, b) = (self.a, self.b);
        let (old, new) = (self.world.pods[b].vtep, if self.args.vteps() > 2 { 2 } else { 0 });
        let names = (self.world.vteps[old].name.clone(), self.world.vteps[new].name.clone());
        let (from, to) = (self.world.pods[a].ip, self.world.pods[b].ip);
        self.chapter(&format!("{to} moves from {} to {}.", names.0, names.1));
        self.world.move_pod(b, new)?;
        self.model.leave(old, self.world.pods[b].mac);
        check::tables(&self.world, &mut self.model)?;

        // Until it speaks, frames to it go to its old host and no further: nothing goes from tunnel to tunnel.
        let frame = self.world.pods[a].datagram(to)?;
        self.world.send(a, frame);
        let content = Content::Datagram { from, to };
        self.expect(&[Saying { from: a, dst: self.world.pods[b].mac, content, way: Way::Unicast }])?;

        self.announce(b)?;
        let before = self.world.captured.len();
        self.ping(a, b, Way::Unicast)?;
        self.ping(b, a, Way::Unicast)?;
        let crossing = if new == self.world.pods[a].vtep { 0 } else { 4 };
        same(|| "underlay frames of two pings".into(), &(self.world.captured.len() - before), &crossing)?;
        self.checked()
    }

    fn end(&mut self) -> Result<(), String> {
        self.args.check_faults(self.world.captured.len())?;
        self.world.pass(self.world.now + 60 * SECOND);
        check::tables(&self.world, &mut self.model)?;
        println!("\nA minute later:");
        self.world.vteps.iter().for_each(print::fdb);
        println!();
        self.world.vteps.iter().for_each(print::counters);
        check::ageing(&mut self.world, &mut self.model)?;
        check::counters(&self.world, &self.model)
    }

    /// `from` pings `to`, after ARP if need be; the echo request travels as told, the rest follows from it.
    fn ping(&mut self, from: usize, to: usize, request: Way) -> Result<(), String> {
        let target = self.world.pods[to].ip;
        let asks = !self.world.pods[from].knows(target);
        let frame = self.world.pods[from].ping(target).map_err(text)?;
        self.world.send(from, frame);

        let (asker, asked) = (&self.world.pods[from], &self.world.pods[to]);
        let sequence = asker.sequence();
        let there = |content, way| Saying { from, dst: asked.mac, content, way };
        let back = |content| Saying { from: to, dst: asker.mac, content, way: Way::Unicast };
        let arp = Content::ArpRequest { sender: asker.ip, target };
        let mut sayings = vec![
            Saying { dst: MacAddr::BROADCAST, ..there(arp, Way::Flood) },
            back(Content::ArpReply { sender: target, target: asker.ip }),
            there(Content::EchoRequest { from: asker.ip, to: target, sequence }, request),
            back(Content::EchoReply { from: target, to: asker.ip, sequence }),
        ];
        if !asks {
            sayings.drain(..2);
        }
        self.expect(&sayings)
    }

    /// A pod broadcasts a gratuitous ARP request.
    fn announce(&mut self, pod: usize) -> Result<(), String> {
        let frame = self.world.pods[pod].announce().map_err(text)?;
        self.world.send(pod, frame);
        let content = Content::Announcement { sender: self.world.pods[pod].ip };
        self.expect(&[Saying { from: pod, dst: MacAddr::BROADCAST, content, way: Way::Flood }])
    }

    /// Lets the world settle, and compares what pods have sent, and where it went, with what was expected.
    fn expect(&mut self, sayings: &[Saying]) -> Result<(), String> {
        self.world.settle();
        let traces = core::mem::take(&mut self.world.traces);
        self.frames += traces.len();
        if let Some(fault) = self.world.faults.first() {
            return Err(fault.clone());
        }
        for (number, saying) in sayings.iter().enumerate() {
            let expected = self.model.send(self.world.now, &self.world.pods, saying.from, saying.dst);
            let trace = traces.get(number).ok_or_else(|| format!("{}: never sent", saying.content))?;
            same(|| "frame of a pod".into(), &(trace.from, trace.content), &(saying.from, saying.content))?;
            check::trace(&self.world, trace, &expected)?;
            let way = if expected.verdict == VerdictKind::Flood { Way::Flood } else { Way::Unicast };
            that(way == saying.way, || format!("{}: flooded where it should not be, or the reverse", saying.content))?;
        }
        if let Some(extra) = traces.get(sayings.len()) {
            return Err(format!("{}: nobody expected it", extra.content));
        }
        check::learning(&mut self.world, &mut self.model)
    }

    /// The heading of a step.
    fn chapter(&mut self, text: &str) {
        self.step += 1;
        println!("\n{}. {text}", self.step);
    }

    /// The end of a step: what was seen to be right.
    fn checked(&mut self) -> Result<(), String> {
        check::tables(&self.world, &mut self.model)?;
        let underlay = self.world.captured.len() - self.told;
        let known: Vec<String> = self.world.vteps.iter().map(|vtep| vtep.engine.fdb().count().to_string()).collect();
        let text = format!(
            "frames of pods: {}, each where it should be, once; underlay frames: {underlay}; MACs known: {}",
            self.frames,
            known.join(", "),
        );
        print::line(self.world.now, "ok", &text);
        (self.frames, self.told) = (0, self.world.captured.len());
        Ok(())
    }
}
