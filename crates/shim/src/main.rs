//! The program that stands as `go` and `gofmt` in the `bin` folder of a root.

use std::process::ExitCode;

fn main() -> ExitCode {
    match gofleet_shim::invoked_as() {
        Some(tool) => gofleet_shim::run(tool),
        None => {
            eprintln!(
                "gofleet: this program runs Go by the name of `go` or `gofmt`, and does nothing \
                 by its own; `gofleet install` puts it in its place"
            );
            ExitCode::from(2)
        }
    }
}
