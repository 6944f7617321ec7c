//! What an entry of `PATH` is to Go.

use serde::Serialize;

use super::{Reader, Seen, Style};

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The folder of gofleet's shims.
    Own,
    /// The folder of another `go`.
    Go,
    /// By its name the folder of another `go`, but it is not there.
    DeadGo,
    /// A folder that is not there.
    Dead,
    /// All else, empty entries too.
    Other,
}

/// The role of an entry; `own` is the key of gofleet's folder.
pub(super) fn role(reader: &Reader<'_>, entry: &str, own: &str) -> Role {
    let Some(key) = reader.key(entry) else { return Role::Other };
    if key == own {
        return Role::Own;
    }
    match reader.look(entry) {
        Seen::Go => Role::Go,
        Seen::Folder | Seen::Unknown => Role::Other,
        // `go install` makes this folder when it is first used.
        Seen::Nothing if is_for_installed_programs(reader, &key) => Role::Other,
        Seen::Nothing if looks_like_go(&key) => Role::DeadGo,
        Seen::Nothing => Role::Dead,
    }
}

/// `…\Go\bin`, `…\go1.22.3\bin`, `…\go-1.27.3-windows-amd64\bin`, `…\go\current\bin`.
fn looks_like_go(key: &str) -> bool {
    let key = key.to_lowercase();
    let mut names = key.rsplit(['\\', '/']);
    let is_go = |name: &str| {
        let version = name.strip_prefix("go").map(|rest| rest.strip_prefix('-').unwrap_or(rest));
        version
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    names.next() == Some("bin") && names.take(2).any(is_go)
}

/// Whether it is `$GOPATH/bin`, of this user or of another: Go's installer puts
/// `%USERPROFILE%\go\bin` on `PATH` beside its own folder.
fn is_for_installed_programs(reader: &Reader<'_>, key: &str) -> bool {
    let variable = |name: &str| reader.around.variable(name);
    let home = match reader.style {
        Style::Windows => variable("USERPROFILE").map(|home| format!("{home}\\go")),
        Style::Unix => variable("HOME").map(|home| format!("{home}/go")),
    };
    let paths = variable("GOPATH").into_iter().chain(home);
    let mut folders = paths.flat_map(|path| {
        let folders = super::split(&path, reader.style).into_iter();
        folders.map(|folder| format!("{folder}/bin")).collect::<Vec<_>>()
    });
    let lower = key.to_lowercase();
    let names: Vec<_> = lower.split(['\\', '/']).collect();
    let is_of_someone = matches!(names[..], [_, "users" | "home", _, "go", "bin"]);
    is_of_someone || folders.any(|folder| reader.key(&folder).as_deref() == Some(key))
}
