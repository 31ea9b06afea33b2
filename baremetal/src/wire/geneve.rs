use vtep::wire::geneve::{self, Header};

use crate::opaque::{Any, any, bytes, sink, with_buffer};

#[inline(never)]
pub fn every_call() {
    sink(Header::parse(bytes()));
    let header: Header = any();
    sink((Header::len(header), Header::is_empty(header), Header::options(header, bytes())));
    with_buffer(|out| sink(Header::emit(header, bytes(), out)));
    sink(geneve::check_reserved(bytes()));
}

impl Any for Header {
    fn any() -> Self {
        Self { vni: any(), flags: any(), protocol: any(), options_len: any() }
    }
}
