//! Hands the arguments to `cli` and its result to the exit code.

fn main() {}
