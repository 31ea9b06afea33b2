//! AF_PACKET sockets: whole Ethernet frames in and out of one interface.

use std::fs::File;
use std::io::{Error, IoSliceMut, Result};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recvmsg, send,
    setsockopt, socket, sockopt,
};
use nix::{setsockopt_impl, sockopt_impl};

sockopt_impl!(Auxdata, SetOnly, libc::SOL_PACKET, libc::PACKET_AUXDATA, bool);
sockopt_impl!(IgnoreOutgoing, SetOnly, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, bool);

const PACKET_AUXDATA: i32 = libc::PACKET_AUXDATA;
/// The checksum is left to a network card: what stands there is the pseudo-header's sum.
const CSUM_NOT_READY: u32 = 1 << 3;
const VLAN_VALID: u32 = 1 << 4;
const VLAN_TPID_VALID: u32 = 1 << 6;

/// A frame as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Captured {
    pub(crate) bytes: Vec<u8>,
    pub(crate) checksum_left_to_card: bool,
}

/// One interface, raw.
pub(crate) struct Tap {
    socket: OwnedFd,
    frame: Vec<u8>,
    control: Vec<u8>,
}

impl Tap {
    /// Opens an interface of a namespace.
    pub(crate) fn open(namespace: &str, interface: &str) -> Result<Self> {
        let path = format!("/run/netns/{namespace}");
        let open = || -> Result<Self> {
            setns(File::open(&path)?, CloneFlags::CLONE_NEWNET)?;
            // The name server of interfaces that gives whole socket addresses.
            let address = nix::ifaddrs::getifaddrs()?
                .filter(|interface_address| interface_address.interface_name == interface)
                .find_map(|found| found.address?.as_link_addr().copied())
                .ok_or_else(|| Error::other(format!("no interface {interface}")))?;
            Self::bind(&address)
        };
        // Only a thread of its own can go there and not come back.
        std::thread::scope(|scope| scope.spawn(open).join()).unwrap_or_else(|_| Err(Error::other("panicked")))
    }

    fn bind(address: &LinkAddr) -> Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)?;
        setsockopt(&socket, Auxdata, &true)?;
        setsockopt(&socket, IgnoreOutgoing, &true)?;
        setsockopt(&socket, sockopt::RcvBufForce, &(64 << 20))?;
        bind(socket.as_raw_fd(), address)?;
        Ok(Self { socket, frame: vec![0; 1 << 16], control: vec![0; 256] })
    }

    /// Sends a frame. What the interface refuses for a reason of its own (a full queue, a drop) is no error.
    pub(crate) fn send(&self, frame: &[u8]) -> Result<()> {
        loop {
            match send(self.socket.as_raw_fd(), frame, MsgFlags::empty()) {
                Ok(_) | Err(Errno::ENOBUFS) => return Ok(()),
                Err(Errno::EAGAIN) => std::thread::yield_now(),
                Err(error) => return Err(Error::other(format!("{} bytes: {error}", frame.len()))),
            }
        }
    }

    /// The next frame, if one is there.
    pub(crate) fn receive(&mut self) -> Result<Option<Captured>> {
        let mut pieces = [IoSliceMut::new(&mut self.frame)];
        let fd = self.socket.as_raw_fd();
        let message = recvmsg::<LinkAddr>(fd, &mut pieces, Some(&mut self.control), MsgFlags::MSG_DONTWAIT);
        let message = match message {
            Ok(message) => message,
            Err(Errno::EAGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut auxdata = None;
        for part in message.cmsgs()? {
            if let ControlMessageOwned::Unknown(part) = part {
                if part.cmsg_header.cmsg_level == libc::SOL_PACKET && part.cmsg_header.cmsg_type == PACKET_AUXDATA {
                    auxdata = Some(part.data_bytes);
                }
            }
        }
        let len = message.bytes;
        let mut bytes = self.frame[..len].to_vec();
        let data = auxdata.ok_or_else(|| Error::other("no auxiliary data"))?;
        let status = u32::from_ne_bytes(data[..4].try_into().map_err(Error::other)?);
        let half = |at: usize| u16::from_ne_bytes([data[at], data[at + 1]]);
        if status & VLAN_VALID != 0 {
            // The kernel keeps the outermost tag beside the frame.
            let tpid = if status & VLAN_TPID_VALID != 0 { half(18) } else { 0x8100 };
            let tag = [tpid.to_be_bytes(), half(16).to_be_bytes()].concat();
            bytes.splice(12..12, tag);
        }
        Ok(Some(Captured { bytes, checksum_left_to_card: status & CSUM_NOT_READY != 0 }))
    }

    /// Waits until a frame is there; `false` where none came in time.
    pub(crate) fn wait(&self, millis: u16) -> Result<bool> {
        let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::from(millis)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::EINTR) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }
}
