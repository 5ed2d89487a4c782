//! What the letters of events stand for is the same in the program, on paper, and in what
//! stands in an export for who reads it without either.

use hms_sync_audit::KINDS;
use hms_sync_model::Kind;
use std::collections::BTreeMap;

/// Letters and names of the table of bodies in `docs/format.md`.
fn on_paper() -> BTreeMap<String, String> {
    let page = include_str!("../../../../docs/format.md");
    let (_, table) = page.split_once("| body | | fields |\n").unwrap();
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    cells.map(|cells| (cells[1].trim_matches('`').to_owned(), cells[2].to_owned())).collect()
}

#[test]
fn every_kind_of_event_is_in_the_legend_and_on_paper() {
    let paper = on_paper();
    let legend: BTreeMap<String, String> =
        KINDS.iter().map(|(letter, name)| ((*letter).to_owned(), (*name).to_owned())).collect();
    assert_eq!(legend.len(), KINDS.len(), "a letter stands for one kind");
    assert_eq!(legend, paper);
    let mut names: Vec<String> = Kind::ALL.iter().map(|kind| kind.as_str().replace('_', " ")).collect();
    names.sort();
    let mut shown: Vec<String> = legend.into_values().collect();
    shown.sort();
    assert_eq!(shown, names);
}
