//! Frames that hosts send, made byte by byte, and compared whatever tags they got on the way.

use vtep::wire::MacAddr;

use super::scenario::Body;

const ARP: u16 = 0x0806;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const SERVICE_VLAN: u16 = 0x88a8;
/// For experiments (IEEE 802 clause 9.2.3).
const EXPERIMENT: u16 = 0x88b5;

/// The MAC of a number: tenants use the same ones.
pub const fn mac(number: u32) -> MacAddr {
    let [_, a, b, c] = number.to_be_bytes();
    MacAddr([0x02, 0x42, 0x0a, a, b, c])
}

/// What goes into a frame.
#[derive(Clone, Copy, Debug)]
pub struct Draft {
    pub dst: MacAddr,
    pub src: MacAddr,
    pub body: Body,
    /// The numbers of the sender and of whom it is for; for addresses.
    pub numbers: (u32, u32),
    /// Makes each frame different from all others.
    pub id: u32,
    /// Bytes without the port's tag, if the body is not longer.
    pub size: usize,
    pub port_tag: Option<u16>,
}

impl Draft {
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size.max(64) + 8);
        out.extend(self.dst.0);
        out.extend(self.src.0);
        let tags = [self.port_tag, if let Body::Tagged(vid) = self.body { Some(vid) } else { None }];
        for vid in tags.into_iter().flatten() {
            out.extend(VLAN.to_be_bytes());
            out.extend(vid.to_be_bytes());
        }
        let start = out.len();
        match self.body {
            Body::Ask(_) => self.arp(&mut out, self.numbers.1),
            Body::Announce => self.arp(&mut out, self.numbers.0),
            Body::V4(ecn) => self.ipv4(&mut out, ecn, 9),
            Body::Nested => self.ipv4(&mut out, 0, 4789),
            Body::V6(ecn) => self.ipv6(&mut out, ecn),
            Body::Other | Body::Tagged(_) => out.extend(EXPERIMENT.to_be_bytes()),
            Body::Short => out.extend([0x08, 0x00, 0x45, 0, 0, 60]),
            Body::Runt => out.truncate(out.len().min(13)),
        }
        if matches!(self.body, Body::Short | Body::Runt) {
            return out;
        }
        out.extend(self.id.to_be_bytes());
        while out.len() + 12 < self.size + start {
            out.push((out.len() as u8).wrapping_mul(31) ^ self.id as u8);
        }
        out
    }

    fn arp(&self, out: &mut Vec<u8>, target: u32) {
        out.extend(ARP.to_be_bytes());
        out.extend([0, 1, 0x08, 0, 6, 4, 0, 1]);
        out.extend(self.src.0);
        out.extend(ip(self.numbers.0));
        out.extend([0; 6]);
        out.extend(ip(target));
    }

    /// The payload's length: what is left of the size, but for the id at least.
    fn left(&self, headers: usize) -> u16 {
        self.size.saturating_sub(14 + headers).max(4) as u16
    }

    fn ipv4(&self, out: &mut Vec<u8>, ecn: u8, port: u16) {
        out.extend(IPV4.to_be_bytes());
        let start = out.len();
        out.extend([0x45, ecn]);
        out.extend((28 + self.left(28)).to_be_bytes());
        out.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
        out.extend(ip(self.numbers.0));
        out.extend(ip(self.numbers.1));
        let sum = super::packet::internet_checksum(0, &out[start..]);
        out[start + 10..start + 12].copy_from_slice(&sum.to_be_bytes());
        self.udp(out, 28, port);
    }

    fn ipv6(&self, out: &mut Vec<u8>, ecn: u8) {
        out.extend(IPV6.to_be_bytes());
        out.extend([0x60, ecn << 4, 0, 0]);
        out.extend((8 + self.left(48)).to_be_bytes());
        out.extend([17, 64]);
        for number in [self.numbers.0, self.numbers.1] {
            out.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            out.extend(ip(number));
        }
        self.udp(out, 48, 9);
    }

    fn udp(&self, out: &mut Vec<u8>, headers: usize, port: u16) {
        out.extend(40_000_u16.wrapping_add(self.id as u16 & 0xff).to_be_bytes());
        out.extend(port.to_be_bytes());
        out.extend((8 + self.left(headers)).to_be_bytes());
        out.extend([0, 0]);
    }
}

fn ip(number: u32) -> [u8; 4] {
    let [_, a, b, c] = number.to_be_bytes();
    [10, a, b, c]
}

/// The VLAN ID of the outermost tag.
pub fn outer_tag(frame: &[u8]) -> Option<u16> {
    match ethertype(frame, 12)? {
        VLAN | SERVICE_VLAN => Some(ethertype(frame, 14)? & 0xfff),
        _ => None,
    }
}

/// Whether two frames are the same but for their tags and the ECN field, which the way may change.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    let (Some((a_kind, a_body)), Some((b_kind, b_body))) = (body(a), body(b)) else { return a == b };
    if a[..12] != b[..12] || a_kind != b_kind || a_body.len() != b_body.len() {
        return false;
    }
    let mask = |at: usize| match (a_kind, at) {
        (IPV4, 1) => 0xfc,
        (IPV4, 10 | 11) => 0,
        (IPV6, 1) => 0xcf,
        _ => 0xff,
    };
    let head = a_body.len().min(12);
    (0..head).all(|at| (a_body[at] ^ b_body[at]) & mask(at) == 0) && a_body[head..] == b_body[head..]
}

/// What follows the tags.
fn body(frame: &[u8]) -> Option<(u16, &[u8])> {
    let mut at = 12;
    loop {
        match ethertype(frame, at)? {
            VLAN | SERVICE_VLAN => at += 4,
            kind => return Some((kind, &frame[at + 2..])),
        }
    }
}

fn ethertype(frame: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]))
}
