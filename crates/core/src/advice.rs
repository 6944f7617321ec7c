//! By hand, by a script, or by a managed rollout: what each would take over a year, and which of
//! them is advised.
//!
//! With `n` nodes and `c` changes a year, and the [`Assumptions`] of a way:
//!
//! - hours of work = (c × (n × `minutes_per_node` + `minutes_per_change`) + `minutes_per_year` +
//!   failures × `repair_minutes`) ÷ 60
//! - failures = c × n × `error_rate`
//! - dollars = hours × `dollars_per_hour` + `dollars_per_year`
//!
//! The way that costs least is advised, of two that cost the same the simpler one. By hand is only
//! considered up to `by_hand.max_nodes`: whatever it costs, nobody keeps the overview of more.

mod assumptions;
pub mod instructions;
mod measure;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use assumptions::published;
pub use assumptions::{Assumptions, Figure, InvalidFigure, KEYS, Key, Source, Unit};
pub use measure::{Measured, Outcome, measure};

/// A way to keep the Go of a fleet current, the simplest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// A person types the same commands on each machine.
    ByHand,
    /// A person runs a script on each machine.
    Script,
    /// A server orders, agents obey, gates decide.
    Managed,
}

impl Way {
    /// Every way, the simplest first.
    pub const ALL: [Self; 3] = [Self::ByHand, Self::Script, Self::Managed];

    /// As text, like in the names of the assumptions.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ByHand => "by_hand",
            Self::Script => "script",
            Self::Managed => "managed",
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::ByHand => "by hand",
            Self::Script => "by a script",
            Self::Managed => "by managed rollouts",
        })
    }
}

/// What one way takes over a year.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// The way.
    pub way: Way,
    /// Hours of a person's work, repairs included.
    pub hours: f64,
    /// How often a change is expected to fail on a node.
    pub failures: f64,
    /// US dollars.
    pub dollars: f64,
}

/// What each way takes over a year, and which one is advised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// Machines.
    pub nodes: u64,
    /// How often each of them gets another version, in a year.
    pub changes_per_year: f64,
    /// The ways, the simplest first.
    pub costs: [Cost; 3],
    /// The one that is advised.
    pub advised: Way,
    /// Why, in one sentence.
    pub reason: String,
    /// From so many nodes on a script costs less than doing it by hand; none if never.
    pub script_pays_from: Option<u64>,
    /// From so many nodes on managed rollouts cost less than a script; none if never.
    pub managed_pays_from: Option<u64>,
}

/// Compares the ways for a fleet of so many nodes.
pub fn advise(nodes: u64, assumptions: &Assumptions) -> Advice {
    let costs = Way::ALL.map(|way| cost(way, nodes, assumptions));
    let is_overseen = nodes as f64 <= assumptions.value("by_hand.max_nodes");
    let considered = costs.iter().filter(|cost| cost.way != Way::ByHand || is_overseen);
    // Of equals, `min_by` takes the first, which is the simplest.
    let advised = considered.min_by(|one, other| one.dollars.total_cmp(&other.dollars));
    let advised = advised.expect("two ways are always considered").way;
    let script_pays_from = pays_from(Way::ByHand, Way::Script, assumptions);
    let managed_pays_from = pays_from(Way::Script, Way::Managed, assumptions);
    Advice {
        nodes,
        changes_per_year: assumptions.value("changes_per_year"),
        reason: reason(advised, nodes, &costs, is_overseen),
        costs,
        advised,
        script_pays_from,
        managed_pays_from,
    }
}

/// What a way takes over a year.
pub fn cost(way: Way, nodes: u64, assumptions: &Assumptions) -> Cost {
    let of = |name: &str| assumptions.value_of(way, name);
    let (nodes, changes) = (nodes as f64, assumptions.value("changes_per_year"));
    let failures = changes * nodes * of("error_rate");
    let minutes = changes * (nodes * of("minutes_per_node") + of("minutes_per_change"))
        + of("minutes_per_year")
        + failures * assumptions.value("repair_minutes");
    let hours = minutes / 60.0;
    let dollars = hours * assumptions.value("dollars_per_hour") + of("dollars_per_year");
    Cost { way, hours, failures, dollars }
}

/// The smallest number of nodes from which on `other` costs less than `one`. What a way costs is a
/// straight line over the nodes, so there is at most one such number, or none.
fn pays_from(one: Way, other: Way, assumptions: &Assumptions) -> Option<u64> {
    let dollars = |way, nodes| cost(way, nodes, assumptions).dollars;
    let fixed = dollars(other, 0) - dollars(one, 0);
    let saved_per_node =
        (dollars(one, 1) - dollars(one, 0)) - (dollars(other, 1) - dollars(other, 0));
    if saved_per_node <= 0.0 {
        return None;
    }
    // The division may be off by the last digit: the exact comparison decides.
    let about = (fixed / saved_per_node).max(0.0) as u64;
    (about.saturating_sub(1)..=about + 2)
        .find(|nodes| *nodes > 0 && dollars(other, *nodes) < dollars(one, *nodes))
}

/// Why a way is advised, in one sentence.
fn reason(advised: Way, nodes: u64, costs: &[Cost; 3], is_overseen: bool) -> String {
    let sum = |cost: &Cost| format!("${} {}", grouped(cost.dollars), cost.way);
    let (own, others): (Vec<_>, Vec<_>) = costs.iter().partition(|cost| cost.way == advised);
    let own: Vec<_> = own.into_iter().map(sum).collect();
    let others: Vec<_> = others.into_iter().map(sum).collect();
    let nodes =
        if nodes == 1 { "1 node".to_owned() } else { format!("{} nodes", grouped(nodes as f64)) };
    let overview =
        if is_overseen { "" } else { ", and they are too many to keep the overview by hand" };
    format!("a year of {nodes} costs {}, against {}{overview}", own.concat(), others.join(" and "))
}

/// A number for people: one place below a hundred, none above, and commas between thousands.
pub fn grouped(value: f64) -> String {
    let is_whole = value.abs() >= 100.0 || value.fract() == 0.0;
    let text = if is_whole { format!("{value:.0}") } else { format!("{value:.1}") };
    let (digits, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + rest
}

#[cfg(test)]
mod tests;
