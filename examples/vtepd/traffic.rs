//! Traffic classes, as the command line says them: where a frame's class comes from, and where it is written.

use clap::{Args, ValueEnum};
use vtep::engine::Command;
use vtep::table::{ClassFrom, DiffServ, TrafficMap, TrafficMapId};
use vtep::wire::TrafficClass;
use vtep::wire::geneve::OptionId;

/// The one map of this daemon.
pub const MAP: TrafficMapId = TrafficMapId(0);

#[derive(Args, Clone, Debug, Default)]
pub struct TrafficArgs {
    /// How inner and outer DSCP belong together (RFC 2983): pipe, unless given, keeps them apart; uniform makes them one
    #[arg(long, value_name = "pipe|uniform")]
    pub class_model: Option<ModelArg>,
    /// Where the class of a frame from a TAP device comes from; nothing unless given: marks of stations are not believed
    #[arg(long, value_name = "nothing|dscp|pcp|pcp-or-dscp")]
    pub class_from: Option<FromArg>,
    /// The traffic class, 0 to 7, of the stations behind a TAP device, whatever marks they set; repeatable
    #[arg(long, value_name = "TAP=CLASS", value_parser = class_of)]
    pub class_of: Vec<(String, TrafficClass)>,
    /// The DSCP of a class, 8 times the class unless given; any further ones are read as that class too; repeatable
    #[arg(long, value_name = "CLASS=DSCP[,DSCP...]", value_parser = class_dscp)]
    pub class_dscp: Vec<Marks>,
    /// The same for the priority of VLAN tags, which is the class unless given
    #[arg(long, value_name = "CLASS=PCP[,PCP...]", value_parser = class_pcp)]
    pub class_pcp: Vec<Marks>,
    /// What frames to TAP devices get of their class: their DSCP, the priority of their VLAN tag, or both
    #[arg(long, value_name = "dscp|pcp", value_delimiter = ',')]
    pub class_write: Vec<WriteArg>,
    /// The Geneve option of traffic classes: 0xff00:0x01 unless given
    #[arg(long, value_name = "CLASS:TYPE", value_parser = super::node::option_id)]
    pub class_option: Option<OptionId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModelArg {
    Pipe,
    Uniform,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FromArg {
    Nothing,
    Dscp,
    Pcp,
    PcpOrDscp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WriteArg {
    Dscp,
    Pcp,
}

/// The values of a field that stand for a class; the first one is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    pub class: TrafficClass,
    pub values: Vec<u8>,
}

impl TrafficArgs {
    /// Whether classes are asked for at all.
    pub fn is_on(&self) -> bool {
        self.class_model.is_some()
            || self.class_from.is_some()
            || self.class_option.is_some()
            || !self.class_of.is_empty()
            || !self.class_dscp.is_empty()
            || !self.class_pcp.is_empty()
            || !self.class_write.is_empty()
    }

    /// The class of a TAP device's stations.
    pub fn class_of(&self, tap: &str) -> Option<TrafficClass> {
        self.class_of.iter().find(|(name, _)| name == tap).map(|(_, class)| *class)
    }

    /// What the engine is told, where classes are asked for.
    pub fn command(&self) -> Option<Command> {
        self.is_on().then(|| Command::SetTrafficMap { id: MAP, map: self.map() })
    }

    fn map(&self) -> TrafficMap {
        let mut map = TrafficMap {
            model: match self.class_model {
                Some(ModelArg::Uniform) => DiffServ::Uniform,
                _ => DiffServ::Pipe,
            },
            from: match self.class_from {
                None | Some(FromArg::Nothing) => ClassFrom::Nothing,
                Some(FromArg::Dscp) => ClassFrom::Dscp,
                Some(FromArg::Pcp) => ClassFrom::Pcp,
                Some(FromArg::PcpOrDscp) => ClassFrom::PcpOrDscp,
            },
            write_dscp: self.class_write.contains(&WriteArg::Dscp),
            write_pcp: self.class_write.contains(&WriteArg::Pcp),
            ..TrafficMap::CLASS_SELECTORS
        };
        for Marks { class, values } in &self.class_dscp {
            map.dscp[usize::from(class.get())] = values[0];
            values.iter().for_each(|dscp| map.class_of_dscp[usize::from(*dscp)] = *class);
        }
        for Marks { class, values } in &self.class_pcp {
            map.pcp[usize::from(class.get())] = values[0];
            values.iter().for_each(|pcp| map.class_of_pcp[usize::from(*pcp)] = *class);
        }
        map
    }
}

fn class(text: &str) -> Result<TrafficClass, String> {
    let class = text.parse().ok().and_then(TrafficClass::new);
    class.ok_or_else(|| format!("\"{text}\" is no traffic class: write 0 to 7"))
}

fn class_of(text: &str) -> Result<(String, TrafficClass), String> {
    let (tap, number) = text.split_once('=').ok_or("write the TAP device and its class: --class-of tap0=5")?;
    Ok((super::args::device(tap)?, class(number)?))
}

fn class_dscp(text: &str) -> Result<Marks, String> {
    marks(text, 63, "--class-dscp 5=46 or --class-dscp 5=46,40")
}

fn class_pcp(text: &str) -> Result<Marks, String> {
    marks(text, 7, "--class-pcp 5=6")
}

fn marks(text: &str, most: u8, example: &str) -> Result<Marks, String> {
    let wrong = || format!("write a class and its values, 0 to {most}: {example}");
    let (number, values) = text.split_once('=').ok_or_else(wrong)?;
    let value = |text: &str| text.parse().ok().filter(|value| *value <= most).ok_or_else(wrong);
    Ok(Marks { class: class(number)?, values: values.split(',').map(value).collect::<Result<_, _>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_goes_into_the_map_and_the_rest_stays() {
        let class = |n| TrafficClass::new(n).unwrap();
        let args = TrafficArgs {
            class_model: Some(ModelArg::Uniform),
            class_from: Some(FromArg::PcpOrDscp),
            class_dscp: vec![class_dscp("5=46,44").unwrap(), class_dscp("0=10").unwrap()],
            class_pcp: vec![class_pcp("5=6").unwrap()],
            class_write: vec![WriteArg::Pcp],
            ..TrafficArgs::default()
        };
        let map = args.map();
        assert_eq!((map.model, map.from), (DiffServ::Uniform, ClassFrom::PcpOrDscp));
        assert_eq!((map.write_pcp, map.write_dscp), (true, false));
        assert_eq!((map.dscp(class(5)), map.dscp(class(0)), map.dscp(class(6))), (46, 10, 48));
        let of = |dscp| map.class_of_dscp(dscp).get();
        assert_eq!((of(46), of(44), of(10), of(40), of(0)), (5, 5, 0, 5, 0));
        assert_eq!((map.pcp(class(5)), map.class_of_pcp(6), map.class_of_pcp(5)), (6, class(5), class(5)));
        assert!(args.command().is_some() && TrafficArgs::default().command().is_none());
    }

    #[test]
    fn wrong_words_are_answered() {
        for (error, answer) in [
            (class_of("tap0").err(), "--class-of tap0=5"),
            (class_of("tap0=8").err(), "0 to 7"),
            (class_dscp("5").err(), "--class-dscp 5=46"),
            (class_dscp("5=64").err(), "0 to 63"),
            (class_dscp("5=46,").err(), "0 to 63"),
            (class_dscp("8=46").err(), "0 to 7"),
            (class_pcp("5=8").err(), "0 to 7: --class-pcp 5=6"),
        ] {
            let error = error.unwrap_or_default();
            assert!(error.contains(answer), "{error}");
        }
    }
}
