//! Pods: hosts that speak ARP (RFC 826) and answer echo requests (RFC 792).

use core::net::Ipv4Addr;
use std::collections::BTreeMap;

use vtep::table::PortId;
use vtep::wire::arp::{self, Operation};
use vtep::wire::{MacAddr, WireError};

use crate::frames::{self, Content, Frame, Route, text};

/// A host with one interface. What it knows of its neighbours it never forgets: the story is about the VTEPs' memory.
pub struct Pod {
    /// The VTEP it is behind now.
    pub vtep: usize,
    /// The VTEP's port it is attached to.
    pub port: PortId,
    pub mac: MacAddr,
    pub ip: Ipv4Addr,
    identifier: u16,
    sequence: u16,
    neighbours: BTreeMap<Ipv4Addr, MacAddr>,
    /// Echo requests that wait for an ARP reply: whom to, and the sequence number.
    waiting: Vec<(Ipv4Addr, u16)>,
}

impl Pod {
    pub fn new(vtep: usize, port: PortId, mac: MacAddr, ip: Ipv4Addr, identifier: u16) -> Self {
        let (neighbours, waiting) = (BTreeMap::new(), Vec::new());
        Self { vtep, port, mac, ip, identifier, sequence: 0, neighbours, waiting }
    }

    /// Whether it needs no ARP to send to `ip`.
    pub fn knows(&self, ip: Ipv4Addr) -> bool {
        self.neighbours.contains_key(&ip)
    }

    /// Is told a neighbour's MAC by other means than ARP.
    pub fn meet(&mut self, ip: Ipv4Addr, mac: MacAddr) {
        self.neighbours.insert(ip, mac);
    }

    /// The sequence number of its latest echo request.
    pub fn sequence(&self) -> u16 {
        self.sequence
    }

    /// An echo request, or the ARP request that has to come first.
    pub fn ping(&mut self, to: Ipv4Addr) -> Result<Vec<u8>, WireError> {
        self.sequence = self.sequence.wrapping_add(1);
        if let Some(mac) = self.neighbours.get(&to) {
            return frames::echo_request(self.route(*mac, to), self.identifier, self.sequence);
        }
        self.waiting.push((to, self.sequence));
        self.arp_request(to)
    }

    /// Tells everybody where it is.
    pub fn announce(&self) -> Result<Vec<u8>, WireError> {
        self.arp_request(self.ip)
    }

    /// A datagram nobody answers, to a neighbour it knows.
    pub fn datagram(&self, to: Ipv4Addr) -> Result<Vec<u8>, String> {
        let mac = self.neighbours.get(&to).ok_or_else(|| format!("{} does not know the MAC of {to}", self.ip))?;
        frames::datagram(self.route(*mac, to), b"Are you there? Do not answer.").map_err(text)
    }

    /// Takes a frame, and gives what it sends because of it.
    ///
    /// # Errors
    /// What is wrong with a frame that is for this pod.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let frame = Frame::read(bytes)?;
        if frame.dst != self.mac && !frame.dst.is_broadcast() {
            return Ok(Vec::new());
        }
        if let Some(packet) = frame.arp {
            return self.receive_arp(&packet).map_err(text);
        }
        match frame.content {
            Content::EchoRequest { from, to, sequence } if to == self.ip => {
                let reply = frames::echo_reply(self.route(frame.src, from), frame.identifier, sequence);
                Ok(vec![reply.map_err(text)?])
            }
            Content::EchoReply { to, .. } if to == self.ip && frame.identifier != self.identifier => {
                Err(format!("{} got an echo reply with identifier {}", self.ip, frame.identifier))
            }
            Content::EchoReply { to, .. } | Content::Datagram { to, .. } if to == self.ip => Ok(Vec::new()),
            other => Err(format!("{} got a frame with its MAC and another's address: {other}", self.ip)),
        }
    }

    fn receive_arp(&mut self, packet: &arp::Packet) -> Result<Vec<Vec<u8>>, WireError> {
        let for_me = packet.target_ip == self.ip;
        // A neighbour that is known is kept up to date; a new one is noted by the target only.
        if for_me || self.knows(packet.sender_ip) {
            self.neighbours.insert(packet.sender_ip, packet.sender_mac);
        }
        let mut answers = Vec::new();
        if for_me && packet.operation == Operation::Request {
            answers.push(frames::arp(packet.sender_mac, &packet.reply(self.mac))?);
        }
        let (ready, waiting) = self.waiting.iter().partition(|(to, _)| *to == packet.sender_ip && for_me);
        self.waiting = waiting;
        let ready: Vec<(Ipv4Addr, u16)> = ready;
        for (to, sequence) in ready {
            answers.push(frames::echo_request(self.route(packet.sender_mac, to), self.identifier, sequence)?);
        }
        Ok(answers)
    }

    fn arp_request(&self, target: Ipv4Addr) -> Result<Vec<u8>, WireError> {
        let packet = arp::Packet {
            operation: Operation::Request,
            sender_mac: self.mac,
            sender_ip: self.ip,
            target_mac: MacAddr::ZERO,
            target_ip: target,
        };
        frames::arp(MacAddr::BROADCAST, &packet)
    }

    fn route(&self, mac: MacAddr, to: Ipv4Addr) -> Route {
        Route { src: (self.mac, self.ip), dst: (mac, to) }
    }
}
