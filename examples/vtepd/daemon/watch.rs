//! Watching the underlay: the kernel says that something changed, and then we look for ourselves.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry};
use nix::libc;
use nix::sys::socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket};
use tracing::{info, warn};
use vtep::table::Instant;

use super::interfaces::Underlay;
use super::{Daemon, tokens};

/// Links and addresses.
const GROUPS: i32 = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR;

pub struct Watch {
    netlink: OwnedFd,
    pub underlay: Underlay,
    /// The interface whose multicast group is joined.
    joined: Option<u32>,
    /// The TAP devices' MTU.
    pub tap_mtu: u16,
}

impl Watch {
    pub fn open(underlay: Underlay, tap_mtu: u16, registry: &Registry) -> io::Result<Self> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let netlink = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        bind(netlink.as_raw_fd(), &NetlinkAddr::new(0, GROUPS as u32))?;
        registry.register(&mut SourceFd(&netlink.as_raw_fd()), tokens::WATCH, Interest::READABLE)?;
        Ok(Self { netlink, underlay, joined: None, tap_mtu })
    }

    /// Reads away what the kernel has to say.
    fn drain(&self) {
        let mut message = [0; 8192];
        loop {
            match recv(self.netlink.as_raw_fd(), &mut message, MsgFlags::MSG_DONTWAIT) {
                // More was said than we listened to; what it was does not matter.
                Ok(_) | Err(nix::Error::ENOBUFS | nix::Error::EINTR) => {}
                Err(_) => return,
            }
        }
    }
}

impl Daemon<'_> {
    /// Something changed: looks at the underlay, and adapts to what is new.
    pub fn look_at_underlay(&mut self, now: Instant) {
        self.watch.drain();
        let underlay = Underlay::now(&self.setup);
        if underlay == self.watch.underlay {
            return;
        }
        let old = std::mem::replace(&mut self.watch.underlay, underlay);
        let new = &self.watch.underlay;
        if old.is_whole() && !new.is_whole() {
            self.counters.incident("underlay-lost");
            warn!(missing = ?new.missing, "the underlay is gone; its packets are lost until it is back");
        }
        if !old.is_whole() && new.is_whole() {
            self.counters.incident("underlay-back");
            info!("the underlay is back");
        }
        if old.mtu() != new.mtu() && new.interface.is_some() {
            info!(mtu = new.mtu(), "the underlay has another MTU");
            self.outbox.mtu = new.mtu();
            let command = self.setup.underlay_command(new.mtu());
            if let Err(error) = self.node.command(now, &command) {
                warn!(%error, "the underlay's MTU was refused");
            }
        }
        self.follow_interface();
    }

    /// Sends multicast through the underlay's interface and joins the group there, once for each interface.
    pub fn follow_interface(&mut self) {
        let index = self.watch.underlay.interface.as_ref().map(|interface| interface.index);
        let Some(index) = index.filter(|index| self.watch.joined != Some(*index)) else { return };
        if let Err(error) = self.outbox.set_interface(index) {
            warn!(%error, "multicast cannot be sent");
        }
        if let Some(group) = self.setup.group {
            for inbox in &self.inboxes {
                // The membership on an interface that is gone went with it.
                if let Some(old) = self.watch.joined {
                    let _ = inbox.leave(group, old);
                }
                if let Err(error) = inbox.join(group, index) {
                    warn!(%group, %error, "the multicast group could not be joined");
                }
            }
        }
        self.watch.joined = Some(index);
    }

    /// Leaves the group.
    pub fn leave_group(&self) {
        if let (Some(group), Some(index)) = (self.setup.group, self.watch.joined) {
            for inbox in &self.inboxes {
                let _ = inbox.leave(group, index);
            }
        }
    }
}
