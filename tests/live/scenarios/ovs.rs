//! `vtepd` and Open vSwitch's userspace datapath.
//!
//! Open vSwitch sets an option here, and matches one: of another Open vSwitch, in an overlay in which `vtepd` is the third,
//! as `vtepd` is not told to stamp any.

use serde_json::json;

use super::extensions::dissect;
use crate::lab::needs::Scenario;
use crate::lab::ovs::Ovs;
use crate::lab::pod::Pod;
use crate::lab::vtepd::Vtepd;
use crate::lab::{Lab, eventually};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("ovs: over VXLAN", over_vxlan),
    Scenario::new("ovs: over Geneve, with an option that may be ignored", over_geneve),
    Scenario::new("ovs: over Geneve, with an option that may not be ignored", critical_option),
    Scenario::new("ovs: over Geneve, with an option that is matched", matched_option),
];

fn over_vxlan() {
    let lab = Lab::new();
    let (here, there) = (lab.host("vtepd", 1), lab.host("ovs", 2));
    here.tap("tap0");
    let ovs = Ovs::start(&there, "192.0.2.2", 1450);
    ovs.tunnel("vxlan", 11, "192.0.2.1");
    let vtepd = here.vtepd("--id 5000 --tap tap0 --local 192.0.2.1 --remote 192.0.2.2");
    let (a, b) = (here.pod(1, "tap0"), there.pod(2, "vx0"));

    both_learn(&vtepd, &ovs, &a, &b);
    vtepd.stop();
}

fn over_geneve() {
    let lab = Lab::new();
    let (here, there) = (lab.host("vtepd", 1), lab.host("ovs", 2));
    here.tap("tap0");
    let capture = lab.folder().join("geneve.pcap");
    let pcap = capture.display();
    let ends = "--id 5000 --tap tap0 --local 192.0.2.1 --remote 192.0.2.2";
    let ovs = Ovs::start(&there, "192.0.2.2", 1400);
    ovs.tunnel("geneve", 11, "192.0.2.1");
    let vtepd = here.vtepd(&format!("--type geneve {ends} --pcap {pcap}"));
    let (a, b) = (here.pod(1, "tap0"), there.pod(2, "vx0"));
    both_learn(&vtepd, &ovs, &a, &b);

    set_option(&ovs, "0x01");
    vtepd.ctl("fdb flush");
    both_learn(&vtepd, &ovs, &a, &b);
    assert_eq!(vtepd.dropped("unknown-critical-option"), 0);
    vtepd.stop();

    // The option was on the wire, and the critical bit was not.
    let with_option = format!("{OPTION:08x}");
    let carried = dissect(&capture).into_iter().filter(|frame| {
        let tunnel = &frame["tunnels"][0];
        assert_eq!(tunnel["vni"], json!(5000), "{frame:#}");
        let options = tunnel["options"].as_array();
        options.is_some_and(|all| all.iter().any(|option| option["data"] == json!(with_option)))
    });
    assert!(carried.count() >= 200, "every packet from Open vSwitch has it from then on");
}

fn critical_option() {
    let lab = Lab::new();
    let (here, there) = (lab.host("vtepd", 1), lab.host("ovs", 2));
    here.tap("tap0");
    let ovs = Ovs::start(&there, "192.0.2.2", 1400);
    ovs.tunnel("geneve", 11, "192.0.2.1");
    let vtepd = here.vtepd("--type geneve --id 5000 --tap tap0 --local 192.0.2.1 --remote 192.0.2.2");
    let (a, b) = (here.pod(1, "tap0"), there.pod(2, "vx0"));
    both_learn(&vtepd, &ovs, &a, &b);

    set_option(&ovs, "0x80");
    vtepd.ctl("fdb flush");
    // Nothing but the echo requests is to be counted.
    b.run(&format!("ip neighbour replace {} lladdr {} dev eth0", a.ip(), a.mac()));
    let before = vtepd.dropped("unknown-critical-option");
    let heard = a.count("Icmp", "InEchos");
    let _ = b.try_run(&format!("ping -q -n -c 10 -i 0.01 -W 1 {}", a.ip()));
    eventually("the drops are counted", || (vtepd.dropped("unknown-critical-option") - before >= 10).then_some(()));
    assert_eq!(vtepd.dropped("unknown-critical-option") - before, 10);
    assert_eq!(a.count("Icmp", "InEchos"), heard, "none of them was delivered");
    assert_eq!(vtepd.learned(&b.mac()), None, "nothing is learned from what is dropped");

    // The very next packet without it is delivered.
    ovs.ofctl("del-flows", "in_port=1");
    b.finds(&a);
    assert!(b.ping(&a, "-c 100 -i 0.005").is_whole());
    assert_eq!(vtepd.learned(&b.mac()).as_deref(), Some("192.0.2.2"));
    vtepd.stop();
}

/// Three members of one overlay: one sets the option, one looks for it, and `vtepd` sends none.
fn matched_option() {
    let lab = Lab::new();
    let [one, two, three] = [("vtepd", 1), ("ovs2", 2), ("ovs3", 3)].map(|(label, number)| lab.host(label, number));
    one.tap("tap0");
    let setter = Ovs::start(&two, "192.0.2.2", 1400);
    let matcher = Ovs::start(&three, "192.0.2.3", 1400);
    for (ovs, other) in [(&setter, "192.0.2.3"), (&matcher, "192.0.2.2")] {
        ovs.tunnel("geneve", 11, "192.0.2.1");
        ovs.tunnel("geneve", 12, other);
    }
    let ends = "--local 192.0.2.1 --remote 192.0.2.2 --remote 192.0.2.3";
    let vtepd = one.vtepd(&format!("--type geneve --id 5000 --tap tap0 {ends}"));
    let (a, b, c) = (one.pod(1, "tap0"), two.pod(2, "vx0"), three.pod(3, "vx0"));

    set_option(&setter, "0x01");
    matcher.ofctl("add-tlv-map", "{class=0xff00,type=0x01,len=4}->tun_metadata0");
    matcher.ofctl("add-flow", &format!("priority=20,cookie=1,tun_metadata0={OPTION:#x},actions=normal"));
    for (from, to) in [(&a, &b), (&b, &c), (&a, &c)] {
        from.finds(to);
    }
    // Nothing but the echo requests and their answers is to be counted.
    for (from, to) in [(&a, &c), (&c, &a), (&b, &c), (&c, &b)] {
        from.run(&format!("ip neighbour replace {} lladdr {} dev eth0", to.ip(), to.mac()));
    }
    let with_option = matcher.settled_matches(1);
    assert!(a.ping(&c, "-c 50 -i 0.005").is_whole());
    assert_eq!(matcher.settled_matches(1), with_option, "vtepd sends none");
    assert!(b.ping(&c, "-c 50 -i 0.005").is_whole());
    assert_eq!(matcher.settled_matches(1), with_option + 50, "the other Open vSwitch does");
    assert!(b.ping(&a, "-c 50 -i 0.005").is_whole(), "vtepd passes over it");
    assert_eq!(vtepd.learned(&b.mac()).as_deref(), Some("192.0.2.2"));
    assert_eq!(vtepd.learned(&c.mac()).as_deref(), Some("192.0.2.3"));
    vtepd.stop();
}

/// What the option says.
const OPTION: u32 = 0x1234_5678;

/// Has Open vSwitch put an option of the experimental class into every packet of its pods. Of the type's octet, the
/// highest bit is the critical bit.
#[track_caller]
fn set_option(ovs: &Ovs<'_>, kind: &str) {
    ovs.ofctl("add-tlv-map", &format!("{{class=0xff00,type={kind},len=4}}->tun_metadata0"));
    ovs.ofctl("add-flow", &format!("priority=10,in_port=1,actions=set_field:{OPTION:#x}->tun_metadata0,normal"));
}

/// Pings from nothing, one way and the other, and finds both MACs in both databases.
#[track_caller]
fn both_learn(vtepd: &Vtepd<'_>, ovs: &Ovs<'_>, a: &Pod, b: &Pod) {
    for (from, to) in [(a, b), (b, a)] {
        a.forget_neighbours();
        b.forget_neighbours();
        from.finds(to);
        let pinged = from.ping(to, "-c 100 -i 0.005");
        assert!(pinged.is_whole(), "from {}: {pinged:?}", from.ip());
    }
    assert_eq!(vtepd.learned(&a.mac()).as_deref(), Some("local"));
    assert_eq!(vtepd.learned(&b.mac()).as_deref(), Some("192.0.2.2"));
    assert_eq!(ovs.learned(&a.mac()).as_deref(), Some("11"));
    assert_eq!(ovs.learned(&b.mac()).as_deref(), Some("1"));
}
