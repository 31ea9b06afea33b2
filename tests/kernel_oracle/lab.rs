//! Two network namespaces joined by a cable: the VXLAN device is in one, and we are in the other.

use std::io::{Error, Result};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, unshare};
use nix::unistd::Pid;

use crate::scenario::{DEVICE_MAC, Device, PEERS, SENTINEL_HOST, address};
use crate::socket::Tap;
use crate::trace::Tracer;

static LABS: AtomicU32 = AtomicU32::new(0);

/// The namespaces and what is open in them; gone when dropped.
pub(crate) struct Lab {
    /// Where the VXLAN device is.
    pub(crate) near: String,
    far: String,
    /// The near end of the cable.
    pub(crate) underlay: String,
    /// The VXLAN device.
    pub(crate) device: String,
    /// The far end of the cable.
    pub(crate) wire: Tap,
    pub(crate) tracer: Option<Tracer>,
    /// Where the tracing file system is mounted, in this thread's mount namespace only.
    tracefs: Option<PathBuf>,
    cleaner: Cleaner,
}

/// Deletes the namespaces, even where [`Lab::new`] stops half way.
struct Cleaner(Vec<String>);

impl Drop for Cleaner {
    fn drop(&mut self) {
        for namespace in &self.0 {
            let _ = run("ip", &["netns", "del", namespace]);
        }
    }
}

impl Lab {
    /// Builds the lab. The calling thread stays on one CPU from now on, in a mount namespace of its own: one CPU
    /// keeps packets in order.
    pub(crate) fn new() -> Result<Self> {
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let pid = std::process::id();
        let cpu = pin(number)?;
        unshare(CloneFlags::CLONE_NEWNS)?;
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;

        let name = |side: &str| format!("vtep-oracle-{pid}-{number}{side}");
        let (near, far) = (name("n"), name("f"));
        let (underlay, peer, device) =
            (format!("vu{pid}x{number}"), format!("vp{pid}x{number}"), format!("vx{pid}x{number}"));
        let mut cleaner = Cleaner(Vec::new());
        for namespace in [&near, &far] {
            run("ip", &["netns", "add", namespace])?;
            cleaner.0.push(namespace.clone());
        }
        let sysctl = |namespace: &str, key: &str, value: &str| {
            let script = format!("echo {value} > /proc/sys/net/{}", key.replace('.', "/"));
            run("ip", &["netns", "exec", namespace, "sh", "-c", &script])
        };
        sysctl(&far, "ipv6.conf.all.disable_ipv6", "1")?;
        sysctl(&far, "ipv6.conf.default.disable_ipv6", "1")?;
        run("ip", &["link", "add", &underlay, "netns", &near, "type", "veth", "peer", "name", &peer, "netns", &far])?;
        for key in ["all", "default", &underlay] {
            sysctl(&near, &format!("ipv4.conf.{key}.rp_filter"), "0")?;
            sysctl(&near, &format!("ipv6.conf.{key}.accept_dad"), "0")?;
            sysctl(&near, &format!("ipv6.conf.{key}.router_solicitations"), "0")?;
        }
        run("ip", &["-n", &far, "link", "set", &peer, "address", "02:ff:00:00:00:02", "arp", "off", "up"])?;
        run("ip", &["-n", &near, "link", "set", &underlay, "address", "02:ff:00:00:00:01", "up"])?;
        for (v6, length, groups) in [(false, "24", "224.0.0.0/4"), (true, "64", "ff00::/8")] {
            let family = if v6 { "-6" } else { "-4" };
            for host in [1, 9] {
                let ours = format!("{}/{length}", address(v6, host));
                let nodad: &[&str] = if v6 { &["nodad"] } else { &[] };
                run("ip", &[&["-n", &near, family, "addr", "add", &ours, "dev", &underlay], nodad].concat())?;
            }
            for host in PEERS.iter().chain([&SENTINEL_HOST]) {
                let peer = address(v6, *host).to_string();
                let link = ["lladdr", "02:ff:00:00:00:02", "dev", &underlay, "nud", "permanent"];
                run("ip", &[&["-n", &near, family, "neigh", "add", &peer], &link[..]].concat())?;
            }
            run("ip", &["-n", &near, family, "route", "add", groups, "dev", &underlay])?;
        }
        // What the VXLAN device hands up is not for anybody.
        sysctl(&near, "ipv6.conf.default.disable_ipv6", "1")?;

        let wire = Tap::open(&far, &peer)?;
        let tracefs = mount_tracefs(pid, number);
        let tracer = tracefs.as_ref().and_then(|path| {
            let instance = format!("vtep-oracle-{pid}-{number}");
            Tracer::open(&path.to_string_lossy(), &instance, cpu, &underlay, &device).ok()
        });
        Ok(Self { near, far, underlay, device, wire, tracer, tracefs, cleaner })
    }

    /// Replaces the VXLAN device, and opens it.
    pub(crate) fn set_up(&self, device: &Device) -> Result<Tap> {
        let _ = run("ip", &["-n", &self.near, "link", "del", &self.device]);
        let mac = hex_mac(DEVICE_MAC);
        let options = device.options();
        let mut arguments = vec!["-n", &self.near, "link", "add", &self.device, "address", &mac];
        let mtu = device.mtu.to_string();
        arguments.extend(["mtu", &mtu, "arp", "off", "type", "vxlan"]);
        // A device that knows its underlay takes no larger MTU than fits there.
        if device.mtu <= Device::DEFAULT.mtu {
            arguments.extend(["dev", &self.underlay]);
        }
        arguments.extend(options.iter().map(String::as_str));
        run("ip", &arguments)?;
        run("ip", &["-n", &self.near, "link", "set", &self.device, "up"])?;
        Tap::open(&self.near, &self.device)
    }

    /// `bridge fdb` on the device: whether it was done.
    pub(crate) fn fdb(&self, arguments: &[String]) -> Result<String> {
        let mut all = vec!["-n", &self.near, "fdb"];
        all.extend(arguments.iter().map(String::as_str));
        run("bridge", &all)
    }

    /// The device's FDB.
    pub(crate) fn fdb_show(&self) -> Result<serde_json::Value> {
        let text = run("bridge", &["-n", &self.near, "-j", "fdb", "show", "dev", &self.device])?;
        serde_json::from_str(&text).map_err(Error::other)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.tracer = None;
        if let Some(path) = &self.tracefs {
            let _ = nix::mount::umount2(path.as_path(), nix::mount::MntFlags::MNT_DETACH);
            let _ = std::fs::remove_dir(path);
        }
        let _ = (&self.far, &self.cleaner);
    }
}

/// A MAC in words.
pub(crate) fn hex_mac(mac: [u8; 6]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}

/// Runs a program to its end. What it says on its error channel is the error.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::other(format!("{program} {}: {}", arguments.join(" "), said.trim())))
}

/// Keeps this thread on one of the CPUs it may use.
fn pin(number: u32) -> Result<usize> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let cpus: Vec<usize> = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false)).collect();
    let cpu = cpus[usize::try_from(number).unwrap_or(0) % cpus.len()];
    let mut one = CpuSet::new();
    one.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &one)?;
    Ok(cpu)
}

fn mount_tracefs(pid: u32, number: u32) -> Option<PathBuf> {
    let path = std::env::temp_dir().join(format!("vtep-oracle-{pid}-{number}"));
    std::fs::create_dir(&path).ok()?;
    match mount(Some("tracefs"), &path, Some("tracefs"), MsFlags::empty(), None::<&str>) {
        Ok(()) => Some(path),
        Err(_) => {
            let _ = std::fs::remove_dir(&path);
            None
        }
    }
}
