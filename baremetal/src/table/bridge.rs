use vtep::table::bridge::{Admission, BridgeConfig, FloodSwitches, VlanDecap, VlanEncap};

use crate::opaque::{Any, any, hidden, pick, sink};

#[inline(never)]
pub fn every_call() {
    sink(FloodSwitches::default());
}

impl Any for BridgeConfig {
    fn any() -> Self {
        let mut config = hidden(BridgeConfig::new(any(), any()));
        config.udp_port = any();
        config.ageing = any();
        config.flood = FloodSwitches::from_bits_retain(any());
        config.vlan_encap = any();
        config.vlan_decap = any();
        config.admission = any();
        config.gbp = any();
        config.options = any();
        config.policy = any();
        config.traffic = any();
        config.l2miss = any();
        config.host = any();
        config.max_macs = any();
        config
    }
}

impl Any for VlanEncap {
    fn any() -> Self {
        pick(&[Self::Strip, Self::Keep, Self::Drop], Self::Map(any()))
    }
}

impl Any for VlanDecap {
    fn any() -> Self {
        pick(&[Self::Drop, Self::Keep, Self::Strip], Self::Map(any()))
    }
}

impl Any for Admission {
    fn any() -> Self {
        pick(&[Self::Anyone, Self::Configured], Self::FloodList)
    }
}
