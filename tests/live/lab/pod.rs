//! A pod: a namespace with one interface, plugged into a host's bridge.

use std::ops::Deref;
use std::time::Duration;

use serde_json::Value;

use super::host::Host;
use super::namespace::Namespace;
use super::process::Process;

/// Pod N has 10.5.0.N and MAC 02:05:00:00:00:N (in hexadecimal), wherever it is.
pub(crate) struct Pod {
    namespace: Namespace,
    number: u8,
}

impl Deref for Pod {
    type Target = Namespace;

    fn deref(&self) -> &Namespace {
        &self.namespace
    }
}

/// What `ping` says at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pinged {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) duplicates: u64,
}

impl Pod {
    #[track_caller]
    pub(crate) fn new(host: &Host, number: u8, device: &str) -> Self {
        let label = host.name().rsplit('-').next().expect("names have dashes");
        let namespace = Namespace::new(&host.ground, &format!("{label}-{device}-pod{number}"));
        let pod = Self { namespace, number };
        // The end in the host goes with the pod's.
        let port = format!("{device}-pod{number}");
        let mac = pod.mac();
        pod.run(&format!("ip link add eth0 address {mac} type veth peer name {port} netns {}", host.name()));
        host.run(&format!("ip link set {port} master br-{device} up"));
        pod.run(&format!("ip link set eth0 mtu {} up", host.mtu(device)));
        pod.run(&format!("ip address add {}/24 dev eth0", pod.ip()));
        pod
    }

    pub(crate) fn mac(&self) -> String {
        format!("02:05:00:00:00:{:02x}", self.number)
    }

    pub(crate) fn ip(&self) -> String {
        format!("10.5.0.{}", self.number)
    }

    /// Whether a single echo request is answered, within a second.
    pub(crate) fn reaches(&self, other: &Self) -> bool {
        self.try_run(&format!("ping -q -n -c 1 -W 1 {}", other.ip())).is_ok()
    }

    /// Pings until the first answer; later than that, the scenario fails.
    #[track_caller]
    pub(crate) fn finds(&self, other: &Self) {
        super::eventually(&format!("{} reaches {}", self.ip(), other.ip()), || self.reaches(other).then_some(()));
    }

    /// Pings with these options (`-c 100 -i 0.01`) to the end.
    #[track_caller]
    pub(crate) fn ping(&self, other: &Self, options: &str) -> Pinged {
        // Its exit code says that answers are missing; so do the numbers.
        let mut process = self.start_ping(other, options);
        process.wait(Duration::from_secs(120));
        Pinged::of(&process)
    }

    /// Pings until it is interrupted; [`Pinged::of`] has the result.
    pub(crate) fn start_ping(&self, other: &Self, options: &str) -> Process {
        self.start(&format!("ping -q -n {options} {}", other.ip()))
    }

    /// Forgets all neighbours' MACs.
    #[track_caller]
    pub(crate) fn forget_neighbours(&self) {
        self.run("ip neighbour flush all");
    }

    /// A number of `/proc/net/snmp`: `count("Icmp", "InEchos")`.
    #[track_caller]
    pub(crate) fn count(&self, protocol: &str, name: &str) -> u64 {
        let text = self.read("/proc/net/snmp");
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(protocol)?.strip_prefix(": "));
        let (names, values) = lines.next().zip(lines.next()).expect("a line of names and one of numbers");
        let at = names.split(' ').position(|word| word == name).expect("a name of /proc/net/snmp");
        values.split(' ').nth(at).and_then(|word| word.parse().ok()).expect("a number")
    }

    /// Runs `iperf3` as a client of another pod, which runs the server; returns its report.
    #[track_caller]
    pub(crate) fn iperf(&self, other: &Self, options: &str) -> Value {
        let server = other.start("iperf3 -s -1 --forceflush");
        super::eventually("iperf3 listens", || server.printed().contains("Server listening").then_some(()));
        let report = self.run_for(Duration::from_secs(60), &format!("iperf3 -J -c {} {options}", other.ip()));
        serde_json::from_str(&report).expect("iperf3 prints JSON")
    }
}

impl Pinged {
    /// What a ping that has ended printed: `10 packets transmitted, 9 received, +1 duplicates, 10% packet loss`.
    #[track_caller]
    pub(crate) fn of(process: &Process) -> Self {
        let printed = process.printed();
        let line = printed.lines().find(|line| line.contains("packets transmitted"));
        let line = line.unwrap_or_else(|| panic!("no end of a ping: {process}"));
        let number = |part: &str| -> u64 {
            let part = line.split(", ").find(|found| found.contains(part));
            part.and_then(|part| part.trim_start_matches('+').split(' ').next()?.parse().ok()).unwrap_or(0)
        };
        Self { sent: number("transmitted"), received: number("received"), duplicates: number("duplicates") }
    }

    /// All of them answered, once.
    pub(crate) fn is_whole(&self) -> bool {
        self.sent > 0 && self.received == self.sent && self.duplicates == 0
    }

    pub(crate) fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }
}
