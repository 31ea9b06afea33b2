//! `docs/conformance.md`: every clause of the RFCs, and the tests that hold it up.
//!
//! The clauses are data, in `clauses.txt`; the tests are found by their names: `x07_x09_…` stands for X7 and X9. A
//! clause that is the codec's or the step's must have a test or a reason. `VTEP_BLESS=1 cargo test --test conformance`
//! writes the document anew.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_core,
    clippy::string_slice,
    clippy::unwrap_used
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

const CLAUSES: &str = include_str!("clauses.txt");

/// Where the tests are, and the letter of their clauses.
const SOURCES: [(&str, char); 6] = [
    ("rfc7348.rs", 'X'),
    ("rfc8926.rs", 'G'),
    ("options.rs", 'G'),
    ("rfc6040.rs", 'E'),
    ("payloads.rs", 'E'),
    ("rfc6936.rs", 'Z'),
];

/// Who answers for a clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Codec,
    Step,
    DataPlane,
    Transit,
}

impl Scope {
    fn parse(text: &str) -> Vec<Self> {
        text.split(',')
            .map(|scope| match scope {
                "C" => Self::Codec,
                "V" => Self::Step,
                "D" => Self::DataPlane,
                "T" => Self::Transit,
                other => panic!("scope {other:?}"),
            })
            .collect()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Codec => "codec",
            Self::Step => "step",
            Self::DataPlane => "around us",
            Self::Transit => "transit",
        }
    }
}

#[derive(Debug)]
struct Clause {
    /// As in the document: `X7`.
    id: &'static str,
    section: &'static str,
    level: &'static str,
    scope: Vec<Scope>,
    text: &'static str,
    /// How profile `Linux` deviates, if it does.
    linux: &'static str,
    /// Why there is no test, or what one has to know besides.
    note: &'static str,
}

impl Clause {
    /// Whether the library can do something about it.
    fn is_ours(&self) -> bool {
        self.scope.iter().any(|scope| matches!(scope, Scope::Codec | Scope::Step))
    }

    fn waits(&self) -> bool {
        self.note.starts_with("Waits for ")
    }
}

/// A chapter of the document: one RFC.
struct Chapter {
    title: &'static str,
    clauses: Vec<Clause>,
}

fn chapters() -> Vec<Chapter> {
    let mut chapters: Vec<Chapter> = Vec::new();
    for line in CLAUSES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(title) = line.strip_prefix("= ") {
            chapters.push(Chapter { title, clauses: Vec::new() });
            continue;
        }
        let fields: Vec<&str> = line.split('|').map(str::trim).collect();
        let [id, section, level, scope, text, linux, note] = fields[..] else { panic!("seven fields: {line}") };
        let clause = Clause { id, section, level, scope: Scope::parse(scope), text, linux, note };
        chapters.last_mut().expect("a title first").clauses.push(clause);
    }
    chapters
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// The clauses that a test is named after: `g09_g10_…` is G9 and G10.
fn clauses_of(name: &str, letter: char) -> Vec<String> {
    let letter = letter.to_ascii_lowercase();
    let number = |part: &str| part.strip_prefix(letter).filter(|n| n.len() == 2).and_then(|n| n.parse::<u32>().ok());
    name.split('_').map_while(number).map(|n| format!("{}{n}", letter.to_ascii_uppercase())).collect()
}

/// Clause to tests, as (file, name), in the order of the sources.
fn tests() -> BTreeMap<String, Vec<(&'static str, String)>> {
    let mut tests = BTreeMap::new();
    for (file, letter) in SOURCES {
        let source = std::fs::read_to_string(root().join("tests").join(file)).expect(file);
        let mut attribute = false;
        for line in source.lines() {
            if let Some(rest) = line.strip_prefix("fn ") {
                let name = rest.split('(').next().unwrap_or_default();
                let clauses = clauses_of(name, letter);
                assert!(attribute || clauses.is_empty(), "{file}: {name} is no #[test]");
                for clause in clauses {
                    tests.entry(clause).or_insert_with(Vec::new).push((file, name.to_owned()));
                }
            }
            attribute = line == "#[test]";
        }
    }
    tests
}

#[test]
fn every_clause_that_is_ours_has_a_test_or_a_reason() {
    let tests = tests();
    let mut known = BTreeSet::new();
    let mut missing = Vec::new();
    for clause in chapters().iter().flat_map(|chapter| &chapter.clauses) {
        assert!(known.insert(clause.id), "{} twice", clause.id);
        assert!(!clause.text.is_empty() && !clause.section.is_empty(), "{}", clause.id);
        let tested = tests.contains_key(clause.id);
        if clause.is_ours() && !tested && !clause.waits() {
            missing.push(clause.id);
        }
        assert!(!(tested && clause.waits()), "{} has a test and an excuse", clause.id);
        assert!(clause.is_ours() || !clause.note.is_empty(), "{} is not ours: why?", clause.id);
    }
    assert!(missing.is_empty(), "neither tested nor excused: {missing:?}");
    let unknown: Vec<_> = tests.keys().filter(|id| !known.contains(id.as_str())).collect();
    assert!(unknown.is_empty(), "tests of clauses that are not listed: {unknown:?}");
}

#[test]
fn the_list_is_complete() {
    let chapters = chapters();
    for (letter, last) in [('X', 27), ('G', 62), ('E', 10), ('Z', 16)] {
        let ids: Vec<String> = chapters
            .iter()
            .flat_map(|chapter| &chapter.clauses)
            .filter(|clause| clause.id.starts_with(letter))
            .map(|clause| clause.id.to_owned())
            .collect();
        let expected: Vec<String> = (1..=last).map(|n| format!("{letter}{n}")).collect();
        assert_eq!(ids, expected);
    }
}

#[test]
fn the_document_is_up_to_date() {
    let path = root().join("docs").join("conformance.md");
    let expected = document();
    if std::env::var_os("VTEP_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("docs");
        std::fs::write(&path, expected).expect("docs/conformance.md");
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    let different = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    assert!(
        found == expected,
        "docs/conformance.md is out of date; VTEP_BLESS=1 cargo test --test conformance\nfirst difference: {different:#?}"
    );
}

const HEAD: &str = "\
# Conformance

Made from `tests/conformance/clauses.txt` and the names of the tests by `VTEP_BLESS=1 cargo test --test conformance`;
do not edit. `cargo test --test conformance` fails where this page is out of date, where a clause that is the library's
has neither a test nor a reason, and where a test names a clause that is not listed.

Every clause is listed, the library's or not. **Who** says where it can be kept: the *codec* (`wire`), the *step*
(`engine` with `table`), *around us* (whoever owns the sockets, the links and the configuration), or *transit* (routers
between endpoints, which this library is not). Requirements are in our own words; the RFC's stand in the section named.
**Linux** says where profile `Linux` deviates, because Linux does, and by which switch; profile `Rfc` never does. Tests
run in both profiles wherever the profile can matter, and `tests/profiles.rs` shows for each switch that it makes its own
difference and no other.
";

fn document() -> String {
    let tests = tests();
    let mut out = String::from(HEAD);
    out.push_str("\n| RFC | clauses | ours, tested | ours, waiting | not ours | tests |\n|---|---|---|---|---|---|\n");
    for chapter in chapters() {
        let count = |which: fn(&Clause) -> bool| chapter.clauses.iter().filter(|clause| which(clause)).count();
        let names: BTreeSet<&str> = chapter
            .clauses
            .iter()
            .filter_map(|clause| tests.get(clause.id))
            .flatten()
            .map(|(_, name)| name.as_str())
            .collect();
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            chapter.title,
            chapter.clauses.len(),
            count(Clause::is_ours) - count(Clause::waits),
            count(Clause::waits),
            count(|clause| !clause.is_ours()),
            names.len(),
        )
        .expect("a string");
    }
    for chapter in chapters() {
        let letter = chapter.clauses[0].id.chars().next().expect("an id");
        let files = SOURCES.iter().filter(|(_, l)| *l == letter);
        let files: Vec<String> = files.map(|(file, _)| format!("[`tests/{file}`](../tests/{file})")).collect();
        writeln!(out, "\n## {}\n\nTests: {}.\n", chapter.title, files.join(", ")).expect("a string");
        out.push_str(
            "| Clause | § | Level | Who | Requirement | Tests, or why there are none |\n|---|---|---|---|---|---|\n",
        );
        for clause in &chapter.clauses {
            out.push_str(&row(clause, tests.get(clause.id)));
        }
    }
    out
}

fn row(clause: &Clause, tests: Option<&Vec<(&'static str, String)>>) -> String {
    let who: Vec<&str> = clause.scope.iter().map(|scope| scope.name()).collect();
    let mut last: Vec<String> = Vec::new();
    if let Some(tests) = tests {
        let names: Vec<String> = tests.iter().map(|(_, name)| format!("`{name}`")).collect();
        last.push(names.join("<br>"));
    }
    if !clause.note.is_empty() {
        last.push(clause.note.to_owned());
    }
    if !clause.linux.is_empty() {
        last.push(format!("**Linux:** {}", clause.linux));
    }
    let last = last.join("<br>");
    format!(
        "| {} | {} | {} | {} | {} | {last} |\n",
        clause.id,
        clause.section,
        clause.level,
        who.join(", "),
        clause.text
    )
}
