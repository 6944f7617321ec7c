//! How the costs grow with the versions that a device holds, as rows and as a picture for the
//! README.

use std::fs;

use anyhow::Result;

use super::super::Row;
use super::super::cost::timed;
use super::super::place::Place;
use super::super::programs::unzip;
use super::{Bench, KILO, MEGA, WINDOWS, bytes, disk_bytes};
use crate::run::root;

/// Installed one after the other: the first by its pack, each further one by a delta.
const HELD: [&str; 4] = ["1.27.0", "1.27.1", "1.27.2", "1.27.3"];

/// The README shows it.
const PICTURE: &str = "docs/images/depot.svg";

/// What has come, and what there is, after so many versions.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    downloaded_bytes: f64,
    disk_bytes: f64,
    wall_ms: f64,
}

pub fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let (ours, theirs) = (by_depot(bench)?, by_unzip(bench)?);
    fs::write(root().join(PICTURE), picture(&ours, &theirs))?;
    println!("wrote {PICTURE}");
    let row = |what: &str, at: usize, figure: fn(&Held) -> f64, unit, by: f64| {
        Row::new(format!("{what}, {} versions", at + 1), figure(&ours[at]) / by, unit)
            .against("zips", figure(&theirs[at]) / by)
    };
    let places = [0, HELD.len() - 1];
    Ok(places
        .into_iter()
        .flat_map(|at| {
            [
                row("downloaded in all", at, |held| held.downloaded_bytes, "MB", MEGA),
                row("on the disk", at, |held| held.disk_bytes, "MB", MEGA),
                row("time in all", at, |held| held.wall_ms, "s", KILO),
            ]
        })
        .collect())
}

fn by_depot(bench: &Bench) -> Result<Vec<Held>> {
    let place = Place::new()?;
    let (mut sum, mut before, mut all) = (Held::default(), None, Vec::new());
    for version in HELD {
        let archive = bench.archive(version, WINDOWS)?;
        let (way, file) = match before {
            None => ("pack", bench.pack(version, WINDOWS)?.0),
            Some(base) => ("delta", bench.delta(base, version)?.0),
        };
        let wanted = bench.device.want(&archive, way, &file)?;
        sum.wall_ms += timed(&mut bench.device.install(&wanted, place.path()))?;
        sum.downloaded_bytes += bytes(&file)?;
        sum.disk_bytes = disk_bytes(place.path())?;
        before = Some(version);
        all.push(sum);
    }
    Ok(all)
}

fn by_unzip(bench: &Bench) -> Result<Vec<Held>> {
    let place = Place::new()?;
    let (mut sum, mut all) = (Held::default(), Vec::new());
    for version in HELD {
        let archive = bench.archive(version, WINDOWS)?;
        sum.wall_ms += timed(&mut unzip(&archive, &place.path().join(version)))?;
        sum.downloaded_bytes += bytes(&archive)?;
        sum.disk_bytes = disk_bytes(place.path())?;
        all.push(sum);
    }
    Ok(all)
}

const STYLE: &str = "
  text { font: 13px system-ui, sans-serif; fill: #1b2733 }
  .title { font-weight: 600; font-size: 15px }
  .muted { fill: #5d6873 }
  .ours { fill: #0d5c70 } .theirs { fill: #c9bfae }
  @media (prefers-color-scheme: dark) {
    text { fill: #e8edf2 } .muted { fill: #9aa7b4 }
    .ours { fill: #4fb6b0 } .theirs { fill: #55606c }
  }";
const PANEL_WIDTH: f64 = 270.0;
const BARS_HEIGHT: f64 = 150.0;
const BARS_TOP: f64 = 70.0;

/// Three panels of bars side by side, for one to four versions.
fn picture(ours: &[Held], theirs: &[Held]) -> String {
    type Figure = fn(&Held) -> f64;
    let panels: [(&str, Figure, f64, &str); 3] = [
        ("Downloaded", |held| held.downloaded_bytes, MEGA, "MB"),
        ("On the disk", |held| held.disk_bytes, MEGA, "MB"),
        ("Time", |held| held.wall_ms, KILO, "s"),
    ];
    let mut body = String::new();
    for (at, (title, figure, by, unit)) in panels.into_iter().enumerate() {
        let of = |all: &[Held]| all.iter().map(|held| figure(held) / by).collect::<Vec<_>>();
        let x = 10.0 + at as f64 * (PANEL_WIDTH + 20.0);
        body += &panel(x, title, unit, &of(ours), &of(theirs));
    }
    let width = 20.0 + 3.0 * PANEL_WIDTH + 2.0 * 20.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} 260\" role=\"img\">\
         <title>What one to four versions of Go for Windows cost a device</title>\
         <style>{STYLE}</style>{body}</svg>\n"
    )
}

fn panel(x: f64, title: &str, unit: &str, ours: &[f64], theirs: &[f64]) -> String {
    let most = ours.iter().chain(theirs).copied().fold(0.0, f64::max);
    let mut panel = format!(
        "<text class=\"title\" x=\"{x}\" y=\"22\">{title}</text>\
         <rect class=\"ours\" x=\"{x}\" y=\"34\" width=\"11\" height=\"11\"/>\
         <text class=\"muted\" x=\"{}\" y=\"44\">gofleet</text>\
         <rect class=\"theirs\" x=\"{}\" y=\"34\" width=\"11\" height=\"11\"/>\
         <text class=\"muted\" x=\"{}\" y=\"44\">zip archives</text>",
        x + 16.0,
        x + 78.0,
        x + 94.0
    );
    let step = PANEL_WIDTH / ours.len() as f64;
    for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        let left = x + at as f64 * step;
        for (class, value, shift) in [("ours", *ours, 0.0), ("theirs", *theirs, 30.0)] {
            let height = (value / most * BARS_HEIGHT).max(1.0);
            let top = BARS_TOP + BARS_HEIGHT - height;
            let digits = usize::from(unit == "s");
            panel += &format!(
                "<rect class=\"{class}\" x=\"{:.1}\" y=\"{top:.1}\" width=\"26\" \
                 height=\"{height:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" \
                 font-size=\"11\">{value:.digits$}</text>",
                left + shift,
                left + shift + 13.0,
                top - 4.0
            );
        }
        panel += &format!(
            "<text class=\"muted\" x=\"{:.1}\" y=\"240\" text-anchor=\"middle\">{}</text>",
            left + 28.0,
            at + 1
        );
    }
    panel + &format!("<text class=\"muted\" x=\"{x}\" y=\"257\">{unit}, versions held</text>")
}
