//! What a client can ask, in `bridge fdb`'s words. A request is one line of text; the same words as on the command line.

use std::net::IpAddr;

use vtep::wire::{Label, MacAddr, SecurityGroup, TrafficClass, Vni};

use super::node::mac_address;

/// A request, and how its answer is to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub what: What,
    pub json: bool,
    pub stats: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    FdbShow(Selection),
    FdbChange(Change),
    FdbFlush(Selection),
    LinkShow(Option<String>),
    PolicyShow,
    Monitor,
    Log,
}

/// Which entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub dev: Option<String>,
    pub dst: Option<IpAddr>,
    pub states: Vec<State>,
}

/// An entry to be added, replaced or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub verb: Verb,
    pub mac: MacAddr,
    pub dev: Option<String>,
    pub dst: Option<IpAddr>,
    pub port: Option<u16>,
    pub vni: Option<Vni>,
    pub via: Option<String>,
    pub state: State,
    pub sticky: bool,
    pub blackhole: bool,
    /// What its frames are judged and sent with.
    pub label: Label,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Add,
    Append,
    Replace,
    Delete,
}

/// What keeps an entry, in the order of trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Learned, or as good as: it ages and moves.
    Dynamic,
    /// A controller's.
    ExternLearn,
    /// An operator's.
    Static,
    /// An operator's, and what `bridge fdb add` makes unless told otherwise.
    Permanent,
}

impl State {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "dynamic" => Self::Dynamic,
            "extern_learn" => Self::ExternLearn,
            "static" => Self::Static,
            "permanent" | "local" => Self::Permanent,
            _ => return None,
        })
    }
}

/// Reads a request. An error is a sentence for whoever asked.
pub fn parse(line: &str) -> Result<Request, String> {
    let (options, words): (Vec<&str>, Vec<&str>) = line.split_whitespace().partition(|word| word.starts_with('-'));
    let (mut json, mut stats) = (false, false);
    for option in options {
        match option {
            "-j" | "--json" | "-json" => json = true,
            "-s" | "--stats" | "-statistics" | "-stats" => stats = true,
            _ => return Err(format!("unknown option {}: there are --json and -s", printable(option))),
        }
    }
    let what = match &words[..] {
        ["fdb"] => What::FdbShow(Selection::default()),
        ["fdb", "show" | "list" | "lst", rest @ ..] => What::FdbShow(selection(rest)?),
        ["fdb", "flush", rest @ ..] => What::FdbFlush(selection(rest)?),
        ["fdb", verb, rest @ ..] => What::FdbChange(change(verb, rest)?),
        ["link"] | ["link", "show" | "list" | "lst"] => What::LinkShow(None),
        ["link", "show" | "list" | "lst", "dev", name] | ["link", "show" | "list" | "lst", name] => {
            What::LinkShow(Some((*name).to_owned()))
        }
        ["link", ..] => return Err("write link show, or link show dev TAP; -s adds counters".to_owned()),
        ["policy"] | ["policy", "show" | "list" | "lst"] => What::PolicyShow,
        ["policy", ..] => return Err("write policy show; -s adds counters".to_owned()),
        ["monitor"] | ["monitor", "fdb"] => What::Monitor,
        ["log"] => What::Log,
        [] => return Err("an empty request: write fdb show, link show, policy show, monitor or log".to_owned()),
        [word, ..] => {
            return Err(format!("unknown word \"{}\": write fdb, link, policy, monitor or log", printable(word)));
        }
    };
    Ok(Request { what, json, stats })
}

fn selection(words: &[&str]) -> Result<Selection, String> {
    let mut selection = Selection::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "dev" | "brport" => selection.dev = Some(following(word, &mut words)?.to_owned()),
            "dst" => selection.dst = Some(address(following(word, &mut words)?)?),
            "self" => {}
            _ => selection.states.push(State::of(word).ok_or_else(|| {
                format!(
                    "unknown word \"{}\": entries are chosen with dev TAP, dst ADDRESS, dynamic, static, permanent and \
                     extern_learn",
                    printable(word)
                )
            })?),
        }
    }
    Ok(selection)
}

fn change(verb: &str, words: &[&str]) -> Result<Change, String> {
    let verb = match verb {
        "add" => Verb::Add,
        "append" => Verb::Append,
        "replace" => Verb::Replace,
        "del" | "delete" => Verb::Delete,
        _ => return Err(format!("unknown word \"{}\": write fdb show|add|append|replace|del|flush", printable(verb))),
    };
    let (mac, words) = words.split_first().ok_or("which MAC? Write fdb add MAC dev TAP dst ADDRESS")?;
    let mut change = Change {
        verb,
        mac: mac_address(mac).map_err(|_| format!("\"{}\" is no MAC: write 02:00:00:00:00:01", printable(mac)))?,
        dev: None,
        dst: None,
        port: None,
        vni: None,
        via: None,
        state: State::Permanent,
        sticky: false,
        blackhole: false,
        label: Label::NONE,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "dev" => change.dev = Some(following(word, &mut words)?.to_owned()),
            "dst" => change.dst = Some(address(following(word, &mut words)?)?),
            "port" => change.port = Some(port(following(word, &mut words)?)?),
            "vni" => change.vni = Some(vni(following(word, &mut words)?)?),
            "via" => change.via = Some(following(word, &mut words)?.to_owned()),
            "group" => {
                let group = group(following(word, &mut words)?)?;
                change.label = Label::new(group, change.label.class());
            }
            "class" => {
                let class = class(following(word, &mut words)?)?;
                change.label = Label::new(change.label.group(), class);
            }
            "self" => {}
            "sticky" => change.sticky = true,
            "blackhole" => change.blackhole = true,
            "master" | "vlan" | "nhid" | "src_vni" | "router" | "use" => {
                return Err(format!("\"{word}\" is for other devices; here are dev, dst, port, vni and via"));
            }
            _ => {
                change.state = State::of(word).ok_or_else(|| {
                    format!(
                        "unknown word \"{}\": after the MAC come dev TAP, dst ADDRESS, port N, vni N, via INTERFACE, \
                         group N, class N, permanent, static, dynamic, extern_learn, sticky, blackhole",
                        printable(word)
                    )
                })?;
            }
        }
    }
    check(&change)?;
    Ok(change)
}

/// What words mean together.
fn check(change: &Change) -> Result<(), String> {
    let station = change.mac.is_station();
    if change.dst.is_none() && (change.port.is_some() || change.vni.is_some()) {
        return Err("port and vni say how a remote VTEP is reached: add dst ADDRESS".to_owned());
    }
    if change.sticky && matches!(change.state, State::Permanent | State::Static) {
        return Err("packets never move a permanent or static entry: leave sticky out, or add dynamic".to_owned());
    }
    if change.blackhole && (change.dst.is_some() || !station || change.state == State::Dynamic) {
        return Err("a blackhole is a permanent entry for a station's MAC, without dst".to_owned());
    }
    if !change.label.is_none() && (!station || matches!(change.verb, Verb::Delete | Verb::Append)) {
        return Err("group and class are a station's: add or replace its entry with them".to_owned());
    }
    match change.verb {
        Verb::Delete => Ok(()),
        Verb::Append if station => {
            Err("append adds a destination to 00:00:00:00:00:00 or to a group address; a station has one: replace"
                .to_owned())
        }
        Verb::Replace if !station => {
            Err("only a station's entry is replaced; for 00:00:00:00:00:00 and group addresses append and del"
                .to_owned())
        }
        _ if !station && change.dst.is_none() => Err("floods go to remote VTEPs: add dst ADDRESS".to_owned()),
        _ if !station && change.state != State::Permanent => {
            Err("00:00:00:00:00:00 and group addresses have permanent entries only".to_owned())
        }
        _ => Ok(()),
    }
}

fn following<'w>(word: &str, words: &mut std::slice::Iter<'_, &'w str>) -> Result<&'w str, String> {
    words.next().copied().ok_or(format!("nothing follows \"{word}\""))
}

fn address(word: &str) -> Result<IpAddr, String> {
    word.parse().map_err(|_| format!("\"{}\" is no IP address", printable(word)))
}

fn port(word: &str) -> Result<u16, String> {
    word.parse().ok().filter(|port| *port != 0).ok_or(format!("\"{}\" is no UDP port", printable(word)))
}

fn vni(word: &str) -> Result<Vni, String> {
    word.parse().ok().and_then(Vni::new).ok_or(format!("\"{}\" is no VNI", printable(word)))
}

fn group(word: &str) -> Result<SecurityGroup, String> {
    let group = word.parse().ok().and_then(SecurityGroup::new).filter(|group| !group.is_none());
    group.ok_or_else(|| format!("\"{}\" is no security group: write 1 to {}", printable(word), SecurityGroup::MAX))
}

fn class(word: &str) -> Result<TrafficClass, String> {
    let class = word.parse().ok().and_then(TrafficClass::new);
    class.ok_or_else(|| format!("\"{}\" is no traffic class: write 0 to 7", printable(word)))
}

/// A word as it can be repeated to whoever sent it.
fn printable(word: &str) -> String {
    word.chars().take(40).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(line: &str) -> Change {
        match parse(line).map(|request| request.what) {
            Ok(What::FdbChange(change)) => change,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn bridge_fdb_is_understood() {
        let change = changed("fdb add 02:00:00:00:00:01 dev tap0 dst fd00::2 port 8472 vni 77 self static");
        assert_eq!((change.verb, change.state), (Verb::Add, State::Static));
        assert_eq!((change.dst, change.port), (Some("fd00::2".parse().unwrap()), Some(8472)));
        assert_eq!(change.vni, Vni::new(77));
        assert_eq!(changed("fdb del 0:0:0:0:0:0 dev t dst 10.0.0.2").mac, MacAddr::ZERO);
        assert_eq!(changed("fdb replace 02:00:00:00:00:01 dst 10.0.0.2 extern_learn sticky").state, State::ExternLearn);
        assert!(changed("fdb add 02:00:00:00:00:01 blackhole").blackhole);
        let request = parse("fdb flush dev tap0 dst 10.0.0.2 dynamic static --json").unwrap();
        let What::FdbFlush(selection) = request.what else { panic!("a flush") };
        assert_eq!(selection.states, [State::Dynamic, State::Static]);
        assert!(request.json && !request.stats);
        assert_eq!(parse("link show -s").unwrap(), Request { what: What::LinkShow(None), json: false, stats: true });
        let label = changed("fdb replace 02:00:00:00:00:01 dst 10.0.0.2 group 12345 class 5").label;
        assert_eq!((label.group().get(), label.class().get()), (12_345, 5));
        assert_eq!(parse("policy show -s").unwrap(), Request { what: What::PolicyShow, json: false, stats: true });
        assert_eq!(parse("fdb").unwrap().what, What::FdbShow(Selection::default()));
        assert_eq!((parse("monitor").unwrap().what, parse("log").unwrap().what), (What::Monitor, What::Log));
    }

    #[test]
    fn nonsense_gets_a_sentence() {
        for (line, answer) in [
            ("", "write fdb show"),
            ("\u{1}\u{2}", "\\u{1}\\u{2}"),
            ("fdb show --frob", "unknown option --frob"),
            ("fdb show --\u{1b}[2J", "unknown option --\\u{1b}[2J:"),
            ("fdb fly", "show|add|append"),
            ("fdb add", "which MAC"),
            ("fdb add 02:00:00:00:00 dst 10.0.0.2", "is no MAC"),
            ("fdb add 02:00:00:00:00:01:02 dst 10.0.0.2", "is no MAC"),
            ("fdb add 02:00:00:00:00:01 dst", "nothing follows"),
            ("fdb add 02:00:00:00:00:01 dst ten", "no IP address"),
            ("fdb add 02:00:00:00:00:01 dst 10.0.0.2 port 0", "no UDP port"),
            ("fdb add 02:00:00:00:00:01 dst 10.0.0.2 vni 99999999", "no VNI"),
            ("fdb add 02:00:00:00:00:01 port 4789", "add dst"),
            ("fdb add 02:00:00:00:00:01 dst 10.0.0.2 master", "other devices"),
            ("fdb add 02:00:00:00:00:01 dst 10.0.0.2 sticky", "leave sticky out"),
            ("fdb append 02:00:00:00:00:01 dst 10.0.0.2", "replace"),
            ("fdb replace 00:00:00:00:00:00 dst 10.0.0.2", "append and del"),
            ("fdb append 00:00:00:00:00:00", "add dst"),
            ("fdb add 01:00:5e:00:00:01 dst 10.0.0.2 dynamic", "permanent entries only"),
            ("fdb flush tap0", "chosen with dev TAP"),
            ("link up", "link show"),
            ("fdb add 02:00:00:00:00:01 dst 10.0.0.2 group 0", "1 to 16777214"),
            ("fdb add 02:00:00:00:00:01 dst 10.0.0.2 class 8", "0 to 7"),
            ("fdb del 02:00:00:00:00:01 group 7", "a station's"),
            ("fdb append 00:00:00:00:00:00 dst 10.0.0.2 group 7", "a station's"),
            ("policy fly", "policy show"),
            ("quit", "fdb, link, policy, monitor or log"),
        ] {
            let error = parse(line).err().unwrap_or_default();
            assert!(error.contains(answer), "{line}: {error}");
        }
        let long = "x".repeat(9999);
        assert!(parse(&long).is_err_and(|error| error.len() < 200));
    }
}
