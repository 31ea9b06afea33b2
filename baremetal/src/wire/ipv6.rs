use vtep::wire::ipv6::{Fields, Header, Packet};

use crate::opaque::{Any, any, bytes, hidden, sink, with_buffer};

#[inline(never)]
pub fn every_call() {
    if let Ok(packet) = Packet::parse(bytes(), any()) {
        sink(packet);
        let header = hidden(*packet.header);
        sink((Header::version(&header), Header::traffic_class(&header), Header::flow_label(&header)));
        sink((Header::payload_len(&header), Header::next_header(&header), Header::hop_limit(&header)));
        sink((Header::src(&header), Header::dst(&header)));
        sink(Fields::from(&header));
    }
    let fields: Fields = any();
    sink(Fields::header(&fields, any()));
    with_buffer(|out| sink(Fields::emit(&fields, any(), out)));
}

impl Any for Fields {
    fn any() -> Self {
        Self { src: any(), dst: any(), next_header: any(), hop_limit: any(), traffic_class: any(), flow_label: any() }
    }
}
