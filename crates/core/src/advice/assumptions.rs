//! What the comparison of the ways is computed from: one table of figures, each with its unit, its
//! meaning, its published value, and where the value in use comes from.
//!
//! The published figures are those that are usually quoted for a fleet of 100 machines: 45 minutes
//! a node by hand and 5 managed, errors on 18% and 2% of the nodes, 54,000 and 12,000 dollars a
//! year. From them follow the other figures that are marked so: 100 nodes × 45 minutes × 12 changes
//! are 900 hours, which cost 54,000 dollars at 60 an hour; managed they are 100 hours, 6,000
//! dollars, and the other 6,000 are what the service itself costs. In this sum the failures are
//! counted but cost nothing; `repair_minutes` is there to change that.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Measured, Way};

/// A figure of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key {
    /// Its name, like `by_hand.minutes_per_node`.
    pub name: &'static str,
    /// What it is counted in.
    pub unit: Unit,
    /// Its value until somebody knows better.
    pub value: f64,
    /// Where that value comes from.
    pub source: Source,
    /// What it means.
    pub meaning: &'static str,
}

/// What a figure is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Times a year.
    PerYear,
    /// Minutes of a person's work.
    Minutes,
    /// US dollars.
    Dollars,
    /// A part of a whole, from 0 to 1.
    Share,
    /// Machines.
    Nodes,
}

/// Where the value of a figure comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Source {
    /// It is one of the figures that are usually quoted.
    Published,
    /// It is what the published figures add up with.
    Derived,
    /// Nobody published one; it is our estimate.
    Estimated,
    /// It was given for this comparison.
    Edited,
    /// It was seen in this fleet.
    Measured {
        /// On so many devices.
        devices: u64,
    },
}

/// A figure with its value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// Its value, in the unit of its key.
    pub value: f64,
    /// Where the value comes from.
    pub source: Source,
}

/// All figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Assumptions([Figure; KEYS.len()]);

/// A figure can't be set so.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum InvalidFigure {
    /// There is none of this name.
    #[error("there is no figure `{0}`")]
    Unknown(String),
    /// The value is no number, or not one for this figure.
    #[error("`{value}` is no value for `{name}` (expected {expected})")]
    Value {
        /// The figure.
        name: &'static str,
        /// What was given.
        value: String,
        /// What would do.
        expected: &'static str,
    },
}

/// Every figure, in the order in which people read them.
pub const KEYS: [Key; 19] = {
    use Source::{Derived, Estimated, Published};
    use Unit::{Dollars, Minutes, Nodes, PerYear, Share};
    const fn key(
        name: &'static str,
        unit: Unit,
        value: f64,
        source: Source,
        meaning: &'static str,
    ) -> Key {
        Key { name, unit, value, source, meaning }
    }
    [
        key(
            "changes_per_year",
            PerYear,
            12.0,
            Derived,
            "How often every node gets another version",
        ),
        key("dollars_per_hour", Dollars, 60.0, Derived, "What an hour of work costs"),
        key(
            "repair_minutes",
            Minutes,
            0.0,
            Derived,
            "Work to repair a node on which a change failed",
        ),
        key(
            "by_hand.max_nodes",
            Nodes,
            5.0,
            Estimated,
            "The largest fleet of which one person keeps the overview",
        ),
        key(
            "by_hand.minutes_per_node",
            Minutes,
            45.0,
            Published,
            "Work for one change of one node",
        ),
        key(
            "by_hand.minutes_per_change",
            Minutes,
            0.0,
            Derived,
            "Work for one change, however many nodes there are",
        ),
        key(
            "by_hand.minutes_per_year",
            Minutes,
            0.0,
            Derived,
            "Work in a year, however many changes there are",
        ),
        key(
            "by_hand.dollars_per_year",
            Dollars,
            0.0,
            Derived,
            "What it costs in a year beside work",
        ),
        key(
            "by_hand.error_rate",
            Share,
            0.18,
            Published,
            "Part of the nodes on which a change fails",
        ),
        key("script.minutes_per_node", Minutes, 15.0, Estimated, "Work for one change of one node"),
        key(
            "script.minutes_per_change",
            Minutes,
            120.0,
            Estimated,
            "Adapting the script, and going after those that were off",
        ),
        key(
            "script.minutes_per_year",
            Minutes,
            360.0,
            Estimated,
            "Writing the script and trying it",
        ),
        key(
            "script.dollars_per_year",
            Dollars,
            0.0,
            Estimated,
            "What it costs in a year beside work",
        ),
        key(
            "script.error_rate",
            Share,
            0.1,
            Estimated,
            "Part of the nodes on which a change fails",
        ),
        key("managed.minutes_per_node", Minutes, 5.0, Published, "Work for one change of one node"),
        key(
            "managed.minutes_per_change",
            Minutes,
            0.0,
            Derived,
            "Work for one change, however many nodes there are",
        ),
        key(
            "managed.minutes_per_year",
            Minutes,
            0.0,
            Derived,
            "Work in a year, however many changes there are",
        ),
        key(
            "managed.dollars_per_year",
            Dollars,
            6000.0,
            Derived,
            "The server, and who looks after it",
        ),
        key(
            "managed.error_rate",
            Share,
            0.02,
            Published,
            "Part of the nodes on which a change fails",
        ),
    ]
};

/// The value of a figure before anybody edits or measures it.
///
/// # Panics
///
/// If there is none of this name.
pub(crate) fn published(name: &str) -> f64 {
    Assumptions::default().value(name)
}

impl Default for Assumptions {
    /// Those that are published, or go with them.
    fn default() -> Self {
        Self(KEYS.map(|key| Figure { value: key.value, source: key.source }))
    }
}

impl Assumptions {
    /// Every key with its figure.
    pub fn figures(&self) -> impl Iterator<Item = (&'static Key, Figure)> {
        KEYS.iter().zip(self.0)
    }

    /// The value of a figure that every fleet has, like `changes_per_year`.
    pub(super) fn value(&self, name: &str) -> f64 {
        let found = self.figures().find(|(key, _)| key.name == name);
        found.expect("the table has every figure that is asked for").1.value
    }

    /// The value of a figure of one way, like `minutes_per_node`.
    pub(super) fn value_of(&self, way: Way, name: &str) -> f64 {
        self.value(&format!("{}.{name}", way.as_str()))
    }

    /// Sets a figure by its name, from text like `45` or, for a part of a whole, `18%`.
    ///
    /// # Errors
    ///
    /// [`InvalidFigure`] if there is none of this name, or the text is no value for it.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), InvalidFigure> {
        let place = KEYS.iter().position(|key| key.name == name);
        let place = place.ok_or_else(|| InvalidFigure::Unknown(name.to_owned()))?;
        let key = &KEYS[place];
        let value = key.unit.parse(text).ok_or_else(|| InvalidFigure::Value {
            name: key.name,
            value: text.to_owned(),
            expected: key.unit.expected(),
        })?;
        self.0[place] = Figure { value, source: Source::Edited };
        Ok(())
    }

    /// Puts what was seen in this fleet in the place of figures that nobody edited.
    pub fn measure(&mut self, measured: &Measured) {
        let minutes = measured.median.map(|median| median.as_secs_f64() / 60.0);
        let share =
            (measured.devices > 0).then(|| measured.failures as f64 / measured.devices as f64);
        for (name, value, devices) in [
            ("managed.minutes_per_node", minutes, measured.timed),
            ("managed.error_rate", share, measured.devices),
        ] {
            let place = KEYS.iter().position(|key| key.name == name);
            let figure = &mut self.0[place.expect("the table has what can be measured")];
            if let Some(value) = value
                && figure.source != Source::Edited
            {
                *figure = Figure { value, source: Source::Measured { devices } };
            }
        }
    }

    /// As a file in TOML, each figure with its meaning. Those that nobody edited are comments: so
    /// they stay free to be measured.
    pub fn to_toml(&self) -> String {
        let mut text = String::from(
            "# What `gofleet advise --assumptions FILE` computes with. Take away the `#` before a \
             figure to set it.\n",
        );
        let mut table = "";
        for (key, figure) in self.figures() {
            let (of, name) = key.name.split_once('.').unwrap_or(("", key.name));
            if of != table {
                text.push_str(&format!("\n[{of}]\n"));
                table = of;
            }
            let mark = if figure.source == Source::Edited { "" } else { "#" };
            text.push_str(&format!(
                "# {} ({}; {})\n{mark}{name} = {:?}\n",
                key.meaning, key.unit, figure.source, figure.value
            ));
        }
        text
    }
}

impl Unit {
    /// The number that a text means, if it is one for this unit.
    fn parse(self, text: &str) -> Option<f64> {
        let text = text.trim();
        let value: f64 = match (self, text.strip_suffix('%')) {
            (Self::Share, Some(percent)) => percent.trim().parse::<f64>().ok()? / 100.0,
            _ => text.parse().ok()?,
        };
        let most = if self == Self::Share { 1.0 } else { 1e9 };
        (0.0..=most).contains(&value).then_some(value)
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::Share => "a part of a whole, like 0.18 or 18%",
            Self::PerYear | Self::Minutes | Self::Dollars | Self::Nodes => {
                "a number from 0 to 1000000000"
            }
        }
    }

    /// A value with its unit, for people.
    pub fn show(self, value: f64) -> String {
        let value = if self == Self::Share { value * 100.0 } else { value };
        // At most two places, and none that say nothing.
        let number = format!("{value:.2}");
        let number = number.trim_end_matches('0').trim_end_matches('.');
        match self {
            Self::PerYear => format!("{number} a year"),
            Self::Minutes => format!("{number} min"),
            Self::Dollars => format!("${number}"),
            Self::Share => format!("{number}%"),
            Self::Nodes => format!("{number} nodes"),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::PerYear => "times a year",
            Self::Minutes => "minutes of work",
            Self::Dollars => "US dollars",
            Self::Share => "a part of a whole",
            Self::Nodes => "machines",
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Published => formatter.pad("published"),
            Self::Derived => formatter.pad("follows from the published"),
            Self::Estimated => formatter.pad("estimated"),
            Self::Edited => formatter.pad("edited"),
            Self::Measured { devices: 1 } => formatter.pad("measured on 1 device"),
            Self::Measured { devices } => formatter.pad(&format!("measured on {devices} devices")),
        }
    }
}
