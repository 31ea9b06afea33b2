//! The pods' side: TAP devices.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::uio::writev;
use tracing::{info, warn};
use tun_rs::{DeviceBuilder, Layer, SyncDevice};
use vtep::engine::Command;
use vtep::table::{Duration, Instant, PortId};

use super::buffers::Buffers;
use super::counters::Traffic;
use super::forward::is_idle;
use super::offload::Offload;
use super::train::Train;
use super::{Daemon, offload, tokens};

/// How long to wait before a device that vanished is made anew.
const RETRY: Duration = Duration::from_secs(1);

/// Bytes of an Ethernet header and a VLAN tag.
const ETHERNET: usize = 18;

/// What was read from a device.
pub enum Frame {
    /// A frame of so many bytes.
    Whole(usize),
    /// One that is to be cut into many, of so many bytes of payload each.
    Long { len: usize, size: usize },
}

/// A device, or the memory of one that vanished.
pub struct Tap {
    pub name: String,
    device: Option<SyncDevice>,
    mtu: u16,
    /// What the device is given next.
    train: Option<Train>,
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
            train: None,
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

    /// Reads a frame to a buffer; `None` if there is none now. An error means that the device is gone.
    #[inline]
    pub fn receive(&mut self, buffers: &mut Buffers, slot: usize) -> io::Result<Option<Frame>> {
        let room = buffers.room(slot, Offload::LEN);
        let received = match &self.device {
            Some(device) => device.recv(room),
            None => return Ok(None),
        };
        match received {
            Ok(len) => {
                let (header, rest) = room.split_first_chunk_mut().ok_or(io::ErrorKind::InvalidData)?;
                let (offload, len) = (Offload::read(*header), len.saturating_sub(Offload::LEN));
                self.received.count(len);
                if offload.size != 0 {
                    return Ok(Some(Frame::Long { len, size: offload.size.into() }));
                }
                offload.finish(&mut rest[..len]);
                Ok(Some(Frame::Whole(len)))
            }
            Err(error) if is_idle(&error) => {
                self.ready = false;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Hands a frame of a buffer to the pods, after those before it and together with those that follow; at the latest
    /// with [`flush`](Self::flush). There is room for an [`Offload`] in front of it.
    #[inline]
    pub fn send(&mut self, buffers: &mut Buffers, slot: usize, frame: Range<usize>) {
        let follows = self.train.as_mut().is_some_and(|train| train.takes(buffers, slot, frame.clone()));
        if follows {
            return;
        }
        self.flush(buffers);
        let udp = self.device.as_ref().is_some_and(|device| device.udp_gso());
        self.train = Train::new(buffers, slot, frame.clone(), self.mtu, udp);
        if self.train.is_none() {
            self.send_copy(buffers, &[], slot, frame);
        }
    }

    /// Writes what waits. Must be called before the buffers are used anew.
    #[inline]
    pub fn flush(&mut self, buffers: &mut Buffers) {
        if let Some(train) = self.train.take() {
            let (frames, bytes) = train.count();
            self.write(&train.pieces(buffers), frames, bytes);
        }
    }

    /// Writes a frame in two pieces; more of them if it is a TCP segment that only hardware would send.
    pub fn send_copy(&mut self, buffers: &mut Buffers, head: &[u8], slot: usize, rest: Range<usize>) {
        self.flush(buffers);
        let rest = buffers.get(slot, rest);
        let plain = &Offload::default().bytes()[..];
        let longest = usize::from(self.mtu) + ETHERNET;
        if rest.len() > longest
            && head.is_empty()
            && let Some(segments) = offload::segments(rest, self.mtu)
        {
            for (head, part) in segments {
                let len = head.len() + part.len();
                self.write(&[plain, &head, &rest[part]].map(IoSlice::new), 1, len);
            }
        } else {
            self.write(&[plain, head, rest].map(IoSlice::new), 1, head.len() + rest.len());
        }
    }

    /// A device that is down or whose queue is full loses the frames, and counts that.
    fn write(&mut self, pieces: &[IoSlice<'_>], frames: usize, bytes: usize) {
        let sent = match (&self.device, pieces) {
            (Some(device), [whole]) => device.send(whole),
            (Some(device), _) => writev(device.as_fd(), pieces).map_err(io::Error::from),
            (None, _) => Err(io::ErrorKind::NotConnected.into()),
        };
        match sent {
            Ok(_) => {
                self.sent.packets += frames as u64;
                self.sent.bytes += bytes as u64;
            }
            Err(_) => self.sent.errors += frames as u64,
        }
    }
}

fn open(name: &str, mtu: u16, registry: &Registry, token: Token) -> io::Result<SyncDevice> {
    let device = DeviceBuilder::new().name(name).layer(Layer::L2).mtu(mtu).offload(true).enable(true).build_sync()?;
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
        (tap.ready, tap.train) = (false, None);
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
