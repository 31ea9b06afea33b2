//! Words for storm control and duplicate detection in a record.

use vtep::engine::Command;
use vtep::table::{BridgeId, DuplicateAction, DuplicateDetection, Duration, Rate, StormControl};

use super::text::{Fields, mac_address, name, opt};

const ACTIONS: &[(&str, DuplicateAction)] =
    &[("alert", DuplicateAction::Alert), ("freeze", DuplicateAction::Freeze), ("drop", DuplicateAction::Drop)];

/// `None` for what this daemon never does.
pub fn command(command: &Command) -> Option<String> {
    Some(match command {
        Command::SetStormControl { bridge, config } => {
            let [broadcast, unknown, multicast] =
                [config.broadcast, config.unknown_unicast, config.multicast].map(rate);
            format!("storm bridge={} broadcast={broadcast} unknown={unknown} multicast={multicast}", bridge.0)
        }
        Command::SetDuplicateDetection { bridge, config: None } => format!("duplicates bridge={} moves=-", bridge.0),
        Command::SetDuplicateDetection { bridge, config: Some(c) } => format!(
            "duplicates bridge={} moves={} window={} action={} recover={}",
            bridge.0,
            c.max_moves,
            c.window.as_millis(),
            name(ACTIONS, c.action),
            opt(c.recover.map(Duration::as_millis))
        ),
        Command::ClearDuplicate { bridge, mac } => format!("clear-duplicate bridge={} mac={}", bridge.0, opt(*mac)),
        _ => return None,
    })
}

pub fn read_command(word: &str, f: &Fields<'_>) -> Result<Command, String> {
    let bridge = || f.get("bridge").map(BridgeId);
    Ok(match word {
        "storm" => Command::SetStormControl {
            bridge: bridge()?,
            config: StormControl {
                broadcast: read_rate(f, "broadcast")?,
                unknown_unicast: read_rate(f, "unknown")?,
                multicast: read_rate(f, "multicast")?,
            },
        },
        "duplicates" => Command::SetDuplicateDetection {
            bridge: bridge()?,
            config: match f.opt("moves")? {
                None => None,
                Some(max_moves) => Some(DuplicateDetection {
                    max_moves,
                    window: Duration::from_millis(f.get("window")?),
                    action: f.named("action", ACTIONS)?,
                    recover: f.opt("recover")?.map(Duration::from_millis),
                }),
            },
        },
        "clear-duplicate" => {
            let mac = Some(f.text("mac")?).filter(|text| *text != "-").map(mac_address).transpose()?;
            Command::ClearDuplicate { bridge: bridge()?, mac }
        }
        _ => return Err(format!("\"{word}\" is no command")),
    })
}

fn rate(rate: Option<Rate>) -> String {
    rate.map_or_else(|| "-".to_owned(), |rate| format!("{},{}", rate.per_second, rate.burst))
}

fn read_rate(f: &Fields<'_>, key: &str) -> Result<Option<Rate>, String> {
    if f.text(key)? == "-" {
        return Ok(None);
    }
    let (per_second, burst) = f.pair(key)?;
    Ok(Some(Rate { per_second, burst }))
}
