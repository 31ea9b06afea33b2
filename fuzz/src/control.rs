//! Any line on the control socket: an answer to it means something, or is a sentence that fits a terminal.

#[path = "../../examples/vtepd/node/mod.rs"]
pub mod node;
#[path = "../../examples/vtepd/request.rs"]
mod request;

use request::{Change, State, Verb, What};

/// The bytes are a line, of which a client's UTF-8 may be broken.
pub fn run(bytes: &[u8]) {
    let line = String::from_utf8_lossy(bytes);
    match request::parse(&line) {
        Ok(request) => {
            // Words do not depend on what stands between them, nor options on where they stand.
            let spaced = line.split_whitespace().collect::<Vec<_>>().join("\t ");
            assert_eq!(request::parse(&spaced).as_ref(), Ok(&request));
            let (options, words): (Vec<_>, Vec<_>) = line.split_whitespace().partition(|word| word.starts_with('-'));
            assert_eq!(request::parse(&[options, words].concat().join(" ")).as_ref(), Ok(&request));
            if let What::FdbChange(change) = &request.what {
                means_something(change);
            }
        }
        Err(sentence) => {
            assert!(!sentence.is_empty() && sentence.chars().count() < 700, "{sentence}");
            assert!(!sentence.contains(char::is_control), "{sentence:?}");
        }
    }
}

fn means_something(change: &Change) {
    let station = change.mac.is_station();
    assert!(change.dst.is_some() || (change.port.is_none() && change.vni.is_none()));
    assert!(change.port != Some(0));
    assert!(!(change.sticky && matches!(change.state, State::Permanent | State::Static)));
    match change.verb {
        Verb::Append => assert!(!station && change.dst.is_some()),
        Verb::Replace => assert!(station),
        Verb::Add => assert!(station || change.dst.is_some()),
        Verb::Delete => {}
    }
}
