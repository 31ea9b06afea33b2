//! The fast path: the kinds of packet that nearly all traffic consists of, decided in one go.
//!
//! These are untagged frames between stations that the FDB knows, in a bridge without VLAN or traffic maps: from a port to
//! an endpoint, and from an endpoint of old to a port; and such frames from a port that are [flooded](super::fast_flood).
//! Whatever else a packet may be, the fast path finds out before it has changed anything, and leaves it to the [whole
//! step](super::step), which is where to read what is done and why. Both give the same verdict and the same state; tests
//! hold them against each other.

use super::{Deliver, Encapsulate, EndpointHandle, Engine, OuterFields, PortHandle, Verdict, VerdictKind};
use crate::table::fdb::Probe;
use crate::table::{
    Ageing, BridgeConfig, BridgeId, Destination, EndpointId, Instant, Meta, PortId, VlanDecap, VlanEncap,
};
use crate::wire::edit::Edit;
use crate::wire::{EtherType, Label, Span, TunnelFlags, Vni};

/// A packet of the fast path that has been read, before the FDB was asked: what is needed of it afterwards. At most 64
/// bytes, a line of the cache.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    pub(super) src: Probe,
    pub(super) dst: Probe,
    pub(super) frame: Span,
    pub(super) kind: Kind,
    pub(super) bridge: BridgeId,
    /// Of a frame from a port, what the outer header will need.
    pub(super) flow: u32,
    pub(super) tos: u8,
    pub(super) ttl: u8,
    pub(super) df: bool,
    /// Of a frame from a tunnel, that the sender has applied the policy.
    pub(super) applied: bool,
    /// Whether it belongs to the [train](super::train) of the packet before it.
    pub(super) follows: bool,
    /// Of a frame from a tunnel, what its options or its policy ID say.
    pub(super) label: Label,
}

/// Where it came from, and what its bridge knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Port(PortId),
    Endpoint(EndpointId),
    /// The same two, in a bridge that knows security groups or traffic classes.
    LabelledPort(PortId),
    LabelledEndpoint(EndpointId),
    /// A port, with a frame to a group address, in any bridge.
    PortToGroup(PortId),
    /// It is none of the fast path's, though its memory may be touched ahead for the whole step.
    Elsewhere,
}

const _: () = assert!(size_of::<Ready>() <= 64, "a batch of them is on the stack");

impl Ready {
    /// A packet for the whole step.
    pub(super) const NOT: Self = Self {
        src: Probe::NOWHERE,
        dst: Probe::NOWHERE,
        frame: Span::new(0, 0),
        kind: Kind::Elsewhere,
        bridge: BridgeId(0),
        flow: 0,
        tos: 0,
        ttl: 0,
        df: false,
        applied: false,
        follows: false,
        label: Label::NONE,
    };

    /// Whether both are between the same two stations of the same bridge.
    #[inline(always)]
    pub(super) const fn is_between_same(&self, other: &Self) -> bool {
        self.dst.is_for_same(other.dst) && self.src.is_for_same(other.src)
    }
}

impl Engine<'_> {
    /// Loads the cache lines in which the FDB has both MACs; see [`Fdb::touch`](crate::table::Fdb::touch).
    #[inline(always)]
    pub(super) fn touch(&self, ready: &Ready) -> u64 {
        self.fdb.touch(ready.src) ^ self.fdb.touch(ready.dst)
    }

    /// Decides about a packet that has just been read, and learns from it, if its bridge knows no labels; `None` where
    /// nothing has changed.
    #[inline(always)]
    pub(super) fn decide_plain(&mut self, now: Instant, ready: &Ready) -> Option<Verdict> {
        match ready.kind {
            Kind::Port(_) => self.known_endpoint(now, ready),
            Kind::Endpoint(_) => self.known_port(now, ready),
            _ => None,
        }
    }

    /// Decides about as many packets as are alike at the beginning of a batch, up to the first that is for the whole step;
    /// how many these are. `version` is that of the endpoints when they were read.
    #[inline(always)]
    pub(super) fn decide_alike(
        &mut self,
        now: Instant,
        batch: &[Ready],
        version: u64,
        verdicts: &mut [Verdict],
    ) -> usize {
        let count = match batch.first().map(|ready| ready.kind) {
            Some(Kind::Port(_)) => self.known_endpoints(now, batch, verdicts),
            Some(Kind::Endpoint(_)) => self.known_ports(now, batch, version, verdicts),
            Some(Kind::LabelledPort(_) | Kind::LabelledEndpoint(_)) => {
                return decided(batch, verdicts, |_, ready, verdict| {
                    self.decide_labelled(now, ready, version, verdict)
                });
            }
            _ => return 0,
        };
        let (Some((done, places)), Some(train)) = (verdicts.split_at_mut_checked(count), batch.get(count..)) else {
            return count;
        };
        match (done.last(), train.first()) {
            (Some(last), Some(next)) if next.follows => count.wrapping_add(self.decide_train(last, train, places)),
            _ => count,
        }
    }

    /// Decides about a packet in a bridge that knows labels, and learns from it; `None` where nothing has changed.
    #[inline(always)]
    pub(super) fn decide_labelled(
        &mut self,
        now: Instant,
        ready: &Ready,
        version: u64,
        verdict: &mut Verdict,
    ) -> Option<()> {
        match ready.kind {
            Kind::LabelledPort(port) => self.encapsulate_labelled(now, ready, port, verdict),
            Kind::LabelledEndpoint(id) if version == self.endpoints.version() => {
                self.deliver_labelled(now, ready, id, verdict)
            }
            _ => None,
        }
    }

    /// Decides about a packet that none of these is for, if it is a frame to be flooded; `None` where nothing has changed.
    #[inline(always)]
    pub(super) fn decide_flood(&mut self, now: Instant, ready: &Ready, verdict: &mut Verdict) -> Option<()> {
        match ready.kind {
            Kind::Port(port) | Kind::PortToGroup(port) => self.flood_from_port(now, ready, port, verdict),
            _ => None,
        }
    }

    /// A frame from a port to an endpoint.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn known_endpoint(&mut self, now: Instant, ready: &Ready) -> Option<Verdict> {
        self.fdb.is_current(now).then_some(())?;
        let way = self.way_to_endpoint(ready)?;
        Some(self.encapsulate(ready, way))
    }

    /// A frame from an endpoint to a port.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn known_port(&mut self, now: Instant, ready: &Ready) -> Option<Verdict> {
        self.fdb.is_current(now).then_some(())?;
        let port = self.way_to_port(ready)?;
        Some(self.deliver(ready, port))
    }

    /// Frames from ports to endpoints, up to the first that only [follows](Engine::decide_train) another.
    #[inline(never)]
    fn known_endpoints(&mut self, now: Instant, batch: &[Ready], verdicts: &mut [Verdict]) -> usize {
        decided(batch, verdicts, |is_first, ready, verdict| {
            if ready.follows && !is_first {
                return None;
            }
            *verdict = self.known_endpoint(now, ready)?;
            Some(())
        })
    }

    /// Frames from endpoints to ports, likewise.
    #[inline(never)]
    fn known_ports(&mut self, now: Instant, batch: &[Ready], version: u64, verdicts: &mut [Verdict]) -> usize {
        // Learning from the packets before may have given the endpoints' places to others.
        if version != self.endpoints.version() {
            return 0;
        }
        decided(batch, verdicts, |is_first, ready, verdict| {
            if ready.follows && !is_first {
                return None;
            }
            *verdict = self.known_port(now, ready)?;
            Some(())
        })
    }

    /// Of a frame from a port, the endpoint that it is to, and its VNI; its source is learned.
    #[inline(always)]
    fn way_to_endpoint(&mut self, ready: &Ready) -> Option<(EndpointHandle, Vni)> {
        let Kind::Port(from) = ready.kind else { return None };
        let Destination::Endpoint(id) = self.fdb.lookup_latest(ready.dst)?.destination() else { return None };
        let endpoint = self.endpoints.get(id)?;
        if ready.frame.len > endpoint.max_frame {
            return None;
        }
        let handle = EndpointHandle { id, generation: endpoint.generation };
        let vni = match endpoint.address.vni {
            Some(vni) => vni,
            None => self.network(ready.bridge)?.config.vni,
        };
        let learned = self.fdb.refresh_latest(ready.src, Destination::Port(from), Meta::NONE);
        learned.then_some((handle, vni))
    }

    /// Of a frame from an endpoint, the port that it is to; its source is learned.
    #[inline(always)]
    fn way_to_port(&mut self, ready: &Ready) -> Option<PortHandle> {
        let Kind::Endpoint(from) = ready.kind else { return None };
        let Destination::Port(id) = self.fdb.lookup_latest(ready.dst)?.destination() else { return None };
        let (config, port) = self.port_handle(id)?;
        if config.vlan.is_some() {
            return None;
        }
        let learned = self.fdb.refresh_latest(ready.src, Destination::Endpoint(from), Meta::NONE);
        learned.then_some(port)
    }

    #[inline(always)]
    pub(super) fn encapsulate(&mut self, ready: &Ready, (endpoint, vni): (EndpointHandle, Vni)) -> Verdict {
        let outer = self.outer_of(ready, self.ident(), TunnelFlags::empty(), Label::NONE);
        self.count_fast(VerdictKind::Encapsulate, ready, true);
        let (frame, edit) = (ready.frame, Edit::NONE);
        Verdict::Encapsulate(Encapsulate { endpoint, vni, frame, edit, outer, shared: false })
    }

    #[inline(always)]
    pub(super) fn deliver(&mut self, ready: &Ready, port: PortHandle) -> Verdict {
        self.count_fast(VerdictKind::Deliver, ready, false);
        Verdict::Deliver(Deliver { port, frame: ready.frame, edit: Edit::NONE, shared: false })
    }

    /// The outer header's share of a frame from a port.
    #[inline(always)]
    pub(super) const fn outer_of(&self, ready: &Ready, ident: u16, flags: TunnelFlags, label: Label) -> OuterFields {
        OuterFields {
            src_port: self.source_ports.map(ready.flow),
            ident,
            tos: ready.tos,
            ttl: ready.ttl,
            df: ready.df,
            flags,
            label,
            options: 0,
            dscp: OuterFields::DSCP_OF_TEMPLATE,
            protocol: EtherType::ETHERNET,
        }
    }

    #[inline(always)]
    pub(super) fn count_fast(&mut self, kind: VerdictKind, ready: &Ready, from_port: bool) {
        self.ident = self.ident.wrapping_add(1);
        self.counters.count(kind as u8);
        if let Some(counters) = self.bridge_counters.get_mut(usize::from(ready.bridge.0)) {
            counters.count(kind as u8, from_port, ready.frame.len);
        }
    }
}

/// How many packets at the beginning of a batch are decided about, one after another; whether it is the first is told.
#[inline(always)]
pub(super) fn decided(
    batch: &[Ready],
    verdicts: &mut [Verdict],
    mut decide: impl FnMut(bool, &Ready, &mut Verdict) -> Option<()>,
) -> usize {
    let mut count = 0usize;
    for (ready, verdict) in batch.iter().zip(verdicts) {
        if decide(count == 0, ready, verdict).is_none() {
            break;
        }
        count = count.wrapping_add(1);
    }
    count
}

/// Whether a bridge's packets may take this path.
pub(super) const fn is_fast(config: &BridgeConfig) -> bool {
    let maps = matches!(config.vlan_encap, VlanEncap::Map(_)) || matches!(config.vlan_decap, VlanDecap::Map(_));
    !(maps || config.traffic.is_some() || matches!(config.ageing, Ageing::NoLearn))
}
