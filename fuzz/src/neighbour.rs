//! Any bytes as ARP or neighbour discovery: what is read is what was there.

use vtep::wire::{arp, ipv6, ndp};

/// The bytes are an ARP packet, or an IPv6 packet.
pub fn run(bytes: &[u8]) {
    if let Ok(packet) = arp::Packet::parse(bytes) {
        assert_eq!(packet.to_bytes(), bytes[..arp::PACKET_LEN]);
    }

    let Ok(packet) = ipv6::Packet::parse(bytes, false) else { return };
    let Ok(Some((message, options))) = ndp::Message::of(&packet) else { return };
    assert!(options.clone().all(|option| option.is_ok()), "options were validated");

    let kind = match message {
        ndp::Message::Solicitation { .. } => ndp::SOURCE_LINK_LAYER,
        ndp::Message::Advertisement { .. } => ndp::TARGET_LINK_LAYER,
    };
    let mut out = [0xa5; ndp::MAX_EMIT_LEN];
    let (src, dst) = (packet.header.src(), packet.header.dst());
    let len = message.emit(src, dst, options.link_layer(kind), &mut out).expect("a valid message can be written");
    let fields = ipv6::Fields { next_header: ndp::PROTOCOL, hop_limit: 255, ..ipv6::Fields::from(packet.header) };
    let header = fields.header(len).unwrap();
    let (again, written) = ndp::Message::parse(&header, &out[..len]).expect("what was written is valid");
    assert_eq!(again, message);
    assert_eq!(written.link_layer(kind), options.link_layer(kind));
}
