use vtep::engine::{Form, Ingress, Input};

use crate::opaque::{Any, any, bytes, hidden};

impl Any for Input<'static> {
    fn any() -> Self {
        hidden(match any::<u8>() {
            0 => Input::from_port(any(), bytes()),
            1 => Input::from_underlay(any(), bytes()),
            2 => Input::from_underlay_ip(any(), bytes()),
            3 => Input::from_socket(any(), any(), bytes()),
            _ => Self { ingress: any(), bytes: bytes() },
        })
    }
}

impl Any for Ingress {
    fn any() -> Self {
        if any() { Self::Port { port: any(), payload: any() } } else { Self::Underlay { underlay: any(), form: any() } }
    }
}

impl Any for Form {
    fn any() -> Self {
        match any::<u8>() {
            0 => Self::Frame,
            1 => Self::Packet,
            _ => Self::Datagram(any()),
        }
    }
}
