//! The fast path in bridges that know security groups and traffic classes: [`labelled`](super::labelled), for frames
//! between known stations.

use super::fast_path::Ready;
use super::labelled::Judged;
use super::{Deliver, Encapsulate, EndpointHandle, Engine, Verdict, VerdictKind};
use crate::table::{Destination, EndpointId, Enforce, Instant, Owner, PortId, RuleId};
use crate::wire::edit::Edit;
use crate::wire::{Encapsulation, Label, TunnelFlags};

impl Engine<'_> {
    /// A frame from a port to an endpoint.
    #[inline(never)]
    pub(super) fn encapsulate_labelled(
        &mut self,
        now: Instant,
        ready: &Ready,
        from: PortId,
        verdict: &mut Verdict,
    ) -> Option<()> {
        self.fdb.is_current(now).then_some(())?;
        let network = self.network(ready.bridge)?;
        let source = self.fdb.lookup_latest(ready.src)?;
        if source.destination() != Destination::Port(from) {
            return None;
        }
        let known = self.label(source);
        let label = self.label_from(from, known)?;
        let entry = self.fdb.lookup_latest(ready.dst)?;
        let Destination::Endpoint(id) = entry.destination() else { return None };
        let judged = match &network.config.policy {
            Some(policy) => self.judge_frame(ready.bridge, policy, true, label.group(), false, Some(entry)),
            None => None,
        };
        let rule = judged.map_or(Some(None), Self::allowed)?;
        let endpoint = self.endpoints.get(id)?;
        let flags = match judged.is_some() && network.config.gbp && entry.owner() != Owner::Dynamic {
            true => TunnelFlags::A | self.carried(network.config, label),
            false => self.carried(network.config, label),
        };
        let outer = self.outer_of(ready, self.ident(), flags, label);
        let geneve = endpoint.address.encapsulation == Encapsulation::Geneve;
        let options = if geneve { u32::from(self.options_len(&outer)) } else { 0 };
        let too_long = ready.frame.len.saturating_add(options) > endpoint.max_frame;
        if too_long || self.is_unrepresentable(network.config, id, label) {
            return None;
        }
        let handle = EndpointHandle { id, generation: endpoint.generation };
        let vni = endpoint.address.vni.unwrap_or(network.config.vni);
        // The source's entry keeps its label.
        if !self.fdb.refresh_labelled(ready.src, Destination::Port(from), known) {
            return None;
        }
        *verdict = Verdict::Encapsulate(Encapsulate {
            endpoint: handle,
            vni,
            frame: ready.frame,
            edit: Edit::NONE,
            outer,
            shared: false,
        });
        self.hit(rule);
        self.count_fast(VerdictKind::Encapsulate, ready, true);
        Some(())
    }

    /// A frame from an endpoint to a port.
    #[inline(never)]
    pub(super) fn deliver_labelled(
        &mut self,
        now: Instant,
        ready: &Ready,
        from: EndpointId,
        verdict: &mut Verdict,
    ) -> Option<()> {
        self.fdb.is_current(now).then_some(())?;
        let network = self.network(ready.bridge)?;
        let entry = self.fdb.lookup_latest(ready.dst)?;
        let Destination::Port(id) = entry.destination() else { return None };
        let (config, port) = self.port_handle(id)?;
        if config.vlan.is_some() {
            return None;
        }
        let rule = match &network.config.policy {
            Some(policy) if policy.at.contains(Enforce::EGRESS) && !(ready.applied && network.config.gbp) => {
                let to = config.group_of(self.label(entry).group());
                Self::allowed(self.judge(ready.bridge, policy, ready.label.group(), to))?
            }
            _ => None,
        };
        // An engine that has no room for labels at all learns without them.
        let learned = if self.fdb.labels().capacity() == 0 { Label::NONE } else { ready.label };
        if !self.fdb.refresh_labelled(ready.src, Destination::Endpoint(from), learned) {
            return None;
        }
        *verdict = Verdict::Deliver(Deliver { port, frame: ready.frame, edit: Edit::NONE, shared: false });
        self.hit(rule);
        self.count_fast(VerdictKind::Deliver, ready, false);
        Some(())
    }

    /// The label of a frame from a port whose source has this one.
    #[inline(always)]
    fn label_from(&self, id: PortId, known: Label) -> Option<Label> {
        let port = self.port(id)?;
        Some(Label::new(port.group_of(known.group()), port.class.unwrap_or(known.class())))
    }

    /// The rule that allows a frame, if it was one; `None` where it is denied.
    #[inline(always)]
    fn allowed(judged: Judged) -> Option<Option<RuleId>> {
        if judged.denied.is_some() { None } else { Some(judged.rule) }
    }

    #[inline(always)]
    fn hit(&self, rule: Option<RuleId>) {
        if let Some(rule) = rule {
            self.policy.hit(rule);
        }
    }
}
