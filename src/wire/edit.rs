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
mod tests;
