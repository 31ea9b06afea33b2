use vtep::table::PortConfig;

use crate::opaque::{Any, any, hidden};

impl Any for PortConfig {
    fn any() -> Self {
        let mut config = hidden(PortConfig::new(any()));
        config.vlan = any();
        config.learning = any();
        config.max_macs = any();
        config.group = any();
        config.class = any();
        config
    }
}
