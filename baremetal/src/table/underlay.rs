use vtep::table::{UnderlayConfig, UnderlayLink};

use crate::opaque::{Any, any, hidden, sink};

#[inline(never)]
pub fn every_call() {
    let config: UnderlayConfig = any();
    sink((UnderlayConfig::local_for(&config, any()), UnderlayConfig::is_local(&config, any())));
}

impl Any for UnderlayConfig {
    fn any() -> Self {
        let mut config = hidden(UnderlayConfig::new(any()));
        config.ipv4 = any();
        config.ipv6 = any();
        config.link = any();
        config.vrf = any();
        config.mtu = any();
        config.ttl = any();
        config.group_ttl = any();
        config.tos = any();
        config.df = any();
        config.ecn = any();
        config.checksum_v4 = any();
        config.checksum_v6 = any();
        config.zero_checksum_v6 = any();
        config.verify = any();
        config
    }
}

impl Any for UnderlayLink {
    fn any() -> Self {
        Self { mac: any(), vlan: any(), gateway: any() }
    }
}
