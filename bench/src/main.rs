//! Benchmarks: each prints a table for people; `docs/performance.md` keeps what was seen. Nothing here ships, and no
//! test depends on a figure.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a table is what it is for")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark that goes wrong stops, and says where"
)]

mod cedar;
mod clock;
mod decide;
mod estate;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo run --release -p bench -- decide [--quick]

  decide    what a decision costs with 10 to 100,000 policies, beside Cedar alone
  --quick   up to 1,000 policies and few rounds: shows that it works, and no figure to keep";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["decide"] => decide::run(&decide::FULL),
        ["decide", "--quick"] => decide::run(&decide::QUICK),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(64);
        }
    }
    ExitCode::SUCCESS
}
