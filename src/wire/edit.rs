//! What rewrite changes inside one copy of a frame: its outermost VLAN tag, DSCP and ECN.
//!
//! An [`Edit`] rides on a verdict, and [`Edit::apply`] builds the first few bytes of the edited frame beside
//! the frame, which is never written to: the other copies of a flood see it as it was.
//!
//! ```text
//!             skip
//! frame    |-------------|------------------------ rest -----------------------|
//! scratch  |-- head --|
//! edited   |-- head --|--------------------------- rest -----------------------|
//! ```

use super::checksum;
use super::{Ecn, EtherType, FrameKind, Inner, IpKind, Layer, Reason, WireError};

/// A bounded change to an inner frame; 8 bytes.
///
/// What does not apply to a frame is left out, as Linux's and Open vSwitch's actions do: a pop without a
/// tag, a PCP without a tag, DSCP and ECN without a sound IP header, VLAN edits of an IP packet. The parts
/// work together: pops come first, then the VLAN edit, and PCP concerns the tag that is outermost after it.
///
/// ```
/// # use vtep::wire::{Ecn, FrameKind, edit::{Edit, VlanEdit}};
/// let frame = [0; 60];
/// let edit = Edit::NONE.with_vlan(VlanEdit::PushVlan(100)).with_pcp(5);
/// let mut scratch = [0; Edit::MAX_PREFIX];
/// let edited = edit.apply(&frame, FrameKind::Ethernet, &mut scratch)?;
/// assert_eq!((edited.head, edited.skip), (16, 12));
/// assert_eq!(scratch[12..16], [0x81, 0x00, 0xa0, 100]);
/// # Ok::<(), vtep::wire::WireError>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Edit {
    /// From the top: PCP with its high bit for "set" 8, TOS bits 8, mask of the TOS bits to set 8,
    /// [`VlanEdit`]'s number 8, number of pops 8, unused 8, TCI or VID 16. All zero is no edit.
    word: u64,
}

/// What happens to the outermost VLAN tag that the pops leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum VlanEdit {
    /// Nothing.
    #[default]
    None,
    /// An 802.1Q tag with this PCP, DEI and VID is put in front.
    PushVlan(u16),
    /// An 802.1ad service tag with this PCP, DEI and VID is put in front.
    PushQinq(u16),
    /// Its VID becomes the low 12 bits of this; TPID, PCP and DEI stay.
    SetVid(u16),
}

/// How to put an edited frame together: `head` bytes of the scratch stand for the frame's first `skip`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Edited {
    /// Bytes of the scratch, 0 to 42.
    pub head: usize,
    /// Bytes of the frame that they replace, 0 to 38.
    pub skip: usize,
}

impl Edit {
    /// No change.
    pub const NONE: Self = Self { word: 0 };
    /// Bytes of scratch that [`Edit::apply`] takes.
    pub const MAX_PREFIX: usize = 64;

    /// Whether there is nothing to do.
    #[inline]
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.word == 0
    }

    /// This edit with the `count` outermost tags taken off first, 0 to 3; where a frame has fewer, all of them.
    #[inline]
    #[must_use]
    pub const fn with_pop(self, count: u8) -> Self {
        let count = if count > MAX_TAGS { MAX_TAGS } else { count };
        Self { word: self.word & !(0xff << POPS) | (count as u64) << POPS }
    }

    /// This edit with `vlan` for the outermost tag that is left.
    #[inline]
    #[must_use]
    pub const fn with_vlan(self, vlan: VlanEdit) -> Self {
        let (number, tci) = match vlan {
            VlanEdit::None => (0, 0),
            VlanEdit::PushVlan(tci) => (PUSH_VLAN, tci),
            VlanEdit::PushQinq(tci) => (PUSH_QINQ, tci),
            VlanEdit::SetVid(vid) => (SET_VID, vid & 0xfff),
        };
        Self { word: self.word & !(0xff << VLAN | 0xffff) | number << VLAN | tci as u64 }
    }

    /// This edit with `pcp` as the priority of the tag that is outermost in the end; the low three bits
    /// count.
    #[inline]
    #[must_use]
    pub const fn with_pcp(self, pcp: u8) -> Self {
        Self { word: self.word & !(0xff << PCP) | (pcp as u64 & 7 | 0x80) << PCP }
    }

    /// This edit with `dscp` in the IP header; the low six bits count.
    #[inline]
    #[must_use]
    pub const fn with_dscp(self, dscp: u8) -> Self {
        self.with_tos(0xfc, (dscp as u64 & 0x3f) << 2)
    }

    /// This edit with `ecn` in the IP header.
    #[inline]
    #[must_use]
    pub const fn with_ecn(self, ecn: Ecn) -> Self {
        self.with_tos(0x03, ecn as u64)
    }

    /// How many tags are taken off, 0 to 3.
    #[inline]
    #[must_use]
    pub const fn pops(self) -> u8 {
        (self.word >> POPS & 0xff) as u8
    }

    /// What happens to the outermost VLAN tag that the pops leave.
    #[inline]
    #[must_use]
    pub const fn vlan(self) -> VlanEdit {
        let tci = (self.word & 0xffff) as u16;
        match self.word >> VLAN & 0xff {
            PUSH_VLAN => VlanEdit::PushVlan(tci),
            PUSH_QINQ => VlanEdit::PushQinq(tci),
            SET_VID => VlanEdit::SetVid(tci),
            _ => VlanEdit::None,
        }
    }

    /// The priority to set, 0 to 7.
    #[inline]
    #[must_use]
    pub const fn pcp(self) -> Option<u8> {
        if self.word >> PCP == 0 { None } else { Some((self.word >> PCP & 7) as u8) }
    }

    /// The DSCP to set, 0 to 63.
    #[inline]
    #[must_use]
    pub const fn dscp(self) -> Option<u8> {
        if self.tos_mask() & 0xfc == 0 { None } else { Some(self.tos_bits() >> 2) }
    }

    /// The ECN field to set.
    #[inline]
    #[must_use]
    pub const fn ecn(self) -> Option<Ecn> {
        if self.tos_mask() & 3 == 0 { None } else { Some(Ecn::from_tos(self.tos_bits())) }
    }

    /// Bytes of a frame of `len` bytes with `tags` VLAN tags after the edit.
    #[inline]
    #[must_use]
    pub const fn edited_len(self, len: usize, tags: u8) -> usize {
        let popped = if self.pops() < tags { self.pops() } else { tags };
        let len = len.saturating_sub((popped as usize) << 2);
        match self.vlan() {
            VlanEdit::PushVlan(_) | VlanEdit::PushQinq(_) => len.saturating_add(4),
            _ => len,
        }
    }

    /// Builds the start of the edited `frame` in `scratch`.
    ///
    /// An IPv4 header checksum is updated, not computed (RFC 1624): a wrong one stays wrong. Without an
    /// edit, or with none that applies, `head` and `skip` are 0.
    ///
    /// # Errors
    ///
    /// Those of [`Inner::parse_ethernet`] or [`Inner::parse_ip`]; none for [`Edit::NONE`].
    #[inline]
    pub fn apply(
        self,
        frame: &[u8],
        kind: FrameKind,
        scratch: &mut [u8; Self::MAX_PREFIX],
    ) -> Result<Edited, WireError> {
        if self.is_none() {
            return Ok(Edited::default());
        }
        let inner = Inner::parse(kind, frame)?;
        // The summary vouches for every byte that is copied, so the error does not happen.
        self.build(&inner, frame, kind, scratch).ok_or(WireError::new(Layer::Inner, Reason::Unrepresentable, 0))
    }

    fn build(self, inner: &Inner, frame: &[u8], kind: FrameKind, scratch: &mut [u8; 64]) -> Option<Edited> {
        let mut edited = Edited::default();
        let mut draft = Draft { frame, scratch, at: Edited::default() };
        if matches!(kind, FrameKind::Ethernet) {
            draft.copy::<12>()?;
            if self.edit_tags(inner, &mut draft)? {
                edited = draft.at;
            }
        }
        let tos = inner.tos() & !self.tos_mask() | self.tos_bits();
        if tos == inner.tos() || !matches!(inner.ip(), IpKind::V4 | IpKind::V6) {
            return Some(edited);
        }
        while draft.at.skip < usize::from(inner.l3()) {
            draft.copy::<2>()?;
        }
        if matches!(inner.ip(), IpKind::V4) {
            let mut header = draft.take::<12>()?;
            let old = u16::from_be_bytes([header[0], header[1]]);
            let new = u16::from_be_bytes([header[0], tos]);
            let sum = checksum::update(u16::from_be_bytes([header[10], header[11]]), old, new);
            header[1] = tos;
            [header[10], header[11]] = sum.to_be_bytes();
            draft.put(header)?;
        } else {
            // The traffic class lies across the first two bytes, between version and flow label.
            let [first, second] = draft.take()?;
            draft.put([first & 0xf0 | tos >> 4, tos << 4 | second & 0x0f])?;
        }
        Some(draft.at)
    }

    /// Edits the tags in a draft that stands behind the MAC addresses; whether anything changed.
    fn edit_tags(self, inner: &Inner, draft: &mut Draft<'_>) -> Option<bool> {
        let popped = inner.tags().min(self.pops());
        for _ in 0..popped {
            draft.take::<4>()?;
        }
        let tagged = inner.tags() > popped;
        match self.vlan() {
            VlanEdit::PushVlan(tci) => return draft.put_tag(EtherType::VLAN, self.prioritised(tci)),
            VlanEdit::PushQinq(tci) => return draft.put_tag(EtherType::QINQ, self.prioritised(tci)),
            VlanEdit::SetVid(vid) if tagged => {
                let [a, b, c, d] = draft.take()?;
                let tci = u16::from_be_bytes([c, d]) & 0xf000 | vid;
                return draft.put_tag(EtherType(u16::from_be_bytes([a, b])), self.prioritised(tci));
            }
            _ => {}
        }
        if !tagged || self.pcp().is_none() {
            return Some(popped > 0);
        }
        let [a, b, c, d] = draft.take()?;
        draft.put_tag(EtherType(u16::from_be_bytes([a, b])), self.prioritised(u16::from_be_bytes([c, d])))
    }

    /// `tci` with the PCP to set, if any.
    const fn prioritised(self, tci: u16) -> u16 {
        match self.pcp() {
            Some(pcp) => tci & 0x1fff | (pcp as u16) << 13,
            None => tci,
        }
    }

    const fn with_tos(self, mask: u64, bits: u64) -> Self {
        let cleared = self.word & !(mask << TOS_BITS);
        Self { word: cleared | bits << TOS_BITS | mask << TOS_MASK }
    }

    #[inline]
    const fn tos_mask(self) -> u8 {
        (self.word >> TOS_MASK & 0xff) as u8
    }

    #[inline]
    const fn tos_bits(self) -> u8 {
        (self.word >> TOS_BITS & 0xff) as u8
    }
}

impl core::fmt::Debug for Edit {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Edit")
            .field("pops", &self.pops())
            .field("vlan", &self.vlan())
            .field("pcp", &self.pcp())
            .field("dscp", &self.dscp())
            .field("ecn", &self.ecn())
            .finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Edit {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "Edit {{ pops: {}, vlan: {}, pcp: {}, dscp: {}, ecn: {} }}",
            self.pops(),
            self.vlan(),
            self.pcp(),
            self.dscp(),
            self.ecn()
        );
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for Edit {
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        let (pops, vlan, pcp, dscp, ecn): (u8, _, Option<u8>, Option<u8>, Option<Ecn>) = u.arbitrary()?;
        let edit = Self::NONE.with_pop(pops).with_vlan(vlan);
        let edit = pcp.map_or(edit, |pcp| edit.with_pcp(pcp));
        let edit = dscp.map_or(edit, |dscp| edit.with_dscp(dscp));
        Ok(ecn.map_or(edit, |ecn| edit.with_ecn(ecn)))
    }
}

// Bit positions in an edit's word, and the numbers of its VLAN edits.
const PCP: u32 = 56;
const TOS_BITS: u32 = 48;
const TOS_MASK: u32 = 40;
const VLAN: u32 = 32;
const POPS: u32 = 24;
const PUSH_VLAN: u64 = 1;
const PUSH_QINQ: u64 = 2;
const SET_VID: u64 = 3;
/// Tags that are followed, and so most that can be taken off.
const MAX_TAGS: u8 = 3;

/// The start of an edited frame, as far as it is built; each step gives `None` past an end.
struct Draft<'a> {
    frame: &'a [u8],
    scratch: &'a mut [u8; Edit::MAX_PREFIX],
    at: Edited,
}

impl Draft<'_> {
    /// The next bytes of the frame, which are then behind the draft.
    #[inline]
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = *self.frame.get(self.at.skip..)?.first_chunk()?;
        self.at.skip = self.at.skip.saturating_add(N);
        Some(bytes)
    }

    /// Adds `bytes` to the draft.
    #[inline]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) -> Option<()> {
        *self.scratch.get_mut(self.at.head..)?.first_chunk_mut()? = bytes;
        self.at.head = self.at.head.saturating_add(N);
        Some(())
    }

    #[inline]
    fn copy<const N: usize>(&mut self) -> Option<()> {
        let bytes = self.take::<N>()?;
        self.put(bytes)
    }

    #[inline]
    fn put_tag(&mut self, tpid: EtherType, tci: u16) -> Option<bool> {
        self.put(tpid.0.to_be_bytes())?;
        self.put(tci.to_be_bytes())?;
        Some(true)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::super::checksum::verify;
    use super::*;

    /// The edited frame.
    fn apply(edit: Edit, frame: &[u8], kind: FrameKind) -> Vec<u8> {
        let mut scratch = [0xa5; Edit::MAX_PREFIX];
        let edited = edit.apply(frame, kind, &mut scratch).unwrap();
        assert!(edited.head <= 42 && edited.skip <= 38);
        [&scratch[..edited.head], &frame[edited.skip..]].concat()
    }

    /// The same in plain words: each edit on a whole frame in a vector, the checksum summed anew.
    fn reference(edit: Edit, frame: &[u8], kind: FrameKind) -> Vec<u8> {
        let mut frame = frame.to_vec();
        let is_tag = |frame: &[u8], at: usize| {
            frame.len() >= at + 4 && matches!((frame[at], frame[at + 1]), (0x81, 0x00) | (0x88, 0xa8))
        };
        let mut l3 = 0;
        if kind == FrameKind::Ethernet {
            // Before the push of a fourth tag, which would hide the IP header from a look afterwards.
            let tags = (0..3).take_while(|i| is_tag(&frame, 12 + 4 * i)).count();
            l3 = 14 + 4 * tags;
            // A fourth tag is none to the edit, even when pops bring it to the front.
            let popped = tags.min(usize::from(edit.pops()));
            let pushed = matches!(edit.vlan(), VlanEdit::PushVlan(_) | VlanEdit::PushQinq(_));
            let tagged = |frame: &[u8]| is_tag(frame, 12) && (tags > popped || pushed);
            for _ in 0..popped {
                frame.drain(12..16);
                l3 -= 4;
            }
            match edit.vlan() {
                VlanEdit::PushVlan(tci) => {
                    frame.splice(12..12, [0x81, 0x00, tci.to_be_bytes()[0], tci.to_be_bytes()[1]]);
                    l3 += 4;
                }
                VlanEdit::PushQinq(tci) => {
                    frame.splice(12..12, [0x88, 0xa8, tci.to_be_bytes()[0], tci.to_be_bytes()[1]]);
                    l3 += 4;
                }
                VlanEdit::SetVid(vid) if tagged(&frame) => {
                    let [high, low] = vid.to_be_bytes();
                    frame[14] = frame[14] & 0xf0 | high & 0x0f;
                    frame[15] = low;
                }
                _ => {}
            }
            if let (Some(pcp), true) = (edit.pcp(), tagged(&frame)) {
                frame[14] = frame[14] & 0x1f | pcp << 5;
            }
        }
        let version = match kind {
            FrameKind::Ethernet => match (frame[l3 - 2], frame[l3 - 1]) {
                (0x08, 0x00) => 4,
                (0x86, 0xdd) => 6,
                _ => 0,
            },
            FrameKind::Ip => frame[0] >> 4,
        };
        let packet = &mut frame[l3..];
        let tos = |old: u8| {
            let old = edit.dscp().map_or(old, |dscp| old & 3 | dscp << 2);
            edit.ecn().map_or(old, |ecn| ecn.in_tos(old))
        };
        if version == 4 && packet.len() >= 20 && packet[0] >> 4 == 4 {
            let len = usize::from(packet[0] & 15) * 4;
            if len >= 20 && packet.len() >= len {
                packet[1] = tos(packet[1]);
                packet[10..12].fill(0);
                let sum = checksum::checksum(&packet[..len]);
                packet[10..12].copy_from_slice(&sum.to_be_bytes());
            }
        }
        if version == 6 && packet.len() >= 40 && packet[0] >> 4 == 6 {
            let word = u32::from_be_bytes([packet[0], packet[1], packet[2], packet[3]]);
            let new = tos(u8::try_from(word >> 20 & 0xff).unwrap());
            let word = word & 0xf00f_ffff | u32::from(new) << 20;
            packet[..4].copy_from_slice(&word.to_be_bytes());
        }
        frame
    }

    fn ipv4(words: u8, tos: u8, fill: u8) -> Vec<u8> {
        let mut packet = vec![fill; usize::from(words) * 4];
        packet[0] = 0x40 | words;
        packet[1] = tos;
        packet[10..12].fill(0);
        let sum = checksum::checksum(&packet);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend([fill; 9]);
        packet
    }

    fn ipv6(tos: u8, fill: u8) -> Vec<u8> {
        let mut packet = vec![fill; 49];
        packet[0] = 0x60 | tos >> 4;
        packet[1] = tos << 4 | 0x0b;
        packet
    }

    fn any_edit() -> impl Strategy<Value = Edit> {
        let vlan = prop_oneof![
            Just(VlanEdit::None),
            any::<u16>().prop_map(VlanEdit::PushVlan),
            any::<u16>().prop_map(VlanEdit::PushQinq),
            any::<u16>().prop_map(VlanEdit::SetVid),
        ];
        let option = || prop::option::of(any::<u8>());
        (0..4_u8, vlan, option(), option(), option()).prop_map(|(pops, vlan, pcp, dscp, ecn)| {
            let edit = Edit::NONE.with_pop(pops).with_vlan(vlan);
            let edit = pcp.map_or(edit, |pcp| edit.with_pcp(pcp));
            let edit = dscp.map_or(edit, |dscp| edit.with_dscp(dscp));
            ecn.map_or(edit, |ecn| edit.with_ecn(Ecn::from_tos(ecn)))
        })
    }

    fn any_packet() -> impl Strategy<Value = (u16, Vec<u8>)> {
        prop_oneof![
            (5..=15_u8, any::<u8>(), any::<u8>()).prop_map(|(words, tos, fill)| (0x0800, ipv4(words, tos, fill))),
            (any::<u8>(), any::<u8>()).prop_map(|(tos, fill)| (0x86dd, ipv6(tos, fill))),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| (0x0806, bytes)),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| (0x86dd, bytes)),
        ]
    }

    fn any_frame() -> impl Strategy<Value = Vec<u8>> {
        let tag = (prop::bool::ANY, any::<u16>());
        (any::<[u8; 12]>(), prop::collection::vec(tag, 0..5), any_packet()).prop_map(
            |(macs, tags, (ethertype, packet))| {
                let mut frame = macs.to_vec();
                for (service, tci) in tags {
                    frame.extend(if service { [0x88, 0xa8] } else { [0x81, 0x00] });
                    frame.extend(tci.to_be_bytes());
                }
                frame.extend(u16::to_be_bytes(ethertype));
                frame.extend(packet);
                frame
            },
        )
    }

    #[test]
    fn is_small_and_remembers_its_parts() {
        assert_eq!(size_of::<Edit>(), 8);
        assert!(Edit::NONE.is_none() && Edit::default() == Edit::NONE);
        let none = Edit::NONE;
        assert_eq!((none.vlan(), none.pcp(), none.dscp(), none.ecn()), (VlanEdit::None, None, None, None));
        for vlan in [VlanEdit::PushVlan(0xffff), VlanEdit::PushQinq(0), VlanEdit::SetVid(0xfff)] {
            let edit = Edit::NONE.with_pcp(7).with_dscp(63).with_ecn(Ecn::Ce).with_vlan(VlanEdit::PushVlan(0x1234));
            let edit = edit.with_vlan(vlan).with_pcp(0).with_dscp(0).with_ecn(Ecn::NotEct);
            assert_eq!((edit.vlan(), edit.pcp(), edit.dscp(), edit.ecn()), (vlan, Some(0), Some(0), Some(Ecn::NotEct)));
            assert!(!edit.is_none() && !Edit::NONE.with_vlan(vlan).is_none());
        }
        assert_eq!(Edit::NONE.with_vlan(VlanEdit::SetVid(0xf123)).vlan(), VlanEdit::SetVid(0x123));
        assert_eq!(Edit::NONE.with_pcp(0xff).pcp(), Some(7));
        assert_eq!(Edit::NONE.with_dscp(0xff).dscp(), Some(63));
        assert_eq!(Edit::NONE.with_dscp(46).ecn(), None);
        assert_eq!(Edit::NONE.with_ecn(Ecn::Ect0).dscp(), None);
        assert!(
            Edit::NONE.with_pop(1).with_vlan(VlanEdit::PushVlan(1)).with_pop(0).with_vlan(VlanEdit::None).is_none()
        );
    }

    #[test]
    fn replaces_no_more_than_it_must() {
        let frame = [&[1; 12][..], &[0x81, 0, 0x20, 7, 0x08, 0], &ipv4(5, 0, 9)].concat();
        let mut scratch = [0xa5; Edit::MAX_PREFIX];
        let mut apply = |edit: Edit| {
            let edited = edit.apply(&frame, FrameKind::Ethernet, &mut scratch).unwrap();
            (edited.head, edited.skip)
        };
        assert_eq!(apply(Edit::NONE), (0, 0));
        assert_eq!(apply(Edit::NONE.with_pop(1)), (12, 16));
        assert_eq!(apply(Edit::NONE.with_vlan(VlanEdit::PushVlan(1))), (16, 12));
        assert_eq!(apply(Edit::NONE.with_vlan(VlanEdit::SetVid(1))), (16, 16));
        assert_eq!(apply(Edit::NONE.with_pcp(1)), (16, 16));
        assert_eq!(apply(Edit::NONE.with_pop(1).with_pcp(1)), (12, 16));
        assert_eq!(apply(Edit::NONE.with_ecn(Ecn::NotEct)), (0, 0));
        assert_eq!(apply(Edit::NONE.with_ecn(Ecn::Ce)), (30, 30));
        assert_eq!(apply(Edit::NONE.with_ecn(Ecn::Ce).with_pop(1)), (26, 30));
    }

    #[test]
    fn leaves_out_what_does_not_apply() {
        let arp = [&[2; 12][..], &[0x08, 0x06], &[0; 28]].concat();
        let all = Edit::NONE.with_pcp(3).with_dscp(46).with_ecn(Ecn::Ce);
        for vlan in [VlanEdit::None, VlanEdit::SetVid(9)] {
            assert_eq!(apply(all.with_vlan(vlan), &arp, FrameKind::Ethernet), arp);
        }
        let packet = ipv4(5, 0, 1);
        for vlan in [VlanEdit::PushVlan(1), VlanEdit::PushQinq(1), VlanEdit::SetVid(9)] {
            assert_eq!(apply(Edit::NONE.with_vlan(vlan).with_pcp(1), &packet, FrameKind::Ip), packet);
        }
        let mut bad = [&[2; 12][..], &[0x08, 0x00], &packet].concat();
        bad[14] = 0x44;
        assert_eq!(apply(all, &bad, FrameKind::Ethernet), bad);
    }

    #[test]
    fn sets_every_tos_and_keeps_the_checksum_right() {
        for old in 0..=255 {
            for new in [0, 1, 0x03, 0xb8, 0xff] {
                let edit = Edit::NONE.with_dscp(new >> 2).with_ecn(Ecn::from_tos(new));
                let edited = apply(edit, &ipv4(6, old, 0x77), FrameKind::Ip);
                assert_eq!(edited[1], new);
                assert!(verify(&edited[..24]));
                let edited = apply(edit, &ipv6(old, 0x77), FrameKind::Ip);
                assert_eq!((edited[0], edited[1]), (0x60 | new >> 4, new << 4 | 0x0b));
            }
        }
    }

    #[test]
    fn a_wrong_checksum_stays_wrong() {
        let mut packet = ipv4(5, 0, 3);
        packet[11] ^= 1;
        assert!(!verify(&apply(Edit::NONE.with_dscp(46), &packet, FrameKind::Ip)[..20]));
    }

    #[test]
    fn names_every_truncation() {
        let frame = [&[2; 12][..], &[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, 0x08, 0x00], &ipv4(5, 0, 1)].concat();
        let edit = Edit::NONE.with_pop(1).with_pcp(1).with_dscp(1);
        let mut scratch = [0; Edit::MAX_PREFIX];
        for len in 0..=frame.len() {
            let result = edit.apply(&frame[..len], FrameKind::Ethernet, &mut scratch);
            assert_eq!(result.err(), Inner::parse_ethernet(&frame[..len]).err());
            assert_eq!(Edit::NONE.apply(&frame[..len], FrameKind::Ethernet, &mut scratch), Ok(Edited::default()));
            let result = edit.apply(&frame[22..][..len.min(29)], FrameKind::Ip, &mut scratch);
            assert_eq!(result.is_err(), len == 0);
        }
    }

    proptest! {
        #[test]
        fn does_what_the_reference_does(edit in any_edit(), frame in any_frame(), (_, packet) in any_packet()) {
            prop_assert_eq!(apply(edit, &frame, FrameKind::Ethernet), reference(edit, &frame, FrameKind::Ethernet));
            let tags = Inner::parse_ethernet(&frame).unwrap().tags();
            prop_assert_eq!(apply(edit, &frame, FrameKind::Ethernet).len(), edit.edited_len(frame.len(), tags));
            // Random bytes that look like IPv4 have a checksum that the reference would mend.
            if Inner::parse_ip(&packet).is_ok_and(|inner| inner.ip() != IpKind::V4 || verify(&packet[..usize::from(packet[0] & 15) * 4])) {
                prop_assert_eq!(apply(edit, &packet, FrameKind::Ip), reference(edit, &packet, FrameKind::Ip));
            }
        }

        #[test]
        fn a_pop_undoes_a_push(frame in any_frame(), tci in any::<u16>(), service in prop::bool::ANY) {
            let push = if service { VlanEdit::PushQinq(tci) } else { VlanEdit::PushVlan(tci) };
            let pushed = apply(Edit::NONE.with_vlan(push), &frame, FrameKind::Ethernet);
            prop_assert_eq!(Inner::parse_ethernet(&pushed).unwrap().tci(), tci);
            prop_assert_eq!(apply(Edit::NONE.with_pop(1), &pushed, FrameKind::Ethernet), frame);
        }

        #[test]
        fn is_total(edit in any_edit(), frame in prop::collection::vec(any::<u8>(), 0..80), ip in prop::bool::ANY) {
            let kind = if ip { FrameKind::Ip } else { FrameKind::Ethernet };
            let mut scratch = [0xa5; Edit::MAX_PREFIX];
            if let Ok(edited) = edit.apply(&frame, kind, &mut scratch) {
                prop_assert!(edited.head <= scratch.len() && edited.skip <= frame.len());
            }
        }
    }
}
