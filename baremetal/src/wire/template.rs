use vtep::wire::template;
use vtep::wire::{Depth, Df, Link, Payload, PerPacket, Template, TemplateConfig, Tos, Ttl};

use crate::opaque::{Any, any, bytes, hidden, pick, sink, with_buffer};

#[inline(never)]
pub fn every_call() {
    if let Ok(template) = Template::new(&any()) {
        use_template(&mut hidden(template));
    }
    let payload: Payload<'_> = any();
    sink((Payload::len(&payload), Payload::is_empty(&payload)));

    sink(template::overhead(any(), any(), any(), any(), any()));
    sink(template::max_payload(any(), any(), any(), any()));
    sink(template::max_inner_mtu(any(), any(), any(), any(), any()));
    sink(template::min_underlay_mtu(any(), any(), any(), any(), any()));
}

fn use_template(template: &mut Template) {
    sink((Template::header_len(template, any(), any()), Template::resolve(template, any(), any(), any())));
    sink(Template::sent(template, &any()));
    with_buffer(|headroom| sink(Template::write(template, any(), &any(), headroom, any())));
    sink((Template::encapsulation(template), Template::is_ipv6(template), Template::dst_port(template)));
    sink((Template::src(template), Template::dst(template), Template::link(template)));
    Template::set_link(template, any());
    sink(Template::config(template));
    with_buffer(|headroom| sink(Template::write(template, any(), &any(), headroom, any())));
}

impl Any for TemplateConfig {
    fn any() -> Self {
        let mut config = hidden(TemplateConfig::new(any(), any(), any()));
        config.link = any();
        config.dst_port = any();
        config.ttl = any();
        config.tos = any();
        config.df = any();
        config.udp_checksum = any();
        config.ecn = any();
        config.flow_label = any();
        config
    }
}

impl Any for Link {
    fn any() -> Self {
        Self { dst: any(), src: any(), vlan: any() }
    }
}

impl Any for Ttl {
    fn any() -> Self {
        if any() { Self::Inherit } else { Self::Fixed(any()) }
    }
}

impl Any for Tos {
    fn any() -> Self {
        if any() { Self::Inherit } else { Self::Fixed(any()) }
    }
}

impl Any for Df {
    fn any() -> Self {
        pick(&[Self::Set, Self::Unset], Self::Inherit)
    }
}

impl Any for Depth {
    fn any() -> Self {
        pick(&[Self::Ethernet, Self::Ip], Self::Tunnel)
    }
}

impl Any for PerPacket<'static> {
    fn any() -> Self {
        let mut packet = hidden(PerPacket::new(any(), any()));
        packet.ident = any();
        packet.tos = any();
        packet.ttl = any();
        packet.df = any();
        packet.flags = any();
        packet.policy = any();
        packet.protocol = any();
        packet.options = bytes();
        packet
    }
}

impl Any for Payload<'static> {
    fn any() -> Self {
        if any() { hidden(Payload::whole(bytes())) } else { Self { head: bytes(), rest: bytes() } }
    }
}
