//! What must always hold, and how it is said that it did not.

use core::fmt;

/// A promise of the fabric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// No frame of one tenant reaches another.
    TenantsApart,
    /// No frame is handed to a port twice, or sent to a VTEP twice, but for what the network duplicates.
    Once,
    /// No frame returns to the port or VTEP it came from.
    NotBack,
    /// Nothing that came out of a tunnel goes into one.
    NoTransit,
    /// Static, local and sticky entries stay where they were put.
    PinsStay,
    /// Tables and limits hold.
    Capacity,
    /// Packets in are the sum of the counters, in all and per VNI.
    CountersSum,
    /// Where no host speaks, nothing is sent, and what was learned is forgotten in time.
    Silence,
    /// When trouble ends and hosts have spoken, every VTEP knows where they are.
    Learned,
    /// What is delivered is what was sent.
    Intact,
    /// A packet whose checksums are wrong is dropped and leaves nothing behind.
    DamageDropped,
    /// Events tell all that happens to learned entries.
    EventsTell,
    /// Commands and verdicts that must work do, and those that must not are refused.
    Obeys,
    /// What a policy denies reaches no port, and tunnels carry the sender's group.
    DeniedApart,
    /// A bridge floods what its storm control lets through, no less and no more.
    StormsEnd,
    /// A MAC that is a duplicate stays where it is, and none moves more often than is allowed.
    DuplicatesStay,
    /// A batch does what as many steps do.
    BatchesAgree,
}

impl Promise {
    pub const ALL: [Self; 17] = [
        Self::TenantsApart,
        Self::Once,
        Self::NotBack,
        Self::NoTransit,
        Self::PinsStay,
        Self::Capacity,
        Self::CountersSum,
        Self::Silence,
        Self::Learned,
        Self::Intact,
        Self::DamageDropped,
        Self::EventsTell,
        Self::Obeys,
        Self::DeniedApart,
        Self::StormsEnd,
        Self::DuplicatesStay,
        Self::BatchesAgree,
    ];

    /// Its kebab-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TenantsApart => "tenants-apart",
            Self::Once => "once",
            Self::NotBack => "not-back",
            Self::NoTransit => "no-transit",
            Self::PinsStay => "pins-stay",
            Self::Capacity => "capacity",
            Self::CountersSum => "counters-sum",
            Self::Silence => "silence",
            Self::Learned => "learned",
            Self::Intact => "intact",
            Self::DamageDropped => "damage-dropped",
            Self::EventsTell => "events-tell",
            Self::Obeys => "obeys",
            Self::DeniedApart => "denied-apart",
            Self::StormsEnd => "storms-end",
            Self::DuplicatesStay => "duplicates-stay",
            Self::BatchesAgree => "batches-agree",
        }
    }
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub promise: Promise,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.promise.name(), self.what)
    }
}

/// Nothing, or a broken promise.
pub type Held = Result<(), Violation>;

impl Promise {
    /// Broken, unless `holds`.
    pub fn that(self, holds: bool, what: impl FnOnce() -> String) -> Held {
        if holds { Ok(()) } else { Err(self.broken(what())) }
    }

    pub fn broken(self, what: impl Into<String>) -> Violation {
        Violation { promise: self, what: what.into() }
    }
}
