//! Trains: packets that begin as one before them did.
//!
//! Traffic comes in trains: a sender that has much to say to one station says it at once. What reading found out about the first
//! packet of a train holds for those behind it, and to see that they belong to it takes a few comparisons of words; what may
//! differ, lengths and IPv4 checksums, is looked at again. What the tables said holds as well, as long as nothing has changed
//! them. TCP's header prediction (Van Jacobson) is the same idea.

use super::fast_path::{Kind, Ready, decided};
use super::{Deliver, Encapsulate, EndpointHandle, Engine, Form, Ingress, Input, PortHandle, Verdict};
use crate::table::{Instant, PortId};
use crate::wire::inner_common::CommonInner;
use crate::wire::outer::Checks;
use crate::wire::outer::common::Head;
use crate::wire::{FrameKind, Span, Vni};

impl Engine<'_> {
    /// A single step for a packet of the train that runs; `None` for any other, and nothing has changed.
    #[inline(always)]
    pub(super) fn step_on(&mut self, now: Instant, input: &Input<'_>) -> Option<Verdict> {
        if !self.train.runs || !may_follow(&self.train.ready, input.bytes) {
            return None;
        }
        if !is_from_same(self.train.ingress, input.ingress) || !self.fdb.is_current(now) {
            return None;
        }
        match self.train.way {
            Way::Endpoint(endpoint, vni) => {
                let mut ready = Ready::NOT;
                self.next_from_port(input.bytes, &mut ready)?;
                Some(self.encapsulate(&ready, (endpoint, vni)))
            }
            Way::Port(port) => {
                let frame = self.next_from_tunnel(input.bytes)?;
                let ready = Ready { frame, ..self.train.ready };
                Some(self.deliver(&ready, port))
            }
        }
    }

    /// Reads a frame from a port if it belongs to the train that runs.
    #[inline(never)]
    fn next_from_port(&self, bytes: &[u8], next: &mut Ready) -> Option<()> {
        let Train { ingress, ready, head, .. } = &self.train;
        let Lead::Frame(inner) = self.lead(ready, *ingress, head)? else { return None };
        next_frame(ready, &inner, self.seed, bytes, next)
    }

    /// The frame of a tunnel packet if that belongs to the train that runs.
    #[inline(never)]
    fn next_from_tunnel(&self, bytes: &[u8]) -> Option<Span> {
        let Train { ingress, ready, head, .. } = &self.train;
        let Lead::Tunnel(head, checks) = self.lead(ready, *ingress, head)? else { return None };
        next_inner(ready, &head, &checks, bytes)
    }

    /// Notes a packet that the fast path has just decided about; if it is the second one between the same stations, it leads a
    /// train.
    #[inline(always)]
    pub(super) fn note_step(&mut self, ready: &Ready, verdict: &Verdict, input: &Input<'_>) {
        if !self.train.ready.is_between_same(ready) {
            self.train.runs = false;
            (self.train.ready.src, self.train.ready.dst) = (ready.src, ready.dst);
            return;
        }
        match *verdict {
            Verdict::Encapsulate(Encapsulate { endpoint, vni, .. }) => {
                self.start_train(ready, Way::Endpoint(endpoint, vni), input);
            }
            Verdict::Deliver(Deliver { port, .. }) => self.start_train(ready, Way::Port(port), input),
            _ => {}
        }
    }

    #[inline(never)]
    fn start_train(&mut self, ready: &Ready, way: Way, input: &Input<'_>) {
        let mut head = [0; Head::LEN];
        head.iter_mut().zip(input.bytes).for_each(|(place, byte)| *place = *byte);
        if self.lead(ready, input.ingress, &head).is_some() {
            self.train = Train { runs: true, ingress: input.ingress, ready: *ready, way, head };
        }
    }

    /// Reads the packets from the `at`th on that belong to the train of the one before them, which has been read; how many
    /// these are.
    #[inline(never)]
    pub(super) fn follow(&self, inputs: &[Input<'_>], batch: &mut [Ready], at: usize) -> usize {
        let halves = (inputs.split_at_checked(at), batch.split_at_mut_checked(at));
        let (Some((done, inputs)), Some((ready, batch))) = halves else { return 0 };
        let (Some(first), [.., before, ready]) = (done.last(), &*ready) else { return 0 };
        if !before.is_between_same(ready) {
            return 0;
        }
        match self.lead(ready, first.ingress, first.bytes) {
            Some(Lead::Frame(inner)) => {
                place(first, inputs, batch, |bytes, place| next_frame(ready, &inner, self.seed, bytes, place))
            }
            Some(Lead::Tunnel(head, checks)) => place(first, inputs, batch, |bytes, place| {
                let frame = next_inner(ready, &head, &checks, bytes)?;
                *place = Ready { frame, follows: true, ..*ready };
                Some(())
            }),
            None => 0,
        }
    }

    /// The rest of a train whose first packets have just been decided about: all go the same way, and there is nothing more
    /// to learn from them. How many these are.
    #[inline(never)]
    pub(super) fn decide_train(&mut self, first: &Verdict, batch: &[Ready], verdicts: &mut [Verdict]) -> usize {
        match *first {
            Verdict::Encapsulate(Encapsulate { endpoint, vni, frame, .. }) => {
                decided(batch, verdicts, |_, ready, verdict| {
                    // It is no longer than the one it was compared with, which may have been too long for this endpoint.
                    let follows = ready.follows && ready.frame.len <= frame.len;
                    follows.then(|| *verdict = self.encapsulate(ready, (endpoint, vni)))
                })
            }
            Verdict::Deliver(Deliver { port, .. }) => decided(batch, verdicts, |_, ready, verdict| {
                ready.follows.then(|| *verdict = self.deliver(ready, port))
            }),
            _ => 0,
        }
    }

    /// A packet of the fast path as what is to be compared with; `None` if it is not of the common shape.
    #[inline(always)]
    fn lead<'h>(&self, ready: &Ready, ingress: Ingress, head: &'h [u8]) -> Option<Lead<'h>> {
        match (ready.kind, ingress) {
            (Kind::Port(_) | Kind::LabelledPort(_), Ingress::Port { .. }) => {
                Some(Lead::Frame(CommonInner::parse(head)?))
            }
            (Kind::Endpoint(_) | Kind::LabelledEndpoint(_), Ingress::Underlay { underlay, form: Form::Frame }) => {
                Some(Lead::Tunnel(Head::of(head, ready.frame.start)?, self.underlay(underlay)?.checks()))
            }
            _ => None,
        }
    }
}

/// Whether two packets are Ethernet frames from the same port, or with an outer Ethernet header from the same underlay.
#[inline(always)]
fn is_from_same(a: Ingress, b: Ingress) -> bool {
    use Ingress::{Port, Underlay};
    match (a, b) {
        (Port { port: a, payload: FrameKind::Ethernet }, Port { port: b, payload: FrameKind::Ethernet }) => a == b,
        (Underlay { underlay: a, form: Form::Frame }, Underlay { underlay: b, form: Form::Frame }) => a == b,
        _ => false,
    }
}

/// The train that single steps have met last.
#[derive(Clone, Debug)]
pub(super) struct Train {
    /// Whether it is one, and the tables still say the same of it.
    runs: bool,
    ingress: Ingress,
    /// Its first packet, and where it went.
    ready: Ready,
    way: Way,
    head: [u8; Head::LEN],
}

/// Where the packets of a train go.
#[derive(Clone, Copy, Debug)]
enum Way {
    Endpoint(EndpointHandle, Vni),
    Port(PortHandle),
}

impl Train {
    /// None yet.
    pub(super) const NONE: Self = Self {
        runs: false,
        ingress: Ingress::Port { port: PortId(0), payload: FrameKind::Ethernet },
        ready: Ready::NOT,
        way: Way::Port(PortHandle { id: PortId(0), generation: 0 }),
        head: [0; Head::LEN],
    };

    /// Something has changed.
    #[inline(always)]
    pub(super) const fn stop(&mut self) {
        self.runs = false;
    }
}

/// The first packet of a train, for comparison.
enum Lead<'a> {
    Frame(CommonInner<'a>),
    Tunnel(Head<'a>, Checks),
}

/// Reads packets that belong to the train of the first one; how many these are.
#[inline(always)]
fn place(
    first: &Input<'_>,
    inputs: &[Input<'_>],
    batch: &mut [Ready],
    next: impl Fn(&[u8], &mut Ready) -> Option<()>,
) -> usize {
    let mut count = 0usize;
    for (input, place) in inputs.iter().zip(batch) {
        if !is_from_same(input.ingress, first.ingress) || next(input.bytes, place).is_none() {
            break;
        }
        count = count.wrapping_add(1);
    }
    count
}

/// Whether a packet may belong to the train of one that has been read: both frames are to the same station.
#[inline(always)]
fn may_follow(first: &Ready, bytes: &[u8]) -> bool {
    let frame = bytes.get(first.frame.start as usize..);
    frame.and_then(|frame| frame.first_chunk()).is_some_and(|start| first.dst.is_for(u64::from_be_bytes(*start) >> 16))
}

/// Reads another packet from the same port, if it belongs to the train that begins with `first`.
#[inline(always)]
fn next_frame(first: &Ready, inner: &CommonInner<'_>, seed: u64, bytes: &[u8], ready: &mut Ready) -> Option<()> {
    let len = u32::try_from(bytes.len()).ok()?;
    // A longer one might be too long for its endpoint.
    if !inner.is_like(bytes) || len > first.frame.len {
        return None;
    }
    let same_flow = inner.is_flow_of(bytes);
    *ready = Ready { frame: Span::new(0, len), follows: true, ..*first };
    // Behind a router, many flows have the same MACs.
    if !same_flow {
        read_flow(bytes, seed, ready);
    }
    Some(())
}

#[inline(never)]
fn read_flow(bytes: &[u8], seed: u64, ready: &mut Ready) {
    if let Some(inner) = CommonInner::parse(bytes) {
        ready.read_flow(&inner, seed);
    }
}

/// The frame of another packet from the same underlay, if that belongs to the train that begins with `first`.
#[inline(always)]
fn next_inner(first: &Ready, head: &Head<'_>, checks: &Checks, bytes: &[u8]) -> Option<Span> {
    let len = u32::try_from(head.next(bytes, checks)?.len()).ok()?;
    Some(Span::new(first.frame.start, len))
}
