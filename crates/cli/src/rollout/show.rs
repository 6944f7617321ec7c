//! Rollouts as text.

use gofleet_core::order::Step;
use gofleet_core::rollout::{
    DeviceStatus, PlannedRing, RingState, RingStatus, RolloutPlan, RolloutStatus, RolloutSummary,
    Traffic, WayTraffic,
};

use crate::printer::{bytes, paint, style};

/// Most devices of a ring that a plan names one by one.
const NAMED_DEVICES: usize = 8;

/// A rollout as a row of the list.
pub fn row(rollout: &RolloutSummary) -> Vec<String> {
    let all: u64 = rollout.steps.values().sum();
    let accepted = rollout.steps.get(&Step::Accepted).copied().unwrap_or_default();
    vec![
        rollout.id.to_string(),
        rollout.name.clone(),
        rollout.version.clone(),
        rollout.state.to_string(),
        format!("{}/{}", (rollout.current_ring + 1).min(rollout.rings), rollout.rings),
        format!("{accepted}/{all}"),
        rollout.started_at.to_string(),
    ]
}

/// A plan: rings, those left out and why, bytes, duration.
pub fn describe_plan(plan: &RolloutPlan) -> String {
    let devices: usize = plan.rings.iter().map(|ring| ring.devices.len()).sum();
    let heading = format!(
        "{}: {} {} for {devices} devices in {} rings",
        plan.spec.name,
        plan.spec.package,
        plan.spec.version,
        plan.rings.len()
    );
    let mut lines = vec![
        paint(style::STRONG, heading),
        format!("  {}, about {} if nothing fails", to_download(plan), plan.expected),
    ];
    for (ring, wanted) in plan.rings.iter().zip(&plan.spec.rings) {
        lines.extend(describe_planned_ring(ring, &wanted.size.to_string()));
    }
    if !plan.left_out.is_empty() {
        lines.push(format!("  left out: {}", plan.left_out.len()));
        for device in &plan.left_out {
            lines.push(format!("    {:16} {}", device.hostname, device.reason));
        }
    }
    if plan.not_selected > 0 {
        lines.push(format!("  not selected: {}", plan.not_selected));
    }
    for warning in &plan.warnings {
        lines.push(format!("  {} {warning}", paint(style::WARNING, "warning:")));
    }
    lines.join("\n")
}

fn to_download(plan: &RolloutPlan) -> String {
    let wanted = bytes(plan.bytes);
    if plan.archive_bytes <= plan.bytes {
        return format!("{wanted} to download");
    }
    format!("{wanted} to download (as archives {})", bytes(plan.archive_bytes))
}

fn describe_planned_ring(ring: &PlannedRing, size: &str) -> Vec<String> {
    let count = ring.devices.len();
    let mut lines = vec![format!(
        "  {:12} {count} devices ({size}), {}, about {}",
        ring.name,
        bytes(ring.bytes),
        ring.expected
    )];
    for device in ring.devices.iter().take(NAMED_DEVICES) {
        let active = device.active.as_deref().unwrap_or("none");
        let apart = match (&device.kept_out, device.offline_since, &device.waits) {
            (Some(reason), ..) => format!(" ({reason}; held apart)"),
            (None, Some(since), _) => format!(" (offline since {since}: held apart)"),
            (None, None, Some(reason)) => format!(" ({reason})"),
            (None, None, None) => String::new(),
        };
        lines.push(format!("    {:16} {active} -> {}{apart}", device.hostname, device.release));
    }
    if count > NAMED_DEVICES {
        lines.push(format!("    and {} more (--json names all)", count - NAMED_DEVICES));
    }
    lines
}

/// A rollout: rings with their gates, and every device that has not accepted with its reason.
pub fn describe_status(status: &RolloutStatus) -> String {
    let summary = &status.summary;
    let heading = format!("{} ({}): {}", summary.name, summary.id, summary.state);
    let mut lines = vec![paint(style::STRONG, heading)];
    if let Some(reason) = &summary.reason {
        lines.push(format!("  {reason}"));
    }
    lines.push(format!(
        "  {} {}, started {} by {}, {} downloaded",
        status.spec.package,
        summary.version,
        summary.started_at,
        summary.author,
        bytes(status.bytes_downloaded)
    ));
    if status.awaiting_user > 0 {
        lines.push(format!("  {} devices wait for their user", status.awaiting_user));
    }
    lines.extend(describe_traffic(&status.traffic));
    for ring in &status.rings_detail {
        lines.extend(describe_ring(ring));
    }
    for device in &status.left_out {
        lines.push(format!("  left out: {:16} {}", device.hostname, device.reason));
    }
    lines.join("\n")
}

/// How the release came, and what that saved; nothing until it came to somebody.
fn describe_traffic(traffic: &Traffic) -> Option<String> {
    let way = |way: &WayTraffic| format!("{} by {} ({})", way.devices, way.kind, bytes(way.bytes));
    let ways: Vec<_> = traffic.ways.iter().map(way).collect();
    if ways.is_empty() {
        return None;
    }
    let edges = match traffic.edge_bytes {
        0 => String::new(),
        sent => format!(", {} from edges", bytes(sent)),
    };
    let saved = bytes(traffic.saved_bytes);
    Some(format!("  devices: {}{edges}; {saved} saved", ways.join(", ")))
}

fn describe_ring(ring: &RingStatus) -> Vec<String> {
    let cells: String = ring.devices.iter().map(cell).collect();
    let mut lines = vec![format!(
        "  {:12} {:12} {cells} {} of {} accepted",
        ring.name,
        painted(ring.state),
        ring.tally.successes,
        ring.tally.devices
    )];
    lines.extend(ring.reasons.iter().map(|reason| format!("    gate: {reason}")));
    for device in ring.devices.iter().filter(|device| device.step != Step::Accepted) {
        let reason = device.reason.as_ref().map(ToString::to_string).unwrap_or_default();
        lines.push(format!("    {:16} {:11} {reason}", device.hostname, device.step));
        if let Some(failure) = &device.failure {
            lines.push(format!("      failed at {}: {}", failure.step, failure.message));
        }
    }
    lines
}

fn painted(state: RingState) -> String {
    let text = format!("{state:12}");
    match state {
        RingState::Waiting => paint(style::FAINT, text),
        RingState::Running | RingState::Rehearsing | RingState::Repeating => text,
        RingState::Passed => paint(style::GOOD, text),
        RingState::Failed | RingState::RollingBack | RingState::RolledBack => {
            paint(style::WARNING, text)
        }
    }
}

/// All rings on one line, a sign for each device.
pub fn picture(status: &RolloutStatus) -> String {
    let ring = |ring: &RingStatus| {
        let cells: String = ring.devices.iter().map(cell).collect();
        format!("{} {cells}", ring.name)
    };
    status.rings_detail.iter().map(ring).collect::<Vec<_>>().join("  ")
}

/// A device as one sign, told apart without colour.
fn cell(device: &DeviceStatus) -> String {
    match device.step {
        Step::Waiting | Step::Offered => "·".to_owned(),
        Step::Fetching | Step::Staged => "▹".to_owned(),
        Step::Activating | Step::Verifying | Step::Soaking => "▸".to_owned(),
        Step::Accepted => paint(style::GOOD, "✓"),
        Step::Failed | Step::Reverting => paint(style::WARNING, "!"),
        Step::Reverted | Step::Quarantined => paint(style::ERROR, "✗"),
        Step::Skipped => "–".to_owned(),
    }
}
