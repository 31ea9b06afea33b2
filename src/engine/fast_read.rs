//! Reading for the [fast path](super::fast_path): what it needs to know of a packet, and whether that is for it at all.
//!
//! Nearly every packet has one shape outside ([`Envelope`]) and one inside ([`CommonInner`]): these are read in a straight
//! line, with few values alive at a time. All others are read as the whole step does.

use super::fast_path::{Kind, Ready};
use super::senders::{Sender, Tracks};
use super::{Engine, Form, Ingress, Input, Switches};
use crate::table::{Bridge, BridgeConfig, BridgeId, Pace, PortId, UnderlayId};
use crate::wire::inner_common::CommonInner;
use crate::wire::outer::common::Envelope;
use crate::wire::{
    Encapsulation, EtherType, FrameKind, Inner, IpKind, Label, Outer, Span, Tunnel, TunnelFlags, ecn, flow_hash, outer,
};

/// What is needed of a tunnel packet to make it [`Ready`].
struct Content<'a> {
    tos: u8,
    /// The tunnel header.
    header: &'a [u8],
    said: Said,
    protocol: EtherType,
    options: &'a [u8],
    inner: &'a [u8],
    span: Span,
}

/// What a tunnel header says beside whom it is for.
#[derive(Clone, Copy)]
struct Said {
    flags: TunnelFlags,
    policy: u16,
}

/// The addresses of a frame, as [`Inner::src_key`] gives them, and whether what is between them and its end lets it take
/// the fast path.
#[derive(Clone, Copy)]
struct Look {
    src: u64,
    dst: u64,
    fits: bool,
}

impl Look {
    const MULTICAST: u64 = 1 << 40;

    /// At a frame that is not of the common shape.
    #[inline(always)]
    fn at(inner: &Inner) -> Self {
        // An IP header that is cut off is a reason to drop the frame.
        let fits = inner.tags() == 0 && inner.ip() != IpKind::Short;
        Self { src: inner.src_key(), dst: inner.dst_key(), fits }
    }

    /// Whether it is a frame for the fast path, one station's to one station.
    #[inline(always)]
    const fn is_plain(&self) -> bool {
        self.is_from_station() && !self.is_for_group()
    }

    /// Whether it is a frame for the fast path, one station's to whomever.
    #[inline(always)]
    const fn is_from_station(&self) -> bool {
        self.fits && self.src != 0 && self.src & Self::MULTICAST == 0
    }

    /// Whether it is to a group address.
    #[inline(always)]
    const fn is_for_group(&self) -> bool {
        self.dst & Self::MULTICAST != 0
    }
}

impl Ready {
    /// Notes what the outer header takes from a frame.
    #[inline(always)]
    pub(super) fn read_flow(&mut self, inner: &CommonInner<'_>, seed: u64) {
        self.flow = inner.flow_hash(seed);
        (self.tos, self.ttl, self.df) = (inner.tos(), inner.ttl(), inner.df());
    }
}

impl Engine<'_> {
    /// Reads a packet into its place, which stays [`Ready::NOT`] or becomes the like if it is none of the fast path's.
    ///
    /// Into its place: copied from one to another, it would be waited for.
    #[inline(always)]
    pub(super) fn make_ready(&mut self, input: &Input<'_>, ready: &mut Ready) {
        let _ = match input.ingress {
            Ingress::Port { port, payload: FrameKind::Ethernet } => self.ready_frame(port, input.bytes, ready),
            Ingress::Underlay { underlay, form } => self.ready_tunnel(underlay, form, input.bytes, ready),
            Ingress::Port { .. } => None,
        };
    }

    #[inline(never)]
    fn ready_frame(&self, id: PortId, bytes: &[u8], ready: &mut Ready) -> Option<()> {
        let Some(inner) = CommonInner::parse(bytes) else { return self.ready_other_frame(id, bytes, ready) };
        let frame = Span::new(0, u32::try_from(bytes.len()).ok()?);
        ready.read_flow(&inner, self.seed);
        let look = Look { src: inner.src_key(), dst: inner.dst_key(), fits: true };
        self.put_frame(id, look, frame, ready)
    }

    #[inline(never)]
    fn ready_other_frame(&self, id: PortId, bytes: &[u8], ready: &mut Ready) -> Option<()> {
        let frame = Span::new(0, u32::try_from(bytes.len()).ok()?);
        let inner = Inner::parse_uncommon(bytes).ok()?;
        ready.flow = flow_hash(self.seed, &inner, bytes);
        (ready.tos, ready.ttl, ready.df) = (inner.tos(), inner.ttl(), inner.df());
        self.put_frame(id, Look::at(&inner), frame, ready)
    }

    #[inline(always)]
    fn put_frame(&self, id: PortId, look: Look, frame: Span, ready: &mut Ready) -> Option<()> {
        let record = self.ports.get(usize::from(id.0))?;
        let port = record.config.as_ref()?;
        let kind = match (look.is_from_station(), record.pace) {
            (false, _) | (_, Pace::Whole) => Kind::Elsewhere,
            _ if look.is_for_group() => Kind::PortToGroup(id),
            (_, Pace::Labelled) => Kind::LabelledPort(id),
            (_, Pace::Fast) => Kind::Port(id),
        };
        self.put(ready, port.bridge, look, frame, kind);
        Some(())
    }

    #[inline(never)]
    fn ready_tunnel(&mut self, id: UnderlayId, form: Form, bytes: &[u8], ready: &mut Ready) -> Option<()> {
        let checks = self.underlay(id)?.checks();
        if form == Form::Frame {
            if let Some(envelope) = Envelope::parse(bytes, &checks) {
                let sender = self.recent_sender_of(id, &envelope)?;
                if let Some(common) = envelope.open(sender.encapsulation, &checks) {
                    let content = Content {
                        tos: envelope.tos(),
                        header: envelope.header(),
                        said: Said { flags: common.flags, policy: common.policy },
                        protocol: common.protocol,
                        options: common.options,
                        inner: common.inner,
                        span: common.inner_span(),
                    };
                    return self.ready_content(sender, &content, ready);
                }
            }
        }
        self.ready_other_tunnel(id, form, bytes, ready)
    }

    /// Reads a packet of any other shape.
    #[inline(never)]
    fn ready_other_tunnel(&mut self, id: UnderlayId, form: Form, bytes: &[u8], ready: &mut Ready) -> Option<()> {
        let checks = self.underlay(id)?.checks();
        let parsed = match form {
            // It has not the common shape.
            Form::Frame => outer::parse_any(bytes, &self.udp_ports, &checks),
            Form::Packet => outer::parse_ip(bytes, &self.udp_ports, &checks),
            Form::Datagram(datagram) => outer::parse_udp_payload(bytes, &datagram, &self.udp_ports, &checks),
        };
        let outer = parsed.ok()??;
        let Outer { tos, tunnel, .. } = outer;
        let (header, options, inner) = (tunnel.header.of(bytes)?, tunnel.options.of(bytes)?, tunnel.inner.of(bytes)?);
        let Tunnel { flags, policy, protocol, inner: span, .. } = tunnel;
        let sender = self.recent_sender(&Tracks::new(id, &outer))?;
        let said = Said { flags, policy };
        self.ready_content(sender, &Content { tos, header, said, protocol, options, inner, span }, ready)
    }

    #[inline(always)]
    fn ready_content(&self, sender: Sender, content: &Content<'_>, ready: &mut Ready) -> Option<()> {
        let Content { tos, header, said, protocol, options, inner, span } = *content;
        let Sender { bridge, endpoint, encapsulation, pace } = sender;
        // Neither control, nor a frame not to be learned from.
        if protocol != EtherType::ETHERNET || said.flags.intersects(TunnelFlags::O.union(TunnelFlags::D)) {
            return None;
        }
        if self.switches.contains(Switches::STRICT_RESERVED) {
            self.check_reserved(self.bridge(bridge)?.config.as_ref()?, encapsulation, header).ok()?;
        }
        let look = match CommonInner::parse(inner) {
            Some(inner) => Look { src: inner.src_key(), dst: inner.dst_key(), fits: ecn::is_kept(inner.tos(), tos) },
            None => look_at_inner(inner, tos)?,
        };
        let kind = match (look.is_plain(), pace) {
            (true, Pace::Fast) if self.passes(said, options) => Kind::Endpoint(endpoint),
            (true, Pace::Labelled) => {
                ready.label = self.label_of(self.bridge(bridge)?, encapsulation, said, options)?;
                ready.applied = said.flags.contains(TunnelFlags::A);
                Kind::LabelledEndpoint(endpoint)
            }
            _ => Kind::Elsewhere,
        };
        self.put(ready, bridge, look, span, kind);
        Some(())
    }

    /// Whether nobody objects to options that a bridge does not read: what [`Engine::found`] says of it.
    #[inline(always)]
    fn passes(&self, said: Said, options: &[u8]) -> bool {
        let critical = said.flags.contains(TunnelFlags::C);
        if self.switches.contains(Switches::CRITICAL_BY_HEADER) {
            return !critical;
        }
        options.is_empty()
            || self.quick_schema.passes(options)
            || self.no_schema.read_any(self.known_options, options, critical).is_ok()
    }

    /// What a tunnel packet says of its sender to a bridge that reads it.
    #[inline(never)]
    fn label_of(&self, bridge: &Bridge, encapsulation: Encapsulation, said: Said, options: &[u8]) -> Option<Label> {
        let config = bridge.config.as_ref()?;
        let quick = match config.options && encapsulation == Encapsulation::Geneve {
            true => self.quick_schema.read(options),
            false => None,
        };
        match quick {
            Some(found) => Some(Label::new(found.group, found.class.unwrap_or_default())),
            None => self.label_closely(config, encapsulation, said, options),
        }
    }

    #[inline(never)]
    fn label_closely(
        &self,
        config: &BridgeConfig,
        encapsulation: Encapsulation,
        Said { flags, policy }: Said,
        options: &[u8],
    ) -> Option<Label> {
        let found = self.found(config, encapsulation, flags, policy, options).ok()?;
        Some(Label::new(found.group, found.class.unwrap_or_default()))
    }

    #[inline(always)]
    fn put(&self, ready: &mut Ready, bridge: BridgeId, look: Look, frame: Span, kind: Kind) {
        ready.src = self.fdb.probe_bits(bridge, look.src);
        ready.dst = self.fdb.probe_bits(bridge, look.dst);
        (ready.frame, ready.kind, ready.bridge) = (frame, kind, bridge);
    }
}

/// Looks at a tunnel's frame that is not of the common shape, under an outer TOS.
#[inline(never)]
fn look_at_inner(frame: &[u8], outer: u8) -> Option<Look> {
    let inner = Inner::parse_uncommon(frame).ok()?;
    let is_ip = matches!(inner.ip(), IpKind::V4 | IpKind::V6);
    let look = Look::at(&inner);
    Some(Look { fits: look.fits && (!is_ip || ecn::is_kept(inner.tos(), outer)), ..look })
}
