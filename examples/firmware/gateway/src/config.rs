//! What the kernel command line says.
//!
//! ```text
//! local=192.0.2.1/24 remote=192.0.2.2,192.0.2.3 vni=5000 encap=geneve ageing=300 gateway=192.0.2.254
//! ```

use core::net::Ipv4Addr;
use core::str::FromStr;

use heapless::Vec;
use vtep::table::Duration;
use vtep::wire::{Encapsulation, Vni};

/// Most remotes on the flood list.
pub const REMOTES: usize = 8;

/// How this gateway is set up.
pub struct Config {
    /// Our address on the underlay.
    pub local: Ipv4Addr,
    /// How many of its bits are the network's.
    pub prefix: u8,
    /// Whom everything without a known destination is copied to.
    pub remotes: Vec<Ipv4Addr, REMOTES>,
    /// The tenant's network.
    pub vni: Vni,
    /// How it is carried.
    pub encapsulation: Encapsulation,
    /// How long a silent MAC is remembered.
    pub ageing: Duration,
    /// The router to remotes beyond our network.
    pub gateway: Option<Ipv4Addr>,
}

/// The word that was not understood; empty where `local` is missing.
#[derive(Debug)]
pub struct BadWord<'a>(pub &'a str);

impl Config {
    /// Reads the command line. Words without `=` are somebody else's.
    pub fn parse(line: &str) -> Result<Self, BadWord<'_>> {
        let mut config = Self {
            local: Ipv4Addr::UNSPECIFIED,
            prefix: 24,
            remotes: Vec::new(),
            vni: Vni::new(0).ok_or(BadWord(""))?,
            encapsulation: Encapsulation::Vxlan,
            ageing: Duration::from_secs(300),
            gateway: None,
        };
        for word in line.split_whitespace() {
            if let Some((name, value)) = word.split_once('=') {
                config.set(name, value).ok_or(BadWord(word))?;
            }
        }
        if config.local.is_unspecified() { Err(BadWord("")) } else { Ok(config) }
    }

    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "local" => {
                let (address, prefix) = value.split_once('/').unwrap_or((value, "24"));
                self.local = number(address)?;
                self.prefix = number(prefix).filter(|bits| *bits <= 32)?;
            }
            "remote" => {
                for address in value.split(',') {
                    self.remotes.push(number(address)?).ok()?;
                }
            }
            "vni" => self.vni = Vni::new(number(value)?)?,
            "encap" => {
                self.encapsulation = match value {
                    "vxlan" => Encapsulation::Vxlan,
                    "geneve" => Encapsulation::Geneve,
                    _ => return None,
                }
            }
            "ageing" => self.ageing = Duration::from_secs(number(value)?),
            "gateway" => self.gateway = Some(number(value)?),
            _ => {}
        }
        Some(())
    }

    /// Whether an address is on our link.
    pub fn is_on_link(&self, address: Ipv4Addr) -> bool {
        let differ = address.to_bits() ^ self.local.to_bits();
        differ.checked_shr(u32::from(32 - self.prefix)).unwrap_or(0) == 0
    }

    /// Whose MAC address packets to `address` need: its own, or the router's.
    pub fn next_hop(&self, address: Ipv4Addr) -> Option<Ipv4Addr> {
        if self.is_on_link(address) { Some(address) } else { self.gateway }
    }
}

fn number<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}
