//! What a step has decided, before it is carried out.

use super::labelled::Judged;
use super::{DropReason, Verdict};
use crate::table::{Bridge, BridgeConfig, BridgeId, EndpointId, PortId};
use crate::wire::Label;

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
        /// Its split-horizon group.
        group: u8,
    },
}

/// What is learned of the source MAC if the packet is not dropped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Learn {
    pub(super) source: Source,
    /// What goes into the entry beside the place.
    pub(super) label: Label,
}

/// What comes of a packet besides its verdict, still without effect.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decision {
    /// The verdict's [`Verdict::code`]: kept apart, since a verdict that was just written is slow to read.
    pub(super) code: u8,
    pub(super) learn: Option<Learn>,
    /// The destination was looked for in vain, and that is to be reported.
    pub(super) miss: bool,
    /// What the bridge's policy says of the frame, where it has one and says something.
    pub(super) judged: Option<Judged>,
    /// The frame's label.
    pub(super) label: Label,
}

impl Decision {
    /// Before anything is known.
    pub(super) const NONE: Self = Self { code: 0, learn: None, miss: false, judged: None, label: Label::NONE };

    /// With the packet dropped.
    #[inline(always)]
    pub(super) fn drop(self, verdict: &mut Verdict, reason: DropReason) -> Self {
        Self { code: set(verdict, Verdict::Drop(reason)), ..self }
    }
}

/// Writes a verdict into its place and tells its code.
#[inline(always)]
pub(super) fn set(place: &mut Verdict, verdict: Verdict) -> u8 {
    *place = verdict;
    verdict.code()
}
