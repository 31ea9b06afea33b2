//! Whose Geneve options are whose: the assigned option classes by name.
//!
//! Source: IANA, "Network Virtualization Overlay (NVO3)", registry "Geneve Option Class" (RFC 8926 section 7),
//! in the state of early 2026; Cilium's as the project uses it.

use super::geneve_option::OptionId;

/// A range of option classes and who answers for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OptionClass {
    /// The first class.
    pub first: u16,
    /// The last one.
    pub last: u16,
    /// A short lower-case name.
    pub name: &'static str,
}

/// Linux. The kernel uses type 0x01 of it for a hint to its own receive offload.
pub const LINUX: u16 = 0x0100;
/// Open vSwitch.
pub const OVS: u16 = 0x0101;
/// Open Virtual Networking.
pub const OVN: u16 = 0x0102;
/// In-band network telemetry.
pub const INT: u16 = 0x0103;
/// VMware.
pub const VMWARE: u16 = 0x0104;
/// Oxide Computer Company.
pub const OXIDE: u16 = 0x0129;
/// Cilium.
pub const CILIUM: u16 = 0x014b;
/// The first class for experiments; 0xffff is the last.
pub const EXPERIMENTAL: u16 = 0xff00;

/// The classes that have a name, in ascending order and without overlap.
pub const OPTION_CLASSES: &[OptionClass] = &[
    OptionClass { first: 0x0000, last: 0x00ff, name: "ietf" },
    OptionClass { first: LINUX, last: LINUX, name: "linux" },
    OptionClass { first: OVS, last: OVS, name: "ovs" },
    OptionClass { first: OVN, last: OVN, name: "ovn" },
    OptionClass { first: INT, last: INT, name: "int" },
    OptionClass { first: VMWARE, last: VMWARE, name: "vmware" },
    OptionClass { first: 0x0105, last: 0x0105, name: "amazon" },
    OptionClass { first: 0x0106, last: 0x0106, name: "cisco" },
    OptionClass { first: 0x0107, last: 0x0107, name: "oracle" },
    OptionClass { first: 0x0108, last: 0x0110, name: "amazon" },
    OptionClass { first: 0x0111, last: 0x0118, name: "ibm" },
    OptionClass { first: 0x0119, last: 0x0128, name: "ericsson" },
    OptionClass { first: OXIDE, last: OXIDE, name: "oxide" },
    OptionClass { first: 0x0130, last: 0x0131, name: "cisco" },
    OptionClass { first: 0x0132, last: 0x0135, name: "google" },
    OptionClass { first: CILIUM, last: CILIUM, name: "cilium" },
    OptionClass { first: EXPERIMENTAL, last: 0xffff, name: "experimental" },
];

/// The name of an option class, or `None` where this crate knows none.
///
/// Cost: one comparison for each row of [`OPTION_CLASSES`] in front of it.
#[must_use]
pub fn class_name(class: u16) -> Option<&'static str> {
    OPTION_CLASSES.iter().find(|row| (row.first..=row.last).contains(&class)).map(|row| row.name)
}

/// What some well-known options are called, critical or not.
const OPTIONS: &[(OptionId, &str)] = &[
    (OptionId::new(LINUX, 0x01), "gro-hint"),
    (OptionId::new(OVN, 0x80), "ovn-ports"),
    (OptionId::new(0x0108, 0x01), "gwlb-endpoint"),
    (OptionId::new(0x0108, 0x02), "gwlb-attachment"),
    (OptionId::new(0x0108, 0x03), "gwlb-flow-cookie"),
    (OptionId::new(0x0132, 0x01), "gcp-vnid"),
    (OptionId::new(0x0132, 0x02), "gcp-endpoint"),
    (OptionId::new(0x0132, 0x03), "gcp-profile"),
];

/// The name of an option, or `None` where this crate knows none.
///
/// Sources: Linux `geneve.c`; OVN's architecture document; Amazon's Gateway Load Balancer and Google's network
/// security integration, whose documents name their options.
#[must_use]
pub fn option_name(id: OptionId) -> Option<&'static str> {
    OPTIONS.iter().find(|(known, _)| *known == id).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_ascend_without_overlap() {
        for pair in OPTION_CLASSES.windows(2) {
            assert!(pair[0].first <= pair[0].last && pair[0].last < pair[1].first, "{pair:?}");
        }
    }

    #[test]
    fn names() {
        assert_eq!(class_name(0x0100), Some("linux"));
        assert_eq!(class_name(0x010f), Some("amazon"));
        assert_eq!(class_name(0x0137), None);
        assert_eq!(class_name(0xff00), Some("experimental"));
        assert_eq!(class_name(0xffff), Some("experimental"));
        assert_eq!(option_name(OptionId::new(0x0102, 0x80)), Some("ovn-ports"));
        assert_eq!(option_name(OptionId::new(0x0102, 0x00)), None);
    }
}
