//! What arguments of `go` have a say before a toolchain is selected.

use std::ffi::OsStr;

/// Verbs that have verbs of their own.
const GROUPS: [&str; 2] = ["mod", "work"];

/// Whether the toolchain that is asked answers itself, whatever the module wants: that is the way
/// out of a setting that no toolchain fits (the special cases at the top of `Select` in
/// `cmd/go/internal/toolchain/select.go`). `arguments` are those after the program's name.
pub fn is_for_local<S: AsRef<OsStr>>(arguments: &[S]) -> bool {
    let words: Vec<&str> =
        arguments.iter().take(4).map(|word| word.as_ref().to_str().unwrap_or("")).collect();
    match words[..] {
        ["env", name] => ["GOTOOLCHAIN", "GOMOD", "GOWORK"].contains(&name),
        ["env", "-w", assignment] => assignment.starts_with("GOTOOLCHAIN="),
        _ => false,
    }
}

/// The folder to which `-C` changes before anything is looked at (`handleChdirFlag` in
/// `cmd/go/main.go`): it counts only as the first argument after the verb.
pub fn changes_folder<S: AsRef<OsStr>>(arguments: &[S]) -> Option<&OsStr> {
    let word = |at: usize| arguments.get(at)?.as_ref().to_str();
    let is_verb = |word: &str| !word.starts_with('-');
    let mut at = 0;
    if word(0).is_some_and(is_verb) {
        let has_two =
            word(0).is_some_and(|verb| GROUPS.contains(&verb)) && word(1).is_some_and(is_verb);
        at = if has_two { 2 } else { 1 };
    }
    match word(at)? {
        "-C" | "--C" => arguments.get(at + 1).map(AsRef::as_ref),
        flag => flag.strip_prefix("--C=").or(flag.strip_prefix("-C=")).map(OsStr::new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        text.split_whitespace().collect()
    }

    #[test]
    fn folders_change_only_where_go_changes_them() {
        let check = |text: &str, folder: Option<&str>| {
            assert_eq!(changes_folder(&words(text)), folder.map(OsStr::new), "go {text}");
        };
        check("-C sub version", Some("sub"));
        check("version -C sub", Some("sub"));
        check("build -C=sub ./...", Some("sub"));
        check("mod edit --C sub -go=1.21", Some("sub"));
        check("mod -C sub edit", Some("sub"));
        check("run program -C sub", None);
        check("build -v -C sub", None);
        check("build -C", None);
        check("", None);
    }

    #[test]
    fn the_way_out_of_a_bad_setting_is_answered_by_the_local_toolchain() {
        let check =
            |text: &str, expect| assert_eq!(is_for_local(&words(text)), expect, "go {text}");
        check("env GOTOOLCHAIN", true);
        check("env GOMOD", true);
        check("env GOWORK", true);
        check("env -w GOTOOLCHAIN=go1.19", true);
        check("env -newflag GOTOOLCHAIN", false);
        check("env -w GOMOD=x", false);
        check("env GOTOOLCHAIN GOMOD", false);
        check("env", false);
    }
}
