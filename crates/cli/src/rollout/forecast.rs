//! A forecast as text: when each ring is through, where runs stop, bytes by hour and site, and what
//! all that rests on.

use gofleet_api::SimulatedPlan;
use gofleet_core::rollout::forecast::{Arrival, Forecast, HourForecast, Quantiles};

use super::show::describe_plan;
use crate::printer::{bytes, paint, style, table};

/// Cells of a bar.
const WIDTH: usize = 40;
/// Lines of a chart of hours: more are drawn together.
const LINES: usize = 24;
/// Lines of the chart of arrivals.
const ARRIVALS: usize = 12;
/// Eighths of a cell, from left to right.
const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// A plan, and how it would probably go.
pub fn describe(simulated: &SimulatedPlan) -> String {
    let plan = describe_plan(&simulated.plan);
    match &simulated.forecast {
        Some(forecast) => format!("{plan}\n\n{}", describe_forecast(forecast)),
        None => plan,
    }
}

fn describe_forecast(forecast: &Forecast) -> String {
    let mut parts = vec![
        paint(style::STRONG, heading(forecast)),
        rings(forecast),
        arrivals(&forecast.arrival),
        hours(&forecast.hours),
    ];
    if forecast.sites.len() > 1 {
        parts.push(sites(forecast));
    }
    parts.push(basis(forecast));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

fn heading(forecast: &Forecast) -> String {
    let Forecast { runs, completed, open, finish, .. } = forecast;
    let mut text = match finish {
        Some(Quantiles { p50, p95 }) => {
            format!("forecast: through after {p50} in the median, {p95} at most for 95% of runs")
        }
        None => "forecast: it does not come through".to_owned(),
    };
    text.push_str(&format!("\n  {runs} runs: {completed} through"));
    for stop in &forecast.stops {
        let (at, runs, ring) = (stop.at.p50, stop.runs, &stop.ring);
        text.push_str(&format!(
            "\n  {} {runs} stop at ring `{ring}`, {at} after the start in the median: {}",
            paint(style::WARNING, "warning:"),
            stop.example
        ));
    }
    if *open > 0 {
        text.push_str(&format!("\n  {open} find no end within 90 days, or within the budget"));
    }
    text
}

fn rings(forecast: &Forecast) -> String {
    let row = |ring: &gofleet_core::rollout::forecast::RingForecast| {
        let at = |pick: fn(&Quantiles) -> gofleet_core::time::Span| {
            ring.finish.as_ref().map(|it| pick(it).to_string()).unwrap_or_default()
        };
        vec![
            ring.name.clone(),
            ring.devices.to_string(),
            format!("{}/{}", ring.passed, forecast.runs),
            at(|it| it.p50),
            at(|it| it.p95),
        ]
    };
    let rows: Vec<_> = forecast.rings.iter().map(row).collect();
    table(&["RING", "DEVICES", "PASSES", "MEDIAN", "95%"], &rows)
}

/// The curve of arrivals, lying on its side.
fn arrivals(arrival: &[Arrival]) -> String {
    let most = arrival.iter().map(|point| point.high).max().unwrap_or(0);
    if most == 0 {
        return String::new();
    }
    let step = (arrival.len() - 1).div_ceil(ARRIVALS).max(1);
    let points = arrival.iter().skip(step).step_by(step);
    let row = |point: &Arrival| {
        let range = format!("{}-{}", point.low, point.high);
        let bar = bar(u64::from(point.median), u64::from(most));
        vec![point.after.to_string(), point.median.to_string(), range, bar]
    };
    let rows: Vec<_> = points.map(row).collect();
    table(&["AFTER", "ACCEPTED", "5%-95%", ""], &rows)
}

fn hours(hours: &[HourForecast]) -> String {
    let Some(last) = hours.last() else { return String::new() };
    let together = (last.hour as usize + 1).div_ceil(LINES) as u32;
    let mut rows: Vec<(u32, u64, u64, u32)> = Vec::new();
    for it in hours {
        let from = it.hour / together * together;
        match rows.last_mut() {
            Some(row) if row.0 == from => {
                row.1 += it.bytes;
                row.2 = row.2.max(it.bytes_p95);
                row.3 = row.3.max(it.in_flight_p95);
            }
            Some(_) | None => rows.push((from, it.bytes, it.bytes_p95, it.in_flight_p95)),
        }
    }
    let most = rows.iter().map(|row| row.1).max().unwrap_or(0);
    let name = |from: u32| match together {
        1 => format!("{}", from + 1),
        some => format!("{}-{}", from + 1, from + some),
    };
    let row = |(from, mean, late, in_flight): &(u32, u64, u64, u32)| {
        vec![name(*from), bytes(*mean), bytes(*late), in_flight.to_string(), bar(*mean, most)]
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    table(&["HOUR", "BYTES", "BUSIEST, 95%", "IN FLIGHT, 95%", ""], &rows)
}

fn sites(forecast: &Forecast) -> String {
    let most = forecast.sites.iter().map(|site| site.bytes).max().unwrap_or(0);
    let row = |site: &gofleet_core::rollout::forecast::SiteForecast| {
        vec![
            if site.site.is_empty() { "(none)".to_owned() } else { site.site.clone() },
            site.devices.to_string(),
            bytes(site.bytes),
            format!("{}/h", bytes(site.peak_p95)),
            bar(site.bytes, most),
        ]
    };
    let rows: Vec<_> = forecast.sites.iter().map(row).collect();
    table(&["SITE", "DEVICES", "BYTES", "BUSIEST HOUR, 95%", ""], &rows)
}

fn basis(forecast: &Forecast) -> String {
    let row = |it: &gofleet_core::rollout::forecast::Basis| {
        let source = match (it.is_measured, it.samples) {
            (false, _) => "assumed".to_owned(),
            (true, samples) => format!("measured ({samples})"),
        };
        vec![it.what.clone(), source, it.value.clone()]
    };
    let rows: Vec<_> = forecast.basis.iter().map(row).collect();
    let resolution = forecast.resolution;
    format!("{}\ntimes are right to about {resolution}", table(&["RESTS ON", "IS", "VALUE"], &rows))
}

/// A bar of eighths of cells; what is there can be seen.
fn bar(part: u64, whole: u64) -> String {
    if part == 0 || whole == 0 {
        return String::new();
    }
    let eighths = (part as f64 / whole as f64 * (WIDTH * 8) as f64).round().max(1.0) as usize;
    let mut text = "█".repeat(eighths / 8);
    text.extend((eighths % 8).checked_sub(1).map(|rest| EIGHTHS[rest]));
    text
}

#[cfg(test)]
mod tests {
    use gofleet_core::time::{Span, Timestamp};

    use super::*;

    #[test]
    fn bars_are_to_scale() {
        for (part, expect) in
            [(0, ""), (1, "▏"), (500, "████████████████████"), (512, "████████████████████▌")]
        {
            assert_eq!(bar(part, 1000), expect, "{part}");
        }
        assert_eq!(bar(1000, 1000).chars().count(), WIDTH);
    }

    #[test]
    fn a_forecast_reads_well() {
        let hour =
            |hour, bytes| HourForecast { hour, bytes, bytes_p95: 2 * bytes, in_flight_p95: 4 };
        let point = |seconds, median| Arrival {
            after: Span::from_secs(seconds),
            low: median - 1,
            median,
            high: median + 1,
        };
        let forecast = Forecast {
            starts_at: Timestamp::from_millis(0),
            runs: 200,
            completed: 150,
            open: 0,
            finish: Some(Quantiles { p50: Span::from_secs(7200), p95: Span::from_secs(9000) }),
            stops: vec![gofleet_core::rollout::forecast::Stop {
                ring: "rest".to_owned(),
                runs: 50,
                at: Quantiles { p50: Span::from_secs(3600), p95: Span::from_secs(3700) },
                example: "1 failed, at most 0 may".to_owned(),
            }],
            rings: Vec::new(),
            arrival: vec![point(0, 1), point(60, 4), point(120, 8)],
            hours: vec![hour(0, 1_000_000), hour(1, 2_000_000), hour(70, 500_000)],
            sites: Vec::new(),
            resolution: Span::from_secs(18),
            basis: Vec::new(),
        };
        let text = anstream::adapter::strip_str(&describe_forecast(&forecast)).to_string();
        for expect in [
            "through after 2h in the median, 2h 30m at most for 95% of runs\n  200 runs: 150 through",
            "50 stop at ring `rest`, 1h after the start in the median: 1 failed, at most 0 may",
            "2m     8         7-9",
            "1-3    3.0 MB    4.0 MB        4               ████████████████████████████████████████",
            "70-72",
            "right to about 18s",
        ] {
            assert!(text.contains(expect), "{expect}:\n{text}");
        }
    }
}
