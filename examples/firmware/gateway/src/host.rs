//! The host on the underlay: `smoltcp` answers ARP and ping for our address. It gets what is not a tunnel packet.

use core::net::Ipv4Addr;

use heapless::Deque;
use smoltcp::iface::{self, Interface, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time;
use smoltcp::wire::{EthernetAddress, IpCidr};
use vtep::table::Instant;
use vtep::wire::MacAddr;

use crate::buffer::{Frame, Owned, Pool};

/// Answers that wait for the transmit ring.
const WAITING: usize = 8;
/// Ethernet header and 1,500 bytes.
const MTU: usize = 1514;

/// Our side of the underlay.
pub struct Host {
    interface: Interface,
    outgoing: Deque<Owned, WAITING>,
}

impl Host {
    /// A host with one address.
    pub fn new(now: Instant, mac: MacAddr, address: Ipv4Addr, prefix: u8, gateway: Option<Ipv4Addr>) -> Self {
        let mut outgoing = Deque::new();
        let mut nothing = Wire { incoming: None, outgoing: &mut outgoing, pool: None };
        let config = iface::Config::new(EthernetAddress(mac.0).into());
        let mut interface = Interface::new(config, &mut nothing, time_of(now));
        interface.update_ip_addrs(|all| {
            let _ = all.push(IpCidr::new(address.into(), prefix));
        });
        if let Some(gateway) = gateway {
            let _ = interface.routes_mut().add_default_ipv4_route(gateway);
        }
        Self { interface, outgoing }
    }

    /// Reads a frame.
    pub fn receive(&mut self, now: Instant, frame: &Frame, pool: &mut Pool) {
        let mut wire = Wire { incoming: Some(frame), outgoing: &mut self.outgoing, pool: Some(pool) };
        // There are no sockets: answers come from the interface itself.
        let _ = self.interface.poll(time_of(now), &mut wire, &mut SocketSet::new(&mut [][..]));
    }

    /// The next frame to be sent.
    pub fn transmit(&mut self) -> Option<Owned> {
        self.outgoing.pop_front()
    }
}

fn time_of(now: Instant) -> time::Instant {
    time::Instant::from_millis(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

/// One received frame and a queue, as `smoltcp` wants to see a network card.
struct Wire<'w> {
    incoming: Option<&'w Frame>,
    outgoing: &'w mut Deque<Owned, WAITING>,
    pool: Option<&'w mut Pool>,
}

struct Incoming<'t>(&'t Frame);

/// A frame that is sent when something has been written to it, and goes back to the pool otherwise.
struct Outgoing<'t> {
    frame: Option<Owned>,
    queue: &'t mut Deque<Owned, WAITING>,
    pool: &'t mut Pool,
}

impl Device for Wire<'_> {
    type RxToken<'t>
        = Incoming<'t>
    where
        Self: 't;
    type TxToken<'t>
        = Outgoing<'t>
    where
        Self: 't;

    fn receive(&mut self, now: time::Instant) -> Option<(Incoming<'_>, Outgoing<'_>)> {
        let frame = self.incoming.take()?;
        Some((Incoming(frame), self.transmit(now)?))
    }

    fn transmit(&mut self, _: time::Instant) -> Option<Outgoing<'_>> {
        let pool = self.pool.as_mut()?;
        if self.outgoing.is_full() {
            return None;
        }
        Some(Outgoing { frame: Some(pool.take()?), queue: self.outgoing, pool })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = MTU;
        capabilities.max_burst_size = Some(1);
        capabilities
    }
}

impl RxToken for Incoming<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0.frame())
    }
}

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, len: usize, write: F) -> R {
        let Some(frame) = self.frame.take() else { return write(&mut []) };
        let result = write(frame.fresh(len));
        if let Err(frame) = self.queue.push_back(frame) {
            self.pool.put(frame);
        }
        result
    }
}

impl Drop for Outgoing<'_> {
    fn drop(&mut self) {
        if let Some(frame) = self.frame.take() {
            self.pool.put(frame);
        }
    }
}
