//! A host: a namespace on the underlay, with tunnels and pods.

use std::ops::Deref;

use super::namespace::Namespace;
use super::pod::Pod;
use super::vtepd::Vtepd;

/// Runs commands as its namespace does; knows how to run `vtepd` and how to plug pods in.
pub(crate) struct Host {
    namespace: Namespace,
}

impl Deref for Host {
    type Target = Namespace;

    fn deref(&self) -> &Namespace {
        &self.namespace
    }
}

impl Host {
    pub(crate) fn new(namespace: Namespace) -> Self {
        Self { namespace }
    }

    /// Makes a TAP device that outlives the `vtepd` attached to it.
    #[track_caller]
    pub(crate) fn tap(&self, name: &str) {
        self.run(&format!("ip tuntap add {name} mode tap"));
    }

    /// Runs `vtepd` with these arguments; returns when it forwards.
    #[track_caller]
    pub(crate) fn vtepd(&self, arguments: &str) -> Vtepd<'_> {
        Vtepd::start(self, arguments)
    }

    /// Plugs a pod in behind a tunnel device (`tap0`, `vx0`), in a bridge that is made on first use. Its MTU is the
    /// device's; its MAC and addresses come from its number.
    #[track_caller]
    pub(crate) fn pod(&self, number: u8, device: &str) -> Pod {
        self.bridge(device);
        Pod::new(self, number, device)
    }

    /// The bridge that holds a device.
    #[track_caller]
    pub(crate) fn bridge(&self, device: &str) -> String {
        let bridge = format!("br-{device}");
        if self.try_run(&format!("ip link show {bridge}")).is_err() {
            self.run(&format!("ip link add {bridge} type bridge mcast_snooping 0"));
            self.run(&format!("ip link set {bridge} mtu {} up", self.mtu(device)));
            self.run(&format!("ip link set {device} master {bridge} up"));
        }
        bridge
    }

    /// The kernel's forwarding database of a VXLAN device.
    #[track_caller]
    pub(crate) fn fdb(&self, device: &str) -> String {
        let all = self.run(&format!("bridge fdb show dev {device}"));
        // What the bridge knows of the port is another table.
        all.lines()
            .filter(|line| line.split(' ').any(|word| word == "self"))
            .fold(String::new(), |all, line| all + line + "\n")
    }

    /// Where a VXLAN device of the kernel's has learned a MAC.
    #[track_caller]
    pub(crate) fn learned(&self, device: &str, mac: &str) -> Option<String> {
        dst(&self.fdb(device), mac)
    }
}

/// The destination of a MAC in the output of `fdb show`.
pub(crate) fn dst(fdb: &str, mac: &str) -> Option<String> {
    let line = fdb.lines().find(|line| line.starts_with(mac))?;
    line.split(' ').skip_while(|word| *word != "dst").nth(1).map(str::to_owned)
}
