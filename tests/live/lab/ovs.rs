//! Open vSwitch on a host, with its userspace datapath.

use std::path::PathBuf;

use super::host::Host;
use super::process::Process;

/// Two bridges: `br-phy` has the underlay and this host's address, `br-int` the tunnels and, as `vx0`, a veth pair that
/// pods are plugged in behind. The daemons end when dropped, and take the bridges with them.
pub(crate) struct Ovs<'h> {
    switch: Process,
    database: Process,
    host: &'h Host,
    folder: PathBuf,
}

impl<'h> Ovs<'h> {
    /// Starts it on a host, whose address (`192.0.2.2`) moves to `br-phy`. That changes the address's MAC: start it
    /// before others ask. `mtu` is the pods'.
    #[track_caller]
    pub(crate) fn start(host: &'h Host, address: &str, mtu: u16) -> Self {
        let folder = host.ground.file("ovs");
        std::fs::create_dir(&folder).expect("a folder for Open vSwitch");
        let line = |line: &str| prefix(&folder) + line;
        let at = folder.display();
        host.run(&line(&format!("ovsdb-tool create {at}/conf.db /usr/share/openvswitch/vswitch.ovsschema")));
        let database = host.start(&line(&format!("ovsdb-server {at}/conf.db --remote=punix:{at}/db.sock")));
        super::eventually("ovsdb-server listens", || folder.join("db.sock").exists().then_some(()));
        host.run(&line(&format!("ovs-vsctl --db=unix:{at}/db.sock --no-wait init")));
        let switch = host.start(&line(&format!("ovs-vswitchd unix:{at}/db.sock --pidfile={at}/switch.pid")));
        let ovs = Self { switch, database, host, folder };

        for bridge in ["br-phy", "br-int"] {
            ovs.vsctl(&format!("add-br {bridge} -- set bridge {bridge} datapath_type=netdev"));
        }
        host.run("ip address flush dev ul0");
        ovs.vsctl("add-port br-phy ul0");
        host.run(&format!("ip address add {address}/24 dev br-phy"));
        host.run("ip link set br-phy up");

        host.run(&format!("ip link add vx0 mtu {mtu} type veth peer name {POD_SIDE} mtu {mtu}"));
        host.run(&format!("ip link set {POD_SIDE} up"));
        ovs.vsctl(&format!("add-port br-int {POD_SIDE} -- set interface {POD_SIDE} ofport_request=1"));
        ovs
    }

    /// Adds a tunnel to one other host, with VNI 5000: `tunnel("geneve", 11, "192.0.2.1")`. Tunnels do not forward to
    /// each other.
    #[track_caller]
    pub(crate) fn tunnel(&self, kind: &str, port: u8, remote: &str) {
        let name = format!("{kind}{port}");
        self.vsctl(&format!(
            "add-port br-int {name} -- set interface {name} type={kind} ofport_request={port} \
             options:remote_ip={remote} options:key=5000 -- set port {name} protected=true"
        ));
    }

    /// Asks or tells the database.
    #[track_caller]
    pub(crate) fn vsctl(&self, words: &str) -> String {
        let at = self.folder.display();
        self.run(&format!("ovs-vsctl --db=unix:{at}/db.sock --timeout=8 {words}"))
    }

    /// Asks or tells `br-int`: `ofctl("add-flow", "priority=1,actions=normal")`.
    #[track_caller]
    pub(crate) fn ofctl(&self, what: &str, argument: &str) -> String {
        self.run(&format!("ovs-ofctl {what} br-int {argument}"))
    }

    /// How many packets the flow with this cookie has matched, once that no longer changes: the datapath tells it to the
    /// flow table about once a second.
    #[track_caller]
    pub(crate) fn settled_matches(&self, cookie: u64) -> u64 {
        let mut before = None;
        loop {
            std::thread::sleep(std::time::Duration::from_millis(1500));
            let flows = self.ofctl("dump-flows", &format!("cookie={cookie}/-1"));
            let count = flows.split_once("n_packets=").and_then(|(_, rest)| rest.split(',').next()?.parse().ok());
            let count: u64 = count.expect("a flow with this cookie");
            if before.replace(count) == Some(count) {
                return count;
            }
        }
    }

    /// The number of the port that `br-int` has learned a MAC on; 1 for the pods here.
    #[track_caller]
    pub(crate) fn learned(&self, mac: &str) -> Option<String> {
        let table = self.appctl("fdb/show br-int");
        let line = table.lines().find(|line| line.contains(mac))?;
        line.split_whitespace().next().map(str::to_owned)
    }

    /// Asks the daemon itself.
    #[track_caller]
    fn appctl(&self, words: &str) -> String {
        let pid = self.switch.pid();
        self.run(&format!("ovs-appctl -t {}/ovs-vswitchd.{pid}.ctl {words}", self.folder.display()))
    }

    #[track_caller]
    fn run(&self, line: &str) -> String {
        self.host.run(&(prefix(&self.folder) + line))
    }
}

impl Drop for Ovs<'_> {
    /// The switch first: it complains about a database that is gone.
    fn drop(&mut self) {
        self.switch.terminate();
        self.database.terminate();
    }
}

/// `br-int`'s end of the pair that `vx0` is the other of.
const POD_SIDE: &str = "vx0-ovs";

/// `env` becomes the program, as `ip` does.
fn prefix(folder: &std::path::Path) -> String {
    let at = folder.display();
    format!("env OVS_RUNDIR={at} OVS_LOGDIR={at} OVS_DBDIR={at} ")
}
