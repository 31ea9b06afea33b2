// NOTE FROM THE LEAD TO THE DEVELOPER OF BRANCH h3 (replace this file; supersedes the Edit sketch in interfaces.md):
// The engine needs this shape (8 bytes, Copy, builder style, const fns):
//   Edit::NONE, edit.is_none()
//   edit.pop(n: u8)      -> Edit   // remove the n outermost tags (0..=3), in absolute terms: `.pop(n)` sets the count
//   edit.push(tci: u16)  -> Edit   // then push one 802.1Q tag (TPID 0x8100) with this TCI
//   edit.ecn(Option<Ecn>)-> Edit ; edit.dscp(Option<u8>) ; edit.pcp(Option<u8>)  // pcp of the outermost tag that is left/pushed
//   edit.resulting_len(len: u32) -> u32   // frame length after pops/pushes (assumes the tags are there)
// "set" is pop(1).push(tci). `apply` as in interfaces.md; popping more tags than there are => WireError (nothing written).
