//! Policy files: which security groups may exchange frames.
//!
//! ```text
//! # One word a line begins with: group, at, default, unlabelled, allow or deny.
//! group web 12345
//! group db 67890
//! at both
//! default deny
//! allow web db
//! deny db any
//! ```

use vtep::table::{Action, Enforce, Enforcement, GroupMatch};
use vtep::wire::SecurityGroup;

/// What a policy file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyFile {
    pub enforcement: Enforcement,
    pub rules: Vec<(GroupMatch, GroupMatch, Action)>,
    names: Vec<(String, SecurityGroup)>,
}

impl PolicyFile {
    /// Reads a file's text; an error says which line to change, and how.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut policy = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default();
            let words: Vec<&str> = line.split_whitespace().collect();
            policy.line(&words).map_err(|error| format!("line {number}: {error}"))?;
        }
        Ok(policy)
    }

    fn line(&mut self, words: &[&str]) -> Result<(), String> {
        match *words {
            [] => {}
            ["group", name, number] => self.names.push((name.to_owned(), group(number)?)),
            ["at", "egress"] => self.enforcement.at = Enforce::EGRESS,
            ["at", "ingress"] => self.enforcement.at = Enforce::INGRESS,
            ["at", "both"] => self.enforcement.at = Enforce::INGRESS | Enforce::EGRESS,
            ["default", action] => self.enforcement.default = read_action(action)?,
            ["unlabelled", "deny"] => self.enforcement.unlabelled = SecurityGroup::NONE,
            ["unlabelled", name] => self.enforcement.unlabelled = self.named(name)?,
            [action, from, to] => self.rules.push((self.matched(from)?, self.matched(to)?, read_action(action)?)),
            _ => {
                return Err("write group NAME NUMBER, at egress|ingress|both, default allow|deny, unlabelled \
                            deny|GROUP, allow FROM TO or deny FROM TO"
                    .to_owned());
            }
        }
        Ok(())
    }

    fn matched(&self, word: &str) -> Result<GroupMatch, String> {
        if word == "any" { Ok(GroupMatch::Any) } else { self.named(word).map(GroupMatch::Is) }
    }

    fn named(&self, word: &str) -> Result<SecurityGroup, String> {
        match self.names.iter().find(|(name, _)| name == word) {
            Some((_, group)) => Ok(*group),
            None => group(word).map_err(|error| format!("no line above says group {word} NUMBER, and {error}")),
        }
    }
}

fn read_action(word: &str) -> Result<Action, String> {
    match word {
        "allow" => Ok(Action::Allow),
        "deny" => Ok(Action::Deny),
        _ => Err(format!("\"{word}\" is neither allow nor deny")),
    }
}

/// Reads a group's number: 1 to 16777214.
pub fn group(text: &str) -> Result<SecurityGroup, String> {
    let group = text.parse().ok().and_then(SecurityGroup::new).filter(|group| !group.is_none());
    group.ok_or_else(|| format!("\"{text}\" is no security group: write 1 to {}", SecurityGroup::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_words() {
        let text = "# comment\ngroup web 12345\ngroup db 67890\n\nat both\nallow web db # both ways need a line each\n\
                    deny 7 any\nunlabelled web\n";
        let policy = PolicyFile::parse(text).unwrap();
        let is = |n| GroupMatch::Is(SecurityGroup::new(n).unwrap());
        let rules = [(is(12_345), is(67_890), Action::Allow), (is(7), GroupMatch::Any, Action::Deny)];
        assert_eq!(policy.rules, rules);
        assert_eq!(policy.enforcement.at, Enforce::INGRESS | Enforce::EGRESS);
        assert_eq!((policy.enforcement.default, policy.enforcement.unlabelled.get()), (Action::Deny, 12_345));
        assert_eq!(PolicyFile::parse("").unwrap().enforcement, Enforcement::DEFAULT);
    }

    #[test]
    fn wrong_lines_are_answered() {
        for (text, answer) in [
            ("\nallow web db", "line 2: no line above says group web NUMBER"),
            ("group web 0", "1 to 16777214"),
            ("permit 1 2", "\"permit\" is neither allow nor deny"),
            ("allow 1", "write group NAME NUMBER"),
            ("at nowhere", "write group NAME NUMBER"),
            ("default maybe", "neither allow nor deny"),
        ] {
            let error = PolicyFile::parse(text).unwrap_err();
            assert!(error.contains(answer), "{text}: {error}");
        }
    }
}
