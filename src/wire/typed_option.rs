//! Options as structs: a zerocopy view of an option's data that knows its class, type, length and criticality.
//!
//! ```
//! use vtep::wire::geneve::{OptionId, Options, Rules, TypedOption, Writer};
//! use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, network_endian::U16};
//!
//! /// Which ports of a logical switch a packet came from and goes to.
//! #[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
//! #[repr(C)]
//! struct Ports {
//!     ingress: U16,
//!     egress: U16,
//! }
//! // Critical, because bit 7 of the type is set.
//! impl TypedOption for Ports {
//!     const ID: OptionId = OptionId::new(0x0102, 0x80);
//! }
//!
//! let mut buffer = [0; 8];
//! let mut writer = Writer::new(&mut buffer);
//! writer.push_typed(&Ports { ingress: 5.into(), egress: 6.into() })?;
//! assert!(writer.critical());
//! let area = writer.finish();
//!
//! let known = [Ports::DEFINITION];
//! Rules::knowing(&known).validate(area, true)?;
//! let ports = Ports::find(area)?.ok_or("not there")?;
//! assert_eq!((ports.ingress.get(), ports.egress.get()), (5, 6));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::geneve::MAX_OPTION_DATA_LEN;
use super::geneve_option::{Definition, Duplicates, OptionId, OptionView, Options, Writer};
use super::{Layer, Reason, WireError};

/// The data of one kind of option, laid out as it stands in the packet.
///
/// The length is the struct's: a multiple of 4 bytes up to 124, which is checked at compile time. An option of this
/// class and type with another length is malformed (RFC 8926 section 3.5.1).
pub trait TypedOption: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned + Sized {
    /// Class and type; bit 7 of the type says that the option is critical.
    const ID: OptionId;

    /// What a second option of this kind means.
    const DUPLICATES: Duplicates = Duplicates::Reject;

    /// The description for [`Rules`](super::geneve::Rules).
    const DEFINITION: Definition = {
        assert!(size_of::<Self>() % 4 == 0, "an option's data is a whole number of words");
        assert!(size_of::<Self>() <= MAX_OPTION_DATA_LEN, "an option has at most 31 words of data");
        #[allow(clippy::cast_possible_truncation, reason = "at most 124")]
        let len = size_of::<Self>() as u8;
        Definition { class: Self::ID.class, kind: Self::ID.kind, len: Some(len), duplicates: Self::DUPLICATES }
    };

    /// The option of this kind in `area`, by its rule for duplicates; `None` where there is none.
    ///
    /// One walk: linear in the area, and no further than its first fault.
    ///
    /// # Errors
    ///
    /// [`Reason::OptionLengthMismatch`], [`Reason::DuplicateOption`], and what [`Options`] reports in front of what
    /// is looked for. Offsets count from the area's start.
    fn find(area: &[u8]) -> Result<Option<&Self>, WireError> {
        let mut options = Options::new(area);
        let mut found = None;
        loop {
            let offset = options.offset();
            let Some(option) = options.next() else { return Ok(found) };
            let option = option?;
            if option.id() != Self::ID {
                continue;
            }
            if found.is_some() && Self::DUPLICATES == Duplicates::Reject {
                return Err(WireError::new(Layer::GeneveOption, Reason::DuplicateOption, offset));
            }
            if found.is_none() || Self::DUPLICATES == Duplicates::Last {
                found = Some(option.data_as().map_err(|error| error.shifted(offset))?);
            }
        }
    }
}

impl<'a> OptionView<'a> {
    /// This option as a struct, or `None` where it is of another kind.
    ///
    /// # Errors
    ///
    /// [`Reason::OptionLengthMismatch`] where it is of that kind and of another length.
    pub fn read<T: TypedOption>(&self) -> Result<Option<&'a T>, WireError> {
        if self.id() == T::ID { self.data_as().map(Some) } else { Ok(None) }
    }

    /// The data as a struct, whatever the kind.
    fn data_as<T: TypedOption>(&self) -> Result<&'a T, WireError> {
        T::ref_from_bytes(self.data).map_err(|_| WireError::new(Layer::GeneveOption, Reason::OptionLengthMismatch, 0))
    }
}

impl Writer<'_> {
    /// Appends a typed option, its reserved bits zero.
    ///
    /// # Errors
    ///
    /// As [`Writer::push`]; the length is always representable.
    pub fn push_typed<T: TypedOption>(&mut self, value: &T) -> Result<(), WireError> {
        let Definition { class, kind, .. } = T::DEFINITION;
        self.push(&OptionView { class, kind, data: value.as_bytes() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::network_endian::U32;

    #[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Debug, PartialEq)]
    #[repr(C)]
    struct Word(U32);
    impl TypedOption for Word {
        const ID: OptionId = OptionId::new(0xff00, 0x80);
    }

    #[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Debug, PartialEq)]
    #[repr(C)]
    struct Latest(U32);
    impl TypedOption for Latest {
        const ID: OptionId = OptionId::new(0xff00, 0x80);
        const DUPLICATES: Duplicates = Duplicates::Last;
    }

    #[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Debug, PartialEq)]
    #[repr(C)]
    struct Earliest(U32);
    impl TypedOption for Earliest {
        const ID: OptionId = OptionId::new(0xff00, 0x80);
        const DUPLICATES: Duplicates = Duplicates::First;
    }

    #[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Debug, PartialEq)]
    #[repr(C)]
    struct Mark;
    impl TypedOption for Mark {
        const ID: OptionId = OptionId::new(0x0101, 0x07);
    }

    fn twice() -> [u8; 16] {
        [0xff, 0x00, 0x80, 0x01, 0, 0, 0, 1, 0xff, 0x00, 0x80, 0x01, 0, 0, 0, 2]
    }

    #[test]
    fn round_trip() {
        let mut buffer = [0xa5; 12];
        let mut writer = Writer::new(&mut buffer);
        writer.push_typed(&Mark).unwrap();
        assert!(!writer.critical());
        writer.push_typed(&Word(0x0102_0304.into())).unwrap();
        assert!(writer.critical());
        let area = writer.finish();
        assert_eq!(area, [0x01, 0x01, 0x07, 0x00, 0xff, 0x00, 0x80, 0x01, 1, 2, 3, 4]);
        assert_eq!(Word::find(area), Ok(Some(&Word(0x0102_0304.into()))));
        assert_eq!(Mark::find(area), Ok(Some(&Mark)));
        let first = Options::new(area).next().unwrap().unwrap();
        assert_eq!(first.read::<Mark>(), Ok(Some(&Mark)));
        assert_eq!(first.read::<Word>(), Ok(None));
    }

    #[test]
    fn duplicates_as_the_option_says() {
        let area = twice();
        let error = WireError::new(Layer::GeneveOption, Reason::DuplicateOption, 8);
        assert_eq!(Word::find(&area), Err(error));
        assert_eq!(Earliest::find(&area), Ok(Some(&Earliest(1.into()))));
        assert_eq!(Latest::find(&area), Ok(Some(&Latest(2.into()))));
    }

    #[test]
    fn another_length_is_malformed() {
        for (area, offset) in [
            (&[0xff, 0x00, 0x80, 0x00][..], 0),
            (&[0x01, 0x01, 0x07, 0x00, 0xff, 0x00, 0x80, 0x02, 0, 0, 0, 0, 0, 0, 0, 0], 4),
        ] {
            let error = WireError::new(Layer::GeneveOption, Reason::OptionLengthMismatch, offset);
            assert_eq!(Word::find(area), Err(error));
        }
    }

    #[test]
    fn every_truncation_is_an_error_or_a_shorter_area() {
        let area = twice();
        for len in 0..area.len() {
            let result = Earliest::find(&area[..len]);
            match len {
                0 => assert_eq!(result, Ok(None)),
                8 => assert_eq!(result, Ok(Some(&Earliest(1.into())))),
                _ => assert!(result.is_err(), "{len}"),
            }
        }
    }
}
