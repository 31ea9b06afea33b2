//! How many bytes a tunnel costs, and what MTU that leaves.

use crate::wire::Encapsulation;

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;
/// Bytes of a VLAN tag.
const TAG: usize = 4;
/// Bytes of UDP and the fixed tunnel header together.
const UDP_AND_TUNNEL: usize = 16;

/// Bytes put in front of a frame: outer Ethernet header with `link`, its tag with `vlan` as well, IP,
/// UDP, the tunnel header and, for Geneve, `options_len` bytes of options.
///
/// ```
/// # use vtep::wire::{Encapsulation::{Geneve, Vxlan}, template::overhead};
/// assert_eq!(overhead(Vxlan, false, true, false, 0), 50);
/// assert_eq!(overhead(Vxlan, true, true, false, 0), 70);
/// assert_eq!(overhead(Geneve, false, true, true, 8), 62);
/// assert_eq!(overhead(Vxlan, false, false, false, 0), 36); // what the underlay's MTU counts
/// ```
#[must_use]
pub const fn overhead(encap: Encapsulation, ipv6: bool, link: bool, vlan: bool, options_len: usize) -> usize {
    let link_len = match (link, vlan) {
        (false, _) => 0,
        (true, false) => ETHERNET,
        (true, true) => ETHERNET.saturating_add(TAG),
    };
    let ip_len: usize = if ipv6 { 40 } else { 20 };
    let options_len = if matches!(encap, Encapsulation::Geneve) { options_len } else { 0 };
    ip_len.saturating_add(UDP_AND_TUNNEL).saturating_add(link_len).saturating_add(options_len)
}

/// The largest payload (an inner frame with its Ethernet header, or an inner IP packet) that an underlay
/// of `underlay_mtu` bytes carries without fragmentation; 0 where even the headers do not fit.
///
/// `max_options_len` is the longest option area the endpoint may ever send, in bytes: RFC 8926 section
/// 4.4.1 has a tunnel's MTU computed with that, so that it does not change from packet to packet.
#[must_use]
pub const fn max_payload(underlay_mtu: usize, encap: Encapsulation, ipv6: bool, max_options_len: usize) -> usize {
    // No datagram is longer than its 16-bit length field says, whatever the link could take.
    let longest = if ipv6 { 65_535 + 40 } else { 65_535 };
    let mtu = if underlay_mtu < longest { underlay_mtu } else { longest };
    mtu.saturating_sub(overhead(encap, ipv6, false, false, max_options_len))
}

/// The largest inner IP packet in an inner Ethernet frame with `tags` VLAN tags: the overlay's MTU.
///
/// For an overlay that carries IP packets bare, [`max_payload`] is the MTU.
///
/// ```
/// # use vtep::wire::{Encapsulation::{Geneve, Vxlan}, template::max_inner_mtu};
/// assert_eq!(max_inner_mtu(1500, Vxlan, false, 0, 0), 1450);
/// assert_eq!(max_inner_mtu(1500, Vxlan, false, 0, 1), 1446);
/// assert_eq!(max_inner_mtu(1500, Vxlan, true, 0, 0), 1430);
/// assert_eq!(max_inner_mtu(1500, Geneve, false, 252, 0), 1198);
/// ```
#[must_use]
pub const fn max_inner_mtu(
    underlay_mtu: usize,
    encap: Encapsulation,
    ipv6: bool,
    max_options_len: usize,
    tags: usize,
) -> usize {
    let inner_link = ETHERNET.saturating_add(TAG.saturating_mul(tags));
    max_payload(underlay_mtu, encap, ipv6, max_options_len).saturating_sub(inner_link)
}

/// The underlay MTU that carries inner IP packets of `inner_mtu` bytes whole: [`max_inner_mtu`] the other
/// way round.
///
/// ```
/// # use vtep::wire::{Encapsulation::Vxlan, template::min_underlay_mtu};
/// assert_eq!(min_underlay_mtu(1500, Vxlan, false, 0, 0), 1550);
/// ```
#[must_use]
pub const fn min_underlay_mtu(
    inner_mtu: usize,
    encap: Encapsulation,
    ipv6: bool,
    max_options_len: usize,
    tags: usize,
) -> usize {
    let inner_link = ETHERNET.saturating_add(TAG.saturating_mul(tags));
    overhead(encap, ipv6, false, false, max_options_len).saturating_add(inner_link).saturating_add(inner_mtu)
}
