//! The advice as text.

use gofleet_core::advice::{Advice, Source, Way, grouped};

use super::Answer;
use crate::printer::{paint, style, table};

/// The comparison, the advice, what it was computed with, and what to type.
pub fn describe(answer: &Answer) -> String {
    let Answer { advice, assumptions, machines, scripts, version } = answer;
    let rows: Vec<_> = advice.costs.iter().map(|cost| row(advice, cost.way)).collect();
    let heading = ["A YEAR", "HOURS", "FAILURES", "DOLLARS", ""];
    let mut text = format!(
        "{}\n\n{}\n\n{} {}\n",
        paint(style::STRONG, size(advice)),
        table(&heading, &rows),
        paint(style::GOOD, format!("advised: {}:", advice.advised)),
        advice.reason,
    );
    text.push_str(&break_evens(advice));
    let figures: Vec<_> = assumptions
        .iter()
        .filter(|figure| figure.value != 0.0 || figure.source == Source::Edited)
        .map(|figure| {
            vec![
                figure.name.to_owned(),
                figure.unit.show(figure.value),
                figure.source.to_string(),
                figure.meaning.to_owned(),
            ]
        })
        .collect();
    text.push_str(&format!("\n{}\n", table(&["FIGURE", "VALUE", "IS", "MEANING"], &figures)));
    for machine in machines {
        let heading = format!("{} ({})", machine.name, machine.platform);
        text.push_str(&format!("\n{}\n", paint(style::STRONG, heading)));
        for command in &machine.commands {
            text.push_str(&format!("  {command}\n"));
        }
    }
    for script in scripts {
        text.push_str(&format!("\nwritten: {}", script.display()));
    }
    text.push_str(&next(advice, version.is_some(), !scripts.is_empty()));
    text
}

fn size(advice: &Advice) -> String {
    let nodes = if advice.nodes == 1 { "node" } else { "nodes" };
    format!("{} {nodes}, {} changes a year", advice.nodes, advice.changes_per_year)
}

fn row(advice: &Advice, way: Way) -> Vec<String> {
    let cost = advice.costs.iter().find(|cost| cost.way == way);
    let number = |value: Option<f64>| value.map(grouped).unwrap_or_default();
    vec![
        way.to_string(),
        number(cost.map(|cost| cost.hours)),
        number(cost.map(|cost| cost.failures)),
        number(cost.map(|cost| cost.dollars)),
        if way == advice.advised { "advised".to_owned() } else { String::new() },
    ]
}

/// From which sizes on the next way pays.
fn break_evens(advice: &Advice) -> String {
    let from = |what: &str, nodes: Option<u64>, than: &str| match nodes {
        Some(nodes) => format!("{what} costs less than {than} from {nodes} nodes on"),
        None => format!("{what} never costs less than {than}"),
    };
    format!(
        "{}; {}.\n",
        from("a script", advice.script_pays_from, "by hand"),
        from("managed", advice.managed_pays_from, "a script"),
    )
}

/// What to do next.
fn next(advice: &Advice, is_version_known: bool, are_scripts_written: bool) -> String {
    let next = match advice.advised {
        Way::ByHand if is_version_known => return String::new(),
        Way::ByHand => "name a version to see what to type: gofleet advise --nodes N VERSION",
        Way::Script if are_scripts_written => "try it first: upgrade-go.sh --dry-run, -WhatIf",
        Way::Script => "write it: gofleet advise VERSION --write-script DIR",
        Way::Managed => "begin with: gofleet server, gofleet release import, gofleet rollout plan",
    };
    format!("\n{} {next}", paint(style::HINT, "next:"))
}
