//! Bounded memory: the forwarding database and what its entries point to.
//!
//! Every table borrows slices that the caller provides and never grows. All-zero memory is an empty
//! table, so that a `static` table costs no flash. Nothing here reads a clock: time is an [`Instant`]
//! that the caller hands in.

pub mod cuckoo;
pub mod fdb;
mod ids;
mod time;

pub use fdb::{Fdb, FdbConfig, FdbMemory};
pub use ids::{BridgeId, Destination, EndpointId, GroupId, Meta, Owner, PortId};
pub use time::{Ageing, AgeingTooLong, Duration, Instant};
