use vtep::wire::gpe::{self, Header};

use crate::opaque::{Any, any, bytes, sink, with_buffer};

#[inline(never)]
pub fn every_call() {
    sink(Header::parse(bytes()));
    sink(Header::new(any(), any()));
    let header: Header = any();
    sink((Header::payload(header), Header::to_bytes(header)));
    with_buffer(|out| sink(Header::emit(header, out)));
    sink(gpe::check_reserved(bytes()));
}

impl Any for Header {
    fn any() -> Self {
        Self { vni: any(), flags: any(), next_protocol: any() }
    }
}
