//! What a side was seen to do, in a form that can be compared.

use core::net::IpAddr;
use std::collections::BTreeMap;

use crate::common::world::{Read, internet_checksum};
use crate::scenario::Kind;

/// A side's answer to one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The frames handed up, or why there are none.
    Rx {
        delivered: Vec<Vec<u8>>,
        drop: Option<String>,
    },
    /// What was sent, in order, or why nothing was.
    Tx {
        sent: Vec<Sent>,
        drop: Option<String>,
    },
    /// Whether a command was carried out, and what was said.
    Command {
        done: bool,
        said: String,
    },
    Nothing,
}

/// An encapsulated packet. What may differ between two senders is not here but in [`Entropy`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) tos: u8,
    pub(crate) ttl: u8,
    pub(crate) df: bool,
    pub(crate) flow_label: u32,
    pub(crate) dst_port: u16,
    /// Present; where it is, it is right.
    pub(crate) checksum: bool,
    pub(crate) tunnel: [u8; 8],
    pub(crate) inner: Vec<u8>,
    /// In how many fragments it came.
    pub(crate) fragments: usize,
    pub(crate) entropy: Entropy,
}

/// What each sender is free to choose: two are always equal here, and looked at by `entropy::faults`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entropy {
    pub(crate) source_port: u16,
    /// Of IPv4 without DF: with it, nobody needs one (RFC 6864).
    pub(crate) ident: Option<u16>,
}

impl PartialEq for Entropy {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Entropy {}

impl Sent {
    /// Reads what is known to be right: lengths, IPv4 and UDP checksums.
    pub(crate) fn new(packet: &[u8], fragments: usize) -> Self {
        let read = Read::ip(packet);
        let ident = read.ip.src.is_ipv4() && !read.ip.df;
        let ident = ident.then(|| u16::from_be_bytes([packet[4], packet[5]]));
        Self {
            src: read.ip.src,
            dst: read.ip.dst,
            tos: read.ip.tos,
            ttl: read.ip.ttl,
            df: read.ip.df,
            flow_label: read.ip.flow_label,
            dst_port: read.dst_port,
            checksum: read.checksum != 0,
            tunnel: read.tunnel,
            inner: [&read.options[..], &read.inner].concat(),
            fragments,
            entropy: Entropy { source_port: read.src_port, ident },
        }
    }
}

impl Sent {
    /// Without what comes from the inner IP header.
    pub(crate) fn without_inherited(&self) -> Self {
        Self { tos: 0, ttl: 0, df: false, ..self.clone() }
    }

    /// Its fields by name.
    pub(crate) fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("source", self.src.to_string()),
            ("destination", self.dst.to_string()),
            ("TOS", format!("{:#04x}", self.tos)),
            ("TTL", self.ttl.to_string()),
            ("DF", self.df.to_string()),
            ("flow label", self.flow_label.to_string()),
            ("port", self.dst_port.to_string()),
            ("checksum", self.checksum.to_string()),
            ("tunnel", format!("{:02x?}", self.tunnel)),
            ("inner", format!("{:02x?}", self.inner)),
            ("fragments", self.fragments.to_string()),
        ]
    }
}

/// Does what the kernel leaves to the network card: the UDP checksum of an IP packet, over what stands there.
pub(crate) fn finish_checksum(packet: &mut [u8]) {
    let udp = if packet[0] >> 4 == 4 { usize::from(packet[0] & 15) * 4 } else { 40 };
    let sum = match internet_checksum(&[&packet[udp..]]) {
        0 => 0xffff,
        sum => sum,
    };
    packet[udp + 6..udp + 8].copy_from_slice(&sum.to_be_bytes());
}

/// Where an FDB has a MAC.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) dst: IpAddr,
    pub(crate) port: u16,
    pub(crate) vni: u32,
    pub(crate) kind: Kind,
}

/// A FDB: MAC to where it is, to several places for zero and groups, in their order.
pub(crate) type Table = BTreeMap<String, Vec<Row>>;

/// All that was seen of one side.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) seen: Vec<Seen>,
    pub(crate) fdb: Table,
    /// Stations asked for; the engine's only.
    pub(crate) misses: Vec<[u8; 6]>,
    /// Whether drop reasons were recorded.
    pub(crate) reasons: bool,
}
