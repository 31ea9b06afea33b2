//! Security groups: Open vSwitch sets and matches the option, the kernel sets the group policy ID; `vtepd` enforces.

use crate::lab::host::Host;
use crate::lab::needs::Scenario;
use crate::lab::ovs::Ovs;
use crate::lab::pod::Pod;
use crate::lab::vtepd::Vtepd;
use crate::lab::{Lab, eventually};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("groups: Open vSwitch and vtepd set and check one option", over_geneve),
    Scenario::new("groups: the kernel's mark is judged as a group", over_group_policy),
];

/// The founding example's groups.
const POLICY: &str = "group web 12345\ngroup db 67890\nallow web db\n";

fn over_geneve() {
    let lab = Lab::new();
    let (here, there) = (lab.host("vtepd", 1), lab.host("ovs", 2));
    here.tap("tap0");
    let ovs = Ovs::start(&there, "192.0.2.2", 1400);
    ovs.tunnel("geneve", 11, "192.0.2.1");
    ovs.ofctl("add-tlv-map", "{class=0xff00,type=0x80,len=4}->tun_metadata0");
    send_as(&ovs, 12_345);
    // Only what says that it is from the databases is let in.
    ovs.ofctl("add-flow", "priority=20,in_port=11,tun_metadata0=67890,actions=normal");
    ovs.ofctl("add-flow", "priority=10,in_port=11,actions=drop");
    let vtepd = start(&lab, &here, "--type geneve --group-of tap0=67890", POLICY);
    let (db, web) = (here.pod(1, "tap0"), there.pod(2, "vx0"));

    // Allowed, both ways by both sides.
    web.finds(&db);
    let (matched, denied) = (packets(&ovs, "tun_metadata0=0x10932"), vtepd.dropped("policy-denied"));
    assert!(web.ping(&db, "-c 100 -i 0.005").is_whole());
    eventually("every answer has the option", || {
        (packets(&ovs, "tun_metadata0=0x10932") >= matched + 100).then_some(())
    });
    assert_eq!(vtepd.dropped("policy-denied"), denied);
    let fdb = vtepd.ctl("fdb show");
    let line = fdb.lines().find(|line| line.starts_with(&web.mac())).expect("it is learned");
    assert!(line.contains("group 12345 class 0"), "{line}");

    // Denied: as many as Open vSwitch sends, and no more.
    send_as(&ovs, 7);
    is_denied(&vtepd, &web, &db, "policy-denied", || packets(&ovs, "in_port=1 "));
    // Without the option as well.
    ovs.ofctl("mod-flows", "in_port=1,actions=normal");
    is_denied(&vtepd, &web, &db, "source-group-missing", || packets(&ovs, "in_port=1 "));
    // What came without a group has left no trace of a new one.
    assert!(vtepd.ctl("fdb show").lines().any(|line| line.starts_with(&web.mac()) && line.contains("group 12345")));
    send_as(&ovs, 12_345);
    web.finds(&db);
    vtepd.stop();
}

fn over_group_policy() {
    let lab = Lab::new();
    let (here, there) = (lab.host("vtepd", 1), lab.host("kernel", 2));
    here.tap("tap0");
    let policy = "group web 12345\ngroup db 6789\nallow web db\n";
    let vtepd = start(&lab, &here, "--gbp --group-of tap0=6789", policy);
    there.run("ip link add vx0 type vxlan id 5000 local 192.0.2.2 remote 192.0.2.1 dev ul0 dstport 4789 gbp");
    let db = here.pod(1, "tap0");
    let _web = there.pod(2, "vx0");
    // Marks do not leave a namespace, so the host itself is a pod; ARP has no mark.
    there.run("ip address add 10.5.0.77/24 dev br-vx0");
    there.run(&format!("ip neighbour replace {} lladdr {} dev br-vx0 nud permanent", db.ip(), db.mac()));
    let mac = there.run("cat /sys/class/net/br-vx0/address");
    db.run(&format!("ip neighbour replace 10.5.0.77 lladdr {} dev eth0 nud permanent", mac.trim()));

    there.run(&format!("ping -q -n -c 20 -i 0.01 -W 1 -m 12345 {}", db.ip()));
    let (denied, heard) = (vtepd.dropped("policy-denied"), db.count("Icmp", "InEchos"));
    let _ = there.try_run(&format!("ping -q -n -c 10 -i 0.01 -W 1 -m 7 {}", db.ip()));
    assert_eq!(vtepd.dropped("policy-denied") - denied, 10);
    let missing = vtepd.dropped("source-group-missing");
    let _ = there.try_run(&format!("ping -q -n -c 10 -i 0.01 -W 1 {}", db.ip()));
    assert!(vtepd.dropped("source-group-missing") - missing >= 10);
    assert_eq!(db.count("Icmp", "InEchos"), heard, "none of them was delivered");
    vtepd.stop();
}

fn start<'h>(lab: &Lab, here: &'h Host, more: &str, policy: &str) -> Vtepd<'h> {
    let file = lab.folder().join("policy");
    std::fs::write(&file, policy).expect("a policy file");
    let ends = "--id 5000 --tap tap0 --local 192.0.2.1 --remote 192.0.2.2";
    here.vtepd(&format!("{ends} {more} --policy {}", file.display()))
}

/// Has Open vSwitch say that its pods are of this group.
#[track_caller]
fn send_as(ovs: &Ovs<'_>, group: u32) {
    ovs.ofctl("add-flow", &format!("priority=10,in_port=1,actions=set_field:{group:#x}->tun_metadata0,normal"));
}

/// What the flow with these words has counted.
#[track_caller]
fn packets(ovs: &Ovs<'_>, words: &str) -> u64 {
    let flows = ovs.ofctl("dump-flows", "");
    let line = flows.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{words} in {flows}"));
    let (_, count) = line.split_once("n_packets=").expect("a counter");
    count.split(',').next().and_then(|count| count.parse().ok()).expect("a number")
}

/// Ten echo requests: dropped for this reason, as many as were sent, and not delivered.
#[track_caller]
fn is_denied(vtepd: &Vtepd<'_>, web: &Pod, db: &Pod, reason: &str, sent: impl Fn() -> u64) {
    web.run(&format!("ip neighbour replace {} lladdr {} dev eth0 nud permanent", db.ip(), db.mac()));
    // Open vSwitch counts what its datapath has seen once in a while.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let heard = db.count("Icmp", "InEchos");
    let (dropped, before) = (vtepd.dropped(reason), sent());
    let _ = web.try_run(&format!("ping -q -n -c 10 -i 0.01 -W 1 {}", db.ip()));
    eventually("the drops are counted", || (vtepd.dropped(reason) - dropped >= 10).then_some(()));
    // A neighbour that is looked for again would count on both sides.
    eventually("both sides have counted as many", || {
        (sent() - before == vtepd.dropped(reason) - dropped).then_some(())
    });
    assert_eq!(db.count("Icmp", "InEchos"), heard, "none of them was delivered");
}
