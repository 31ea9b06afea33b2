use vtep::wire::vlan::{Tag, Tags};

use crate::opaque::{Any, any, bytes, hidden, sink, with_buffer};

#[inline(never)]
pub fn every_call() {
    sink(Tag::new(any(), any(), any(), any()));
    let tag: Tag = any();
    sink((Tag::vid(tag), Tag::pcp(tag), Tag::dei(tag), Tag::to_bytes(tag)));
    with_buffer(|out| sink(Tag::emit(tag, out)));

    if let Ok((tags, rest)) = Tags::parse(any(), bytes()) {
        let tags = hidden(tags);
        sink((Tags::as_slice(&tags), Tags::count(&tags), Tags::len(&tags), Tags::is_empty(&tags), rest));
        sink((Tags::outermost(&tags), Tags::ethertype(&tags)));
    }
}

impl Any for Tag {
    fn any() -> Self {
        Self { tpid: any(), tci: any() }
    }
}
