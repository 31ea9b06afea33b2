//! Members come and go while traffic runs, and a second network with the same MACs and addresses notices nothing.

use std::time::{Duration, Instant};

use crate::lab::host::Host;
use crate::lab::needs::Scenario;
use crate::lab::pod::{Pinged, Pod};
use crate::lab::process::Process;
use crate::lab::vtepd::Vtepd;
use crate::lab::{Lab, eventually};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("survival: the peer is killed and restarted", peer_restarts),
    Scenario::new("survival: vtepd is killed and restarted", vtepd_restarts),
    Scenario::new("survival: the flood list is edited while traffic runs", flood_list_edited),
    Scenario::new("survival: the TAP device and the underlay's address vanish", devices_vanish),
    Scenario::new("survival: garbage on the port and on the control socket", garbage),
];

const VTEPD: &str = "--vni 5000=tap0 --vni 5001=tap1 --local 192.0.2.1 --remote 192.0.2.2";

/// Two networks across two hosts. In 5000, pod 1 is with `vtepd`, pod 2 with the peer; in 5001 it is the other way
/// round. Pod 3 is with the peer in both; in 5001 nobody ever talks to it, so that what reaches it has leaked.
struct Networks {
    pods: [Pod; 3],
    others: [Pod; 3],
}

fn peer_restarts() {
    let lab = Lab::new();
    let (here, there) = (lab.host("vtepd", 1), lab.host("peer", 2));
    two_taps(&here);
    two_taps(&there);
    let vtepd = here.vtepd(VTEPD);
    // The peer is another vtepd: a kernel's device cannot be killed.
    let remote = "--vni 5000=tap0 --vni 5001=tap1 --local 192.0.2.2 --remote 192.0.2.1";
    let peer = there.vtepd(remote);
    let networks = Networks::new(&here, &there, "tap");
    let mut traffic = networks.start();

    peer.kill();
    std::thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    let peer = there.vtepd(remote);
    networks.resume("the peer", start);
    // While it was away its host said that nobody listens; that is counted, and nothing was given up for it.
    assert!(vtepd.ctl("link show -s").contains("incident unreachable"), "{}", vtepd.ctl("link show -s"));

    there.run("ip link set ul0 down");
    std::thread::sleep(Duration::from_millis(300));
    there.run("ip link set ul0 up");
    networks.resume("the peer's underlay", Instant::now());
    networks.nothing_leaked(&vtepd, &mut traffic);
    vtepd.stop();
    peer.stop();
}

fn vtepd_restarts() {
    let lab = Lab::new();
    let (here, there) = (lab.host("vtepd", 1), lab.host("kernel", 2));
    two_taps(&here);
    two_devices(&there);
    let vtepd = here.vtepd(VTEPD);
    let networks = Networks::new(&here, &there, "vx");
    let mut traffic = networks.start();

    vtepd.kill();
    let start = Instant::now();
    let vtepd = here.vtepd(VTEPD);
    networks.resume("vtepd, killed,", start);

    vtepd.stop();
    let start = Instant::now();
    let vtepd = here.vtepd(VTEPD);
    networks.resume("vtepd, stopped,", start);

    // The kernel's devices go and come back, as after a reboot.
    there.run("ip link del vx0");
    there.run("ip link del vx1");
    std::thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    two_devices(&there);
    for device in ["vx0", "vx1"] {
        there.run(&format!("ip link set {device} master br-{device} up"));
    }
    networks.resume("the kernel's devices", start);
    networks.nothing_leaked(&vtepd, &mut traffic);
    vtepd.stop();
}

fn flood_list_edited() {
    let lab = Lab::new();
    let (here, there) = (lab.host("vtepd", 1), lab.host("kernel", 2));
    two_taps(&here);
    two_devices(&there);
    let vtepd = here.vtepd(VTEPD);
    let networks = Networks::new(&here, &there, "vx");
    let mut traffic = networks.start();

    // Members that do not exist come and go; then the real one, of one network only.
    for round in 0..50 {
        let member = format!("00:00:00:00:00:00 dev tap0 dst 192.0.2.{}", 100 + round);
        vtepd.ctl(&format!("fdb append {member}"));
        vtepd.ctl(&format!("fdb del {member}"));
    }
    vtepd.ctl("fdb del 00:00:00:00:00:00 dev tap0 dst 192.0.2.2");
    vtepd.ctl("fdb flush dev tap0");
    let [a, b, _] = &networks.pods;
    a.forget_neighbours();
    assert!(!a.reaches(b), "with no flood list a neighbour is not found");
    let flood_list = vtepd.ctl("fdb show dev tap1");
    assert!(flood_list.contains("00:00:00:00:00:00 dev tap1 dst 192.0.2.2"), "{flood_list}");
    let start = Instant::now();
    vtepd.ctl("fdb append 00:00:00:00:00:00 dev tap0 dst 192.0.2.2");
    // ARP tries once a second.
    networks.resume("the flood list", start);

    // The second network was left alone, and lost nothing of its traffic.
    let undisturbed = networks.nothing_leaked(&vtepd, &mut traffic);
    assert!(undisturbed.is_whole(), "{undisturbed:?}");
    vtepd.stop();
}

fn devices_vanish() {
    let lab = Lab::new();
    let (here, there) = (lab.host("vtepd", 1), lab.host("kernel", 2));
    let vtepd = here.vtepd("--id 5000 --tap tap0 --local 192.0.2.1 --remote 192.0.2.2");
    there.run("ip link add vx0 type vxlan id 5000 local 192.0.2.2 remote 192.0.2.1 dev ul0 dstport 4789");
    let pod = there.pod(2, "vx0");
    // The host itself is the pod behind the device that vtepd makes.
    let plug_in = || here.run("ip address add 10.5.0.1/24 dev tap0");
    let reaches = || here.try_run(&format!("ping -q -n -c 1 -W 1 {}", pod.ip())).is_ok();
    let resumes = |what: &str| eventually(&format!("{what}: the pod is reached"), || reaches().then_some(()));
    let told = |incident: &str| {
        let line = format!("incident {incident} 1");
        eventually(&line, || vtepd.ctl("link show -s").contains(&line).then_some(()));
    };
    plug_in();
    resumes("at first");

    here.run("ip link del tap0");
    told("tap-lost");
    told("tap-back");
    plug_in();
    resumes("the TAP device is back");

    here.run("ip address del 192.0.2.1/24 dev ul0");
    told("underlay-lost");
    assert!(!reaches());
    here.run("ip address add 192.0.2.1/24 dev ul0");
    told("underlay-back");
    resumes("the underlay's address is back");

    for text in ["the TAP device is gone", "the TAP device is back", "the underlay is gone", "the underlay is back"] {
        assert!(vtepd.log().contains(text), "{}", vtepd.log());
    }
    vtepd.stop();
}

fn garbage() {
    let lab = Lab::new();
    let (here, there) = (lab.host("vtepd", 1), lab.host("kernel", 2));
    here.tap("tap0");
    let vtepd = here.vtepd("--id 5000 --tap tap0 --local 192.0.2.1 --remote 192.0.2.2");
    there.run("ip link add vx0 type vxlan id 5000 local 192.0.2.2 remote 192.0.2.1 dev ul0 dstport 4789");
    let (a, b) = (here.pod(1, "tap0"), there.pod(2, "vx0"));
    a.finds(&b);
    let before = vtepd.ctl("fdb show");

    // Too short, without the VNI flag, of another network, without a whole frame.
    let header = |flags: &str, vni: &str| format!("\\{flags}\\0\\0\\0{vni}\\0");
    let (vni, other) = ("\\0\\023\\210", "\\0\\0\\1");
    for (bytes, reason) in [
        ("x".to_owned(), "outer-truncated"),
        (header("0", vni), "no-vni"),
        (header("010", other), "unknown-vni"),
        (header("010", vni) + "frame", "inner-truncated"),
    ] {
        let counted = vtepd.dropped(reason);
        let script = format!("printf '{bytes}' >/dev/udp/192.0.2.1/4789");
        assert!(there.start_words(&["bash", "-c", &script]).wait(Duration::from_secs(10)));
        eventually(reason, || (vtepd.dropped(reason) == counted + 1).then_some(()));
    }
    for words in ["fdb show --frob", "fdb add 02:00:00:00:00 dst ten", "fdb del 02:00:00:00:00:99", "shutdown"] {
        let refused = vtepd.try_ctl(words).expect_err("a refusal");
        assert!(refused.len() > 10 && !refused.contains("panicked"), "{words}: {refused}");
    }
    let mode = std::fs::metadata(vtepd.socket()).expect("the socket").permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);

    assert_eq!(vtepd.ctl("fdb show"), before, "nothing was learned from any of it");
    assert!(a.ping(&b, "-c 100 -i 0.005").is_whole());
    vtepd.stop();
}

impl Networks {
    /// Plugs the pods in, and sees that they reach each other.
    fn new(here: &Host, there: &Host, kind: &str) -> Self {
        let [first, second] = [0, 1].map(|network| format!("{kind}{network}"));
        let networks = Self {
            pods: [here.pod(1, "tap0"), there.pod(2, &first), there.pod(3, &first)],
            others: [there.pod(1, &second), here.pod(2, "tap1"), there.pod(3, &second)],
        };
        let Self { pods: [a, b, c], others: [x, y, _] } = &networks;
        a.finds(b);
        a.finds(c);
        x.finds(y);
        networks
    }

    /// Traffic in both: pod 1 pings pods 2 and 3 here, and pod 2 there.
    fn start(&self) -> [Process; 3] {
        let Self { pods: [a, b, c], others: [x, y, _] } = self;
        [a.start_ping(b, "-i 0.01"), a.start_ping(c, "-i 0.01"), x.start_ping(y, "-i 0.01")]
    }

    /// Waits until every pod is answered again.
    #[track_caller]
    fn resume(&self, what: &str, start: Instant) {
        let Self { pods: [a, b, c], others: [x, y, _] } = self;
        let heard = |pod: &Pod| pod.count("Icmp", "InEchoReps");
        let before = [heard(a), heard(x)];
        eventually("traffic resumes", || (heard(a) > before[0] && heard(x) > before[1]).then_some(()));
        println!("traffic resumed {:.0} ms after {what} came back", start.elapsed().as_secs_f64() * 1e3);
        for (from, to) in [(a, b), (a, c), (x, y)] {
            from.finds(to);
            let pinged = from.ping(to, "-c 100 -i 0.002");
            assert!(pinged.is_whole(), "after {what} came back: {pinged:?}");
        }
    }

    /// Ends the traffic, and looks for frames and MACs of one network in the other. What the second one's ping says.
    #[track_caller]
    fn nothing_leaked(&self, vtepd: &Vtepd<'_>, traffic: &mut [Process; 3]) -> Pinged {
        let Self { pods: [a, b, c], others: [x, y, z] } = self;
        let pinged = traffic.each_mut().map(|process| {
            process.interrupt();
            Pinged::of(process)
        });
        for (process, pinged) in traffic.iter().zip(&pinged) {
            assert!(pinged.received > 0 && pinged.duplicates == 0, "{process}");
        }
        assert!(c.count("Icmp", "InEchos") > 0);
        assert_eq!(z.count("Icmp", "InEchos"), 0, "nobody talks to this one");
        // An answer from the wrong network would be one more than were asked for.
        for pod in [a, b, c, x, y, z] {
            assert!(pod.count("Icmp", "InEchoReps") <= pod.count("Icmp", "OutEchos"), "{}", pod.name());
        }
        let place = |tap: &str, pod: &Pod| vtepd.learned_on(Some(tap), &pod.mac());
        let (local, remote) = (Some("local".to_owned()), Some("192.0.2.2".to_owned()));
        assert_eq!((place("tap0", a), place("tap0", b)), (local.clone(), remote.clone()));
        assert_eq!((place("tap1", x), place("tap1", y)), (remote, local));
        pinged[2]
    }
}

fn two_taps(host: &Host) {
    host.tap("tap0");
    host.tap("tap1");
}

fn two_devices(host: &Host) {
    for (device, vni) in [("vx0", 5000), ("vx1", 5001)] {
        let ends = "local 192.0.2.2 remote 192.0.2.1 dev ul0";
        host.run(&format!("ip link add {device} type vxlan id {vni} {ends} dstport 4789"));
    }
}
