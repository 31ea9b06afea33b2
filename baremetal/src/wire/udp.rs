use vtep::wire::udp::{self, Fields, Header, Packet};

use crate::opaque::{Any, any, bytes, hidden, sink, with_buffer};

#[inline(never)]
pub fn every_call() {
    if let Ok(packet) = Packet::parse(bytes(), any()) {
        sink((packet, Packet::len(&packet), Packet::is_empty(&packet)));
        sink(Packet::checksum_ok(&packet, any()));
        sink(Packet::checksum_partial(&packet, any()));
    }
    if let Ok((header, rest)) = Header::parse(bytes()) {
        let header = hidden(*header);
        sink((Header::src_port(&header), Header::dst_port(&header), rest));
        sink((Header::len(&header), Header::checksum(&header)));
        sink(Fields::from(&header));
    }
    let fields: Fields = any();
    sink(Fields::header(&fields, bytes(), any()));
    with_buffer(|out| sink(Fields::emit(&fields, bytes(), any(), out)));
    sink(udp::pseudo(any(), any(), any()));
}

impl Any for Fields {
    fn any() -> Self {
        Self { src_port: any(), dst_port: any() }
    }
}
