use vtep::table::{ClassFrom, DiffServ, TrafficMap, TrafficMapId};

use crate::opaque::{Any, any, pick, sink};

#[inline(never)]
pub fn every_call() {
    let map: TrafficMap = any();
    sink((TrafficMap::dscp(&map, any()), TrafficMap::pcp(&map, any())));
    sink((TrafficMap::class_of_dscp(&map, any()), TrafficMap::class_of_pcp(&map, any())));
    sink((TrafficMap::classify(&map, any(), any()), TrafficMap::outer_dscp(&map, any(), any())));
    sink(TrafficMap::default());
}

impl Any for TrafficMap {
    fn any() -> Self {
        Self {
            model: pick(&[DiffServ::Pipe], DiffServ::Uniform),
            from: pick(&[ClassFrom::Nothing, ClassFrom::Dscp, ClassFrom::Pcp], ClassFrom::PcpOrDscp),
            write_pcp: any(),
            write_dscp: any(),
            dscp: any(),
            pcp: any(),
            class_of_dscp: any(),
            class_of_pcp: any(),
        }
    }
}

impl Any for TrafficMapId {
    fn any() -> Self {
        Self(any())
    }
}
