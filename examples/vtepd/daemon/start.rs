//! From a command line to a running daemon, and from there to its end.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::process::ExitCode;

use mio::unix::SourceFd;
use mio::{Interest, Poll, Token};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use tracing::{info, warn};
use vtep::engine::Profile;
use vtep::table::{Instant, PortId};
use vtep::wire::Df;

use super::buffers::Buffers;
use super::capture::Capture;
use super::control::Control;
use super::counters::Counters;
use super::icmp::Icmp;
use super::inbox::Inbox;
use super::interfaces::{Underlay, addresses};
use super::outbox::Outbox;
use super::tap::Tap;
use super::watch::Watch;
use super::{Clock, Daemon, tokens};
use crate::args::DaemonArgs;
use crate::node::{Journal, Node, Sizes, Tables};
use crate::setup::Setup;

/// Runs until a signal ends it.
pub fn run(args: &DaemonArgs) -> ExitCode {
    let setup = match Setup::new(args) {
        Ok(setup) => setup,
        Err(sentence) => return fail(&sentence, 2),
    };
    log(args.json);
    let bridges = u16::try_from(setup.vnis.len()).unwrap_or(u16::MAX);
    let ports = u16::try_from(setup.taps.len()).unwrap_or(u16::MAX);
    let (labels, rules, maps) = setup.labels_rules_and_maps();
    let mut tables = Tables::new(Sizes { labels, rules, maps, ..Sizes::new(bridges, ports) });
    let mut daemon = match Daemon::start(setup, args, &mut tables) {
        Ok(daemon) => daemon,
        Err(sentence) => return fail(&sentence, 1),
    };
    let served = daemon.serve();
    daemon.end(args);
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string(), 1),
    }
}

impl<'a> Daemon<'a> {
    /// Opens everything, the control socket last.
    fn start(mut setup: Setup, args: &DaemonArgs, tables: &'a mut Tables) -> Result<Self, String> {
        let poll = Poll::new().map_err(|error| error.to_string())?;
        let registry = poll.registry();
        let underlay = find_underlay(&setup)?;
        let tap_mtu = tap_mtu(&setup, &underlay);
        if setup.group.is_some() {
            setup.interface = underlay.interface.as_ref().map(|interface| interface.name.clone());
        }

        let journal = match &args.record {
            Some(path) => Journal::to_file(path).map_err(|error| format!("--record {}: {error}", path.display()))?,
            None => Journal::in_memory(),
        };
        let seed = seed().map_err(|error| format!("no random numbers: {error}"))?;
        let mut node = Node::new(tables, &setup.config(seed), journal);
        for command in setup.commands(underlay.mtu()) {
            node.command(Instant::ZERO, &command).map_err(|error| format!("{error}: {command:?}"))?;
        }

        let signals = signals().map_err(|error| error.to_string())?;
        let register = registry.register(&mut SourceFd(&signals.as_raw_fd()), tokens::SIGNALS, Interest::READABLE);
        register.map_err(|error| error.to_string())?;
        let watch = Watch::open(underlay, tap_mtu, registry).map_err(|error| error.to_string())?;
        let families: Vec<bool> = setup.locals().map(|local| local.is_ipv6()).collect();
        let outbox = Outbox::open(families.contains(&false), families.contains(&true), watch.underlay.mtu());
        let outbox = outbox.map_err(|error| privileged("a raw socket", &error))?;
        let mut daemon = Self {
            clock: Clock::start(),
            node,
            taps: Vec::new(),
            inboxes: Vec::new(),
            outbox,
            buffers: Buffers::new(),
            control: None,
            icmp: Vec::new(),
            watch,
            signals,
            capture: None,
            counters: Counters::default(),
            paths: BTreeMap::new(),
            poll,
            stopping: false,
            setup,
        };
        daemon.open_sockets(&families)?;
        daemon.open_taps()?;
        if let Some(path) = &args.pcap {
            let capture = Capture::create(path).map_err(|error| format!("--pcap {}: {error}", path.display()))?;
            daemon.capture = Some(capture);
        }
        daemon.follow_interface();
        if let Some(path) = &args.ctl {
            daemon.control = Some(Control::open(path, daemon.poll.registry())?);
        }
        if daemon.setup.underlay.zero_checksum_v6 && daemon.setup.profile == Profile::Rfc {
            // The socket does not say which packets those are.
            info!("--udp6zerocsumrx: over IPv6, configured VTEPs only are listened to (RFC 6936 section 4)");
        }
        info!(taps = daemon.taps.len(), mtu = tap_mtu, "forwarding");
        Ok(daemon)
    }

    fn open_sockets(&mut self, families: &[bool]) -> Result<(), String> {
        let port = self.setup.bridge.udp_port;
        let registry = self.poll.registry();
        for (index, ipv6) in families.iter().enumerate() {
            let inbox = Inbox::open(*ipv6, port, self.setup.underlay.zero_checksum_v6).map_err(|error| match error.kind() {
                io::ErrorKind::AddrInUse => format!(
                    "UDP port {port} is taken, by a device of the kernel or another vtepd: remove that, or write another \
                     --dstport"
                ),
                _ => privileged(&format!("UDP port {port}"), &error),
            })?;
            inbox.register(registry, Token(tokens::INBOXES + index)).map_err(|error| error.to_string())?;
            self.inboxes.push(inbox);
            let icmp = Icmp::open(*ipv6, registry, Token(tokens::ICMP + index));
            self.icmp.push(icmp.map_err(|error| privileged("an ICMP socket", &error))?);
        }
        Ok(())
    }

    fn open_taps(&mut self) -> Result<(), String> {
        for index in 0..self.setup.taps.len() {
            let name = &self.setup.taps[index].0;
            let token = Token(tokens::TAPS + index);
            let tap = Tap::open(name, self.watch.tap_mtu, self.poll.registry(), token).map_err(|error| {
                match error.raw_os_error() {
                    // Another process has it, or it is no TAP device.
                    Some(nix::libc::EBUSY) => format!("{name} is in use: end what uses it, or write another name"),
                    Some(nix::libc::EINVAL) => format!("{name} is no TAP device: write another name"),
                    _ => privileged(&format!("the TAP device {name}"), &error),
                }
            })?;
            self.taps.push(tap);
            if let Some(command) = self.setup.port_command(PortId(index as u16)) {
                self.node.command(Instant::ZERO, &command).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    /// Says how it went.
    fn end(mut self, args: &DaemonArgs) {
        self.leave_group();
        let engine = self.node.engine();
        let (now, digest) = (engine.now(), engine.digest());
        if let Err(error) = self.node.journal().finish(now, digest) {
            warn!(%error, "the record is not complete");
        } else if let Some(why) = args.record.as_ref().and_then(|_| self.node.journal().incomplete()) {
            warn!(why, "the record is not complete");
        }
        let summary = self.node.summary();
        let mut out = io::stdout();
        // Whoever started us may have stopped listening.
        let _ = if args.json { writeln!(out, "{}", summary.json()) } else { write!(out, "{summary}") };
    }
}

/// The underlay, of which everything has to be there at start.
fn find_underlay(setup: &Setup) -> Result<Underlay, String> {
    let underlay = Underlay::now(setup);
    if let Some(missing) = underlay.missing.first() {
        let far = |address: &IpAddr| match address {
            IpAddr::V4(a) => !a.is_loopback(),
            IpAddr::V6(a) => !a.is_loopback() && !a.is_unicast_link_local(),
        };
        let mut known: Vec<_> = addresses().into_iter().map(|(_, address)| address).filter(far).collect();
        known.sort_unstable();
        known.dedup();
        let known = known.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(match &known[..] {
            "" => format!("no interface has --local {missing}: give one this address (ip address add)"),
            _ => format!("no interface has --local {missing}: write one of {known}, or add it (ip address add)"),
        });
    }
    match (&underlay.interface, &setup.interface) {
        (None, Some(name)) => Err(format!("there is no interface {name}: write another --underlay, or leave it out")),
        _ => Ok(underlay),
    }
}

fn tap_mtu(setup: &Setup, underlay: &Underlay) -> u16 {
    let fits = setup.fitting_mtu(underlay.mtu());
    match setup.mtu {
        Some(mtu) if mtu > fits => {
            let fate = match setup.underlay.df {
                Df::Unset if setup.profile == Profile::Linux && setup.underlay.ipv6.is_none() => "fragmented",
                _ => "lost",
            };
            warn!(mtu, fits, underlay = underlay.mtu(), "the underlay cannot carry packets longer than fits: {fate}");
            mtu
        }
        Some(mtu) => mtu,
        // The least that IPv4 works with, where the underlay leaves less.
        None => fits.max(68),
    }
}

/// SIGINT and SIGTERM as something to read.
fn signals() -> nix::Result<SignalFd> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGINT);
    set.add(Signal::SIGTERM);
    set.thread_block()?;
    SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
}

/// Senders choose their MACs; they must not know where those end up.
fn seed() -> io::Result<[u64; 2]> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let seed = u128::from_ne_bytes(bytes);
    Ok([seed as u64, (seed >> 64) as u64])
}

fn privileged(what: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => format!("{what} is for root only: run vtepd as root"),
        _ => format!("{what}: {error}"),
    }
}

fn log(json: bool) {
    let log = tracing_subscriber::fmt().with_writer(io::stderr).with_target(false);
    if json {
        log.json().init();
    } else {
        log.init();
    }
}

fn fail(sentence: &str, code: u8) -> ExitCode {
    eprintln!("vtepd: {sentence}");
    ExitCode::from(code)
}
