//! VXLAN's extensions: group policy both ways, and the kernel's GPE read by `vtepd` and `dissect`.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::common::DISSECT;
use crate::lab::needs::Scenario;
use crate::lab::{Lab, eventually};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("extensions: group policy", group_policy),
    Scenario::new("extensions: GPE from the kernel is received", gpe_is_received),
];

fn group_policy() {
    let lab = Lab::new();
    let (here, there) = (lab.host("vtepd", 1), lab.host("kernel", 2));
    here.tap("tap0");
    let capture = lab.folder().join("gbp.pcap");
    let pcap = capture.display();
    let vtepd = here.vtepd(&format!("--id 5000 --tap tap0 --local 192.0.2.1 --remote 192.0.2.2 --gbp --pcap {pcap}"));
    there.run("ip link add vx0 type vxlan id 5000 local 192.0.2.2 remote 192.0.2.1 dev ul0 dstport 4789 gbp");
    let (a, b) = (here.pod(1, "tap0"), there.pod(2, "vx0"));

    a.finds(&b);
    assert!(a.ping(&b, "-c 500 -f").is_whole());
    assert!(b.ping(&a, "-c 500 -f").is_whole());

    // The kernel sends a packet's mark as its policy. Marks do not leave a namespace, so the host itself is a pod here.
    there.run("ip address add 10.5.0.77/24 dev br-vx0");
    there.run(&format!("ping -q -n -c 3 -i 0.05 -m {} {}", 0x0abc, a.ip()));
    vtepd.stop();
    let frames = dissect(&capture);
    let marked = frames.iter().filter(|frame| frame["tunnels"][0]["policy"] == 0x0abc).count();
    assert!(marked >= 3, "{marked} of {} packets with the policy", frames.len());
}

fn gpe_is_received() {
    let lab = Lab::new();
    let (here, there) = (lab.host("vtepd", 1), lab.host("kernel", 2));
    here.tap("tap0");
    let capture = lab.folder().join("gpe.pcap");
    let pcap = capture.display();
    let vtepd = here.vtepd(&format!("--type gpe --id 5000 --tap tap0 --local 192.0.2.1 --pcap {pcap}"));
    // The kernel's GPE device carries IP packets and no frames; routes say where to.
    there.run("ip link add vx0 type vxlan external gpe dstport 4790");
    there.run("ip address add 10.6.0.2/24 dev vx0");
    there.run("ip link set vx0 up");
    there.run("ip route add 10.6.1.0/24 encap ip id 5000 dst 192.0.2.1 dev vx0");
    let _ = there.try_run("ping -q -n -c 3 -i 0.05 -W 1 10.6.1.1");

    eventually("vtepd knows by name what it cannot bridge", || {
        (incidents(&vtepd.ctl_json("link show -s"), "inner-ipv4") == 3).then_some(())
    });
    vtepd.stop();
    let frames = dissect(&capture);
    assert_eq!(frames.len(), 3, "{frames:#?}");
    for frame in &frames {
        let tunnel = &frame["tunnels"][0];
        let found = [&tunnel["kind"], &tunnel["vni"], &tunnel["next_protocol"], &frame["inner"]["ethertype"]];
        assert_eq!(found, [&json!("gpe"), &json!(5000), &json!(1), &json!("0x0800")], "{frame:#}");
        assert!(frame.get("error").is_none(), "{frame:#}");
    }
}

/// How often something happened.
fn incidents(links: &Value, name: &str) -> u64 {
    let all = links.as_array().and_then(|links| links.last()).expect("the underlay is last");
    all["incidents"][name].as_u64().unwrap_or(0)
}

/// The `dissect` example's lines about a capture.
#[track_caller]
pub(super) fn dissect(capture: &Path) -> Vec<Value> {
    let output = Command::new(&*DISSECT).arg(capture).output().expect("dissect runs");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}
