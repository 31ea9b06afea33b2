//! Any bytes as an option area: the walk ends, rejections do not depend on who walks, and what was written reads back.

use arbitrary::{Arbitrary, Unstructured};
use vtep::wire::geneve::{Definition, MAX_OPTIONS_LEN, Options, Rules, Writer};

/// The first byte holds the critical bit and the number of options that are known, whose definitions follow; the rest is
/// the area.
pub fn run(bytes: &[u8]) {
    let Some((bits, rest)) = bytes.split_first() else { return };
    let mut u = Unstructured::new(rest);
    let known = (0..bits & 0xf).map_while(|_| Definition::arbitrary(&mut u).ok()).collect::<Vec<_>>();
    check(u.take_rest(), &known, bits & 0x80 != 0);
}

fn check(area: &[u8], known: &[Definition], critical: bool) {
    let mut walk = Options::new(area);
    let mut steps = 0;
    let mut last = 0;
    let mut buffer = [0xa5; MAX_OPTIONS_LEN];
    let mut writer = Writer::new(&mut buffer);
    let mut error = None;
    while let Some(option) = walk.next() {
        steps += 1;
        match option {
            Ok(option) => {
                assert!(walk.offset() >= last + 4, "advances");
                last = walk.offset();
                let before = writer.len();
                match writer.push(&option) {
                    Ok(()) => assert_eq!(writer.len(), before + 4 + option.data.len()),
                    Err(_) => assert!(before + 4 + option.data.len() > MAX_OPTIONS_LEN),
                }
            }
            Err(found) => {
                error = Some(found);
                assert_eq!(walk.next(), None, "fused");
            }
        }
    }
    assert!(steps <= area.len() / 4 + 1, "ends");

    if error.is_none() && area.len() <= MAX_OPTIONS_LEN {
        let written = writer.finish();
        assert!(Options::new(written).eq(Options::new(area)), "reads back as it was");
        let mut copy = [0xa5; MAX_OPTIONS_LEN];
        let mut copier = Writer::new(&mut copy);
        copier.copy(area).unwrap();
        assert_eq!(copier.finish(), area, "passes through to the bit");
    }

    let verdict = Rules::knowing(known).validate(area, critical);
    if let (Some(error), Err(verdict)) = (error, verdict) {
        assert!(verdict == error || verdict.offset <= error.offset);
    } else {
        assert!(error.is_none(), "validated what cannot be walked");
    }
}
