//! Any bytes as the lines of a recorded session: it replays to the same state twice, or says which line cannot be read.

#[path = "../../examples/replay/session.rs"]
mod session;

use super::control::node;

use session::replay;

/// The header of a record; the fuzzer's bytes are what follows. How much memory a record asks for is its owner's business.
const HEADER: &str = include_str!("../../tests/data/session.record");

pub fn run(bytes: &[u8]) {
    let header = HEADER.split_inclusive('\n').take(node::HEADER_LINES).collect::<String>();
    let record = [header.as_bytes(), bytes].concat();
    match (replay(&record[..]), replay(&record[..])) {
        (Ok(one), Ok(two)) => {
            assert_eq!(one.summary.to_string(), two.summary.to_string());
            assert_eq!(one.unmet, two.unmet);
        }
        (Err(one), Err(two)) => assert!(!one.is_empty() && one == two, "{one}"),
        _ => panic!("a record can be read or not"),
    }
}
