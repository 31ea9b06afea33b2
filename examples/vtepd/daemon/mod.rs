//! The daemon: one thread, one event loop.

mod answer;
mod buffers;
mod capture;
mod control;
mod counters;
mod forward;
mod fragment;
mod icmp;
mod inbox;
mod interfaces;
mod links;
mod offload;
mod outbox;
mod rules;
mod start;
mod tap;
mod train;
mod watch;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use mio::{Events, Poll, Token};
use nix::sys::signalfd::SignalFd;
use tracing::info;
use vtep::table::Instant;

use crate::node::Node;
use crate::setup::Setup;
use buffers::Buffers;
use capture::Capture;
use control::Control;
use counters::Counters;
use icmp::{Icmp, Path};
use inbox::Inbox;
use outbox::Outbox;
use tap::Tap;
use watch::Watch;

pub use start::run;

/// Everything the event loop works on.
struct Daemon<'a> {
    setup: Setup,
    clock: Clock,
    /// The engine.
    node: Node<'a>,
    /// The pods' side: one device for each port of the engine.
    taps: Vec<Tap>,
    /// The tunnels' side, coming in: a UDP socket for each address family.
    inboxes: Vec<Inbox>,
    /// The tunnels' side, going out.
    outbox: Outbox,
    buffers: Buffers,
    control: Option<Control>,
    icmp: Vec<Icmp>,
    watch: Watch,
    signals: SignalFd,
    capture: Option<Capture>,
    counters: Counters,
    /// What was complained of on the way to peers.
    paths: BTreeMap<IpAddr, Path>,
    poll: Poll,
    stopping: bool,
}

impl Daemon<'_> {
    /// The event loop. Sources are edge-triggered: one that still has something to read stays `ready`, and each gets a
    /// batch a turn.
    fn serve(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(64);
        while !self.stopping {
            match self.poll.poll(&mut events, self.timeout()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            let now = self.clock.now();
            for event in &events {
                self.wake(now, event.token());
            }
            for index in 0..self.inboxes.len() {
                if self.inboxes[index].ready {
                    self.read_underlay(now, index);
                }
            }
            for index in 0..self.taps.len() {
                if self.taps[index].ready {
                    self.read_tap(now, index);
                }
            }
            if self.node.engine().next_deadline().is_some_and(|at| at <= now) {
                self.node.tick(now);
            }
            self.reopen_taps(now);
            self.tell_news();
            if let Some(capture) = &mut self.capture {
                capture.flush();
            }
        }
        Ok(())
    }

    /// How long there is nothing to do but wait.
    fn timeout(&self) -> Option<Duration> {
        let backlog = self.inboxes.iter().any(|inbox| inbox.ready) || self.taps.iter().any(|tap| tap.ready);
        if backlog {
            return Some(Duration::ZERO);
        }
        let retries = self.taps.iter().filter_map(|tap| tap.retry);
        let next = self.node.engine().next_deadline().into_iter().chain(retries).min()?;
        Some(Duration::from_millis(next.saturating_since(self.clock.now()).as_millis()))
    }

    /// Looks after what has become readable (or writable, for clients of the control socket).
    fn wake(&mut self, now: Instant, token: Token) {
        match token {
            tokens::SIGNALS => {
                while let Ok(Some(signal)) = self.signals.read_signal() {
                    info!(signal = signal.ssi_signo, "asked to stop");
                    self.stopping = true;
                }
            }
            tokens::WATCH => self.look_at_underlay(now),
            tokens::CONTROL => self.accept_clients(),
            Token(n) if (tokens::ICMP..tokens::INBOXES).contains(&n) => self.read_icmp(n - tokens::ICMP),
            Token(n) if (tokens::INBOXES..tokens::TAPS).contains(&n) => self.inboxes[n - tokens::INBOXES].ready = true,
            Token(n) if (tokens::TAPS..tokens::CLIENTS).contains(&n) => self.taps[n - tokens::TAPS].ready = true,
            client => self.serve_client(now, client),
        }
    }
}

/// Which event belongs to whom.
mod tokens {
    use mio::Token;

    pub const SIGNALS: Token = Token(0);
    pub const WATCH: Token = Token(1);
    pub const CONTROL: Token = Token(2);
    pub const ICMP: usize = 4;
    pub const INBOXES: usize = 8;
    pub const TAPS: usize = 16;
    pub const CLIENTS: usize = TAPS + 65_536;
}

/// The engine's time: milliseconds since the daemon started.
struct Clock(std::time::Instant);

impl Clock {
    fn start() -> Self {
        Self(std::time::Instant::now())
    }

    fn now(&self) -> Instant {
        Instant::from_millis(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}
