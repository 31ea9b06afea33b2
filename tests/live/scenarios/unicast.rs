//! `vtepd` and the kernel, each in the other's flood list.

use crate::lab::needs::Scenario;
use crate::lab::pod::Pod;
use crate::lab::vtepd::Vtepd;
use crate::lab::{Lab, eventually, host::Host};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("unicast: over IPv4", over_ipv4),
    Scenario::new("unicast: over IPv6", over_ipv6),
    Scenario::new("unicast: on port 8472", on_port_8472),
    Scenario::new("unicast: over IPv4 and IPv6 at once", over_both),
    Scenario::new("unicast: vtepd makes its TAP device itself", own_tap),
];

fn over_ipv4() {
    let lab = Lab::new();
    let (here, there) = (lab.host("vtepd", 1), lab.host("kernel", 2));
    here.tap("tap0");
    let vtepd = here.vtepd("--id 5000 --tap tap0 --local 192.0.2.1 --remote 192.0.2.2");
    there.run("ip link add vx0 type vxlan id 5000 local 192.0.2.2 dev ul0 dstport 4789");
    there.run("bridge fdb append 00:00:00:00:00:00 dev vx0 dst 192.0.2.1");
    let (a, b) = (here.pod(1, "tap0"), there.pod(2, "vx0"));

    both_learn(&vtepd, &there, "192.0.2.1", "192.0.2.2", &a, &b);
    carries_everything(&a, &b);
    vtepd.stop();
}

fn over_ipv6() {
    let lab = Lab::new();
    let (here, there) = (lab.host("vtepd", 1), lab.host("kernel", 2));
    here.tap("tap0");
    let vtepd = here.vtepd("--id 5000 --tap tap0 --local fd00::1 --remote fd00::2");
    there.run("ip link add vx0 type vxlan id 5000 local fd00::2 dev ul0 dstport 4789 udp6zerocsumrx");
    there.run("bridge fdb append 00:00:00:00:00:00 dev vx0 dst fd00::1");
    let (a, b) = (here.pod(1, "tap0"), there.pod(2, "vx0"));

    both_learn(&vtepd, &there, "fd00::1", "fd00::2", &a, &b);
    carries_everything(&a, &b);
    vtepd.stop();
}

fn on_port_8472() {
    let lab = Lab::new();
    let (here, there) = (lab.host("vtepd", 1), lab.host("kernel", 2));
    here.tap("tap0");
    let vtepd = here.vtepd("--id 5000 --tap tap0 --local 192.0.2.1 --remote 192.0.2.2 --dstport 8472");
    there.run("ip link add vx0 type vxlan id 5000 local 192.0.2.2 dev ul0 dstport 8472");
    there.run("bridge fdb append 00:00:00:00:00:00 dev vx0 dst 192.0.2.1");
    let (a, b) = (here.pod(1, "tap0"), there.pod(2, "vx0"));

    both_learn(&vtepd, &there, "192.0.2.1", "192.0.2.2", &a, &b);
    assert!(a.ping(&b, "-c 1000 -f").is_whole());
    // The port is the device's own, and therefore not shown.
    assert!(!vtepd.ctl("fdb show").contains("port"), "{}", vtepd.ctl("fdb show"));
    vtepd.stop();
}

/// One peer is reached over IPv4, the other over IPv6, from one TAP device.
fn over_both() {
    let lab = Lab::new();
    let [here, four, six] =
        [("vtepd", 1), ("kernel4", 2), ("kernel6", 3)].map(|(label, number)| lab.host(label, number));
    here.tap("tap0");
    let ends = "--local 192.0.2.1 --local fd00::1 --remote 192.0.2.2 --remote fd00::3";
    let vtepd = here.vtepd(&format!("--id 5000 --tap tap0 {ends}"));
    // What the larger header leaves is for all.
    assert_eq!(here.mtu("tap0"), 1430);
    for (host, local, remote) in [(&four, "192.0.2.2", "192.0.2.1"), (&six, "fd00::3", "fd00::1")] {
        let ends = format!("local {local} remote {remote} dev ul0 dstport 4789");
        host.run(&format!("ip link add vx0 mtu 1430 type vxlan id 5000 {ends}"));
    }
    let (a, b, c) = (here.pod(1, "tap0"), four.pod(2, "vx0"), six.pod(3, "vx0"));

    for (from, to) in [(&a, &b), (&a, &c), (&b, &a), (&c, &a)] {
        from.forget_neighbours();
        from.finds(to);
        assert!(from.ping(to, "-c 100 -i 0.005 -M do -s 1372").is_whole(), "from {} to {}", from.ip(), to.ip());
    }
    assert_eq!(vtepd.learned(&b.mac()).as_deref(), Some("192.0.2.2"));
    assert_eq!(vtepd.learned(&c.mac()).as_deref(), Some("fd00::3"));
    // No tunnel floods to a tunnel, whatever the families.
    assert!(!b.reaches(&c));
    vtepd.stop();
}

fn own_tap() {
    let lab = Lab::new();
    let (here, there) = (lab.host("vtepd", 1), lab.host("kernel", 2));
    let vtepd = here.vtepd("--id 5000 --tap tap0 --local 192.0.2.1 --remote 192.0.2.2");
    there.run("ip link add vx0 type vxlan id 5000 remote 192.0.2.1 local 192.0.2.2 dev ul0 dstport 4789");
    let (a, b) = (here.pod(1, "tap0"), there.pod(2, "vx0"));

    assert_eq!((here.mtu("tap0"), there.mtu("vx0")), (1450, 1450));
    a.finds(&b);
    vtepd.stop();
    assert!(here.try_run("ip link show tap0").is_err(), "the device that vtepd made goes with it");
}

/// Pings one way, then the other, from nothing; the pods' MACs are then where they are, in both databases.
#[track_caller]
fn both_learn(vtepd: &Vtepd<'_>, kernel: &Host, here: &str, there: &str, a: &Pod, b: &Pod) {
    a.finds(b);
    assert!(a.ping(b, "-c 5 -i 0.01").is_whole());
    assert_eq!(kernel.learned("vx0", &a.mac()).as_deref(), Some(here), "{}", kernel.fdb("vx0"));
    let fdb = vtepd.ctl("fdb show");
    for line in [
        format!("00:00:00:00:00:00 dev tap0 dst {there} self permanent"),
        format!("{} dev tap0 self", a.mac()),
        format!("{} dev tap0 dst {there} self", b.mac()),
    ] {
        assert!(fdb.lines().any(|found| found == line), "no line\n{line}\nin\n{fdb}");
    }

    // The other way round, with all that was learned forgotten.
    vtepd.ctl("fdb flush");
    kernel.run(&format!("bridge fdb del {} dev vx0 dst {here} self", a.mac()));
    a.forget_neighbours();
    b.forget_neighbours();
    b.finds(a);
    assert!(b.ping(a, "-c 5 -i 0.01").is_whole());
    eventually("vtepd knows both", || {
        let known = (vtepd.learned(&a.mac())?, vtepd.learned(&b.mac())?);
        (known == ("local".to_owned(), there.to_owned())).then_some(())
    });
    assert_eq!(kernel.learned("vx0", &a.mac()).as_deref(), Some(here), "{}", kernel.fdb("vx0"));
}

/// Ten thousand echo requests, TCP both ways and UDP.
#[track_caller]
fn carries_everything(a: &Pod, b: &Pod) {
    let pinged = a.ping(b, "-c 10000 -f");
    assert!(pinged.is_whole() && pinged.sent == 10_000, "{pinged:?}");
    let full = a.ping(b, "-c 100 -i 0.002 -M do -s 1372");
    assert!(full.is_whole(), "packets as large as the tunnel takes: {full:?}");

    for (options, direction) in [("", "to the kernel"), ("--reverse", "from the kernel")] {
        let report = a.iperf(b, &format!("-t 2 {options}"));
        let received = report["end"]["sum_received"]["bits_per_second"].as_f64().unwrap_or(0.0);
        assert!(received > 1e6, "{report:#}");
        println!("TCP {direction}: {:.0} Mbit/s", received / 1e6);
    }
    let report = a.iperf(b, "-u -b 20M -t 2");
    let sum = &report["end"]["sum"];
    assert_eq!(sum["lost_packets"], 0, "{sum:#}");
    assert!(sum["packets"].as_u64() > Some(1000), "{sum:#}");
}
