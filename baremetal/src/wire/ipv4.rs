use vtep::wire::ipv4::{Fields, Header, Packet};

use crate::opaque::{Any, any, bytes, hidden, sink, with_buffer};

#[inline(never)]
pub fn every_call() {
    if let Ok(packet) = Packet::parse(bytes(), any()) {
        sink((packet, Packet::checksum_ok(&packet)));
        let header = hidden(*packet.header);
        sink((Header::version(&header), Header::header_len(&header), Header::tos(&header), Header::total_len(&header)));
        sink((Header::ident(&header), Header::dont_fragment(&header), Header::more_fragments(&header)));
        sink((Header::fragment_offset(&header), Header::is_fragment(&header)));
        sink((Header::ttl(&header), Header::protocol(&header), Header::checksum(&header)));
        sink((Header::src(&header), Header::dst(&header)));
        sink(Fields::from(&header));
    }
    let fields: Fields = any();
    sink(Fields::header(&fields, any()));
    with_buffer(|out| sink(Fields::emit(&fields, any(), out)));
}

impl Any for Fields {
    fn any() -> Self {
        Self { src: any(), dst: any(), protocol: any(), ttl: any(), tos: any(), ident: any(), dont_fragment: any() }
    }
}
