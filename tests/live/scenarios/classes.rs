//! Traffic classes: `vtepd` and the kernel, with what nftables sees of DSCP outside and inside.

use crate::lab::needs::Scenario;
use crate::lab::{Lab, nft};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("classes: in the pipe model a class has its own DSCP outside", pipe),
    Scenario::new("classes: in the uniform model there is one DSCP", uniform),
];

/// DSCP 40 is read as class 5, which is sent as 46; inside nothing changes.
fn pipe() {
    let lab = Lab::new();
    let (here, there) = (lab.host("vtepd", 1), lab.host("kernel", 2));
    here.tap("tap0");
    let classes = "--class-from dscp --class-dscp 5=46,40";
    let vtepd = here.vtepd(&format!("--id 5000 --tap tap0 --local 192.0.2.1 --remote 192.0.2.2 {classes}"));
    there.run("ip link add vx0 type vxlan id 5000 local 192.0.2.2 remote 192.0.2.1 dev ul0 dstport 4789");
    let (a, b) = (here.pod(1, "tap0"), there.pod(2, "vx0"));
    a.finds(&b);
    nft::watch(&there, "ul0", "outside", "udp dport 4789 ip dscp 46");
    nft::watch(&b, "eth0", "inside", "icmp type echo-request ip dscp 40");

    assert!(a.ping(&b, "-c 20 -i 0.01 -Q 0xa0").is_whole());
    assert_eq!((nft::seen(&there, "outside"), nft::seen(&b, "inside")), (20, 20));
    // Without a mark, best effort.
    assert!(a.ping(&b, "-c 20 -i 0.01").is_whole());
    assert_eq!((nft::seen(&there, "outside"), nft::seen(&b, "inside")), (20, 20));
    vtepd.stop();
}

/// What the underlay has made of the mark arrives in the pod, and a pod's mark is the underlay's.
fn uniform() {
    let lab = Lab::new();
    let (here, there) = (lab.host("vtepd", 1), lab.host("kernel", 2));
    here.tap("tap0");
    let vtepd = here.vtepd("--id 5000 --tap tap0 --local 192.0.2.1 --remote 192.0.2.2 --class-model uniform");
    there.run("ip link add vx0 type vxlan id 5000 local 192.0.2.2 remote 192.0.2.1 dev ul0 dstport 4789 tos 0x28");
    let (a, b) = (here.pod(1, "tap0"), there.pod(2, "vx0"));
    b.finds(&a);
    nft::watch(&there, "ul0", "outside", "udp dport 4789 ip dscp 18");
    nft::watch(&a, "eth0", "inside", "icmp type echo-request ip dscp 10");
    nft::watch(&b, "eth0", "answers", "icmp type echo-reply ip dscp 10");

    // 18 goes in, and the kernel's tunnel says 10: that is what arrives. The answer copies it, and carries it outside.
    assert!(b.ping(&a, "-c 20 -i 0.01 -Q 0x48").is_whole());
    assert_eq!((nft::seen(&a, "inside"), nft::seen(&b, "answers"), nft::seen(&there, "outside")), (20, 20, 0));
    assert!(a.ping(&b, "-c 20 -i 0.01 -Q 0x48").is_whole());
    assert_eq!(nft::seen(&there, "outside"), 20);
    vtepd.stop();
}
