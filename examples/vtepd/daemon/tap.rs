//! The pods' side: TAP devices.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::uio::writev;
use tracing::{info, warn};
use tun_rs::{DeviceBuilder, Layer, SyncDevice};
use vtep::engine::Command;
use vtep::table::{Duration, Instant, PortId};

use super::counters::Traffic;
use super::forward::is_idle;
use super::{Daemon, offload, tokens};

/// How long to wait before a device that vanished is made anew.
const RETRY: Duration = Duration::from_secs(1);

/// Bytes of an Ethernet header and a VLAN tag.
const ETHERNET: usize = 18;

/// A device, or the memory of one that vanished.
pub struct Tap {
    pub name: String,
    device: Option<SyncDevice>,
    mtu: u16,
    /// Whether there may be something to read.
    pub ready: bool,
    /// When to try to make it again.
    pub retry: Option<Instant>,
    /// From the pods.
    pub received: Traffic,
    /// To the pods.
    pub sent: Traffic,
}

impl Tap {
    /// Creates the device, or attaches to the one that exists; sets its MTU and brings it up.
    pub fn open(name: &str, mtu: u16, registry: &Registry, token: Token) -> io::Result<Self> {
        let device = open(name, mtu, registry, token)?;
        let traffic = Traffic::default();
        Ok(Self {
            name: name.to_owned(),
            device: Some(device),
            mtu,
            ready: true,
            retry: None,
            received: traffic,
            sent: traffic,
        })
    }

    /// Whether the device exists.
    pub fn is_there(&self) -> bool {
        self.device.is_some()
    }

    /// Reads a frame; `None` if there is none now. An error means that the device is gone.
    #[inline]
    pub fn receive(&mut self, room: &mut [u8]) -> io::Result<Option<usize>> {
        let received = match &self.device {
            Some(device) => device.recv(room),
            None => return Ok(None),
        };
        match received {
            Ok(len) => {
                self.received.count(len);
                Ok(Some(len))
            }
            Err(error) if is_idle(&error) => {
                self.ready = false;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes a frame in two pieces; more of them if it is a TCP segment that only hardware would send.
    #[inline]
    pub fn send(&mut self, head: &[u8], rest: &[u8]) {
        let longest = usize::from(self.mtu) + ETHERNET;
        if rest.len() > longest
            && head.is_empty()
            && let Some(segments) = offload::segments(rest, self.mtu)
        {
            segments.for_each(|(head, part)| self.write(&head, &rest[part]));
        } else {
            self.write(head, rest);
        }
    }

    /// A device that is down or whose queue is full loses the frame, and counts that.
    fn write(&mut self, head: &[u8], rest: &[u8]) {
        let sent = match &self.device {
            Some(device) if head.is_empty() => device.send(rest),
            Some(device) => writev(device.as_fd(), &[IoSlice::new(head), IoSlice::new(rest)]).map_err(io::Error::from),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        match sent {
            Ok(len) => self.sent.count(len),
            Err(_) => self.sent.errors += 1,
        }
    }
}

fn open(name: &str, mtu: u16, registry: &Registry, token: Token) -> io::Result<SyncDevice> {
    let device = DeviceBuilder::new().name(name).layer(Layer::L2).mtu(mtu).enable(true).build_sync()?;
    device.set_nonblocking(true)?;
    registry.register(&mut SourceFd(&device.as_raw_fd()), token, Interest::READABLE)?;
    Ok(device)
}

impl Daemon<'_> {
    /// A device vanished: its port goes, with what was learned there.
    pub fn lose_tap(&mut self, now: Instant, index: usize, error: &io::Error) {
        let tap = &mut self.taps[index];
        warn!(tap = tap.name, %error, "the TAP device is gone; it will be made again");
        // Closing the device has taken it out of the poll already where that fails.
        if let Some(device) = tap.device.take() {
            let _ = self.poll.registry().deregister(&mut SourceFd(&device.as_raw_fd()));
        }
        tap.ready = false;
        tap.retry = Some(now.saturating_add(RETRY));
        self.counters.incident("tap-lost");
        let _ = self.node.command(now, &Command::RemovePort { id: PortId(index as u16) });
    }

    /// Makes devices anew that vanished a while ago.
    pub fn reopen_taps(&mut self, now: Instant) {
        for index in 0..self.taps.len() {
            if self.taps[index].retry.is_none_or(|at| at > now) {
                continue;
            }
            let tap = &mut self.taps[index];
            match open(&tap.name, self.watch.tap_mtu, self.poll.registry(), Token(tokens::TAPS + index)) {
                Ok(device) => {
                    info!(tap = tap.name, "the TAP device is back");
                    (tap.device, tap.ready, tap.retry) = (Some(device), true, None);
                    self.counters.incident("tap-back");
                    if let Some(command) = self.setup.port_command(PortId(index as u16)) {
                        let _ = self.node.command(now, &command);
                    }
                }
                Err(_) => tap.retry = Some(now.saturating_add(RETRY)),
            }
        }
    }
}
