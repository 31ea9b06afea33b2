//! Security groups: Open vSwitch sets and matches the option, the kernel sets the group policy ID; `vtepd` enforces.

use crate::lab::host::Host;
use crate::lab::needs::Scenario;
use crate::lab::nft::Marks;
use crate::lab::ovs::Ovs;
use crate::lab::pod::Pod;
use crate::lab::vtepd::Vtepd;
use crate::lab::{Lab, eventually};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("groups: Open vSwitch and vtepd set and check one option", over_geneve),
    Scenario::new("groups: the kernel's mark is judged as a group", over_group_policy),
    Scenario::new("groups: the kernel and vtepd set and check one group policy ID", both_ways_over_group_policy),
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

/// The kernel marks what it sends and lets in only what has the databases' mark; `vtepd` carries both as group policy IDs.
fn both_ways_over_group_policy() {
    let lab = Lab::new();
    let (here, there) = (lab.host("vtepd", 1), lab.host("kernel", 2));
    here.tap("tap0");
    here.tap("tap1");
    let file = lab.folder().join("policy");
    std::fs::write(&file, "group web 12345\ngroup db 6789\nallow web db\n").expect("a policy file");
    let devices = "--vni 5000=tap0 --vni 5000=tap1 --group-of tap0=6789 --group-of tap1=7";
    let ends = "--local 192.0.2.1 --remote 192.0.2.2 --gbp";
    let vtepd = here.vtepd(&format!("{devices} {ends} --policy {}", file.display()));
    there.run("ip link add vx0 type vxlan id 5000 local 192.0.2.2 remote 192.0.2.1 dev ul0 dstport 4789 gbp");
    let marks = Marks::new(&there, "vx0", 6789);
    let (db, other, web) = (here.pod(1, "tap0"), here.pod(3, "tap1"), there.pod(2, "vx0"));

    // Allowed by both: what one has sent the other has let in, and nothing else was there.
    marks.send_as(12_345);
    web.finds(&db);
    let (refused, denied) = (marks.count("refused"), vtepd.dropped("policy-denied"));
    let before = Both::now(&vtepd, &marks);
    assert!(web.ping(&db, "-c 100 -i 0.005").is_whole());
    let seen = eventually("both have counted as many", || Both::now(&vtepd, &marks).since(&before).agreed());
    assert!(seen.sent >= 100 && seen.accepted >= 100, "{seen:?}");
    assert_eq!((marks.count("refused"), vtepd.dropped("policy-denied")), (refused, denied));
    let rules = vtepd.ctl_json("policy show -s");
    assert_eq!((&rules[0]["from"], &rules[0]["to"]), (&12_345.into(), &6789.into()), "{rules}");
    assert!(rules[0]["packets"].as_u64().is_some_and(|packets| packets >= 100), "{rules}");
    let fdb = vtepd.ctl("fdb show");
    let line = fdb.lines().find(|line| line.starts_with(&web.mac())).expect("it is learned");
    assert!(line.contains("group 12345 class 0"), "{line}");

    // The kernel's packets with another mark, and with none, are denied by `vtepd`: as many as the kernel has sent.
    web.run(&format!("ip neighbour replace {} lladdr {} dev eth0 nud permanent", db.ip(), db.mac()));
    for (mark, reason) in [(7, "policy-denied"), (0, "source-group-missing")] {
        marks.send_as(mark);
        let (heard, sent, dropped) = (db.count("Icmp", "InEchos"), marks.count("sent"), vtepd.dropped(reason));
        let _ = web.try_run(&format!("ping -q -n -c 10 -i 0.01 -W 1 {}", db.ip()));
        let drops = eventually("both have counted as many", || {
            let drops = vtepd.dropped(reason) - dropped;
            (drops >= 10 && drops == marks.count("sent") - sent).then_some(drops)
        });
        assert_eq!(db.count("Icmp", "InEchos"), heard, "none of {drops} was delivered");
    }

    // An operator says what a station is.
    vtepd.ctl(&format!("fdb replace {} dev tap0 dst 192.0.2.2 group 7 class 3", web.mac()));
    let fdb = vtepd.ctl("fdb show");
    assert!(fdb.lines().any(|line| line.starts_with(&web.mac()) && line.contains("group 7 class 3")), "{fdb}");

    // What vtepd sends for another group is not let in by the kernel: as many as vtepd has sent.
    other.run(&format!("ip neighbour replace {} lladdr {} dev eth0 nud permanent", web.ip(), web.mac()));
    let (heard, before, refused) = (web.count("Icmp", "InEchos"), Both::now(&vtepd, &marks), marks.count("refused"));
    let _ = other.try_run(&format!("ping -q -n -c 10 -i 0.01 -W 1 {}", web.ip()));
    eventually("both have counted as many", || {
        let (out, kept_out) = (Both::now(&vtepd, &marks).since(&before).out, marks.count("refused") - refused);
        (kept_out >= 10 && out == kept_out).then_some(())
    });
    assert_eq!(web.count("Icmp", "InEchos"), heard, "none of them was delivered");
    vtepd.stop();
}

/// What both ends of a tunnel have counted.
#[derive(Clone, Copy, Debug)]
struct Both {
    /// Sent by the kernel, and received by `vtepd`.
    sent: u64,
    received: u64,
    /// Sent by `vtepd`, and let in by the kernel.
    out: u64,
    accepted: u64,
}

impl Both {
    #[track_caller]
    fn now(vtepd: &Vtepd<'_>, marks: &Marks<'_>) -> Self {
        let links = vtepd.ctl_json("link show -s");
        let underlay = &links.as_array().and_then(|links| links.last()).expect("the underlay is last")["stats64"];
        let packets = |way: &str| underlay[way]["packets"].as_u64().expect("a number");
        Self {
            sent: marks.count("sent"),
            received: packets("rx"),
            out: packets("tx"),
            accepted: marks.count("accepted"),
        }
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            sent: self.sent - before.sent,
            received: self.received - before.received,
            out: self.out - before.out,
            accepted: self.accepted - before.accepted,
        }
    }

    /// Itself, where neither end has counted what the other has not.
    fn agreed(self) -> Option<Self> {
        (self.sent == self.received && self.out == self.accepted).then_some(self)
    }
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
