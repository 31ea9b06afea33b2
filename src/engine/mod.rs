//! Decisions: one pure step function over the tables.
//!
//! ```text
//! Input ──► Engine::step(now) ──► Verdict ──► Engine::rewrite ──► bytes
//!           decide │ learn │ count    │
//!                                     └► Flood ─┬► Engine::next_copy ──► Verdict …
//!                                               └► Engine::replicate ──► bytes …
//! ```
//!
//! [`Engine::step`] depends on nothing but its arguments and the state that earlier calls left: no clock, no I/O, no
//! randomness. Everything else that changes an engine is a [`Command`] or a [`Engine::tick`]; what it has to tell comes
//! back as [`Event`]s. The same calls in the same order give the same [`Engine::digest`] on every target.

mod apply;
mod apply_endpoint;
mod apply_fdb;
mod apply_policy;
mod budget;
mod command;
mod copies;
mod counters;
mod decision;
mod digest;
mod drop;
mod event;
mod explain;
mod fast_flood;
mod fast_labelled;
mod fast_path;
mod fast_read;
mod fast_rewrite;
mod forward;
mod from_port;
mod from_underlay;
mod guard;
mod input;
mod label_memory;
mod labelled;
mod learn;
mod memory;
mod packet;
mod payload;
mod profile;
mod replication;
mod rewrite;
mod senders;
mod state;
mod step;
mod train;
mod verdict;

pub use budget::Budget;
pub use command::{Command, CommandError, Done, Flush, Place, Remote};
pub use copies::Cursor;
pub use counters::{BridgeCounters, Counters};
pub use drop::{DropReason, PuntReason, RewriteError};
pub use event::{Event, Events};
pub use explain::{CopyDecision, Explanation, PolicyDecision};
pub use input::{Form, Ingress, Input};
pub use label_memory::{LabelMemory, LabelStorage};
pub use memory::{Memory, Storage};
pub use profile::{Profile, Switches};
pub use replication::Replication;
pub use rewrite::{Egress, Gather, HEADROOM, Output};
pub use state::{Config, Engine};
pub use verdict::{
    BridgeHandle, Deliver, Encapsulate, EndpointHandle, Flood, OuterFields, PortHandle, Punt, Reply, Route, Verdict,
    VerdictKind,
};
