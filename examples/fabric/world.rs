//! The world: VTEPs, pods, the wires between them, and a clock that moves from one event to the next.

use core::net::IpAddr;
use std::collections::BTreeMap;

use vtep::engine::{DropReason, Event, Input, Verdict, VerdictKind};
use vtep::table::PortId;
use vtep::wire::Label;

use crate::args::Arguments;
use crate::chaos::Random;
use crate::frames::{Content, Frame, text};
use crate::groups;
use crate::node::{Leaving, Tables, UNDERLAY, Vtep};
use crate::pods::Pod;
use crate::print;
use crate::underlay;

/// Simulated time, microseconds from the start.
pub type Micros = u64;

/// Between a pod and its VTEP, one way.
const VETH: Micros = 3;
/// Between a frame's arrival at a pod and the answer.
const THINK: Micros = 15;
/// Between two frames that one VTEP sends into the underlay.
const SEND: Micros = 1;

/// What the underlay carried, each frame with the time it was sent.
pub type Captured = Vec<(Micros, Vec<u8>)>;

pub struct World<'a> {
    pub args: &'a Arguments,
    pub now: Micros,
    pub vteps: Vec<Vtep<'a>>,
    pub pods: Vec<Pod>,
    /// Everything pods have sent since the story last looked, in order.
    pub traces: Vec<Trace>,
    /// What VTEPs have learned since then: which VTEP, and what in words.
    pub events: Vec<(usize, String)>,
    /// What VTEPs have forgotten since then.
    pub aged: Vec<(usize, String)>,
    /// What should never happen, in words.
    pub faults: Vec<String>,
    /// Every underlay frame, when it was sent.
    pub captured: Captured,
    /// Whether every step is told.
    pub narrate: bool,
    queue: BTreeMap<(Micros, u64), Happening>,
    /// Keeps what happens at one time in the order it was caused.
    order: u64,
    /// Between each VTEP and the router, one way.
    latency: Vec<Micros>,
    /// When each VTEP can send into the underlay again.
    link_free: Vec<Micros>,
}

/// A pod's frame, wherever it gets.
pub struct Trace {
    pub from: usize,
    pub content: Content,
    bytes: Vec<u8>,
    /// What the sender's VTEP decided.
    pub verdict: Option<VerdictKind>,
    /// Outer destinations of the underlay frames that carry it, in order of transmission.
    pub sent: Vec<IpAddr>,
    /// The VTEPs those arrived at.
    pub received: Vec<usize>,
    /// The pods it was given to, whether it was meant for them or not.
    pub delivered: Vec<usize>,
    /// The VTEPs that dropped it, and why.
    pub dropped: Vec<(usize, DropReason)>,
}

/// Something that is going to happen to the frame of a trace.
struct Happening {
    trace: usize,
    kind: Kind,
}

enum Kind {
    /// The sender's VTEP gets it from the port.
    FromPort,
    /// A VTEP sends these bytes into the underlay.
    Sent { vtep: usize, bytes: Vec<u8> },
    /// A VTEP gets these bytes from the underlay.
    FromUnderlay { vtep: usize, bytes: Vec<u8> },
    /// A pod gets these bytes.
    ToPod { pod: usize, bytes: Vec<u8> },
}

impl<'a> World<'a> {
    /// A world in which nobody has said anything yet.
    pub fn new(args: &'a Arguments, tables: &'a mut [Tables]) -> Result<Self, String> {
        let mut random = Random::new(args.seed);
        let mut vteps = Vec::new();
        let mut pods = Vec::new();
        for (number, tables) in tables.iter_mut().enumerate() {
            let mut vtep = Vtep::new(args, number, tables)?;
            for nth in 0..args.pods() {
                let port = PortId(nth as u16);
                vtep.add_port(0, port, groups::label(args, number, nth))?;
                let ip = args.pod_address(number, nth);
                pods.push(Pod::new(number, port, Arguments::pod_mac(ip), ip, random.next() as u16));
            }
            vteps.push(vtep);
        }
        Ok(Self {
            args,
            now: 0,
            latency: vteps.iter().map(|_| 10 + random.next() % 40).collect(),
            link_free: vec![0; vteps.len()],
            vteps,
            pods,
            traces: Vec::new(),
            events: Vec::new(),
            aged: Vec::new(),
            faults: Vec::new(),
            captured: Vec::new(),
            narrate: true,
            queue: BTreeMap::new(),
            order: 0,
        })
    }

    /// A pod sends a frame.
    pub fn send(&mut self, pod: usize, bytes: Vec<u8>) {
        self.send_after(0, pod, bytes);
    }

    fn send_after(&mut self, wait: Micros, pod: usize, bytes: Vec<u8>) {
        let content = match Frame::read(&bytes) {
            Ok(frame) => frame.content,
            Err(fault) => return self.faults.push(format!("{} made a bad frame: {fault}", self.pods[pod].ip)),
        };
        let trace = Trace {
            from: pod,
            content,
            bytes,
            verdict: None,
            sent: Vec::new(),
            received: Vec::new(),
            delivered: Vec::new(),
            dropped: Vec::new(),
        };
        self.traces.push(trace);
        self.schedule(self.now + wait + VETH, self.traces.len() - 1, Kind::FromPort);
    }

    /// Lets everything happen that has been caused.
    pub fn settle(&mut self) {
        while let Some(((at, _), happening)) = self.queue.pop_first() {
            self.pass(at);
            if let Err(fault) = self.happen(happening) {
                self.faults.push(fault);
            }
        }
    }

    /// Time passes; VTEPs look for aged MACs when they want to.
    pub fn pass(&mut self, until: Micros) {
        loop {
            let wishes = self.vteps.iter().enumerate().filter_map(|(i, vtep)| Some((vtep.next_tick()?, i)));
            let Some((at, number)) = wishes.min().filter(|(at, _)| *at <= until) else { break };
            self.now = self.now.max(at);
            self.vteps[number].tick(self.now);
            self.note_events(number);
        }
        self.now = self.now.max(until);
    }

    /// A pod moves to another host: the port behind it is gone, and there is one on the new host.
    pub fn move_pod(&mut self, pod: usize, to: usize) -> Result<(), String> {
        let moved = &mut self.pods[pod];
        self.vteps[moved.vtep].remove_port(self.now, moved.port)?;
        (moved.vtep, moved.port) = (to, PortId(self.args.pods() as u16));
        self.vteps[to].add_port(self.now, moved.port, Label::NONE)
    }

    fn happen(&mut self, happening: Happening) -> Result<(), String> {
        let trace = happening.trace;
        match happening.kind {
            Kind::FromPort => {
                let pod = &self.pods[self.traces[trace].from];
                let (vtep, port) = (pod.vtep, pod.port);
                let bytes = self.traces[trace].bytes.clone();
                let (verdict, leaving) = self.vteps[vtep].step(self.now, &Input::from_port(port, &bytes))?;
                self.traces[trace].verdict = Some(verdict.kind());
                self.tell(vtep, trace, None, &verdict, &leaving)?;
                self.leave(vtep, trace, leaving)
            }
            Kind::Sent { vtep, bytes } => self.transmit(vtep, trace, bytes),
            Kind::FromUnderlay { vtep, bytes } => {
                self.traces[trace].received.push(vtep);
                if self.traces[trace].received.len() > 2 * self.vteps.len() {
                    self.queue.clear();
                    return Err(format!("{}: goes round and round", self.traces[trace].content));
                }
                let input = Input::from_underlay(UNDERLAY, &bytes);
                let (verdict, leaving) = self.vteps[vtep].step(self.now, &input)?;
                self.tell(vtep, trace, Some(underlay::parse(&bytes)?.src), &verdict, &leaving)?;
                self.leave(vtep, trace, leaving)
            }
            Kind::ToPod { pod, bytes } => {
                self.traces[trace].delivered.push(pod);
                if bytes != self.traces[trace].bytes {
                    return Err(format!("{} got another frame than was sent", self.pods[pod].ip));
                }
                for answer in self.pods[pod].receive(&bytes)? {
                    self.send_after(THINK, pod, answer);
                }
                Ok(())
            }
        }
    }

    /// What a VTEP lets out goes on its way.
    fn leave(&mut self, vtep: usize, trace: usize, leaving: Vec<Leaving>) -> Result<(), String> {
        for leaving in leaving {
            match leaving {
                Leaving::Port(port, bytes) => {
                    let pod = self.pod_at(vtep, port)?;
                    self.schedule(self.now + VETH, trace, Kind::ToPod { pod, bytes });
                }
                Leaving::Underlay(bytes) => {
                    let at = self.now.max(self.link_free[vtep]);
                    self.link_free[vtep] = at + SEND;
                    self.schedule(at, trace, Kind::Sent { vtep, bytes });
                }
            }
        }
        Ok(())
    }

    fn transmit(&mut self, vtep: usize, trace: usize, bytes: Vec<u8>) -> Result<(), String> {
        self.captured.push((self.now, bytes.clone()));
        let number = Some(self.captured.len());
        let (outer, receivers) = underlay::receivers(self.args, vtep, &bytes)?;
        self.traces[trace].sent.push(outer.dst);
        let times = if number == self.args.lose { 0 } else { 1 + usize::from(number == self.args.duplicate) };
        for receiver in receivers.repeat(times) {
            let bytes = underlay::route(&bytes, self.vteps[receiver].mac).map_err(text)?;
            let at = self.now + self.latency[vtep] + self.latency[receiver];
            self.schedule(at, trace, Kind::FromUnderlay { vtep: receiver, bytes });
        }
        Ok(())
    }

    fn pod_at(&self, vtep: usize, port: PortId) -> Result<usize, String> {
        let found = self.pods.iter().position(|pod| pod.vtep == vtep && pod.port == port);
        found.ok_or_else(|| format!("{} sent to {port:?}, which has no pod", self.vteps[vtep].name))
    }

    /// One line about one step.
    fn tell(
        &mut self,
        vtep: usize,
        trace: usize,
        from: Option<IpAddr>,
        verdict: &Verdict,
        leaving: &[Leaving],
    ) -> Result<(), String> {
        let events = self.note_events(vtep);
        if let Verdict::Drop(reason) = verdict {
            self.traces[trace].dropped.push((vtep, *reason));
        }
        if !self.narrate {
            return Ok(());
        }
        let (mut ports, mut remotes) = (Vec::new(), Vec::new());
        for leaving in leaving {
            match leaving {
                Leaving::Port(port, _) => ports.push(self.pods[self.pod_at(vtep, *port)?].ip),
                Leaving::Underlay(bytes) => remotes.push(underlay::parse(bytes)?.dst),
            }
        }
        let from = from.map(|from| format!("from {from}: ")).unwrap_or_default();
        let done = print::verdict(verdict, &ports, &remotes);
        let events: String = events.iter().map(|event| format!("; {event}")).collect();
        let line = format!("{from}{}: {done}{events}", self.traces[trace].content);
        print::line(self.now, &self.vteps[vtep].name, &line);
        Ok(())
    }

    /// Takes what a VTEP has to report, and gives it in words.
    fn note_events(&mut self, vtep: usize) -> Vec<String> {
        let mut words = Vec::new();
        for event in self.vteps[vtep].events() {
            let text = print::event(&event);
            let noted = if matches!(event, Event::Aged { .. }) { &mut self.aged } else { &mut self.events };
            noted.push((vtep, text.clone()));
            words.push(text);
        }
        words
    }

    fn schedule(&mut self, at: Micros, trace: usize, kind: Kind) {
        self.order += 1;
        self.queue.insert((at, self.order), Happening { trace, kind });
    }
}
