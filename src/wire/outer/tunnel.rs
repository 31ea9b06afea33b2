//! The tunnel header behind UDP, whichever of the three it is.

use super::checks::{Checks, Reserved};
use crate::wire::{Encapsulation, EtherType, Span, TunnelFlags, Vni, WireError, geneve, gpe, vxlan};

/// What a tunnel header says, and where it and what it carries are.
///
/// Spans count from the start of the slice that was given to the parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Tunnel {
    /// Which header it is.
    pub encap: Encapsulation,
    /// The flags, those of other headers clear.
    pub flags: TunnelFlags,
    /// GPE's next protocol as it stands in the header, with or without P; 0 for the other headers.
    pub next_protocol: u8,
    /// VXLAN's group policy ID; 0 without [`TunnelFlags::G`].
    pub policy: u16,
    /// What is inside: [`EtherType::ETHERNET`] for VXLAN, Geneve's protocol type, the EtherType that
    /// [`gpe::Header::payload`] gives or `EtherType(0)` where it gives none.
    pub protocol: EtherType,
    /// The virtual network.
    pub vni: Vni,
    /// The tunnel header with its options.
    pub header: Span,
    /// Geneve's option area, 0 to 252 bytes, inside [`Tunnel::header`]; empty for the others. It fits; its
    /// options are not looked at: see [`geneve::Options`].
    pub options: Span,
    /// What the tunnel carries: the rest of the UDP datagram.
    pub inner: Span,
}

/// Each header's reading: `payload` is the UDP payload and stands at byte `at` of the slice that spans count
/// from; offsets of errors count from the start of `payload`.
///
/// Always inlined, as the result is to be put together in the place where the caller wants it.
impl Tunnel {
    #[inline(always)]
    pub(super) fn vxlan(payload: &[u8], at: u32, checks: &Checks) -> Result<Self, WireError> {
        let vxlan::Header { vni, flags, policy } = vxlan::Header::parse(payload)?;
        if checks.reserved == Reserved::Strict {
            vxlan::check_reserved(payload, checks.gbp)?;
        }
        let (flags, policy) = if checks.gbp { (flags, policy) } else { (TunnelFlags::I, 0) };
        let [header, options, inner] = spans(payload, at, 0);
        let (encap, protocol) = (Encapsulation::Vxlan, EtherType::ETHERNET);
        Ok(Self { encap, flags, next_protocol: 0, policy, protocol, vni, header, options, inner })
    }

    #[inline(always)]
    pub(super) fn geneve(payload: &[u8], at: u32) -> Result<Self, WireError> {
        let geneve::Header { vni, flags, protocol, options_len } = geneve::Header::parse(payload)?;
        let [header, options, inner] = spans(payload, at, options_len);
        let encap = Encapsulation::Geneve;
        Ok(Self { encap, flags, next_protocol: 0, policy: 0, protocol, vni, header, options, inner })
    }

    #[inline(never)]
    pub(super) fn gpe(payload: &[u8], at: u32, checks: &Checks) -> Result<Self, WireError> {
        let header = gpe::Header::parse(payload)?;
        if checks.reserved == Reserved::Strict {
            gpe::check_reserved(payload)?;
        }
        let gpe::Header { vni, flags, next_protocol } = header;
        let protocol = header.payload().unwrap_or(EtherType(0));
        let [header, options, inner] = spans(payload, at, 0);
        let encap = Encapsulation::Gpe;
        Ok(Self { encap, flags, next_protocol, policy: 0, protocol, vni, header, options, inner })
    }
}

/// Where header, options and content are. The codecs have seen to it that the header fits, and `at` is
/// small: nothing wraps.
#[inline(always)]
fn spans(payload: &[u8], at: u32, options_len: u8) -> [Span; 3] {
    let options_len = u32::from(options_len);
    let header_len = options_len.wrapping_add(8);
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX).wrapping_sub(header_len);
    [Span::new(at, header_len), Span::new(at.wrapping_add(8), options_len), Span::new(at.wrapping_add(header_len), len)]
}
