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

pub mod checksum;
pub mod ecn;
pub mod edit;
mod error;
pub mod flow;
pub mod inner;
mod types;

pub use ecn::{Ecn, EcnMode};
pub use edit::Edit;
pub use error::{Layer, Reason, WireError};
pub use flow::{PortRange, flow_hash};
pub use inner::{FrameKind, Inner, IpKind};
pub use types::{Encapsulation, EtherType, MacAddr, Span, TunnelFlags, Vni};
