use core::fmt::Write;

use vtep::wire::geneve::{Definition, Duplicates, OffloadRole, OptionId, OptionView, Options, Rules, Writer};

use crate::opaque::{Any, Characters, any, bytes, pick, sink, with_buffer};

#[inline(never)]
pub fn every_call() {
    options();
    rules();
    with_buffer(writer);
}

fn options() {
    let mut options = Options::new(bytes());
    sink(Options::size_hint(&options));
    while let Some(option) = Options::next(&mut options) {
        sink((option, Options::offset(&options), Options::as_bytes(&options)));
    }
    sink((OptionView::critical(&any()), OptionView::id(&any())));
    sink((OptionId::new(any(), any()), OptionId::critical(any())));
    sink(write!(Characters, "{}", any::<OptionId>()));
}

fn rules() {
    let known: [Definition; 80] = any();
    let mut rules = Rules::knowing(known.get(..any()).unwrap_or_default());
    sink(Rules::validate(&rules, bytes(), any()));
    rules = Rules { max_options: any(), max_len: any(), check_critical_bit: any(), role: any(), ..rules };
    sink(Rules::validate(&rules, bytes(), any()));
    sink(Rules::default());
    sink(Definition::find(&any(), bytes()));
}

fn writer(buffer: &mut [u8]) {
    let mut writer = Writer::new(buffer);
    sink(Writer::copy(&mut writer, bytes()));
    while any() {
        sink(Writer::push(&mut writer, &any()));
        sink(Writer::copy(&mut writer, bytes()));
        sink((Writer::len(&writer), Writer::is_empty(&writer), Writer::critical(&writer), Writer::as_bytes(&writer)));
    }
    sink(Writer::finish(writer));
}

impl Any for OptionView<'static> {
    fn any() -> Self {
        Self { class: any(), kind: any(), data: bytes() }
    }
}

impl Any for Definition {
    fn any() -> Self {
        Self { class: any(), kind: any(), len: any(), duplicates: any() }
    }
}

impl Any for Duplicates {
    fn any() -> Self {
        pick(&[Self::Reject, Self::First], Self::Last)
    }
}

impl Any for OptionId {
    fn any() -> Self {
        Self { class: any(), kind: any() }
    }
}

impl Any for OffloadRole {
    fn any() -> Self {
        pick(&[Self::Endpoint], Self::Offload)
    }
}
