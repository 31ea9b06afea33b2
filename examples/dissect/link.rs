//! Link types of captures, and what follows their headers.

use vtep::wire::EtherType;

/// How the bytes behind a link header are to be read.
#[derive(Clone, Copy)]
pub enum Payload {
    /// An Ethernet frame.
    Ethernet,
    /// An IPv4 or IPv6 packet.
    Ip,
}

/// Whether frames of this link type are looked into.
pub fn is_known(link: u32) -> bool {
    matches!(link, 1 | 12 | 14 | 101 | 113 | 228 | 229 | 276)
}

/// What a frame carries and from which byte on; `Ok(None)` where that is nothing that could hold a tunnel,
/// an offset where the link header is cut off.
pub fn payload(link: u32, frame: &[u8]) -> Result<Option<(Payload, usize)>, usize> {
    match link {
        1 => Ok(Some((Payload::Ethernet, 0))),
        // Raw IP: 12 and 14 are what the BSDs call it.
        12 | 14 | 101 | 228 | 229 => Ok(Some((Payload::Ip, 0))),
        // Linux cooked captures: the protocol stands last in version 1 and first in version 2.
        113 => cooked(frame, 14, 16),
        276 => cooked(frame, 0, 20),
        _ => Ok(None),
    }
}

fn cooked(frame: &[u8], protocol_at: usize, header: usize) -> Result<Option<(Payload, usize)>, usize> {
    if frame.len() < header {
        return Err(0);
    }
    let mut protocol = EtherType(u16::from_be_bytes([frame[protocol_at], frame[protocol_at + 1]]));
    let mut at = header;
    while protocol.is_tag() {
        let Some(&[_, _, high, low]) = frame[at..].first_chunk() else { return Err(at) };
        protocol = EtherType(u16::from_be_bytes([high, low]));
        at += 4;
    }
    Ok(matches!(protocol, EtherType::IPV4 | EtherType::IPV6).then_some((Payload::Ip, at)))
}
