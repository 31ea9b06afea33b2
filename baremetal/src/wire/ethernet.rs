use vtep::wire::ethernet::Header;

use crate::opaque::{any, bytes, sink, with_buffer};

#[inline(never)]
pub fn every_call() {
    if let Ok((header, rest)) = Header::parse(bytes()) {
        sink((Header::dst(header), Header::src(header), Header::ethertype(header), rest));
    }
    let header = Header::new(any(), any(), any());
    with_buffer(|out| sink(Header::emit(&header, out)));
}
