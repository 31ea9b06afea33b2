//! The attack table of `docs/security.md`: every attack of `examples/attacks`, played again.

use std::sync::OnceLock;

use crate::arena::Outcome;
use crate::scenarios::{self, Scenario};
use crate::table;

/// Every row with what came of it, played once for all tests.
fn played_all() -> &'static [(Scenario, Outcome)] {
    static PLAYED: OnceLock<Vec<(Scenario, Outcome)>> = OnceLock::new();
    let play = |scenario: Scenario| {
        let outcome = scenario.play(|| 0).outcome;
        (scenario, outcome)
    };
    PLAYED.get_or_init(|| scenarios::all().into_iter().map(play).collect())
}

fn played(attack: &str, defence: &str) -> Outcome {
    let row = played_all().iter().find(|(s, _)| (s.attack, s.defence) == (attack, defence));
    row.expect("a row of the table").1
}

/// All cells but the last, which is about time, are as the document says. The example prints the rows anew.
#[test]
fn the_document_tells_what_is_measured() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/security.md");
    let document = std::fs::read_to_string(path).expect("docs/security.md");
    assert!(document.contains(table::HEAD), "docs/security.md lacks\n{}", table::HEAD);
    let rows = played_all().iter().map(|(scenario, outcome)| table::row(scenario, outcome, None));
    let missing: Vec<String> = rows.filter(|row| !document.contains(row)).collect();
    assert!(missing.is_empty(), "docs/security.md lacks\n{}", missing.join("\n"));
}

#[test]
fn the_other_tenant_never_notices() {
    for (scenario, outcome) in played_all() {
        assert_eq!((outcome.suffered[1], outcome.lost[1]), (0, 0), "{}, {}", scenario.attack, scenario.defence);
    }
}

#[test]
fn under_a_mac_flood_no_bystander_loses_an_entry() {
    let floods = ["MAC flood from one tunnel", "MAC flood from one port"];
    let rows: Vec<_> = played_all().iter().filter(|(row, _)| floods.contains(&row.attack)).collect();
    assert_eq!(rows.len(), 6);
    for (scenario, Outcome { sent, direct, lost, attacks, .. }) in rows {
        assert_eq!((*lost, direct, *attacks), ([0, 0], sent, 20_000), "{}", scenario.defence);
        assert!(*sent >= 4_000);
    }
    for defence in ["2 MACs an unconfigured endpoint", "admission: flood list"] {
        let Outcome { sent, direct, lost, .. } = played("MAC flood from 251 forged hosts", defence);
        assert_eq!((lost, direct), ([0, 0], sent), "{defence}");
    }
    // What the defences are for: without one, forged hosts are owners of their own.
    assert!(played("MAC flood from 251 forged hosts", "eviction (default)").lost[0] > 0);
}

#[test]
fn chosen_collisions_take_no_entry_and_no_service() {
    for (attack, defence) in
        [("chosen collisions, seed unknown", "secret seed"), ("chosen collisions, seed known", "bounded search")]
    {
        let Outcome { sent, direct, lost, .. } = played(attack, defence);
        assert_eq!((lost, direct), ([0, 0], sent), "{attack}");
    }
}

#[test]
fn duplicate_detection_ends_what_poisoning_would_go_on_with() {
    let attack = "poisoning from a member";
    let [none, detection, pinned] =
        ["none (default)", "duplicate detection", "static entries"].map(|defence| played(attack, defence));
    assert!(detection.lost[0] * 3 < none.lost[0], "{detection:?} {none:?}");
    assert!(detection.delivered() > none.delivered() && detection.suffered[0] * 2 < none.suffered[0]);
    assert_eq!((pinned.lost, pinned.direct, pinned.suffered), ([0, 0], pinned.sent, [0, 0]));
}

#[test]
fn storm_control_lets_through_its_burst_and_its_rate() {
    for attack in ["broadcast storm", "unknown-unicast storm"] {
        // Twenty seconds at 50 a second, and a burst of 100.
        assert_eq!(played(attack, "storm control 50/s").suffered, [1_099, 0], "{attack}");
        assert_eq!(played(attack, "none (default)").suffered, [20_000, 0], "{attack}");
    }
}

#[test]
fn events_that_nobody_reads_are_counted_and_cost_nothing_else() {
    let deaf = played("event queue overflow", "losses counted");
    let read = played("MAC flood from one port", "eviction (default)");
    assert!(deaf.events_lost > 20_000, "{deaf:?}");
    assert_eq!(Outcome { events_lost: 0, ..deaf }, read);
}
