//! What holds whatever the network looks like, without the plain bridge's help.

use vtep::engine::{Engine, Verdict};
use vtep::table::{BridgeId, EndpointAddress, PortId};

use super::{Handled, Op};

/// Holds one packet and what was done with it against the promises.
pub(crate) fn check(engine: &Engine<'_>, op: &Op, handled: &Handled) {
    let bridge = match op {
        Op::Port(port, _) => engine.port_config(PortId(*port)).map(|config| config.bridge),
        Op::Underlay(packet) => (0..3).map(BridgeId).find(|id| {
            let config = engine.bridge_config(*id);
            config.is_some_and(|c| (c.udp_port, c.vni.get()) == (packet.dst_port, packet.vni))
        }),
        _ => None,
    };
    let group = |e: &EndpointAddress| {
        let id = engine.endpoints().find(e).expect("an endpoint");
        engine.endpoints().get(id).unwrap().config().split_horizon
    };
    for (copy, _) in &handled.copies {
        match copy {
            Verdict::Deliver(deliver) => {
                let port = engine.port_config(deliver.port.id).expect("a port");
                assert_eq!(Some(port.bridge), bridge, "tenants meet");
                assert!(!matches!(op, Op::Port(from, _) if *from == deliver.port.id.0), "back where it came from");
            }
            Verdict::Encapsulate(encapsulate) => {
                let address = engine.endpoints().get(encapsulate.endpoint.id).expect("an endpoint").address();
                let own = bridge.and_then(|id| engine.bridge_config(id)).expect("a bridge").vni;
                assert_eq!(encapsulate.vni, address.vni.unwrap_or(own), "tenants meet");
                if let Op::Underlay(packet) = op {
                    // The sender is one of those at its address, if anybody knows it; if not, it is of group 1.
                    let at = (packet.underlay, packet.src);
                    let mut here = engine.endpoints().iter().map(|(_, e)| *e.address());
                    let known = here.any(|e| (e.underlay.0, e.address) == at);
                    assert!(known || group(address) != 1, "from tunnel to tunnel");
                    let alone =
                        engine.endpoints().iter().filter(|(_, e)| e.address().address == packet.src).count() == 1;
                    assert!(!alone || (address.underlay.0, address.address) != at, "back where it came from");
                }
            }
            other => panic!("no copy: {other:?}"),
        }
    }
}
