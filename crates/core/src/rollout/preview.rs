//! Which devices a selector picks, and when their window opens: a word while a person still writes.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::FleetDevice;
use crate::selector::Selector;
use crate::time::{Span, Timestamp};
use crate::window::{Opening, Window};

/// The devices that a selector picks, and when they may activate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Preview {
    /// How many devices are picked.
    pub devices: u64,
    /// Of so many.
    pub of: u64,
    /// For how many of them the window is open: all, where there is no window.
    pub open: u64,
    /// For how many it never opens within 400 days.
    pub never: u64,
    /// When it opens next for one of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens: Option<Timestamp>,
    /// How many of them have not told their time zone, for which UTC counts.
    pub without_zone: u64,
    /// The time of all this.
    pub now: Timestamp,
    /// Whether a window was given.
    pub has_window: bool,
}

/// Looks which devices are picked, and when their window opens, each in its own zone.
pub fn preview(
    fleet: &[FleetDevice],
    selector: &Selector,
    window: Option<&Window>,
    now: Timestamp,
) -> Preview {
    let mut preview = Preview {
        devices: 0,
        of: fleet.len() as u64,
        open: 0,
        never: 0,
        opens: None,
        without_zone: 0,
        now,
        has_window: window.is_some(),
    };
    let mut openings = HashMap::new();
    for device in fleet.iter().filter(|it| selector.matches(&it.id, &it.facts)) {
        preview.devices += 1;
        preview.without_zone += u64::from(device.facts.zone.is_none());
        let opening = *openings.entry(device.facts.zone.as_deref()).or_insert_with(|| {
            window.map_or(Opening::Open, |window| window.opening(now, &device.facts.clock_zone()))
        });
        match opening {
            Opening::Open => preview.open += 1,
            Opening::Closed { opens: None } => preview.never += 1,
            Opening::Closed { opens: Some(at) } => {
                preview.opens = Some(preview.opens.map_or(at, |first| first.min(at)));
            }
        }
    }
    preview
}

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { devices, of, open, never, opens, without_zone, now, has_window } = *self;
        match (devices, of) {
            (0, of) => return write!(f, "none of the {of} devices"),
            (1, _) => f.write_str("this 1 device")?,
            (devices, _) => write!(f, "these {devices} devices")?,
        }
        if !has_window {
            return f.write_str(", at any time");
        }
        match open {
            0 => {}
            open if open == devices => f.write_str(", window open for all")?,
            open => write!(f, ", window open for {open}")?,
        }
        if let Some(at) = opens {
            write!(f, ", next window in {}", about(at.since(now)))?;
        }
        if never > 0 {
            write!(f, ", never for {never} within 400 days")?;
        }
        match without_zone {
            0 => Ok(()),
            some => write!(f, " (UTC is assumed for {some} that have not told their zone)"),
        }
    }
}

/// The largest two units of a span, minutes at least.
fn about(span: Span) -> Span {
    const MINUTE_MS: u64 = 60_000;
    const HOUR_MS: u64 = 60 * MINUTE_MS;
    const DAY_MS: u64 = 24 * HOUR_MS;
    let unit = if span.as_millis() >= DAY_MS { HOUR_MS } else { MINUTE_MS };
    Span::from_millis(span.as_millis().div_ceil(unit) * unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Facts;

    /// A Monday, 08:00 UTC: 09:00 in Berlin, 03:00 in New York.
    const NOW: Timestamp = Timestamp::from_millis(1_772_438_400_000);

    fn device(number: usize) -> FleetDevice {
        let zone = ["Europe/Berlin", "America/New_York", ""][number % 3];
        FleetDevice {
            id: format!("d{number}").parse().unwrap(),
            facts: Facts {
                hostname: format!("host-{number}"),
                platform: "linux-amd64".parse().unwrap(),
                os_version: String::new(),
                processors: 2,
                free_bytes: 0,
                agent_version: String::new(),
                active: None,
                packages: Default::default(),
                found: Vec::new(),
                zone: Some(zone.to_owned()).filter(|zone| !zone.is_empty()),
                labels: [("site".to_owned(), zone.to_owned())].into(),
                collections: Default::default(),
            },
            last_seen: NOW,
            busy_with: None,
            kept_out: None,
        }
    }

    #[track_caller]
    fn check(selector: &str, open: &[&str], expect: &str) {
        let fleet: Vec<_> = (0..9).map(device).collect();
        let open: Vec<_> = open.iter().map(|text| text.parse().unwrap()).collect();
        let window = (!open.is_empty()).then_some(Window { open, closed: Vec::new() });
        let selector = Selector::parse(selector).unwrap();
        assert_eq!(preview(&fleet, &selector, window.as_ref(), NOW).to_string(), expect);
    }

    #[test]
    fn it_says_which_devices_and_when() {
        check("", &[], "these 9 devices, at any time");
        check("hostname = host-1", &[], "this 1 device, at any time");
        check("os = windows", &["daily 01:00-05:00"], "none of the 9 devices");
        let berlin = "label.site = 'Europe/Berlin'".replace('\'', "\"");
        check(&berlin, &["daily 12:00-13:30"], "these 3 devices, next window in 3h");
        check(&berlin, &["Tue 09:20-10:00"], "these 3 devices, next window in 1d 1h");
        check(&berlin, &["Mon 09:00-09:30"], "these 3 devices, window open for all");
        check(
            "",
            &["daily 03:00-05:00"],
            "these 9 devices, window open for 3, next window in 18h (UTC is assumed for 3 that \
             have not told their zone)",
        );
    }
}
