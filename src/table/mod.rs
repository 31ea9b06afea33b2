//! Bounded memory: the forwarding database and what its entries point to.
//!
//! Every table borrows slices that the caller provides and never grows. All-zero memory is empty tables, so
//! that `static` ones stand in `.bss` and cost no flash. Nothing here reads a clock: time is an [`Instant`] that
//! the caller hands in.

pub mod bridge;
pub mod cuckoo;
pub mod endpoint;
pub mod fdb;
pub mod flood;
pub mod guard;
mod ids;
pub mod label;
pub mod moves;
pub mod policy;
pub mod port;
pub mod rate;
mod slot;
mod time;
pub mod traffic;
pub mod underlay;
pub mod vni_map;

pub use bridge::{Admission, Bridge, BridgeConfig, FloodSwitches, VlanDecap, VlanEncap};
pub use cuckoo::{Bucket, Cuckoo};
pub use endpoint::{Endpoint, EndpointAddress, EndpointConfig, EndpointSlot, Endpoints};
pub(crate) use endpoint::{Fragments, Origin};
pub use fdb::{Entry, Fdb, FdbConfig, FdbMemory, WhenFull};
pub(crate) use flood::Horizon;
pub use flood::{FloodError, FloodLists, Group, Member};
pub use guard::{Guard, StormControl};
pub use ids::{BridgeId, Destination, EndpointId, GroupId, Meta, Owner, PortId, UnderlayId};
pub use label::{LabelSlot, Labels};
pub use moves::{DuplicateAction, DuplicateDetection, Moves};
pub use policy::{Action, Enforce, Enforcement, GroupMatch, Policy, Rule, RuleId, RuleSlot};
pub(crate) use port::Pace;
pub use port::{Port, PortConfig};
pub use rate::{Rate, TokenBucket};
pub(crate) use slot::Slot;
pub use time::{Ageing, AgeingTooLong, Duration, Instant};
pub use traffic::{ClassFrom, DiffServ, TrafficMap, TrafficMapId};
pub use underlay::{UnderlayConfig, UnderlayLink, UnderlaySlot};
pub use vni_map::VniMap;
