//! Arguments on Windows: one text, which each program splits in its own way.

#![expect(unsafe_code, reason = "a call of Windows")]

use std::ffi::OsString;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::process::CommandExt;
use std::process::Command;

use windows_sys::Win32::System::Environment::GetCommandLineW;

pub fn pass_arguments(command: &mut Command) {
    let line = command_line();
    let arguments = &line[end_of_program(&line)..];
    let start = arguments.iter().position(|unit| !is_blank(*unit)).unwrap_or(arguments.len());
    if !arguments[start..].is_empty() {
        command.raw_arg(OsString::from_wide(&arguments[start..]));
    }
}

/// The text that this program was started with.
fn command_line() -> Vec<u16> {
    // SAFETY: Windows gives a text that ends with a zero and lives as long as the program.
    unsafe {
        let text = GetCommandLineW();
        let length = (0..).take_while(|at| *text.add(*at) != 0).count();
        std::slice::from_raw_parts(text, length).to_vec()
    }
}

/// Where the program's name ends. Quotes in it can't be escaped, unlike those in arguments
/// (learn.microsoft.com, "Parsing C command-line arguments").
fn end_of_program(line: &[u16]) -> usize {
    let mut is_quoted = false;
    let ends = |unit: &u16| {
        is_quoted ^= *unit == u16::from(b'"');
        is_blank(*unit) && !is_quoted
    };
    line.iter().position(ends).unwrap_or(line.len())
}

fn is_blank(unit: u16) -> bool {
    [b' ', b'\t'].map(u16::from).contains(&unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_ends_where_its_quotes_do() {
        let check = |line: &str, rest: &str| {
            let units: Vec<u16> = line.encode_utf16().collect();
            let tail = String::from_utf16(&units[end_of_program(&units)..]).unwrap();
            assert_eq!(tail, rest, "{line}");
        };
        check(r#"go build "a b""#, r#" build "a b""#);
        check(r#""C:\Program Files\go.exe" version"#, " version");
        check(r#""C:\Program Files\"go.exe	x"#, "\tx");
        check("go", "");
        check("", "");
    }
}
