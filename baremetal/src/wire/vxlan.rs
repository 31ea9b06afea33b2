use vtep::wire::vxlan::{self, Header};

use crate::opaque::{Any, any, bytes, sink, with_buffer};

#[inline(never)]
pub fn every_call() {
    sink(Header::parse(bytes()));
    let header: Header = any();
    sink(Header::to_bytes(header));
    with_buffer(|out| sink(Header::emit(header, out)));
    sink(vxlan::check_reserved(bytes(), any()));
}

impl Any for Header {
    fn any() -> Self {
        Self { vni: any(), flags: any(), policy: any() }
    }
}
