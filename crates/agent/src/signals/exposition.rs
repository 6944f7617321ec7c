//! Reading what other programs write: Prometheus' text format, as the textfile collector of its
//! node exporter takes it (`name{label="x"} value`, a line each).
//!
//! All lines of one name are added up. A name that ends in `_total` is a counter. Lines that say
//! nothing to us (comments, other names, no numbers) are passed over.

use std::collections::BTreeMap;

use gofleet_core::anomaly::SignalName;

/// What the lines say.
#[derive(Debug, Default, PartialEq)]
pub struct Series {
    /// What goes up and down.
    pub gauges: BTreeMap<SignalName, f64>,
    /// What only grows; named without `_total`.
    pub counters: BTreeMap<SignalName, f64>,
}

impl Series {
    /// Adds what a text says.
    pub fn read(&mut self, text: &str) {
        for (name, value) in text.lines().filter_map(line) {
            let (series, name) = match name.strip_suffix("_total") {
                Some(name) => (&mut self.counters, name),
                None => (&mut self.gauges, name),
            };
            if let Ok(name) = name.parse() {
                *series.entry(name).or_default() += value;
            }
        }
    }
}

/// Name and value of a line; a time behind the value is passed over.
fn line(line: &str) -> Option<(&str, f64)> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let end = line.find(|c: char| c == '{' || c.is_whitespace())?;
    let (name, rest) = line.split_at(end);
    let rest = if rest.starts_with('{') { after_labels(rest)? } else { rest };
    let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
    (value.is_finite() && value >= 0.0).then_some((name, value))
}

/// What stands behind the labels, whose values may hold anything in quotes.
fn after_labels(text: &str) -> Option<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = is_quoted,
            '"' => is_quoted = !is_quoted,
            '}' if !is_quoted => return Some(&text[at + 1..]),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, gauges: &[(&str, f64)], counters: &[(&str, f64)]) {
        let mut series = Series::default();
        series.read(text);
        let expect = |pairs: &[(&str, f64)]| -> BTreeMap<SignalName, f64> {
            pairs.iter().map(|(name, value)| (name.parse().unwrap(), *value)).collect()
        };
        assert_eq!(series, Series { gauges: expect(gauges), counters: expect(counters) });
    }

    #[test]
    fn lines_are_read_as_prometheus_writes_them() {
        check(
            "# HELP errors_total Failed jobs.\n# TYPE errors_total counter\n\
             errors_total{kind=\"build\"} 5\nerrors_total{kind=\"a } \\\" b\",x=\"\"} 7 1395066363000\r\n\
             queue 3.5\n  jobs{} 1e2\n",
            &[("queue", 3.5), ("jobs", 100.0)],
            &[("errors", 12.0)],
        );
        check("Upper 1\nno_value\nx NaN\nx -1\nx +Inf\nx{ 3\n\n{} 4\nx y\n_total 3", &[], &[]);
    }
}
