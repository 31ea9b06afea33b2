use vtep::wire::ipv6;
use vtep::wire::ndp::{self, Flags, Message, OptionView, Options};

use crate::opaque::{Any, any, bytes, hidden, sink, with_buffer};

#[inline(never)]
pub fn every_call() {
    if let Ok(packet) = ipv6::Packet::parse(bytes(), any()) {
        sink(Message::of(&hidden(packet)));
        sink(Message::parse(packet.header, bytes()));
    }
    let message: Message = any();
    sink(Message::target(&message));
    with_buffer(|out| sink(Message::emit(&message, any(), any(), any(), out)));

    let mut options = Options::new(bytes());
    sink(Options::link_layer(options, any()));
    while let Some(option) = Options::next(&mut options) {
        sink(option);
    }
    sink(OptionView::link_layer(OptionView { kind: any(), data: bytes() }));
    sink(ndp::solicited_node(any()));
}

impl Any for Message {
    fn any() -> Self {
        if any() {
            Self::Solicitation { target: any() }
        } else {
            Self::Advertisement { target: any(), flags: Flags::from_bits_retain(any()) }
        }
    }
}
