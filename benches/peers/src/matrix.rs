//! What each parser says to packets that are wrong.

use std::panic::{self, AssertUnwindSafe};

use serde::{Deserialize, Serialize};

use crate::cases::codec::{SHAPES, Shape};
use crate::cases::world::internet_checksum;
use crate::codec::PARSERS;

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    Accepts,
    Refuses,
    Panics,
    /// It does not read that protocol.
    Unread,
}

#[derive(Serialize, Deserialize)]
pub struct Row {
    pub packet: String,
    pub right: Answer,
    /// One for each of [`PARSERS`].
    pub answers: Vec<Answer>,
}

const IP: usize = 14;
const UDP: usize = 34;
const TUNNEL: usize = 42;

fn shape(name: &str) -> &'static Shape {
    SHAPES.iter().find(|shape| shape.name == name).expect("a shape of that name")
}

/// A packet with something changed, and the IPv4 header checksum made right again.
fn changed(shape: &Shape, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut packet = shape.packet(5_000, 50_000);
    change(&mut packet);
    if packet.len() >= IP + 20 && packet[12..14] == [8, 0] {
        let len = (usize::from(packet[IP] & 15) * 4).clamp(20, packet.len() - IP);
        packet[IP + 10..IP + 12].fill(0);
        let sum = internet_checksum(&[&packet[IP..IP + len]]);
        packet[IP + 10..IP + 12].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

fn put(at: usize, value: u16) -> impl FnOnce(&mut Vec<u8>) {
    move |packet| packet[at..at + 2].copy_from_slice(&value.to_be_bytes())
}

fn cut(len: usize) -> impl FnOnce(&mut Vec<u8>) {
    move |packet| packet.truncate(len)
}

/// Cut, with all lengths right for what is left.
fn shortened(len: usize) -> impl FnOnce(&mut Vec<u8>) {
    move |packet| {
        packet.truncate(len);
        packet[IP + 2..IP + 4].copy_from_slice(&((len - IP) as u16).to_be_bytes());
        packet[UDP + 4..UDP + 6].copy_from_slice(&((len - UDP) as u16).to_be_bytes());
    }
}

fn packets() -> Vec<(&'static str, Answer, Vec<u8>)> {
    use Answer::{Accepts, Refuses};
    let (plain, summed) = (shape("vxlan/v4"), shape("vxlan/v4/checksum"));
    let (geneve, v6) = (shape("geneve/v4/options-1"), shape("vxlan/v6/checksum"));
    let mut wrong_sum = plain.packet(5_000, 50_000);
    wrong_sum[IP + 10] ^= 1;
    vec![
        ("sound", Accepts, plain.packet(5_000, 50_000)),
        ("sound, padded behind the IP packet", Accepts, changed(plain, |packet| packet.extend([0; 6]))),
        ("VXLAN reserved bits set (RFC 7348, 5: ignored)", Accepts, changed(plain, |packet| packet[TUNNEL] |= 0x44)),
        ("Ethernet header cut", Refuses, changed(plain, cut(13))),
        ("IPv4 header cut", Refuses, changed(plain, cut(IP + 19))),
        ("IPv4 version 5", Refuses, changed(plain, |packet| packet[IP] = 0x55)),
        ("IPv4 header length 16", Refuses, changed(plain, |packet| packet[IP] = 0x44)),
        (
            "IPv4 header length beyond the packet",
            Refuses,
            changed(plain, |packet| {
                packet.truncate(IP + 40);
                packet[IP] = 0x4f;
                packet[IP + 2..IP + 4].copy_from_slice(&40_u16.to_be_bytes());
            }),
        ),
        ("IPv4 total length beyond the packet", Refuses, changed(plain, put(IP + 2, 500))),
        ("IPv4 total length below its header's", Refuses, changed(plain, put(IP + 2, 10))),
        ("IPv4 header checksum wrong", Refuses, wrong_sum),
        ("first fragment", Refuses, changed(plain, put(IP + 6, 0x2000))),
        ("later fragment", Refuses, changed(plain, put(IP + 6, 0x0010))),
        ("UDP header cut by the IPv4 length", Refuses, changed(plain, put(IP + 2, 24))),
        ("UDP length beyond the IPv4 packet", Refuses, changed(plain, put(UDP + 4, 500))),
        ("UDP length below 8", Refuses, changed(plain, put(UDP + 4, 7))),
        ("UDP checksum wrong", Refuses, changed(summed, |packet| packet[UDP + 6] ^= 1)),
        ("VXLAN header cut", Refuses, changed(plain, shortened(TUNNEL + 7))),
        ("VXLAN header cut by the UDP length", Refuses, changed(plain, put(UDP + 4, 12))),
        ("VXLAN I flag clear", Refuses, changed(plain, |packet| packet[TUNNEL] = 0)),
        ("Geneve, sound, one option", Accepts, geneve.packet(5_000, 50_000)),
        ("Geneve version 1", Refuses, changed(geneve, |packet| packet[TUNNEL] |= 0x40)),
        ("Geneve option area beyond the packet", Refuses, changed(geneve, |packet| packet[TUNNEL] = 63)),
        ("Geneve option beyond its area", Refuses, changed(geneve, |packet| packet[TUNNEL + 11] = 9)),
        ("Geneve critical option, unknown", Refuses, changed(geneve, |packet| packet[TUNNEL + 10] |= 0x80)),
        ("IPv6, sound", Accepts, v6.packet(5_000, 50_000)),
        ("IPv6, UDP checksum 0", Refuses, changed(v6, put(IP + 46, 0))),
        ("IPv6, UDP checksum wrong", Refuses, changed(v6, |packet| packet[IP + 46] ^= 1)),
        ("IPv6 payload length beyond the packet", Refuses, changed(v6, put(IP + 4, 500))),
    ]
}

pub fn rows() -> Vec<Row> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let rows = packets().into_iter().map(|(name, right, packet)| {
        let (geneve, v6) = (name.starts_with("Geneve"), name.starts_with("IPv6"));
        let answers = PARSERS.iter().map(|parser| {
            if geneve && !parser.geneve || v6 && !parser.ipv6 {
                return Answer::Unread;
            }
            match panic::catch_unwind(AssertUnwindSafe(|| (parser.parse)(&packet))) {
                Ok(Some(_)) => Answer::Accepts,
                Ok(None) => Answer::Refuses,
                Err(_) => Answer::Panics,
            }
        });
        Row { packet: name.into(), right, answers: answers.collect() }
    });
    let rows = rows.collect();
    panic::set_hook(hook);
    rows
}
