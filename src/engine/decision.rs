//! What a step has decided, before it is carried out.

use super::{DropReason, Verdict};
use crate::table::{Bridge, BridgeConfig, BridgeId, EndpointAddress, EndpointId, PortId};
use crate::wire::MacAddr;

/// A bridge, looked up once for a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network<'e> {
    pub(super) id: BridgeId,
    pub(super) bridge: &'e Bridge,
    pub(super) config: &'e BridgeConfig,
}

/// Where a frame came from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    Port(PortId),
    Endpoint {
        /// Its index, if it is known.
        id: Option<EndpointId>,
        /// What it would be called if it is to be learned.
        address: EndpointAddress,
        /// Its split-horizon group.
        group: u8,
    },
}

/// A source MAC to be learned if the packet is not dropped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Learn {
    pub(super) mac: MacAddr,
    pub(super) source: Source,
}

/// The outcome of looking at a packet, still without effect.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decision {
    pub(super) verdict: Verdict,
    /// Which bridge it is counted under.
    pub(super) bridge: Option<BridgeId>,
    pub(super) from_port: bool,
    /// Bytes of the frame, for the bridge's byte counters.
    pub(super) bytes: u32,
    pub(super) learn: Option<Learn>,
    /// A unicast destination that was looked for in vain and is to be reported.
    pub(super) miss: Option<MacAddr>,
}

impl Decision {
    pub(super) const fn without_bridge(verdict: Verdict) -> Self {
        Self { verdict, bridge: None, from_port: false, bytes: 0, learn: None, miss: None }
    }

    /// A decision about a frame of `bridge`, not yet made.
    pub(super) fn of_bridge(bridge: BridgeId, from_port: bool, bytes: usize) -> Self {
        Self {
            verdict: Verdict::Drop(DropReason::NoFloodTarget),
            bridge: Some(bridge),
            from_port,
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            learn: None,
            miss: None,
        }
    }

    pub(super) const fn drop(self, reason: DropReason) -> Self {
        self.with(Verdict::Drop(reason))
    }

    pub(super) const fn with(self, verdict: Verdict) -> Self {
        Self { verdict, ..self }
    }
}
