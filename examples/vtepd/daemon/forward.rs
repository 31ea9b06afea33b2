//! Where packets meet the engine: read a batch, step each packet, carry out the verdict, send what came of it.

use std::io;
use std::ops::Range;

use vtep::engine::{Cursor, Egress, Engine, Ingress, Input, Verdict};
use vtep::table::{Instant, PortId};
use vtep::wire::{Depth, FrameKind, Span};

use super::buffers::{BATCH, Buffers};
use super::counters::Counters;
use super::offload::{complete, packets};
use super::outbox::{HEAD, Outbox};
use super::tap::{Frame, Tap};
use super::{Capture, Daemon};
use crate::node::Node;
use crate::setup::UNDERLAY;

impl Daemon<'_> {
    /// Reads up to a batch of tunnel packets.
    pub fn read_underlay(&mut self, now: Instant, index: usize) {
        let Self { node, taps, inboxes, outbox, buffers, capture, counters, .. } = self;
        let inbox = &mut inboxes[index];
        let received = inbox.receive(buffers, &mut counters.underlay);
        let mut hop = Hop { node, taps, outbox, capture, counters };
        for (slot, packet) in received.iter().enumerate() {
            let payload = Buffers::filled(packet.len);
            if let Some(capture) = hop.capture {
                capture.received(&packet.datagram, buffers.get(slot, payload.clone()));
            }
            let ingress = Ingress::Underlay { underlay: UNDERLAY, form: vtep::engine::Form::Datagram(packet.datagram) };
            hop.forward(now, ingress, buffers, slot, payload);
        }
        hop.flush(buffers);
    }

    /// Reads up to a batch of frames from a TAP device.
    pub fn read_tap(&mut self, now: Instant, index: usize) {
        let Self { node, taps, outbox, buffers, capture, counters, .. } = self;
        let ingress = Ingress::Port { port: PortId(index as u16), payload: FrameKind::Ethernet };
        let mut hop = Hop { node, taps, outbox, capture, counters };
        let mut slot = 0;
        while slot < BATCH {
            match hop.taps[index].receive(buffers, slot) {
                Ok(Some(Frame::Whole(len))) => {
                    hop.forward(now, ingress, buffers, slot, Buffers::filled(len));
                    slot += 1;
                }
                // What hardware would cut into packets is cut here, and each goes its way as if it had come alone.
                Ok(Some(Frame::Long { len, size })) => {
                    buffers.set_aside(slot);
                    let packets: Vec<_> = packets(&buffers.aside()[..len], size).into_iter().flatten().collect();
                    for (head, part) in packets {
                        if slot == BATCH {
                            hop.flush(buffers);
                            slot = 0;
                        }
                        let frame = buffers.fill(slot, &head, part);
                        hop.forward(now, ingress, buffers, slot, frame);
                        slot += 1;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    hop.flush(buffers);
                    return self.lose_tap(now, index, &error);
                }
            }
        }
        hop.flush(buffers);
    }
}

/// What one packet needs of the daemon.
struct Hop<'h, 'a> {
    node: &'h mut Node<'a>,
    taps: &'h mut [Tap],
    outbox: &'h mut Outbox,
    capture: &'h mut Option<Capture>,
    counters: &'h mut Counters,
}

impl Hop<'_, '_> {
    /// Asks the engine about the packet at `range` of a buffer, and does as it says.
    #[inline]
    fn forward(&mut self, now: Instant, ingress: Ingress, buffers: &mut Buffers, slot: usize, range: Range<usize>) {
        let verdict = self.node.step(now, &Input { ingress, bytes: buffers.get(slot, range.clone()) });
        if let Some(frame) = carried(&verdict).filter(|_| matches!(ingress, Ingress::Underlay { .. })) {
            let start = range.start + frame.start as usize;
            complete(&mut buffers.slot(slot)[start..start + frame.len as usize]);
        }
        match &verdict {
            Verdict::Deliver(_) | Verdict::Encapsulate(_) => {
                // An error is counted by the engine: the packet is lost, and named.
                let Ok(output) = self.node.engine().rewrite(&verdict, Depth::Ip, buffers.slot(slot), range) else {
                    return;
                };
                match output.to {
                    Egress::Port(port) => self.taps[port.index()].send(buffers, slot, output.bytes),
                    Egress::Underlay(_) => self.outbox.push(buffers, slot, output.bytes),
                }
            }
            Verdict::Flood(flood) => {
                let mut cursor = Cursor::new();
                let engine = self.node.engine();
                while let Some(Ok(copy)) = engine.next_copy(flood, &mut cursor) {
                    copy_out(engine, &copy, buffers, slot, range.clone(), self.taps, self.outbox);
                    if self.outbox.is_full() {
                        self.outbox.flush(buffers, self.capture.as_mut());
                    }
                }
            }
            // There is no host behind this daemon: what it is told is that such packets come.
            Verdict::Punt(punt) => self.counters.incident(punt.reason.name()),
            // Counted by the engine.
            _ => {}
        }
    }

    /// Hands over what waits; the buffers may be used anew then.
    fn flush(&mut self, buffers: &mut Buffers) {
        self.outbox.flush(buffers, self.capture.as_mut());
        self.taps.iter_mut().for_each(|tap| tap.flush(buffers));
    }
}

/// The frame that goes on, as a part of the input.
fn carried(verdict: &Verdict) -> Option<Span> {
    match verdict {
        Verdict::Deliver(deliver) => Some(deliver.frame),
        Verdict::Flood(flood) => Some(flood.frame),
        _ => None,
    }
}

/// One copy of a flood: the frame's bytes are shared, what stands in front of them is written aside.
fn copy_out(
    engine: &Engine<'_>,
    copy: &Verdict,
    buffers: &mut Buffers,
    slot: usize,
    range: Range<usize>,
    taps: &mut [Tap],
    outbox: &mut Outbox,
) {
    let mut head = [0; HEAD];
    let input = buffers.get(slot, range.clone());
    let Ok(gather) = engine.rewrite_head(copy, Depth::Ip, input, &mut head) else { return };
    let (head, rest) = (&head[..gather.head], range.start + gather.rest.start..range.start + gather.rest.end);
    match gather.to {
        Egress::Port(port) => taps[port.index()].send_copy(buffers, head, slot, rest),
        Egress::Underlay(_) => outbox.push_copy(head, slot, rest),
    }
}

/// Whether an error only says that there is nothing now.
pub fn is_idle(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
