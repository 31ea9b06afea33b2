//! Three members of a multicast group: `vtepd` and two kernels that know nothing of each other.

use crate::lab::needs::Scenario;
use crate::lab::{Lab, eventually};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("group: three members over IPv4", || three_members("192.0.2.", "239.1.1.1")),
    Scenario::new("group: three members over IPv6", || three_members("fd00::", "ff05::100")),
];

fn three_members(network: &str, group: &str) {
    let lab = Lab::new();
    let here = lab.host("vtepd", 1);
    here.tap("tap0");
    let vtepd = here.vtepd(&format!("--id 5000 --tap tap0 --local {network}1 --group {group} --underlay ul0"));
    let kernels = [(2, "kernel2"), (3, "kernel3")].map(|(number, label)| {
        let host = lab.host(label, number);
        let local = format!("{network}{number}");
        host.run(&format!("ip link add vx0 type vxlan id 5000 local {local} group {group} dev ul0 dstport 4789"));
        host
    });
    let a = here.pod(1, "tap0");
    let (b, c) = (kernels[0].pod(2, "vx0"), kernels[1].pod(3, "vx0"));

    for (from, to) in [(&a, &b), (&b, &c), (&c, &a), (&a, &c), (&b, &a), (&c, &b)] {
        from.forget_neighbours();
        from.finds(to);
        let pinged = from.ping(to, "-c 500 -f");
        assert!(pinged.is_whole(), "from {} to {}: {pinged:?}", from.ip(), to.ip());
    }
    // Flooded to the group; learned where it came from.
    for (mac, place) in [(b.mac(), format!("{network}2")), (c.mac(), format!("{network}3"))] {
        assert_eq!(vtepd.learned(&mac), Some(place));
    }
    for kernel in &kernels {
        assert_eq!(kernel.learned("vx0", &a.mac()), Some(format!("{network}1")), "{}", kernel.fdb("vx0"));
    }
    let line = format!("00:00:00:00:00:00 dev tap0 dst {group} via ul0 self permanent");
    assert!(vtepd.ctl("fdb show").contains(&line), "{}", vtepd.ctl("fdb show"));

    // The kernel's list of memberships: there while vtepd runs, left at its end.
    let joined = || here.run("ip maddress show dev ul0").contains(group);
    assert!(joined());
    vtepd.stop();
    eventually("the group is left", || (!joined()).then_some(()));
}
