//! The MAC addresses of the next hops: asked for by ARP, told to the engine.

use core::net::Ipv4Addr;

use heapless::Vec;
use vtep::table::{Duration, Instant};
use vtep::wire::arp::{Operation, Packet};
use vtep::wire::{EtherType, MacAddr};

/// Most next hops that are looked after.
const MAX: usize = 16;
/// Between questions while there is no answer.
const RETRY: Duration = Duration::from_secs(1);
/// Between questions when there was one.
const REFRESH: Duration = Duration::from_secs(30);
/// Ethernet header and ARP packet, padded to the smallest frame.
pub const REQUEST_LEN: usize = 60;

/// A next hop.
struct Neighbour {
    address: Ipv4Addr,
    mac: Option<MacAddr>,
    ask_at: Instant,
}

/// All of them.
#[derive(Default)]
pub struct Neighbours {
    known: Vec<Neighbour, MAX>,
}

impl Neighbours {
    /// Looks after one more. Beyond the most there is room for, nothing happens.
    pub fn want(&mut self, address: Ipv4Addr) {
        if self.known.iter().all(|n| n.address != address) {
            let _ = self.known.push(Neighbour { address, mac: None, ask_at: Instant::ZERO });
        }
    }

    /// The MAC address of one, if it is known.
    pub fn mac(&self, address: Ipv4Addr) -> Option<MacAddr> {
        self.known.iter().find(|n| n.address == address)?.mac
    }

    /// Reads a frame; the next hop whose MAC address is new because of it.
    ///
    /// A reply counts only where we ask for its sender, and only if its sender sent the frame.
    pub fn hear(&mut self, frame: &[u8]) -> Option<(Ipv4Addr, MacAddr)> {
        let source = MacAddr(*frame.get(6..)?.first_chunk()?);
        if frame.get(12..14)? != EtherType::ARP.0.to_be_bytes() {
            return None;
        }
        let packet = Packet::parse(frame.get(14..)?).ok()?;
        let neighbour = self.known.iter_mut().find(|n| n.address == packet.sender_ip)?;
        if packet.sender_mac != source || neighbour.mac == Some(source) {
            return None;
        }
        neighbour.mac = Some(source);
        Some((packet.sender_ip, source))
    }

    /// The next question that is due: an ARP request, written to `out`.
    pub fn ask(&mut self, now: Instant, mac: MacAddr, ip: Ipv4Addr, out: &mut [u8; REQUEST_LEN]) -> bool {
        let Some(due) = self.known.iter_mut().find(|n| n.ask_at <= now) else { return false };
        due.ask_at = now.saturating_add(if due.mac.is_some() { REFRESH } else { RETRY });
        let request = Packet {
            operation: Operation::Request,
            sender_mac: mac,
            sender_ip: ip,
            target_mac: MacAddr::ZERO,
            target_ip: due.address,
        };
        out.fill(0);
        // Of one who is known, so that everybody else may sleep on.
        out[..6].copy_from_slice(&due.mac.unwrap_or(MacAddr::BROADCAST).0);
        out[6..12].copy_from_slice(&mac.0);
        out[12..14].copy_from_slice(&EtherType::ARP.0.to_be_bytes());
        request.emit(&mut out[14..]).is_ok()
    }
}
