//! What protects a VNI from its own stations, as the command line says it.

use clap::Args;
use vtep::engine::Command;
use vtep::table::{BridgeId, DuplicateAction, DuplicateDetection, Duration, Rate, StormControl};

#[derive(Args, Clone, Debug, Default)]
pub struct GuardArgs {
    /// Most MACs learned behind one TAP device
    #[arg(long, value_name = "N", value_parser = most)]
    pub port_maxaddress: Option<u32>,
    /// Most MACs learned behind one VTEP
    #[arg(long, value_name = "N", value_parser = most)]
    pub endpoint_maxaddress: Option<u32>,
    /// Most frames of a kind (broadcast, unknown unicast, multicast) that one VNI floods: a second on average, and at once
    #[arg(long, value_name = "RATE[/BURST]", value_parser = rate)]
    pub storm_control: Option<Rate>,
    /// Report a MAC that moves so often in so many seconds (RFC 7432 section 15.1: 5/180)
    #[arg(long, value_name = "MOVES/SECONDS", value_parser = moves)]
    pub dup_addr_detection: Option<(u16, Duration)>,
    /// Hold such a MAC where it is: for seconds, or permanent, which `fdb replace` or `fdb del` of it ends
    #[arg(long, value_name = "SECONDS", value_parser = freeze, requires = "dup_addr_detection")]
    pub dup_addr_freeze: Option<Freeze>,
}

/// How long a duplicate stays where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freeze {
    Permanent,
    For(Duration),
}

impl GuardArgs {
    /// What the engine is told of one bridge.
    pub fn commands(&self, bridge: BridgeId) -> impl Iterator<Item = Command> {
        let storm =
            self.storm_control.map(|rate| Command::SetStormControl { bridge, config: StormControl::each(rate) });
        let duplicates = self.dup_addr_detection.map(|(max_moves, window)| {
            let (action, recover) = match self.dup_addr_freeze {
                // Each window has a warning of its own.
                None => (DuplicateAction::Alert, Some(window)),
                Some(Freeze::Permanent) => (DuplicateAction::Freeze, None),
                Some(Freeze::For(time)) => (DuplicateAction::Freeze, Some(time)),
            };
            let config = Some(DuplicateDetection { max_moves, window, action, recover });
            Command::SetDuplicateDetection { bridge, config }
        });
        storm.into_iter().chain(duplicates)
    }
}

fn most(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(0) => Err("with 0 nothing would be learned: leave it out for no limit, or write --nolearning".to_owned()),
        Ok(most) => Ok(most),
        Err(_) => Err("write a number of MACs".to_owned()),
    }
}

fn rate(text: &str) -> Result<Rate, String> {
    let (per_second, burst) = text.split_once('/').unwrap_or((text, text));
    match (per_second.parse(), burst.parse()) {
        (Ok(per_second), Ok(burst)) if per_second > 0 && burst > 0 => Ok(Rate { per_second, burst }),
        (Ok(_), Ok(_)) => {
            Err("with 0 nothing would be flooded, ARP neither: write a frame a second at least".to_owned())
        }
        _ => Err("write frames a second, and frames at once after a slash: 100 or 100/500".to_owned()),
    }
}

fn moves(text: &str) -> Result<(u16, Duration), String> {
    let wrong = || "write moves and seconds: 5/180".to_owned();
    let (moves, seconds) = text.split_once('/').ok_or_else(wrong)?;
    let moves = moves.parse().map_err(|_| wrong())?;
    let seconds: u32 = seconds.parse().map_err(|_| wrong())?;
    if !(1..=DuplicateDetection::MAX_MOVES).contains(&moves) || seconds == 0 {
        return Err(format!("1 to {} moves in a second at least: 5/180 is usual", DuplicateDetection::MAX_MOVES));
    }
    Ok((moves, Duration::from_secs(seconds.into())))
}

fn freeze(text: &str) -> Result<Freeze, String> {
    match (text, text.parse::<u32>()) {
        ("permanent", _) => Ok(Freeze::Permanent),
        (_, Ok(0)) => Err("leave --dup-addr-freeze out to be warned only, or write permanent".to_owned()),
        (_, Ok(seconds)) => Ok(Freeze::For(Duration::from_secs(seconds.into()))),
        (_, Err(_)) => Err("write a number of seconds, or permanent".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_commands() {
        let bridge = BridgeId(3);
        assert_eq!(GuardArgs::default().commands(bridge).count(), 0);
        let all = |dup_addr_freeze| GuardArgs {
            storm_control: Some(rate("100/500").unwrap()),
            dup_addr_detection: Some(moves("5/180").unwrap()),
            dup_addr_freeze,
            ..GuardArgs::default()
        };
        let config = StormControl::each(Rate { per_second: 100, burst: 500 });
        let commands: Vec<Command> = all(Some(Freeze::Permanent)).commands(bridge).collect();
        assert_eq!(commands[0], Command::SetStormControl { bridge, config });
        assert_eq!(commands[1], Command::SetDuplicateDetection { bridge, config: Some(DuplicateDetection::RFC) });
        let Some(Command::SetDuplicateDetection { config: Some(warned), .. }) = all(None).commands(bridge).nth(1)
        else {
            panic!("a warning");
        };
        assert_eq!((warned.action, warned.recover), (DuplicateAction::Alert, Some(Duration::from_secs(180))));
        assert_eq!(rate("7"), Ok(Rate::per_second(7)));
    }

    #[test]
    fn wrong_values_are_answered_with_right_ones() {
        for text in ["0", "0/5", "5/0"] {
            assert!(rate(text).unwrap_err().contains("a frame a second"), "{text}");
        }
        for text in ["", "x", "1/x", "-1", "1/2/3"] {
            assert!(rate(text).unwrap_err().contains("100/500"), "{text}");
        }
        for text in ["5", "5/", "/180", "0/180", "40000/180", "5/0", "x/y"] {
            assert!(moves(text).unwrap_err().contains("5/180"), "{text}");
        }
        assert_eq!(freeze("60"), Ok(Freeze::For(Duration::from_secs(60))));
        assert!(freeze("0").unwrap_err().contains("permanent") && freeze("never").unwrap_err().contains("permanent"));
        assert!(most("0").unwrap_err().contains("leave it out") && most("many").is_err());
    }
}
