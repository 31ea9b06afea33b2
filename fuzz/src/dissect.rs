//! Any bytes as a captured frame, or as a whole capture: each frame gets one JSON object, and what it says lies in it.

#[path = "../../examples/dissect/capture.rs"]
mod capture;
#[path = "../../examples/dissect/frame.rs"]
mod frame;
#[path = "../../examples/dissect/link.rs"]
pub(crate) mod link;

use std::io::Cursor;

use vtep::wire::TunnelPorts;

use capture::Capture;
use frame::Dissector;

/// Link types; the last one is not known.
const LINKS: [u32; 8] = [1, 12, 101, 113, 228, 229, 276, 147];

/// The first byte says how the rest is to be read: a frame of some link type, cut off or not, or a capture.
pub fn run(bytes: &[u8]) {
    let Some((&[bits, cut], rest)) = bytes.split_first_chunk() else { return };
    let mut dissector = Dissector::new(TunnelPorts::DEFAULT, bits & 0x80 != 0);
    if bits & 0x40 == 0 {
        let orig_len = rest.len() as u32 + u32::from(cut);
        let link = LINKS[usize::from(bits & 7)];
        check(&mut dissector, link, rest, orig_len);
        return;
    }
    let Ok(mut capture) = Capture::open(Cursor::new(rest.to_vec())) else { return };
    let mut left = rest.len();
    while let Ok(Some(record)) = capture.next() {
        // No frame comes from nowhere, so the walk ends.
        left = left.checked_sub(record.data.len() + 8).expect("a record takes bytes of the capture");
        check(&mut dissector, record.link, &record.data, record.orig_len);
    }
}

fn check(dissector: &mut Dissector, link: u32, data: &[u8], orig_len: u32) {
    let report = dissector.dissect(link, data, orig_len);
    let len = data.len().max(orig_len as usize);
    if let Some(innermost) = &report.innermost {
        assert!(innermost.start <= innermost.end && innermost.end <= len, "{innermost:?} of {len}");
    }
    let json = serde_json::to_value(&report).expect("a report is JSON");
    if let Some(error) = json.get("error") {
        let offset = error["offset"].as_u64().expect("an offset");
        assert!(offset <= len as u64, "{json}");
    }
    assert!(json.get("tunnels").is_none_or(|tunnels| tunnels.as_array().is_some_and(|list| list.len() <= 9)));
}
