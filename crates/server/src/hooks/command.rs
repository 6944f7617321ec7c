//! A hook that is a program: what happened comes in the environment and as JSON on its input.

use std::process::{Output, Stdio};
use std::time::Duration;

use gofleet_core::hook::HookCall;
use gofleet_platform::ProcessTree;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::told;

/// Runs it once. It must end with code 0 in time; else it is killed with all its descendants.
pub(super) async fn run(
    command: &[String],
    call: &HookCall,
    timeout: Duration,
) -> Result<(), String> {
    let (program, arguments) = command.split_first().ok_or("no program is set")?;
    let json = serde_json::to_vec(call).map_err(|error| error.to_string())?;
    let not_started = |error: std::io::Error| format!("{program} could not be started: {error}");
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("GOFLEET_HOOK_ID", &call.id)
        .env("GOFLEET_HOOK_EVENT", call.event.as_str())
        .env("GOFLEET_DEVICE", call.device.as_str())
        .env("GOFLEET_HOSTNAME", without_nul(&call.hostname))
        .env("GOFLEET_REASON", without_nul(&call.reason))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    ProcessTree::prepare(command.as_std_mut());
    let mut child = command.spawn().map_err(not_started)?;
    let pid = child.id().ok_or("it has ended before it began")?;
    let tree = ProcessTree::adopt(pid).map_err(not_started)?;
    let input = child.stdin.take();
    let write = async {
        if let Some(mut input) = input {
            // A program that does not read it is none the worse.
            let _ = input.write_all(&json).await;
        }
    };
    let all = async { tokio::join!(write, child.wait_with_output()).1 };
    let Ok(output) = tokio::time::timeout(timeout, all).await else {
        return Err(format!("{program} did not end within {} s", timeout.as_secs_f64()));
    };
    let output = output.map_err(|error| error.to_string())?;
    tree.finished();
    judge(program, &output)
}

fn judge(program: &str, output: &Output) -> Result<(), String> {
    if output.status.success() {
        return Ok(());
    }
    let printed = [&output.stderr[..], &output.stdout[..]].concat();
    let printed = told(&String::from_utf8_lossy(&printed));
    Err(format!("{program} ended with {}: {printed}", output.status))
}

/// What a device tells must not keep the program from being started.
fn without_nul(text: &str) -> String {
    text.replace('\0', "")
}
