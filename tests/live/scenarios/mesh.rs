//! Four members, each with all others in its flood list: `vtepd`, two kernels and Open vSwitch.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::lab::needs::Scenario;
use crate::lab::ovs::Ovs;
use crate::lab::pod::Pod;
use crate::lab::process::Process;
use crate::lab::{Lab, eventually};

pub(crate) const SCENARIOS: &[Scenario] =
    &[Scenario::new("mesh: what is flooded arrives exactly once everywhere", full_mesh)];

/// Echo requests of one kind from one pod.
const SENT: usize = 20;
/// An address and a MAC that nobody has.
const NOBODY: (&str, &str) = ("10.5.0.99", "02:05:00:00:00:99");

fn full_mesh() {
    let lab = Lab::new();
    let [one, two, three, four] =
        [("vtepd", 1), ("kernel2", 2), ("kernel3", 3), ("ovs", 4)].map(|(label, number)| lab.host(label, number));
    one.tap("tap0");
    let ovs = Ovs::start(&four, "192.0.2.4", 1450);
    for other in 1..=3 {
        ovs.tunnel("vxlan", 10 + other, &format!("192.0.2.{other}"));
    }
    let remotes = "--remote 192.0.2.2 --remote 192.0.2.3 --remote 192.0.2.4";
    let vtepd = one.vtepd(&format!("--id 5000 --tap tap0 --local 192.0.2.1 {remotes}"));
    for (host, number) in [(&two, 2), (&three, 3)] {
        // Over a veth pair the kernel leaves checksums unfinished, and Open vSwitch drops what has a wrong one.
        let ends = format!("local 192.0.2.{number} dev ul0");
        host.run(&format!("ip link add vx0 type vxlan id 5000 {ends} dstport 4789 noudpcsum"));
        for other in (1..=4).filter(|other| *other != number) {
            host.run(&format!("bridge fdb append 00:00:00:00:00:00 dev vx0 dst 192.0.2.{other}"));
        }
    }
    // A second pod with vtepd: what comes in from a tunnel must not go out to one again, but to both of these.
    let pods = [one.pod(1, "tap0"), two.pod(2, "vx0"), three.pod(3, "vx0"), four.pod(4, "vx0"), one.pod(5, "tap0")];

    for from in &pods {
        for to in pods.iter().filter(|to| to.ip() != from.ip()) {
            from.finds(to);
            let pinged = from.ping(to, "-c 50 -i 0.005");
            assert!(pinged.is_whole(), "from {} to {}: {pinged:?}", from.ip(), to.ip());
        }
    }

    let watchers: Vec<Process> = pods.iter().map(watch).collect();
    let destinations = ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:fb", NOBODY.1];
    for pod in &pods {
        pod.run(&format!("ip neighbour replace {} lladdr {} dev eth0", NOBODY.0, NOBODY.1));
        for address in ["-b 10.5.0.255", "-I eth0 224.0.0.251", NOBODY.0] {
            let _ = pod.try_run(&format!("ping -q -n -c {SENT} -i 0.005 -W 0.2 {address}"));
        }
    }

    for (pod, watcher) in pods.iter().zip(&watchers) {
        // Everything from everyone else, and nothing of its own coming back.
        let others = pods.iter().filter(|other| other.ip() != pod.ip());
        let expected: BTreeMap<(String, String), Vec<usize>> = others
            .flat_map(|other| destinations.map(|to| ((other.mac(), to.to_owned()), (1..=SENT).collect())))
            .collect();
        let total: usize = expected.values().map(Vec::len).sum();
        eventually("everything arrives", || (watcher.printed().lines().count() >= total).then_some(()));
        // A loop would go on.
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(arrived(watcher), expected, "at {}", pod.ip());
    }
    vtepd.stop();
}

/// Starts to print the echo requests that a pod's interface receives, whoever they are for.
#[track_caller]
fn watch(pod: &Pod) -> Process {
    let watcher = pod.start_words(&[
        "tcpdump",
        "-n",
        "-e",
        "-l",
        "--immediate-mode",
        "-Q",
        "in",
        "-i",
        "eth0",
        "icmp[icmptype] == icmp-echo",
    ]);
    eventually("tcpdump listens", || watcher.complained().contains("listening on").then_some(()));
    watcher
}

/// The sequence numbers that arrived, by the frames' source and destination, with repetitions and sorted.
#[track_caller]
fn arrived(watcher: &Process) -> BTreeMap<(String, String), Vec<usize>> {
    let mut all: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for line in watcher.printed().lines() {
        // 12:00:00.000000 02:05:00:00:00:01 > ff:ff:ff:ff:ff:ff, … ICMP echo request, id 1, seq 1, length 64
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = words.iter().skip_while(|word| **word != "seq").nth(1).expect("a sequence number");
        let frame = (words[1].to_owned(), words[3].trim_end_matches(',').to_owned());
        all.entry(frame).or_default().push(number.trim_end_matches(',').parse().expect("a number"));
    }
    for numbers in all.values_mut() {
        numbers.sort_unstable();
    }
    all
}
