//! What many runs say together.

use std::collections::BTreeMap;

use super::behaviour::{in_seconds, quantile};
use super::fleet::Fleet;
use super::run::{End, Run};
use super::{
    Arrival, Forecast, HourForecast, Quantiles, RingForecast, RolloutPlan, SiteForecast, Stop,
};
use crate::time::Span;

/// Points of the curve of arrivals: enough for a picture.
const POINTS: u64 = 48;

/// Sums the runs up.
pub(super) fn of(
    fleet: &Fleet<'_>,
    plan: &RolloutPlan,
    runs: &[Run],
    resolution: Span,
) -> Forecast {
    let completed = runs.iter().filter(|run| run.end == End::Completed);
    let finish: Vec<Span> = completed.map(|run| run.at).collect();
    let is_open = |run: &&Run| matches!(run.end, End::Stuck { .. } | End::CutOff);
    Forecast {
        starts_at: fleet.view.started_at,
        runs: runs.len() as u32,
        completed: finish.len() as u32,
        open: runs.iter().filter(is_open).count() as u32,
        finish: quantiles(finish),
        stops: stops(plan, runs),
        rings: rings(plan, runs),
        arrival: arrival(runs),
        hours: hours(runs),
        sites: sites(fleet, runs),
        resolution: in_seconds(resolution),
        basis: Vec::new(),
    }
}

fn quantiles(mut times: Vec<Span>) -> Option<Quantiles> {
    times.sort_unstable();
    let (p50, p95) = (quantile(&times, 0.5)?, quantile(&times, 0.95)?);
    Some(Quantiles { p50: in_seconds(p50), p95: in_seconds(p95) })
}

fn stops(plan: &RolloutPlan, runs: &[Run]) -> Vec<Stop> {
    let mut by_ring = BTreeMap::<usize, (Vec<Span>, &str)>::new();
    for run in runs {
        if let End::Stopped { ring, why } = &run.end {
            by_ring.entry(*ring).or_insert_with(|| (Vec::new(), why)).0.push(run.at);
        }
    }
    let stop = |(ring, (times, example)): (usize, (Vec<Span>, &str))| {
        let (ring, example) = (plan.rings[ring].name.clone(), example.to_owned());
        Some(Stop { ring, runs: times.len() as u32, at: quantiles(times)?, example })
    };
    by_ring.into_iter().filter_map(stop).collect()
}

fn rings(plan: &RolloutPlan, runs: &[Run]) -> Vec<RingForecast> {
    let ring = |(place, ring): (usize, &crate::rollout::PlannedRing)| {
        let passed: Vec<Span> = runs.iter().filter_map(|run| run.passed[place]).collect();
        RingForecast {
            name: ring.name.clone(),
            devices: ring.devices.len() as u32,
            passed: passed.len() as u32,
            finish: quantiles(passed),
        }
    };
    plan.rings.iter().enumerate().map(ring).collect()
}

/// Up to where 95 of 100 runs have ended, or the last device of them has arrived.
fn arrival(runs: &[Run]) -> Vec<Arrival> {
    let mut ends: Vec<u64> = runs
        .iter()
        .map(|run| u64::from(run.arrivals.last().copied().unwrap_or(0)) * 1000)
        .map(|last| last.max(1000))
        .collect();
    ends.sort_unstable();
    let end = quantile(&ends, 0.95).unwrap_or(1000);
    let point = |number: u64| {
        let after = Span::from_millis(end * number / POINTS);
        let seconds = after.as_millis().div_ceil(1000);
        let mut arrived: Vec<u32> = runs
            .iter()
            .map(|run| run.arrivals.partition_point(|at| u64::from(*at) <= seconds) as u32)
            .collect();
        arrived.sort_unstable();
        let at = |share| quantile(&arrived, share).unwrap_or(0);
        Arrival { after, low: at(0.05), median: at(0.5), high: at(0.95) }
    };
    (0..=POINTS).map(point).collect()
}

fn hours(runs: &[Run]) -> Vec<HourForecast> {
    let mut bytes = BTreeMap::<u32, Vec<u64>>::new();
    let mut in_flight = BTreeMap::<u32, Vec<u32>>::new();
    for run in runs {
        let mut of_run = BTreeMap::<u32, u64>::new();
        for ((hour, _), bytes) in &run.bytes {
            *of_run.entry(*hour).or_default() += bytes;
        }
        for (hour, sum) in of_run {
            bytes.entry(hour).or_default().push(sum);
        }
        for (hour, most) in &run.in_flight {
            in_flight.entry(*hour).or_default().push(*most);
        }
    }
    let mut hours = BTreeMap::<u32, HourForecast>::new();
    let entry = |hour| HourForecast { hour, bytes: 0, bytes_p95: 0, in_flight_p95: 0 };
    for (hour, sums) in bytes {
        let found = hours.entry(hour).or_insert_with(|| entry(hour));
        (found.bytes, found.bytes_p95) = (mean(&sums, runs.len()), late(sums, runs.len()));
    }
    for (hour, most) in in_flight {
        hours.entry(hour).or_insert_with(|| entry(hour)).in_flight_p95 = late(most, runs.len());
    }
    hours.into_values().filter(|it| it.bytes > 0 || it.in_flight_p95 > 0).collect()
}

fn sites(fleet: &Fleet<'_>, runs: &[Run]) -> Vec<SiteForecast> {
    let mut sites: Vec<SiteForecast> = fleet
        .sites
        .iter()
        .enumerate()
        .map(|(place, name)| {
            let mut by_hour = BTreeMap::<u32, u64>::new();
            let mut peaks = Vec::new();
            for run in runs {
                let own = run.bytes.iter().filter(|((_, site), _)| *site == place);
                let mut peak = 0;
                for ((hour, _), bytes) in own {
                    *by_hour.entry(*hour).or_default() += bytes;
                    peak = peak.max(*bytes);
                }
                peaks.push(peak);
            }
            let whole: u64 = by_hour.values().sum();
            let of_one = |(hour, sum): (u32, u64)| (hour, sum / runs.len().max(1) as u64);
            SiteForecast {
                site: name.clone(),
                devices: fleet.devices.iter().filter(|device| device.site == place).count() as u32,
                bytes: whole / runs.len().max(1) as u64,
                peak_p95: late(peaks, runs.len()),
                hours: by_hour.into_iter().map(of_one).filter(|(_, bytes)| *bytes > 0).collect(),
            }
        })
        .collect();
    sites.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.site.cmp(&b.site)));
    sites
}

/// The mean over all runs, those that have no value included.
fn mean(values: &[u64], runs: usize) -> u64 {
    values.iter().sum::<u64>() / runs.max(1) as u64
}

/// What 95 of 100 runs are not above, those that have no value included.
fn late<T: Copy + Ord + Default>(mut values: Vec<T>, runs: usize) -> T {
    values.resize(runs.max(values.len()), T::default());
    values.sort_unstable();
    quantile(&values, 0.95).unwrap_or_default()
}
