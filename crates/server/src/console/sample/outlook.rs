//! What was planned and forecast of the sample's rollout, and what was decided about it.

use gofleet_core::event::{Change, Event};
use gofleet_core::rollout::forecast::{
    Arrival, Basis, Forecast, HourForecast, Quantiles, RingForecast, SiteForecast, Stop,
};
use gofleet_core::rollout::{
    Gate, GateInputs, PlannedDevice, PlannedRing, RingState, RolloutPlan, Tally,
};
use gofleet_core::time::Span;

use super::{before, spec};

/// Two rings of one and three devices.
pub(crate) fn plan() -> RolloutPlan {
    let ring = |name: &str, devices: usize| PlannedRing {
        name: name.to_owned(),
        devices: (0..devices)
            .map(|number| PlannedDevice {
                device: format!("d{number:05}").parse().unwrap(),
                hostname: format!("host-{number}"),
                release: "go-1.27.3-windows-amd64".parse().unwrap(),
                active: Some("1.27.2".to_owned()),
                offline_since: None,
                kept_out: None,
                waits_for: None,
                waits: None,
            })
            .collect(),
        bytes: 75_000_000,
        expected: Span::from_secs(360),
    };
    RolloutPlan {
        spec: spec(&["test", "late"]),
        releases: vec!["go-1.27.3-windows-amd64".parse().unwrap()],
        rings: vec![ring("test", 1), ring("late", 3)],
        left_out: Vec::new(),
        not_selected: 0,
        warnings: vec!["offline: 1 of the devices".to_owned()],
        bytes: 150_000_000,
        archive_bytes: 150_000_000,
        expected: Span::from_secs(720),
    }
}

/// Three quarters of the runs come through.
pub(crate) fn forecast() -> Forecast {
    let quantiles = |p50, p95| Quantiles { p50: Span::from_secs(p50), p95: Span::from_secs(p95) };
    let site = |site: &str, bytes| SiteForecast {
        site: site.to_owned(),
        devices: 2,
        bytes,
        peak_p95: bytes,
        hours: vec![(0, bytes)],
    };
    Forecast {
        starts_at: before(187),
        runs: 200,
        completed: 150,
        open: 0,
        finish: Some(quantiles(600, 900)),
        stops: vec![Stop {
            ring: "late".to_owned(),
            runs: 50,
            at: quantiles(300, 310),
            example: "1 failed, at most 0 may".to_owned(),
        }],
        rings: vec![
            RingForecast {
                name: "test".to_owned(),
                devices: 1,
                passed: 200,
                finish: Some(quantiles(90, 100)),
            },
            RingForecast {
                name: "late".to_owned(),
                devices: 3,
                passed: 150,
                finish: Some(quantiles(600, 900)),
            },
        ],
        arrival: (0..=10)
            .map(|at| Arrival {
                after: Span::from_secs(at * 90),
                low: at as u32 / 2,
                median: at as u32,
                high: at as u32 + 1,
            })
            .collect(),
        hours: vec![HourForecast {
            hour: 0,
            bytes: 150_000_000,
            bytes_p95: 160_000_000,
            in_flight_p95: 3,
        }],
        sites: vec![site("berlin", 100_000_000), site("", 50_000_000)],
        resolution: Span::from_secs(18),
        basis: vec![Basis {
            what: "devices that fail".to_owned(),
            value: "about 2%, as is published".to_owned(),
            samples: 0,
            is_measured: false,
        }],
    }
}

/// The start of the sample's rollout, and what became of its first ring.
pub(crate) fn decisions() -> Vec<Event> {
    let rollout = || "r-0007".parse().unwrap();
    let ring = |state, inputs| Change::RingState {
        rollout: rollout(),
        ring: "test".to_owned(),
        state,
        reason: String::new(),
        inputs,
    };
    let tally = Tally { devices: 1, successes: 1, ..Tally::default() };
    let inputs = GateInputs { gate: Gate::default(), tallies: vec![tally], look: None };
    let event = |sequence, ago, what| Event { sequence, at: before(ago), what };
    vec![
        event(
            1,
            187,
            Change::RolloutStarted {
                rollout: rollout(),
                name: "go-1.27.3-everywhere".to_owned(),
                by: "admin".to_owned(),
            },
        ),
        event(2, 180, ring(RingState::Running, None)),
        event(3, 117, ring(RingState::Passed, Some(inputs))),
    ]
}
