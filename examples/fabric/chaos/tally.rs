//! What there was in a run, in numbers.

/// How much of what there was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub frames: u64,
    pub steps: u64,
    pub underlay: u64,
    pub arrivals: u64,
    pub damaged: u64,
    pub delivered: u64,
    pub flooded: u64,
    pub dropped: u64,
    pub commands: u64,
    pub healings: u64,
    pub stale: u64,
    pub events_lost: u64,
    /// Packets that a policy denied, whole.
    pub denied: u64,
    /// Floods that storm control held back.
    pub held_back: u64,
    /// Told of MACs that are duplicates.
    pub duplicates: u64,
    /// Packets that a second engine took in company.
    pub batched: u64,
}

impl Tally {
    /// Names and numbers.
    pub const fn rows(&self) -> [(&'static str, u64); 16] {
        [
            ("frames sent by hosts", self.frames),
            ("steps of engines", self.steps),
            ("of them flooded", self.flooded),
            ("of them dropped", self.dropped),
            ("packets sent into the underlay", self.underlay),
            ("packets arrived", self.arrivals),
            ("of them damaged", self.damaged),
            ("frames handed to ports", self.delivered),
            ("commands", self.commands),
            ("healings checked", self.healings),
            ("verdicts gone stale", self.stale),
            ("events lost in full queues", self.events_lost),
            ("packets denied by a policy", self.denied),
            ("floods held back", self.held_back),
            ("duplicate MACs told", self.duplicates),
            ("packets taken in batches too", self.batched),
        ]
    }

    /// What has come since.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            frames: self.frames - before.frames,
            steps: self.steps - before.steps,
            underlay: self.underlay - before.underlay,
            arrivals: self.arrivals - before.arrivals,
            damaged: self.damaged - before.damaged,
            delivered: self.delivered - before.delivered,
            flooded: self.flooded - before.flooded,
            dropped: self.dropped - before.dropped,
            commands: self.commands - before.commands,
            healings: self.healings - before.healings,
            stale: self.stale - before.stale,
            events_lost: self.events_lost - before.events_lost,
            denied: self.denied - before.denied,
            held_back: self.held_back - before.held_back,
            duplicates: self.duplicates - before.duplicates,
            batched: self.batched - before.batched,
        }
    }

    pub fn add(&mut self, other: &Self) {
        let Self { frames, steps, underlay, arrivals, damaged, delivered, flooded, dropped, .. } = other;
        self.frames += frames;
        self.steps += steps;
        self.underlay += underlay;
        self.arrivals += arrivals;
        self.damaged += damaged;
        self.delivered += delivered;
        self.flooded += flooded;
        self.dropped += dropped;
        self.commands += other.commands;
        self.healings += other.healings;
        self.stale += other.stale;
        self.events_lost += other.events_lost;
        self.denied += other.denied;
        self.held_back += other.held_back;
        self.duplicates += other.duplicates;
        self.batched += other.batched;
    }
}
