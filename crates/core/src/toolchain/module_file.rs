//! What selection reads of `go.mod` and `go.work`: two lines, found by a plain scan.

/// What a `go.mod` or `go.work` demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleFile {
    /// Its name as errors show it.
    pub shown: String,
    /// The first `go` line's value; empty if there is none.
    pub go: String,
    /// The first `toolchain` line's value; empty if there is none.
    pub toolchain: String,
}

impl ModuleFile {
    /// Reads `text`. The scan does not parse the file, so that a file that only a newer Go can
    /// parse can still demand it (`GoModLookup` in `cmd/go/internal/gover/gomod.go`).
    pub fn scan(shown: impl Into<String>, text: &str) -> Self {
        let lookup = |key| text.lines().find_map(|line| value(line, key)).unwrap_or_default();
        Self { shown: shown.into(), go: lookup("go"), toolchain: lookup("toolchain") }
    }
}

/// The value of a line `key value // comment`.
fn value(line: &str, key: &str) -> Option<String> {
    let rest = line.trim().strip_prefix(key)?;
    if !rest.starts_with([' ', '\t']) {
        return None;
    }
    let value = rest.split_once("//").map_or(rest, |(value, _comment)| value);
    Some(value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_each_key_counts() {
        let check = |text: &str, go: &str, toolchain: &str| {
            let file = ModuleFile::scan("go.mod", text);
            assert_eq!((file.go.as_str(), file.toolchain.as_str()), (go, toolchain), "{text:?}");
        };
        check("module m\n\ngo 1.27.3\ntoolchain go1.28.0\n", "1.27.3", "go1.28.0");
        check("go 1.27 // the newest\r\n\ttoolchain\tdefault\r\n", "1.27", "default");
        check("go 1.25\ngo 1.26\n", "1.25", "");
        check("gopher 1.27\ngo1.27\ntoolchains x\n", "", "");
        check("go \ngo 1.27", "1.27", "");
        check("// go 1.27\nrequire (\n\tgo 1.26\n)", "1.26", "");
        check("", "", "");
    }
}
