//! Hands the arguments to `cli` and its result to the exit code.

fn main() -> std::process::ExitCode {
    if std::env::args_os().nth(1).is_some_and(|verb| verb == "extract-worker") {
        return carrel::ingest::run_worker();
    }
    std::process::ExitCode::SUCCESS
}
