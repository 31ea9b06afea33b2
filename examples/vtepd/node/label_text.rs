//! Words for security groups, traffic classes and policies in a record. What a record does not say is off.

use vtep::engine::Command;
use vtep::table::{
    Action, BridgeConfig, BridgeId, ClassFrom, DiffServ, Enforce, Enforcement, GroupMatch, PortConfig, Rule,
    TrafficMap, TrafficMapId,
};
use vtep::wire::geneve::{Duplicates, OffloadRole, OptionId, Schema};
use vtep::wire::{Label, SecurityGroup, TrafficClass};

use super::text::{Fields, name, put_hex, read_hex};

const MODELS: &[(&str, DiffServ)] = &[("pipe", DiffServ::Pipe), ("uniform", DiffServ::Uniform)];
const SOURCES: &[(&str, ClassFrom)] = &[
    ("nothing", ClassFrom::Nothing),
    ("dscp", ClassFrom::Dscp),
    ("pcp", ClassFrom::Pcp),
    ("pcp-or-dscp", ClassFrom::PcpOrDscp),
];
const ACTIONS: &[(&str, Action)] = &[("allow", Action::Allow), ("deny", Action::Deny)];
const DUPLICATES: &[(&str, Duplicates)] =
    &[("reject", Duplicates::Reject), ("first", Duplicates::First), ("last", Duplicates::Last)];
const ROLES: &[(&str, OffloadRole)] = &[("endpoint", OffloadRole::Endpoint), ("offload", OffloadRole::Offload)];

/// ` label=GROUP/CLASS`, or nothing for no label.
pub fn label(label: Label) -> String {
    if label.is_none() { String::new() } else { format!(" label={}/{}", label.group(), label.class()) }
}

pub fn read_label(f: &Fields<'_>) -> Result<Label, String> {
    let Some(text) = f.word("label") else { return Ok(Label::NONE) };
    let wrong = || format!("\"{text}\" is no label");
    let (group, class) = text.split_once('/').ok_or_else(wrong)?;
    let class = class.parse().ok().and_then(TrafficClass::new).ok_or_else(wrong)?;
    Ok(Label::new(read_group(group)?, class))
}

fn read_group(text: &str) -> Result<SecurityGroup, String> {
    let group = text.parse().ok().and_then(SecurityGroup::new);
    group.ok_or_else(|| format!("\"{text}\" is no security group: 0 to {}", SecurityGroup::MAX))
}

/// ` group=N class=N`, each where there is one.
pub fn port(config: &PortConfig) -> String {
    let group = if config.group.is_none() { String::new() } else { format!(" group={}", config.group) };
    let class = config.class.map(|class| format!(" class={class}")).unwrap_or_default();
    group + &class
}

pub fn read_port(f: &Fields<'_>, config: PortConfig) -> Result<PortConfig, String> {
    let group = f.word("group").map(read_group).transpose()?.unwrap_or_default();
    let class = f.word("class").map(|text| {
        text.parse().ok().and_then(TrafficClass::new).ok_or_else(|| format!("\"{text}\" is no traffic class: 0 to 7"))
    });
    Ok(PortConfig { group, class: class.transpose()?, ..config })
}

/// ` options=1 policy=AT,DEFAULT,UNLABELLED,HOST traffic=N`, each where it is on.
pub fn bridge(config: &BridgeConfig) -> String {
    let mut text = String::new();
    if config.options {
        text += " options=1";
    }
    if let Some(Enforcement { at, default, unlabelled, host }) = config.policy {
        text += &format!(" policy={},{},{unlabelled},{host}", at.bits(), name(ACTIONS, default));
    }
    if let Some(TrafficMapId(id)) = config.traffic {
        text += &format!(" traffic={id}");
    }
    text
}

pub fn read_bridge(f: &Fields<'_>, config: BridgeConfig) -> Result<BridgeConfig, String> {
    let options = f.word("options").is_some_and(|text| text != "0");
    let policy = f.word("policy").map(|text| {
        let wrong = || format!("policy={text}");
        let words: Vec<&str> = text.split(',').collect();
        let [at, default, unlabelled, host] = words[..] else { return Err(wrong()) };
        let at = at.parse().ok().and_then(Enforce::from_bits).ok_or_else(wrong)?;
        let default = super::text::value(ACTIONS, default).ok_or_else(wrong)?;
        Ok(Enforcement { at, default, unlabelled: read_group(unlabelled)?, host: read_group(host)? })
    });
    let traffic = f.word("traffic").map(|text| text.parse().map(TrafficMapId).map_err(|_| format!("traffic={text}")));
    Ok(BridgeConfig { options, policy: policy.transpose()?, traffic: traffic.transpose()?, ..config })
}

/// ` schema=…`, or nothing for the default.
pub fn schema(schema: &Schema) -> String {
    if *schema == Schema::DEFAULT {
        return String::new();
    }
    let option = |id: Option<OptionId>| id.map_or_else(|| "-".to_owned(), |id| id.to_string());
    format!(
        " schema={},{},{},{},{},{},{}",
        option(schema.group),
        option(schema.class),
        name(DUPLICATES, schema.duplicates),
        schema.max_options,
        schema.max_len,
        u8::from(schema.check_critical_bit),
        name(ROLES, schema.role),
    )
}

pub fn read_schema(f: &Fields<'_>) -> Result<Schema, String> {
    let Some(text) = f.word("schema") else { return Ok(Schema::DEFAULT) };
    let wrong = || format!("schema={text}");
    let words: Vec<&str> = text.split(',').collect();
    let [group, class, duplicates, max_options, max_len, check, role] = words[..] else { return Err(wrong()) };
    let option = |text| if text == "-" { Ok(None) } else { option_id(text).map(Some) };
    Ok(Schema {
        group: option(group)?,
        class: option(class)?,
        duplicates: super::text::value(DUPLICATES, duplicates).ok_or_else(wrong)?,
        max_options: max_options.parse().map_err(|_| wrong())?,
        max_len: max_len.parse().map_err(|_| wrong())?,
        check_critical_bit: check != "0",
        role: super::text::value(ROLES, role).ok_or_else(wrong)?,
    })
}

/// Reads `CLASS:TYPE`, each decimal or, behind `0x`, hexadecimal.
pub fn option_id(text: &str) -> Result<OptionId, String> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    let parts = text.split_once(':').and_then(|(class, kind)| Some((number(class)?, number(kind)?)));
    let (class, kind) =
        parts.ok_or_else(|| format!("\"{text}\" is no option: write CLASS:TYPE, such as 0xff00:0x80"))?;
    let kind = u8::try_from(kind).map_err(|_| format!("\"{text}\": an option's type has 8 bits"))?;
    Ok(OptionId::new(class, kind))
}

/// Commands on rules and traffic maps; `None` for others.
pub fn command(command: &Command) -> Option<String> {
    let group = |group: &GroupMatch| match group {
        GroupMatch::Any => "any".to_owned(),
        GroupMatch::Is(group) => group.to_string(),
    };
    Some(match command {
        Command::SetRule { rule: Rule { bridge, from, to, action } } => {
            let (from, to, action) = (group(from), group(to), name(ACTIONS, *action));
            format!("set-rule bridge={} from={from} to={to} action={action}", bridge.0)
        }
        Command::RemoveRule { bridge, from, to } => {
            format!("remove-rule bridge={} from={} to={}", bridge.0, group(from), group(to))
        }
        Command::SetTrafficMap { id, map } => {
            let mut hex = Vec::new();
            put_hex(&mut hex, &map.dscp);
            put_hex(&mut hex, &map.pcp);
            put_hex(&mut hex, &map.class_of_dscp.map(TrafficClass::get));
            put_hex(&mut hex, &map.class_of_pcp.map(TrafficClass::get));
            let (model, from) = (name(MODELS, map.model), name(SOURCES, map.from));
            let (pcp, dscp) = (u8::from(map.write_pcp), u8::from(map.write_dscp));
            let hex = String::from_utf8(hex).ok()?;
            format!("set-traffic-map id={} model={model} from={from} pcp={pcp} dscp={dscp} maps={hex}", id.0)
        }
        _ => return None,
    })
}

/// The reverse; `None` for other words.
pub fn read_command(word: &str, f: &Fields<'_>) -> Option<Result<Command, String>> {
    Some(match word {
        "set-rule" => read_rule(f).map(|rule| Command::SetRule { rule }),
        "remove-rule" => read_groups(f).map(|(bridge, from, to)| Command::RemoveRule { bridge, from, to }),
        "set-traffic-map" => read_traffic_map(f),
        _ => return None,
    })
}

fn read_groups(f: &Fields<'_>) -> Result<(BridgeId, GroupMatch, GroupMatch), String> {
    Ok((f.get("bridge").map(BridgeId)?, group_match(f.text("from")?)?, group_match(f.text("to")?)?))
}

fn read_rule(f: &Fields<'_>) -> Result<Rule, String> {
    let (bridge, from, to) = read_groups(f)?;
    Ok(Rule { bridge, from, to, action: f.named("action", ACTIONS)? })
}

/// Reads `any` or a group's number.
pub fn group_match(text: &str) -> Result<GroupMatch, String> {
    if text == "any" { Ok(GroupMatch::Any) } else { read_group(text).map(GroupMatch::Is) }
}

fn read_traffic_map(f: &Fields<'_>) -> Result<Command, String> {
    let bytes = read_hex(f.text("maps")?)?;
    let class = |bytes: &[u8]| bytes.iter().map(|n| TrafficClass::new(*n)).collect::<Option<Vec<_>>>();
    let maps = bytes.split_at_checked(8).and_then(|(dscp, rest)| {
        let (pcp, rest) = rest.split_at_checked(8)?;
        let (of_dscp, of_pcp) = rest.split_at_checked(64)?;
        let dscp = dscp.try_into().ok()?;
        Some((dscp, pcp.try_into().ok()?, class(of_dscp)?.try_into().ok()?, class(of_pcp)?.try_into().ok()?))
    });
    let (dscp, pcp, class_of_dscp, class_of_pcp) = maps.ok_or("maps= has not the right length")?;
    let map = TrafficMap {
        model: f.named("model", MODELS)?,
        from: f.named("from", SOURCES)?,
        write_pcp: f.flag("pcp")?,
        write_dscp: f.flag("dscp")?,
        dscp,
        pcp,
        class_of_dscp,
        class_of_pcp,
    };
    Ok(Command::SetTrafficMap { id: TrafficMapId(f.get("id")?), map })
}
