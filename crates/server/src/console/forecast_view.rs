//! A plan and its forecast, as the planner shows them.

use gofleet_core::rollout::RolloutPlan;
use gofleet_core::rollout::forecast::{Arrival, Basis, Forecast, Quantiles};
use gofleet_core::time::Span;

use super::chart::{Chart, Curve, Scale, spans, sparse, values};
use super::format;
use super::pieces::quoted;

/// A plan and its forecast.
pub(super) struct ForecastView {
    pub(super) name: String,
    pub(super) devices: String,
    pub(super) bytes: String,
    /// How long it takes if nothing fails, by the plan alone.
    pub(super) expected: String,
    pub(super) finish: Option<[String; 2]>,
    pub(super) through: String,
    pub(super) warnings: Vec<String>,
    pub(super) stops: Vec<String>,
    pub(super) rings: Vec<RingRow>,
    pub(super) left_out: String,
    pub(super) charts: Vec<Chart>,
    pub(super) sites: Vec<SiteRow>,
    pub(super) basis: Vec<BasisRow>,
    pub(super) resolution: String,
}

pub(super) struct RingRow {
    pub(super) name: String,
    pub(super) size: String,
    pub(super) devices: String,
    pub(super) bytes: String,
    /// In how many runs its gate passes, and when; empty without a forecast.
    pub(super) passes: String,
    pub(super) p50: String,
    pub(super) p95: String,
}

pub(super) struct SiteRow {
    pub(super) name: String,
    pub(super) devices: String,
    pub(super) bytes: String,
    pub(super) peak: String,
}

pub(super) struct BasisRow {
    pub(super) what: String,
    pub(super) value: String,
    pub(super) source: String,
    pub(super) is_measured: bool,
}

impl ForecastView {
    pub(super) fn new(plan: &RolloutPlan, forecast: Option<&Forecast>) -> Self {
        let devices: usize = plan.rings.iter().map(|ring| ring.devices.len()).sum();
        let left_out = match plan.left_out.len() as u64 {
            0 => String::new(),
            count => format!("{} will not move", format::counted(count, "picked device")),
        };
        Self {
            name: plan.spec.name.clone(),
            devices: format::count(devices as u64),
            bytes: format::bytes(plan.bytes),
            expected: format::spell(plan.expected),
            finish: forecast.and_then(|it| it.finish).map(spelled),
            through: forecast.map(through).unwrap_or_default(),
            warnings: plan.warnings.iter().map(|text| quoted(text)).collect(),
            stops: forecast.map(stops).unwrap_or_default(),
            rings: rings(plan, forecast),
            left_out,
            charts: forecast.map(charts).unwrap_or_default(),
            sites: forecast.map(sites).unwrap_or_default(),
            basis: forecast
                .map_or_else(Vec::new, |it| it.basis.iter().map(BasisRow::new).collect()),
            resolution: forecast.map(|it| format::spell(it.resolution)).unwrap_or_default(),
        }
    }
}

impl BasisRow {
    fn new(basis: &Basis) -> Self {
        let Basis { what, value, samples, is_measured } = basis;
        let source = if *is_measured {
            format!("measured, {}", format::counted(*samples, "sample"))
        } else {
            "assumed".to_owned()
        };
        Self { what: what.clone(), value: value.clone(), source, is_measured: *is_measured }
    }
}

fn spelled(Quantiles { p50, p95 }: Quantiles) -> [String; 2] {
    [format::spell(p50), format::spell(p95)]
}

fn through(forecast: &Forecast) -> String {
    format!("{} of {} runs", forecast.completed, forecast.runs)
}

fn stops(forecast: &Forecast) -> Vec<String> {
    let mut stops: Vec<String> = forecast
        .stops
        .iter()
        .map(|stop| {
            let at = format::spell(stop.at.p50);
            format!(
                "{} of {} runs stop at ring “{}”, {at} after the start in the median: {}.",
                stop.runs, forecast.runs, stop.ring, stop.example
            )
        })
        .collect();
    if forecast.open > 0 {
        let runs = format::counted(forecast.open.into(), "run");
        stops.push(format!("{runs} find no end within 90 days, or within what may be computed."));
    }
    stops
}

fn rings(plan: &RolloutPlan, forecast: Option<&Forecast>) -> Vec<RingRow> {
    let rings = plan.rings.iter().zip(&plan.spec.rings).enumerate();
    let row = |(place, (ring, spec)): (usize, (&gofleet_core::rollout::PlannedRing, _))| {
        let spec: &gofleet_core::rollout::RingSpec = spec;
        let expected = forecast.and_then(|it| Some((it.runs, it.rings.get(place)?)));
        let [p50, p95] = expected.and_then(|(_, it)| it.finish).map(spelled).unwrap_or_default();
        RingRow {
            name: ring.name.clone(),
            size: super::rollouts::ring_rule(spec),
            devices: format::count(ring.devices.len() as u64),
            bytes: format::bytes(ring.bytes),
            passes: expected
                .map(|(runs, it)| format::percent(it.passed.into(), runs.into()))
                .unwrap_or_default(),
            p50,
            p95,
        }
    };
    rings.map(row).collect()
}

fn sites(forecast: &Forecast) -> Vec<SiteRow> {
    let row = |site: &gofleet_core::rollout::forecast::SiteForecast| SiteRow {
        name: if site.site.is_empty() { "no site".to_owned() } else { site.site.clone() },
        devices: format::count(site.devices.into()),
        bytes: format::bytes(site.bytes),
        peak: format::bytes(site.peak_p95),
    };
    forecast.sites.iter().map(row).collect()
}

fn charts(forecast: &Forecast) -> Vec<Chart> {
    [arrival(forecast), traffic(forecast)].into_iter().flatten().collect()
}

fn arrival(forecast: &Forecast) -> Option<Chart> {
    let end = forecast.arrival.last()?.after;
    let most = forecast.arrival.iter().map(|point| point.high).max().filter(|most| *most > 0)?;
    let scale = Scale::new(end.as_secs_f64(), f64::from(most));
    let curve = |pick: fn(&Arrival) -> u32| -> Vec<(f64, f64)> {
        let points = forecast.arrival.iter();
        points.map(|point| (point.after.as_secs_f64(), f64::from(pick(point)))).collect()
    };
    let row = |point: &Arrival| {
        let counts = [point.low, point.median, point.high].map(|it| format::count(it.into()));
        [vec![format::spell(point.after)], counts.to_vec()].concat()
    };
    let rows: Vec<_> = forecast.arrival.iter().map(row).collect();
    Some(Chart {
        id: "arrival",
        title: "Arrival of devices",
        description: "How many have accepted by when.".to_owned(),
        curves: vec![
            Curve {
                class: "c-band",
                label: "90% of the runs".to_owned(),
                path: scale.band(&curve(|it| it.low), &curve(|it| it.high)),
            },
            Curve {
                class: "c-planned",
                label: "median".to_owned(),
                path: scale.line(&curve(|it| it.median)),
            },
        ],
        x: spans(end),
        y: values(scale.top(), |value| format::count(value.round() as u64)),
        heading: vec!["After", "5%", "Median", "95%"],
        rows: sparse(&rows),
        has_cursor: false,
    })
}

/// Bytes by hour, over whole hours.
fn traffic(forecast: &Forecast) -> Option<Chart> {
    let hours = forecast.hours.last()?.hour + 1;
    let most = forecast.hours.iter().map(|it| it.bytes_p95).max().filter(|most| *most > 0)?;
    let scale = Scale::new(f64::from(hours), most as f64);
    let bars = |pick: fn(&gofleet_core::rollout::forecast::HourForecast) -> u64| {
        let hours = forecast.hours.iter();
        let bars: Vec<_> = hours.map(|it| (f64::from(it.hour), pick(it) as f64)).collect();
        scale.bars(1.0, &bars)
    };
    let row = |it: &gofleet_core::rollout::forecast::HourForecast| {
        vec![
            (it.hour + 1).to_string(),
            format::bytes(it.bytes),
            format::bytes(it.bytes_p95),
            format::count(it.in_flight_p95.into()),
        ]
    };
    let rows: Vec<_> = forecast.hours.iter().map(row).collect();
    Some(Chart {
        id: "traffic",
        title: "Bytes by hour",
        description: "What all devices download in each hour after the start.".to_owned(),
        curves: vec![
            Curve {
                class: "c-late",
                label: "not more in 95% of the runs".to_owned(),
                path: bars(|it| it.bytes_p95),
            },
            Curve { class: "c-bars", label: "mean".to_owned(), path: bars(|it| it.bytes) },
        ],
        x: spans(Span::from_secs(u64::from(hours) * 3600)),
        y: values(scale.top(), |value| format::bytes(value as u64)),
        heading: vec!["Hour", "Mean", "95%", "In flight, 95%"],
        rows: sparse(&rows),
        has_cursor: false,
    })
}
