//! Hands the arguments to `cli` and its result to the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    carrel::cli::run()
}
