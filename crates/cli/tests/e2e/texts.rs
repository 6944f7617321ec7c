//! The texts that a user sees first: help and errors, as snapshots.
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::process::{Command, Stdio};

fn gofleet(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gofleet"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GOFLEET_") {
            command.env_remove(name);
        }
    }
    command
        .args(arguments)
        .env("HOME", folder.path())
        .env("XDG_CONFIG_HOME", folder.path())
        .env("APPDATA", folder.path())
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .current_dir(folder.path())
        .stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = format!(
        "exit code: {}\n---- stdout\n{}---- stderr\n{}",
        output.status.code().unwrap(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let folder = folder.path().display().to_string();
    text.replace(&folder, "[folder]").replace("gofleet.exe", "gofleet").replace("\r\n", "\n")
}

macro_rules! check {
    ($($name:ident: $($argument:literal)*;)+) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(gofleet(&[$($argument),*]));
        }
    )+};
}

check! {
    help: "--help";
    help_rollout: "rollout" "--help";
    help_rollout_start: "rollout" "start" "-h";
    help_release_import: "release" "import" "-h";
    help_demo: "demo" "-h";
    unknown_verb: "rolout";
    no_server_is_named: "device" "list";
    no_token_is_known: "device" "list" "--server" "http://127.0.0.1:9";
    not_an_address: "device" "list" "--server" "127.0.0.1:9" "--token" "x";
    nobody_listens: "device" "list" "--server" "http://127.0.0.1:9" "--token" "x";
    nobody_listens_json: "device" "list" "--server" "http://127.0.0.1:9" "--token" "x" "--json";
    a_file_that_is_not_there: "apply" "-f" "rollout.yaml" "--server" "http://127.0.0.1:9" "--token" "x";
    a_data_folder_that_is_none: "device" "list" "--data" "nowhere";
    an_unknown_setting: "server" "--listen" "here";
    a_span_that_is_none: "rollout" "plan" "1.27.3" "--soak" "soon";
    an_empty_folder: "release" "import" "." "--server" "http://127.0.0.1:9" "--token" "x";
}

#[test]
fn the_settings_tell_where_they_come_from() {
    let text = gofleet(&["server", "--print-config", "--listen", "127.0.0.1:1", "--data", "d"]);
    assert!(text.contains("listen") && text.contains("--listen"), "{text}");
    assert!(text.contains("default"), "{text}");
}

#[test]
fn every_verb_stands_in_the_reference() {
    let text = gofleet(&["reference"]);
    for verb in
        ["## gofleet\n", "### gofleet server", "#### gofleet rollout start", "### gofleet why"]
    {
        assert!(text.contains(verb), "{verb} is missing");
    }
}
