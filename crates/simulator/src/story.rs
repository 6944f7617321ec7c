//! A story in words that a person can read.

use std::fmt::Write as _;

use gofleet_core::order::Want;
use gofleet_core::rollout::RolloutSpec;

use crate::scenario::Scenario;
use crate::world::Ended;

/// What an order wants, in words.
pub fn want_in_words(want: &Want) -> String {
    match want {
        Want::Activate { release, .. } => format!("activate {}", release.version),
        Want::Revert { release: Some(release) } => format!("go back to {}", release.version),
        Want::Revert { release: None } => "go back to nothing".to_owned(),
        Want::Offer { release, .. } => format!("offer {}", release.version),
        Want::Hold => "hold".to_owned(),
    }
}

/// The story: who takes part, what happens, and what did not hold. Of the devices, only those that
/// the broken invariant is about are told of; all, if it names none.
pub fn in_words(scenario: &Scenario, ended: &Ended) -> String {
    let about = ended.violation.as_ref().map(|it| devices_in(&it.seen)).unwrap_or_default();
    let is_told = |words: &str| {
        let named = devices_in(words);
        about.is_empty() || named.is_empty() || named.iter().any(|it| about.contains(it))
    };
    let mut text = format!("seed {}, {} devices\n", scenario.seed, scenario.devices.len());
    for (at, spec) in &scenario.rollouts {
        _ = writeln!(text, "{}  planned: {}", clock(*at), spec_in_words(spec));
    }
    for (at, words) in ended.story.iter().filter(|(_, words)| is_told(words)) {
        _ = writeln!(text, "{}  {words}", clock(*at));
    }
    if let Some(violation) = &ended.violation {
        _ = writeln!(text, "{}  VIOLATED: {violation}", clock(violation.at_ms));
    }
    text
}

/// The devices that are named in a text: `d` and digits.
fn devices_in(text: &str) -> Vec<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
    let is_device = |word: &&str| {
        let digits = word.strip_prefix('d').unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    words.filter(is_device).collect()
}

fn spec_in_words(spec: &RolloutSpec) -> String {
    let rings: Vec<String> = spec.rings.iter().map(|ring| ring.size.to_string()).collect();
    let publish = spec.publish.as_ref();
    let published = publish.map(|it| format!("; users are asked for {}", it.deadline));
    format!(
        "{} in rings of {}; at most {} in flight (0: all); soak {}; gate: successes {:?}, failures \
         at most {}; silent after {}, offline after {}; on failure {:?}; late: {}{}",
        spec.version,
        rings.join(", "),
        spec.max_in_flight,
        spec.soak,
        spec.gate.min_successes,
        spec.gate.max_failures,
        spec.silence_after,
        spec.offline_after,
        spec.on_failure,
        spec.late.as_str(),
        published.unwrap_or_default(),
    )
}

/// `h:mm:ss.mmm` since the story began.
fn clock(ms: u64) -> String {
    let (seconds, ms) = (ms / 1000, ms % 1000);
    format!("{:3}:{:02}:{:02}.{ms:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
