use core::fmt::Write;

use vtep::engine::{Command, CommandError, Flush, Place, Remote};
use vtep::table::EndpointAddress;

use crate::opaque::{Any, Characters, any, hidden, pick, sink};

#[inline(never)]
pub fn every_call() {
    sink(Remote::resolve(&any(), &any()));
    sink(Remote::from(any::<EndpointAddress>()));
    sink(Flush::dynamic());
    sink(write!(Characters, "{}", any::<CommandError>()));
}

impl Any for Command {
    fn any() -> Self {
        match any::<u8>() {
            0 => Self::SetUnderlay { id: any(), config: any() },
            1 => Self::AddBridge { id: any(), config: any() },
            2 => Self::SetBridge { id: any(), config: any() },
            3 => Self::RemoveBridge { id: any() },
            4 => Self::AddPort { id: any(), config: any() },
            5 => Self::RemovePort { id: any() },
            6 => Self::SetEndpoint { address: any(), config: any() },
            7 => Self::RemoveEndpoint { address: any() },
            8 => Self::FloodAdd { bridge: any(), remote: any() },
            9 => Self::FloodRemove { bridge: any(), remote: any() },
            10 => Self::FdbAdd { bridge: any(), mac: any(), place: any(), owner: any(), sticky: any(), label: any() },
            11 => {
                Self::FdbReplace { bridge: any(), mac: any(), place: any(), owner: any(), sticky: any(), label: any() }
            }
            12 => Self::FdbAppend { bridge: any(), mac: any(), remote: any() },
            13 => Self::FdbDelete { bridge: any(), mac: any(), remote: any() },
            14 => Self::Learn { bridge: any(), mac: any(), place: any(), label: any() },
            15 => Self::SetPort { id: any(), config: any() },
            16 => Self::SetStormControl { bridge: any(), config: any() },
            17 => Self::SetDuplicateDetection { bridge: any(), config: any() },
            18 => Self::ClearDuplicate { bridge: any(), mac: any() },
            19 => Self::SetRule { rule: any() },
            20 => Self::RemoveRule { bridge: any(), from: any(), to: any() },
            21 => Self::SetTrafficMap { id: any(), map: any() },
            _ => Self::Flush(any()),
        }
    }
}

impl Any for Place {
    fn any() -> Self {
        match any::<u8>() {
            0 => Self::Port(any()),
            1 => Self::Remote(any()),
            2 => Self::Host,
            _ => Self::Blackhole,
        }
    }
}

impl Any for Remote {
    fn any() -> Self {
        let mut remote = hidden(Remote::at(any()));
        remote.underlay = any();
        remote.encapsulation = any();
        remote.port = any();
        remote.vni = any();
        remote
    }
}

impl Any for Flush {
    fn any() -> Self {
        Self { bridge: any(), place: any(), owners: any() }
    }
}

impl Any for CommandError {
    fn any() -> Self {
        pick(&[Self::OutOfRange, Self::NoSuchBridge, Self::Exists, Self::FdbFull, Self::VnisFull], Self::Owned)
    }
}
