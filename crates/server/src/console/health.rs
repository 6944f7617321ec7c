//! How a device does: what it measures, where it stands with the rules, and what hooks were told.

use gofleet_core::anomaly::{DeviceHealth, RuleView, Standing};
use gofleet_core::device::DeviceDetail;
use gofleet_core::hook::{DeliveryState, HookDelivery};
use gofleet_core::time::Timestamp;

use super::format::Moment;
use super::pieces::Badge;

/// What the page of a device tells of it.
pub(super) struct Health {
    pub(super) class: String,
    /// When it told its signals; empty if it never did.
    pub(super) sampled: String,
    pub(super) signals: Vec<Signal>,
    /// Why the command with signals tells none; empty if it does.
    pub(super) command_failure: String,
    pub(super) rules: Vec<Line>,
    pub(super) hooks: Vec<Line>,
    /// What a person should know; empty if nothing.
    pub(super) warning: &'static str,
    /// Since when it is well while it waits to be let in; empty if it does not.
    pub(super) well: String,
}

/// A signal with what is normal for it.
pub(super) struct Signal {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) normal: String,
}

/// Something with its state.
pub(super) struct Line {
    pub(super) badge: Badge,
    pub(super) name: String,
    pub(super) text: String,
}

impl Health {
    pub(super) fn new(detail: &DeviceDetail, now: Timestamp) -> Option<Self> {
        let health = detail.health.as_ref()?;
        let sampled = health.sampled_at.map(|at| Moment::new(at, now).absolute);
        let well = health.healthy_since.map(|since| Moment::new(since, now).absolute);
        Some(Self {
            class: health.class.to_string(),
            sampled: sampled.unwrap_or_default(),
            signals: signals(health),
            command_failure: health
                .command_failure
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            rules: health.rules.iter().map(rule).collect(),
            hooks: detail.hooks.iter().map(hook).collect(),
            warning: if health.is_withheld {
                "It is not put into quarantine: too many devices of its class are anomalous at \
                 once, so it is not the devices."
            } else {
                ""
            },
            well: well.unwrap_or_default(),
        })
    }
}

fn signals(health: &DeviceHealth) -> Vec<Signal> {
    let signal = |(name, reading): (&gofleet_core::anomaly::SignalName, &_)| {
        let unit = if name.is_percentage() { "%" } else { "" };
        let told = |reading: &gofleet_core::anomaly::Reading| format!("{reading}{unit}");
        Signal {
            name: name.to_string(),
            value: told(reading),
            normal: health.normal.get(name).map(told).unwrap_or_default(),
        }
    };
    health.signals.iter().map(signal).collect()
}

fn rule(rule: &RuleView) -> Line {
    let holds = rule.conditions.iter().any(|it| it.standing == Standing::Holds);
    let badge = match (rule.fires, holds) {
        (true, _) => Badge::new("bad", "s-failed", "fires"),
        (false, true) => Badge::new("warn", "s-waiting", "in part"),
        (false, false) => Badge::new("", "g-note", "quiet"),
    };
    let conditions: Vec<String> = rule
        .conditions
        .iter()
        .map(|it| format!("{}: {}", it.condition, it.standing.as_str()))
        .collect();
    Line { badge, name: rule.rule.clone(), text: conditions.join(", ") }
}

fn hook(delivery: &HookDelivery) -> Line {
    let badge = match delivery.state {
        DeliveryState::Pending => Badge::new("warn", "s-waiting", "pending"),
        DeliveryState::Delivered => Badge::new("good", "s-accepted", "told"),
        DeliveryState::GivenUp => Badge::new("bad", "s-failed", "given up"),
    };
    Line { badge, name: delivery.event.as_str().to_owned(), text: delivery.to_string() }
}

#[cfg(test)]
pub(super) mod samples {
    use gofleet_core::anomaly::{Class, DeviceHealth, Monitor, Sample, Settings, Watch};
    use gofleet_core::hook::{DeliveryState, HookDelivery, HookEvent, HookTarget};
    use gofleet_core::time::Span;

    use crate::console::sample::{NOW, before, devices};

    /// A device that would be in quarantine if it were the only one.
    pub(in crate::console) fn health() -> DeviceHealth {
        let settings = Settings {
            rules: "busy: processor > 95% for 1m; silent for 10m".parse().unwrap(),
            release_after: Span::from_secs(600),
            max_share: "10%".parse().unwrap(),
        };
        let class = Class::from("windows-amd64/ci".to_owned());
        let sample: Sample = serde_json::from_str(
            r#"{"over": "1m", "values": {"processor": 99.5, "errors": 3},
                    "command_failure": {"code": "too_long", "limit": "10s"}}"#,
        )
        .unwrap();
        let mut monitor = Monitor::new(settings);
        for device in devices(3) {
            monitor.watch(&device.id, Watch::new(class.clone(), before(60), None), NOW);
            monitor.observe(&device.id, &sample, NOW);
        }
        monitor.health(&devices(1)[0].id, NOW).unwrap()
    }

    /// A call of a hook that has failed.
    pub(in crate::console) fn hook() -> HookDelivery {
        HookDelivery {
            id: "1-1".to_owned(),
            event: HookEvent::Drain,
            target: HookTarget::Webhook,
            at: before(40),
            attempts: 2,
            state: DeliveryState::Pending,
            failure: Some("answered with 503 Service Unavailable".to_owned()),
        }
    }
}
