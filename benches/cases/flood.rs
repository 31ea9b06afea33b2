//! Head-end replication: one frame to many endpoints.

use vtep::engine::{Cursor, Input, Verdict};
use vtep::table::PortId;
use vtep::wire::Depth;

use super::overlay::{Overlay, Plan, frame};
use super::{Case, Work};

pub const ENDPOINTS: [usize; 4] = [1, 16, 64, 1_000];
/// Copies of one run, at least.
const COPIES: usize = 256;
const ROOM: usize = 192;
/// VXLAN over IPv4 over Ethernet.
const HEADER: usize = 50;

struct Replication {
    overlay: Overlay,
    frame: Vec<u8>,
    rooms: Vec<[u8; ROOM]>,
    floods: usize,
    way: Way,
}

/// How the copies are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Whole,
    /// Headers only, for gathering output.
    Head,
    /// Whole, a verdict for each.
    Verdicts,
}

impl Work for Replication {
    fn run(&mut self) -> u64 {
        let Self { overlay, frame, rooms, floods, way } = self;
        let mut sum = 0_u64;
        for _ in 0..*floods {
            let now = overlay.now();
            let Verdict::Flood(flood) = overlay.engine.step(now, &Input::from_port(PortId(0), frame)) else {
                return 0;
            };
            let mut rooms = rooms.iter_mut();
            let mut copies = overlay.engine.replicate(&flood, Depth::Ethernet, frame);
            match way {
                Way::Whole => {
                    while let Some(Ok(output)) = rooms.next().and_then(|room| copies.next_into(room)) {
                        sum += output.bytes.end as u64;
                    }
                }
                Way::Head => {
                    while let Some(Ok(gather)) = rooms.next().and_then(|room| copies.next_head(room)) {
                        sum += gather.head as u64;
                    }
                }
                Way::Verdicts => {
                    let mut cursor = Cursor::new();
                    while let (Some(Ok(copy)), Some(room)) =
                        (overlay.engine.next_copy(&flood, &mut cursor), rooms.next())
                    {
                        let output = overlay.engine.rewrite_into(&copy, Depth::Ethernet, frame, room);
                        sum += output.map_or(0, |output| output.bytes.end as u64);
                    }
                }
            }
        }
        sum
    }
}

/// A broadcast of 64 bytes to `endpoints`; an operation is a copy. The step is part of it.
pub fn replication(endpoints: usize) -> Vec<Case> {
    let floods = COPIES.div_ceil(endpoints);
    let mut cases = Vec::new();
    for (way, what) in [(Way::Whole, "whole"), (Way::Head, "head"), (Way::Verdicts, "verdicts")] {
        let overlay = Overlay::new(Plan { macs: 1, remotes: endpoints, ..Plan::VXLAN });
        let mut frame = frame();
        frame[..6].fill(0xff);
        frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
        // One more than copies: the cursor is to come to its end.
        let rooms = vec![[0; ROOM]; endpoints + 1];
        let mut work = Replication { overlay, frame, rooms, floods, way };
        let each = if way == Way::Head { HEADER } else { HEADER + work.frame.len() };
        assert_eq!(work.run(), (floods * endpoints * each) as u64, "every endpoint gets a copy");
        cases.push(Case::new(format!("flood/{endpoints}/{what}"), floods * endpoints, work));
    }
    cases.push(copies(format!("flood/{endpoints}/floor-copy"), endpoints, floods));
    cases
}

/// The same bytes merely copied: a header from each endpoint's template, and the frame.
fn copies(name: String, endpoints: usize, floods: usize) -> Case {
    let headers = vec![[3_u8; 64]; endpoints];
    let frame = frame();
    let mut rooms = vec![[0_u8; ROOM]; endpoints];
    Case::new(name, floods * endpoints, move || {
        for _ in 0..floods {
            for (header, room) in core::hint::black_box(&headers).iter().zip(core::hint::black_box(&mut rooms)) {
                let (head, frame) = (core::hint::black_box(HEADER), core::hint::black_box(&frame));
                room[..head].copy_from_slice(&header[..head]);
                room[head..head + frame.len()].copy_from_slice(frame);
            }
        }
        core::hint::black_box(&rooms).len() as u64
    })
}
