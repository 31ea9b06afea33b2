//! What is learned does not stay for ever, and follows a pod that moves.

use std::time::{Duration, Instant};

use crate::lab::needs::Scenario;
use crate::lab::{Lab, eventually, within};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("ageing: gone after silence, back with the next frame", silence),
    Scenario::new("ageing: a pod moves from the kernel's side to vtepd's", a_pod_moves),
];

fn silence() {
    let lab = Lab::new();
    let (here, there) = (lab.host("vtepd", 1), lab.host("kernel", 2));
    here.tap("tap0");
    let vtepd = here.vtepd("--id 5000 --tap tap0 --local 192.0.2.1 --remote 192.0.2.2 --ageing 3");
    there.run("ip link add vx0 type vxlan id 5000 local 192.0.2.2 remote 192.0.2.1 dev ul0 dstport 4789");
    let (a, b) = (here.pod(1, "tap0"), there.pod(2, "vx0"));
    let known = || (vtepd.learned(&a.mac()), vtepd.learned(&b.mac()));
    let both = (Some("local".to_owned()), Some("192.0.2.2".to_owned()));
    a.finds(&b);
    // No address resolution of the pods' own while we listen for silence.
    a.run(&format!("ip neighbour replace {} lladdr {} dev eth0", b.ip(), b.mac()));
    b.run(&format!("ip neighbour replace {} lladdr {} dev eth0", a.ip(), a.mac()));

    // Frames keep an entry beyond its time.
    let start = Instant::now();
    assert!(a.ping(&b, "-c 9 -i 0.5").is_whole());
    assert!(start.elapsed() > Duration::from_secs(3));
    assert_eq!(known(), both);

    let monitor = vtepd.monitor();
    let silent = Instant::now();
    within(Duration::from_secs(8), "both are forgotten", || (known() == (None, None)).then_some(()));
    let after = silent.elapsed();
    println!("gone after {:.1} s of silence, with --ageing 3", after.as_secs_f64());
    assert!(after > Duration::from_millis(2_500), "{after:?}");

    assert!(a.reaches(&b), "what is unknown is flooded");
    assert_eq!(known(), both, "learned again from one frame each way");
    let events = eventually("the events are told", || {
        let events = monitor.printed();
        (events.matches("learned").count() >= 2).then_some(events)
    });
    for line in [
        format!("aged {} dev tap0\n", a.mac()),
        format!("aged {} dev tap0 dst 192.0.2.2\n", b.mac()),
        format!("learned {} dev tap0\n", a.mac()),
        format!("learned {} dev tap0 dst 192.0.2.2\n", b.mac()),
    ] {
        assert!(events.contains(&line), "no {line} in\n{events}");
    }
    vtepd.stop();
}

fn a_pod_moves() {
    let lab = Lab::new();
    let (here, there, third) = (lab.host("vtepd", 1), lab.host("kernel2", 2), lab.host("kernel3", 3));
    here.tap("tap0");
    here.tap("tap1");
    let vtepd = here.vtepd("--vni 5000=tap0 --vni 5000=tap1 --local 192.0.2.1 --remote 192.0.2.2 --remote 192.0.2.3");
    for (host, local, others) in [(&there, "192.0.2.2", [1, 3]), (&third, "192.0.2.3", [1, 2])] {
        host.run(&format!("ip link add vx0 type vxlan id 5000 local {local} dev ul0 dstport 4789"));
        for other in others {
            host.run(&format!("bridge fdb append 00:00:00:00:00:00 dev vx0 dst 192.0.2.{other}"));
        }
    }
    // One watches from a TAP device beside, one from behind another kernel.
    let (beside, far) = (here.pod(2, "tap1"), third.pod(3, "vx0"));
    let pod = there.pod(1, "vx0");
    for watcher in [&beside, &far] {
        pod.finds(watcher);
    }
    assert_eq!(vtepd.learned(&pod.mac()).as_deref(), Some("192.0.2.2"));
    assert_eq!(third.learned("vx0", &pod.mac()).as_deref(), Some("192.0.2.2"));

    // The pod goes down there and comes up here, with its MAC and address. Nobody is told.
    drop(pod);
    let pod = here.pod(1, "tap0");
    assert!(!far.reaches(&pod), "nothing was heard from it, so frames still go to where it was");
    let mut watching = [&beside, &far].map(|watcher| watcher.start_ping(&pod, "-i 0.002 -W 1"));
    std::thread::sleep(Duration::from_millis(200));
    let heard = pod.count("Icmp", "InEchos");
    assert_eq!(heard, 0, "frames still go to where it was");

    // Its first packet: whatever it is, and whoever it is for.
    let answers = || [&beside, &far].map(|watcher| watcher.count("Icmp", "InEchoReps"));
    let before = answers();
    let start = Instant::now();
    let _first = pod.start("ping -q -n -b -c 1 -W 1 10.5.0.255");
    eventually("both reach it", || answers().iter().zip(&before).all(|(now, before)| now > before).then_some(()));
    // Starting a program, and looking, take their time too.
    println!("frames reach the pod at most {:.0} ms after its first packet", start.elapsed().as_secs_f64() * 1e3);
    assert_eq!(vtepd.learned_on(Some("tap0"), &pod.mac()).as_deref(), Some("local"), "{}", vtepd.ctl("fdb show"));
    assert_eq!(third.learned("vx0", &pod.mac()).as_deref(), Some("192.0.2.1"), "{}", third.fdb("vx0"));
    for process in &mut watching {
        process.interrupt();
    }
    for watcher in [&beside, &far] {
        assert!(watcher.ping(&pod, "-c 200 -i 0.005").is_whole());
    }
    vtepd.stop();
}
