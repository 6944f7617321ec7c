//! What several pages show: the frame around each, badges, bars, links, lines of the timeline.
//! Fields are named for the templates, which stand beside them in `templates/`.

use gofleet_core::order::Step;

use super::assets::{ADDRESSES, Addresses};
use super::format;

/// Everything around a page's content.
pub(super) struct Shell {
    pub(super) assets: &'static Addresses,
    pub(super) title: String,
    pub(super) sections: Vec<SectionLink>,
    pub(super) version: &'static str,
    /// What a screen reader is told when it changes.
    pub(super) announce: String,
    pub(super) notice: Option<Notice>,
    /// Whether the page stays as it is, whatever happens on the server.
    pub(super) is_still: bool,
}

/// A word on what was refused.
pub(super) struct Notice {
    pub(super) title: String,
    pub(super) text: String,
}

/// The parts of the console, in the order of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Overview,
    Rollouts,
    Planner,
    Devices,
    Collections,
    Releases,
    Audit,
    Access,
}

/// A part of the console, in the navigation.
pub(super) struct SectionLink {
    pub(super) label: &'static str,
    pub(super) href: &'static str,
    pub(super) glyph: &'static str,
    pub(super) is_current: bool,
}

impl Shell {
    /// The frame of a page; `section` is none on pages that belong to no part.
    pub(super) fn new(title: &str, section: Option<Section>) -> Self {
        let link = |this, label, href, glyph| SectionLink {
            label,
            href,
            glyph,
            is_current: section == Some(this),
        };
        Self {
            assets: &ADDRESSES,
            title: title.to_owned(),
            sections: vec![
                link(Section::Overview, "Overview", "/", "g-overview"),
                link(Section::Rollouts, "Rollouts", "/rollouts", "g-rollouts"),
                link(Section::Planner, "Planner", "/planner", "g-planner"),
                link(Section::Devices, "Devices", "/devices", "g-devices"),
                link(Section::Collections, "Collections", "/collections", "g-collections"),
                link(Section::Releases, "Releases", "/releases", "g-releases"),
                link(Section::Audit, "Audit", "/audit", "g-audit"),
                link(Section::Access, "Access", "/access", "g-access"),
            ],
            version: env!("CARGO_PKG_VERSION"),
            announce: String::new(),
            notice: None,
            is_still: false,
        }
    }
}

/// Texts of the core as sentences: a capital first, a full stop last, and names that stand between
/// backticks, as in a terminal, between quotation marks.
pub(super) fn sentences(texts: &[&str]) -> String {
    let sentence = |text: &&str| {
        let mut letters = text.chars();
        let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
        let stop = if text.ends_with(['.', '!', '?', '…']) { "" } else { "." };
        format!("{first}{}{stop}", quoted(letters.as_str()))
    };
    let texts = texts.iter().filter(|text| !text.is_empty());
    texts.map(sentence).collect::<Vec<_>>().join(" ")
}

/// Quotation marks in place of backticks that come in pairs.
pub(super) fn quoted(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 4);
    for (at, part) in parts.iter().enumerate() {
        quoted.push_str(match (at, at % 2) {
            (0, _) => "",
            (_, 1) => "“",
            _ => "”",
        });
        quoted.push_str(part);
    }
    quoted
}

/// A state in one word, with a shape and a colour.
pub(super) struct Badge {
    pub(super) tone: &'static str,
    pub(super) glyph: &'static str,
    pub(super) label: String,
}

impl Badge {
    pub(super) fn new(tone: &'static str, glyph: &'static str, label: &str) -> Self {
        Self { tone, glyph, label: label.to_owned() }
    }
}

/// A link.
pub(super) struct Link {
    pub(super) label: String,
    pub(super) href: String,
}

/// A named value.
pub(super) struct Fact {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) is_code: bool,
}

impl Fact {
    pub(super) fn new(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: value.into(), is_code: false }
    }

    pub(super) fn code(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: value.into(), is_code: true }
    }
}

/// Parts of a whole, side by side.
pub(super) struct Bar {
    /// All of it in words.
    pub(super) label: String,
    pub(super) shares: Vec<Share>,
}

/// One part of a whole.
pub(super) struct Share {
    pub(super) label: String,
    /// The part's name in an address; empty where it has none.
    pub(super) query: String,
    pub(super) tone: String,
    pub(super) count: String,
    pub(super) percent: String,
    /// Where it begins, in thousandths of the whole.
    pub(super) from: String,
    pub(super) width: String,
}

/// One part before it is drawn: its label, its name in an address, its tone, its size.
pub(super) type Part = (String, String, String, u64);

impl Bar {
    /// Draws parts to scale. A part that is there can be seen: none is thinner than 4 of 1,000.
    pub(super) fn new(parts: Vec<Part>) -> Self {
        let parts: Vec<Part> = parts.into_iter().filter(|part| part.3 > 0).collect();
        let whole: u64 = parts.iter().map(|part| part.3).sum();
        let scale = |size: u64| (size as f64 * 1000.0 / whole as f64).max(4.0);
        let stretch = 1000.0 / parts.iter().map(|part| scale(part.3)).sum::<f64>();
        let mut from = 0.0;
        let mut shares = Vec::new();
        for (label, query, tone, size) in parts {
            let width = scale(size) * stretch;
            shares.push(Share {
                label,
                query,
                tone,
                count: format::count(size),
                percent: format::percent(size, whole),
                from: format!("{from:.1}"),
                width: format!("{width:.1}"),
            });
            from += width;
        }
        let words: Vec<String> =
            shares.iter().map(|share| format!("{}: {}", share.label, share.count)).collect();
        Self { label: words.join(", "), shares }
    }

    /// Devices by step, in an order that lets progress grow from the left.
    pub(super) fn of_steps(steps: impl Fn(Step) -> u64) -> Self {
        let part = |step: Step| (step.to_string(), String::new(), format!("s-{step}"), steps(step));
        Self::new(BAR_ORDER.into_iter().map(part).collect())
    }
}

/// Done first, then what is furthest on its way, then what is wrong, then what has not begun.
const BAR_ORDER: [Step; 13] = [
    Step::Accepted,
    Step::Soaking,
    Step::Verifying,
    Step::Activating,
    Step::Staged,
    Step::Fetching,
    Step::Offered,
    Step::Failed,
    Step::Quarantined,
    Step::Reverting,
    Step::Reverted,
    Step::Waiting,
    Step::Skipped,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sizes: &[u64], expect: &[&str]) {
        let parts =
            sizes.iter().map(|size| (size.to_string(), String::new(), String::new(), *size));
        let bar = Bar::new(parts.collect());
        let widths: Vec<&str> = bar.shares.iter().map(|share| share.width.as_str()).collect();
        assert_eq!(widths, expect, "{sizes:?}");
    }

    #[test]
    fn bars_are_to_scale_and_show_the_least() {
        check(&[], &[]);
        check(&[0, 0], &[]);
        check(&[3, 1], &["750.0", "250.0"]);
        check(&[99_999, 1], &["996.0", "4.0"]);
    }

    #[test]
    fn every_step_has_a_place_in_the_bar() {
        for step in Step::ALL {
            assert!(BAR_ORDER.contains(&step), "{step}");
        }
    }
}
