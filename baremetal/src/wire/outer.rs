use vtep::wire::outer::{self, Checks, Checksums, Datagram, Reserved, TunnelPorts, UdpChecksum};

use crate::opaque::{Any, any, bytes, hidden, pick, sink};

#[inline(never)]
pub fn every_call() {
    let ports: TunnelPorts = any();
    sink(TunnelPorts::get(&ports, any()));
    for entry in TunnelPorts::iter(&ports) {
        sink(entry);
    }
    sink(outer::parse(bytes(), &ports, &any()));
    sink(outer::parse_ip(bytes(), &ports, &any()));
    sink(outer::parse_udp_payload(bytes(), &any(), &ports, &any()));
    sink(Checks::default());
}

impl Any for TunnelPorts {
    fn any() -> Self {
        let mut ports = TunnelPorts::default();
        while any() {
            ports = hidden(TunnelPorts::with(ports, any(), any()).unwrap_or(Self::NONE));
        }
        ports
    }
}

impl Any for Checks {
    fn any() -> Self {
        Self {
            ip_checksum: any(),
            udp_checksum: any(),
            zero_udp6: any(),
            reserved: any(),
            gbp: any(),
            superframes: any(),
        }
    }
}

impl Any for Checksums {
    fn any() -> Self {
        pick(&[Self::Verify], Self::Trust)
    }
}

impl Any for Reserved {
    fn any() -> Self {
        pick(&[Self::Ignore], Self::Strict)
    }
}

impl Any for Datagram {
    fn any() -> Self {
        Self { src: any(), dst: any(), src_port: any(), dst_port: any(), tos: any(), ttl: any(), checksum: any() }
    }
}

impl Any for UdpChecksum {
    fn any() -> Self {
        pick(&[Self::Zero, Self::Good], Self::Unverified)
    }
}
