use vtep::engine::{Profile, Switches};

use crate::opaque::{Any, any, hidden, pick, sink};

impl Any for Profile {
    fn any() -> Self {
        let profile = hidden(pick(&[Self::Rfc], Self::Linux));
        sink((Profile::switches(profile), Profile::source_ports(profile)));
        sink((Profile::bridge(profile, any(), any()), Profile::underlay(profile, any())));
        profile
    }
}

impl Any for Switches {
    fn any() -> Self {
        Self::from_bits_retain(any())
    }
}
