//! `--pcap`: every tunnel packet, as raw IP.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tracing::warn;
use vtep::wire::{Datagram, WireError, ipv4, ipv6, udp};

/// Magic (microseconds), version 2.4, time zone, accuracy, longest packet, link type 101: raw IP.
const FILE_HEADER: [u32; 6] = [0xa1b2_c3d4, 4 << 16 | 2, 0, 0, 0x4_0000, 101];

pub struct Capture {
    file: BufWriter<File>,
    packet: Vec<u8>,
    /// Something went wrong, and was said. Nothing is written after that.
    broken: bool,
}

impl Capture {
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(1 << 18, File::create(path)?);
        file.write_all(&FILE_HEADER.map(u32::to_le_bytes).concat())?;
        Ok(Self { file, packet: Vec::new(), broken: false })
    }

    /// A packet that is sent, in two pieces.
    pub fn sent(&mut self, head: &[u8], rest: &[u8]) {
        self.packet.clear();
        self.packet.extend_from_slice(head);
        self.packet.extend_from_slice(rest);
        self.write();
    }

    /// A packet that was received. Its headers are made anew from what the socket told.
    pub fn received(&mut self, datagram: &Datagram, payload: &[u8]) {
        self.packet.clear();
        // What is longer than IP can say has not come over it.
        if headers(datagram, payload, &mut self.packet).is_ok() {
            self.packet.extend_from_slice(payload);
            self.write();
        }
    }

    /// Lets readers of the file see what has been captured.
    pub fn flush(&mut self) {
        let flushed = self.file.flush();
        self.check(flushed);
    }

    fn write(&mut self) {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let len = self.packet.len() as u32;
        let header = [since.as_secs() as u32, since.subsec_micros(), len, len].map(u32::to_le_bytes);
        if !self.broken {
            let written = self.file.write_all(&header.concat()).and_then(|()| self.file.write_all(&self.packet));
            self.check(written);
        }
    }

    fn check(&mut self, result: io::Result<()>) {
        if let Err(error) = result
            && !std::mem::replace(&mut self.broken, true)
        {
            warn!(%error, "the capture ends here");
        }
    }
}

/// IP and UDP headers in front of a payload.
fn headers(datagram: &Datagram, payload: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    let Datagram { src, dst, tos, ttl, .. } = *datagram;
    let ports = udp::Fields { src_port: datagram.src_port, dst_port: datagram.dst_port };
    let mut header = [0; 48];
    let ip = match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let fields = ipv4::Fields { src, dst, protocol: 17, ttl, tos, ident: 0, dont_fragment: false };
            fields.emit(payload.len() + udp::HEADER_LEN, &mut header)?
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let fields = ipv6::Fields { src, dst, next_header: 17, hop_limit: ttl, traffic_class: tos, flow_label: 0 };
            fields.emit(payload.len() + udp::HEADER_LEN, &mut header)?
        }
        _ => 0,
    };
    let len = ip + ports.emit(payload, src.is_ipv6().then_some((src, dst)), &mut header[ip..])?;
    out.extend_from_slice(&header[..len]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use vtep::wire::outer::parse_ip;
    use vtep::wire::{Checks, TunnelPorts, UdpChecksum, Vni};

    #[test]
    fn received_packets_get_their_headers_back() {
        let payload = [8, 0, 0, 0, 0, 0x13, 0x88, 0, 1, 2, 3];
        for (src, dst) in [("10.0.0.2", "10.0.0.1"), ("fd00::2", "fd00::1")] {
            let (src, dst): (IpAddr, IpAddr) = (src.parse().unwrap(), dst.parse().unwrap());
            let (src_port, dst_port, checksum) = (50_000, 4789, UdpChecksum::Good);
            let datagram = Datagram { src, dst, src_port, dst_port, tos: 3, ttl: 9, checksum };
            let mut packet = Vec::new();
            headers(&datagram, &payload, &mut packet).unwrap();
            packet.extend_from_slice(&payload);
            let outer = parse_ip(&packet, &TunnelPorts::DEFAULT, &Checks::DEFAULT).unwrap().unwrap();
            assert_eq!((outer.src, outer.dst, outer.src_port, outer.tos, outer.ttl), (src, dst, 50_000, 3, 9));
            assert_eq!(Some(outer.tunnel.vni), Vni::new(5000));
            assert!(headers(&datagram, &[0; 65_536], &mut packet).is_err());
        }
    }
}
