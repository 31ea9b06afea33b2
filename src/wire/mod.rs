//! Bytes: codecs that neither copy nor allocate, and that are total.
//!
//! # The contract
//!
//! * **Parsing** takes any bytes. It returns a value or a [`WireError`] that names the layer, the reason,
//!   the offset and how many bytes were needed; it never panics and never reads past the slice.
//! * **Writing** sets every byte of what it reports as written, whatever the buffer held before, and
//!   computes every dependent field (lengths, checksums, Geneve's `Opt Len` and C bit) itself. A buffer
//!   that is too small gives an error and stays as it was.
//! * **Reserved bits** are zero on transmit and ignored on receive, unless a strict check is asked for.
//!
//! Lengths are bytes everywhere; where a header counts in 4-byte words, the accessor converts.

pub mod arp;
pub mod checksum;
pub mod ecn;
pub mod edit;
mod error;
pub mod ethernet;
pub mod flow;
pub mod geneve;
mod geneve_option;
pub mod gpe;
pub mod inner;
pub(crate) mod inner_common;
mod inner_walk;
pub mod ipv4;
pub mod ipv6;
pub mod label;
pub mod ndp;
pub mod option_class;
pub mod outer;
mod schema;
pub mod template;
mod typed_option;
mod types;
pub mod udp;
pub mod vlan;
pub mod vxlan;

pub use ecn::{Ecn, EcnMode};
pub use edit::Edit;
pub use error::{Layer, Reason, WireError};
pub(crate) use flow::fold;
pub use flow::{PortRange, flow_hash};
pub use inner::{FrameKind, Inner, IpKind};
pub use label::{Label, SecurityGroup, TrafficClass};
pub use outer::{Checks, Checksums, Datagram, Outer, Reserved, Tunnel, TunnelPorts, UdpChecksum};
pub use template::{Depth, Df, Link, Payload, PerPacket, Sent, Template, TemplateConfig, Tos, Ttl};
pub use types::{Encapsulation, EtherType, MacAddr, Span, TunnelFlags, Vni};
pub use vlan::Tag;

/// A buffer had to hold `needed` bytes, and does not.
#[cold]
fn too_small(layer: Layer, needed: usize) -> WireError {
    let needed = u32::try_from(needed).unwrap_or(u32::MAX);
    WireError { layer, reason: Reason::BufferTooSmall, offset: 0, needed }
}

/// Writes a header of `N` bytes to the start of `out`.
#[inline]
fn put_header<const N: usize>(out: &mut [u8], header: [u8; N], layer: Layer) -> Result<usize, WireError> {
    *out.first_chunk_mut::<N>().ok_or_else(|| too_small(layer, N))? = header;
    Ok(N)
}

/// Refuses a header in which a bit of `mask` is set.
fn check_mask<const N: usize>(header: &[u8; N], mask: &[u8; N], layer: Layer) -> Result<(), WireError> {
    match header.iter().zip(mask).zip(0_u32..).find(|((byte, mask), _)| *byte & *mask != 0) {
        Some((_, offset)) => Err(WireError::new(layer, Reason::ReservedBits, offset)),
        None => Ok(()),
    }
}
