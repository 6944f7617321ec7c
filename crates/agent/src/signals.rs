//! What the device measures of itself, so cheaply that nobody notices: processor, memory, free
//! space, and what other programs of the machine write into files or print.
//!
//! A sample is sent every minute by default: 100,000 devices then make some 1,700 small requests a
//! second, less than their polls, and the server writes none of them down. Nothing is missed in
//! between, since shares and rates are means over the whole span; rules are about minutes.

mod command;
mod exposition;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use gofleet_core::anomaly::{DISK_FREE, MEMORY, PROCESSOR, Reading, Sample, SignalName};
use gofleet_core::time::Span;
use gofleet_platform::machine::{self, ProcessorTimes};
use gofleet_platform::volume;
use tokio::time::Instant;

use self::exposition::Series;

pub use self::command::{SignalCommand, Told};

/// A file with more than this is no text file of signals.
const MAX_FILE_BYTES: u64 = 64 * 1024;
/// A file that nobody has written for so long tells of a program that has ended.
const MAX_FILE_AGE: Duration = Duration::from_secs(10 * 60);

/// Measures every so often.
#[derive(Debug)]
pub struct Sampler {
    /// When to measure again.
    pub due: Instant,
    every: Duration,
    last: Option<Measured>,
}

/// What was measured at a moment.
#[derive(Debug)]
struct Measured {
    at: Instant,
    processors: Option<ProcessorTimes>,
    gauges: BTreeMap<SignalName, f64>,
    counters: BTreeMap<SignalName, f64>,
}

impl Sampler {
    /// Measures at once for the first time, and tells when it has measured twice.
    pub fn new(every: Span) -> Self {
        Self { due: Instant::now(), every: every.as_duration(), last: None }
    }

    /// Measures if it is due; what there is to tell.
    pub async fn sample(
        &mut self,
        root: &Path,
        files: &[PathBuf],
        command: &RefCell<Told>,
    ) -> Option<Sample> {
        if Instant::now() < self.due {
            return None;
        }
        let (root, files) = (root.to_owned(), files.to_vec());
        let now = crate::device::blocking(move || Measured::now(&root, &files)).await;
        self.due = now.at + self.every;
        let sample = self.last.as_ref().map(|last| now.since(last, &command.borrow()));
        self.last = Some(now);
        sample
    }
}

impl Measured {
    fn now(root: &Path, files: &[PathBuf]) -> Self {
        let mut series = Series::default();
        for file in files {
            match read(file) {
                Ok(text) => series.read(&text),
                Err(error) => {
                    tracing::debug!(file = %file.display(), %error, "signals can't be read");
                }
            }
        }
        let Series { mut gauges, counters } = series;
        let own = [
            (MEMORY, machine::memory().map(|it| percent(it.used_bytes(), it.total_bytes))),
            (DISK_FREE, volume::space(root).ok().map(|it| percent(it.free_bytes, it.total_bytes))),
        ];
        for (name, value) in own {
            gauges.extend(value.map(|value| (signal(name), value)));
        }
        Self { at: Instant::now(), processors: machine::processor_times(), gauges, counters }
    }

    /// What there is to tell, with shares and rates since the last time.
    fn since(&self, last: &Self, command: &Told) -> Sample {
        let elapsed = self.at - last.at;
        let minutes = elapsed.as_secs_f64() / 60.0;
        let mut values = self.gauges.clone();
        values.extend(rate(&last.counters, &self.counters, minutes));
        // As with files, values of one name are added up; of what the agent measures, it knows best.
        for (name, value) in command.values.iter().filter(|(name, _)| !name.is_percentage()) {
            *values.entry(name.clone()).or_default() += value;
        }
        let busy = self.processors.zip(last.processors).and_then(|(now, last)| now.share(last));
        values.extend(busy.map(|share| (signal(PROCESSOR), share * 100.0)));
        let over = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let reading = |(name, value)| Some((name, Reading::try_from(value).ok()?));
        Sample {
            over: Span::from_millis(over),
            values: values.into_iter().filter_map(reading).collect(),
            command_failure: command.failure.clone(),
        }
    }
}

/// What counters grew by the minute over so many minutes.
fn rate<'a>(
    before: &'a BTreeMap<SignalName, f64>,
    now: &'a BTreeMap<SignalName, f64>,
    minutes: f64,
) -> impl Iterator<Item = (SignalName, f64)> + 'a {
    now.iter().filter_map(move |(name, counter)| {
        let before = before.get(name)?;
        // A counter that has become smaller was begun anew.
        let more = if counter < before { *counter } else { counter - before };
        Some((name.clone(), more / minutes))
    })
}

fn signal(name: &str) -> SignalName {
    name.parse().expect("the signals of every agent have good names")
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// The text of a file that is still written.
fn read(path: &Path) -> std::io::Result<String> {
    let file = File::open(path)?;
    let age = SystemTime::now().duration_since(file.metadata()?.modified()?);
    if age.is_ok_and(|age| age > MAX_FILE_AGE) {
        return Err(std::io::Error::other("nobody has written it for 10 minutes"));
    }
    let mut text = String::new();
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_machine_measures_itself() {
        let folder = tempfile::tempdir().unwrap();
        let mut sampler = Sampler::new(Span::ZERO);
        assert_eq!(
            sampler.sample(folder.path(), &[], &RefCell::default()).await,
            None,
            "once is no span"
        );
        let sample = loop {
            // The system counts in ticks of a hundredth of a second.
            let sample = sampler.sample(folder.path(), &[], &RefCell::default()).await.unwrap();
            if sample.values.contains_key(&signal(PROCESSOR)) {
                break sample;
            }
            tokio::task::yield_now().await;
        };
        for name in [PROCESSOR, MEMORY, DISK_FREE] {
            let value = f64::from(sample.values[&signal(name)]);
            assert!((0.0..=100.0).contains(&value), "{name}: {value}");
        }
        assert!(f64::from(sample.values[&signal(MEMORY)]) > 0.0);
    }

    fn measured(at: Instant, errors: f64) -> Measured {
        let counters = [(signal("errors"), errors)].into();
        Measured { at, processors: None, gauges: BTreeMap::new(), counters }
    }

    #[tokio::test]
    async fn counters_become_rates_a_minute() {
        let begin = Instant::now();
        let end = begin + Duration::from_secs(30);
        let rate = |from, to| {
            let sample = measured(end, to).since(&measured(begin, from), &Told::default());
            assert_eq!(sample.over, Span::from_secs(30));
            f64::from(sample.values[&signal("errors")])
        };
        assert_eq!(rate(1000.0, 1060.0), 120.0);
        assert_eq!(rate(1000.0, 7.0), 14.0, "it was begun anew");
    }

    #[tokio::test]
    async fn files_are_read_while_somebody_writes_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runner.prom");
        let check = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read(&path).is_ok()
        };
        assert!(check("queue 3\n"));
        assert!(!check(&"x".repeat(70_000)));
        std::fs::write(&path, "queue 3\n").unwrap();
        let long_ago = SystemTime::now() - 2 * MAX_FILE_AGE;
        File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        assert!(read(&path).is_err());
    }
}
