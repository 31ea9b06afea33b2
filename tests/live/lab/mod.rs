//! What scenarios are made of: a [`Lab`] is an underlay, a [`Host`](host::Host) has an address on it, a
//! [`Pod`](pod::Pod) is behind a host's tunnel.
#![allow(dead_code, reason = "not every scenario uses all of it")]

pub(crate) mod host;
pub(crate) mod namespace;
pub(crate) mod needs;
pub(crate) mod nft;
pub(crate) mod ovs;
pub(crate) mod pod;
pub(crate) mod process;
pub(crate) mod vtepd;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use host::Host;
use namespace::Namespace;

/// The start of all namespaces' names; the process that made them follows.
const PREFIX: &str = "vtep-live-";
/// How long anything may take that does not say otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// An underlay: a switch that hosts are plugged into. Its folder goes with the last that uses it.
pub(crate) struct Lab {
    ground: Arc<Ground>,
    switch: Namespace,
}

/// Where a lab keeps its files, and what its namespaces are called.
pub(crate) struct Ground {
    name: String,
    pub(crate) folder: PathBuf,
    files: AtomicU32,
}

impl Lab {
    pub(crate) fn new() -> Self {
        static LABS: AtomicU32 = AtomicU32::new(1);
        let name = format!("{PREFIX}{}-{}", std::process::id(), LABS.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(&name);
        std::fs::create_dir(&folder).expect("a folder for the lab's files");
        let ground = Arc::new(Ground { name, folder, files: AtomicU32::new(0) });
        let switch = Namespace::new(&ground, "switch");
        switch.run("ip link add sw0 type bridge mcast_snooping 0");
        switch.run("ip link set sw0 up");
        Self { ground, switch }
    }

    /// A host with the underlay interface `ul0`, 192.0.2.NUMBER and fd00::NUMBER (decimal, read as hexadecimal).
    pub(crate) fn host(&self, label: &str, number: u8) -> Host {
        let host = Host::new(Namespace::new(&self.ground, label));
        host.run(&format!("ip link add ul0 type veth peer name {label} netns {}", self.switch.name()));
        self.switch.run(&format!("ip link set {label} master sw0 up"));
        host.set("net/ipv6/conf/ul0/disable_ipv6", "0");
        host.set("net/ipv6/conf/ul0/accept_ra", "0");
        host.run("ip link set ul0 up");
        host.run(&format!("ip address add 192.0.2.{number}/24 dev ul0"));
        host.run(&format!("ip address add fd00::{number}/64 dev ul0 nodad"));
        host
    }

    /// The switch, to look at what passes.
    pub(crate) fn switch(&self) -> &Namespace {
        &self.switch
    }

    /// A folder for the scenario's files.
    pub(crate) fn folder(&self) -> &PathBuf {
        &self.ground.folder
    }
}

impl Ground {
    /// A path for a file of its own.
    fn file(&self, label: &str) -> PathBuf {
        self.folder.join(format!("{:04}-{label}", self.files.fetch_add(1, Ordering::Relaxed)))
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("VTEP_LIVE_KEEP").is_some() {
            eprintln!("kept: {}", self.folder.display());
            return;
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Waits until something is there.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, what, look)
}

/// Waits until something is there, but not longer than that.
#[track_caller]
pub(crate) fn within<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Takes down what an earlier run left behind that was killed before it could: its processes, then its namespaces, then
/// its files.
pub(crate) fn sweep() {
    let listed = Command::new("ip").args(["netns", "list"]).output();
    for line in listed.iter().flat_map(|listed| listed.stdout.split(|byte| *byte == b'\n')) {
        let line = String::from_utf8_lossy(line);
        let Some(name) = line.split_whitespace().next().filter(|name| is_orphan(name)) else { continue };
        let pids = Command::new("ip").args(["netns", "pids", name]).output();
        for pid in pids.iter().flat_map(|pids| pids.stdout.split(|byte| *byte == b'\n')) {
            if let Ok(pid) = String::from_utf8_lossy(pid).parse() {
                process::signal(pid, nix::sys::signal::Signal::SIGKILL);
            }
        }
        let _ = Command::new("ip").args(["netns", "del", name]).status();
    }
    for entry in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        if is_orphan(&entry.file_name().to_string_lossy()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether a name is a lab's whose process is gone.
fn is_orphan(name: &str) -> bool {
    let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
    owner.is_some_and(|pid| pid.parse::<u32>().is_ok() && !PathBuf::from(format!("/proc/{pid}")).exists())
}
