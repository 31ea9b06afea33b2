use vtep::engine::{
    BridgeHandle, Deliver, Encapsulate, EndpointHandle, Flood, OuterFields, PortHandle, Punt, Reply, Route, Verdict,
    VerdictKind,
};

use crate::opaque::{Any, any, pick, sink};

#[inline(never)]
pub fn every_call() {
    let verdict: Verdict = any();
    sink((Verdict::kind(&verdict), Verdict::code(&verdict), Verdict::punt(&verdict)));
    sink(VerdictKind::name(any()));
}

impl Any for Verdict {
    fn any() -> Self {
        match any::<u8>() {
            1 => Self::Deliver(Deliver { port: any(), frame: any(), edit: any(), shared: any() }),
            2 => Self::Encapsulate(Encapsulate {
                endpoint: any(),
                vni: any(),
                frame: any(),
                edit: any(),
                outer: any(),
                shared: any(),
            }),
            3 => Self::Flood(Flood {
                bridge: any(),
                group: any(),
                from_port: any(),
                from_group: any(),
                from_endpoint: any(),
                frame: any(),
                port_edit: any(),
                tunnel_edit: any(),
                tunnel_len: any(),
                outer: any(),
                punt: any(),
            }),
            4 => Self::Reply(Reply { port: any(), frame: any() }),
            5 => Self::Route(Route { vrf: any(), packet: any() }),
            6 => Self::Punt(Punt { reason: any(), bridge: any(), sender: any(), frame: any(), edit: any() }),
            _ => Self::Drop(any()),
        }
    }
}

impl Any for OuterFields {
    fn any() -> Self {
        Self {
            src_port: any(),
            ident: any(),
            tos: any(),
            ttl: any(),
            df: any(),
            flags: any(),
            label: any(),
            options: any(),
            dscp: any(),
            protocol: any(),
        }
    }
}

macro_rules! any_handle {
    ($($name:ident),*) => {
        $(impl Any for $name { fn any() -> Self { Self { id: any(), generation: any() } } })*
    };
}
any_handle!(PortHandle, EndpointHandle, BridgeHandle);

impl Any for VerdictKind {
    fn any() -> Self {
        pick(&Self::FORWARDED, Self::Drop)
    }
}
