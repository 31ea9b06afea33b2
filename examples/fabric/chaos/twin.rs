//! A second engine beside a VTEP's own: it gets the same packets in batches, and has to do the same.

use vtep::engine::{Engine, Event, Input, Verdict};
use vtep::table::{Instant, PortId};

use super::node::UNDERLAY;
use super::random::Random;
use super::violation::{Held, Promise};

/// More than twice what is read at once.
const MOST: u64 = 70;

pub struct Twin<'a> {
    pub engine: Engine<'a>,
    /// Packets that it has not seen yet, and what became of them.
    waiting: Vec<(Way, Vec<u8>, Verdict)>,
    /// When they came.
    at: Instant,
    /// How many come together at most.
    most: usize,
    random: Random,
    /// Packets that came in company.
    pub batched: u64,
    /// What the VTEP's own engine has told since.
    pub heard: Vec<Event>,
    /// Whether all of that was heard.
    pub deaf: bool,
}

/// How a packet comes in.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    Port(PortId),
    Frame,
    Packet,
}

impl Way {
    pub fn input(self, bytes: &[u8]) -> Input<'_> {
        match self {
            Self::Port(port) => Input::from_port(port, bytes),
            Self::Frame => Input::from_underlay(UNDERLAY, bytes),
            Self::Packet => Input::from_underlay_ip(UNDERLAY, bytes),
        }
    }
}

impl<'a> Twin<'a> {
    pub fn new(engine: Engine<'a>, seed: u64) -> Self {
        let random = Random::of(seed, 3);
        Self {
            engine,
            waiting: Vec::new(),
            at: Instant::ZERO,
            most: 1,
            random,
            batched: 0,
            heard: Vec::new(),
            deaf: false,
        }
    }

    /// Whether packets of this time may wait with those that do.
    pub fn is_due(&self, now: Instant) -> bool {
        self.waiting.len() >= self.most || self.at != now && !self.waiting.is_empty()
    }

    /// A packet that the VTEP's own engine has decided about.
    pub fn wait(&mut self, now: Instant, way: Way, bytes: &[u8], verdict: Verdict) {
        self.at = now;
        self.waiting.push((way, bytes.to_vec(), verdict));
    }

    /// Takes what has waited, and is as the VTEP's own engine is.
    pub fn catch_up(&mut self, own: &Engine<'_>) -> Held {
        let inputs: Vec<_> = self.waiting.iter().map(|(way, bytes, _)| way.input(bytes)).collect();
        let mut verdicts = vec![Verdict::NOTHING; inputs.len()];
        let count = self.engine.step_batch(self.at, &inputs, &mut verdicts);
        let same = self.waiting.iter().map(|(_, _, verdict)| verdict).eq(&verdicts) && count == inputs.len();
        Promise::BatchesAgree.that(same, || format!("{verdicts:?} for {:?}", self.waiting))?;
        let told: Vec<_> = core::iter::from_fn(|| self.engine.poll_event()).collect();
        let heard = self.deaf || told == self.heard;
        Promise::BatchesAgree.that(heard, || format!("{told:?} was told, not {:?}", self.heard))?;
        let (digest, others) = (self.engine.digest(), own.digest());
        Promise::BatchesAgree.that(digest == others, || format!("another state after {:?}", self.waiting))?;
        self.batched += if count > 1 { count as u64 } else { 0 };
        self.waiting.clear();
        self.heard.clear();
        self.deaf = false;
        self.most = self.random.within(1, MOST) as usize;
        Ok(())
    }
}
