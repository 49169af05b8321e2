//! Benchmarks: each prints a table for people; `docs/performance.md` keeps what was seen. Nothing here ships, and no
//! test depends on a figure.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a table is what it is for")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark that goes wrong stops, and says where"
)]

mod agents;
mod cedar;
mod clock;
mod decide;
mod estate;
mod gateway;
mod load;
mod machine;
mod parties;
mod product;
mod rest;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo run --release -p bench -- COMMAND [--quick]

  decide           what a decision costs with 10 to 100,000 policies, beside Cedar alone
  gateway [CASE]   what a request costs at the gateway, beside nginx and Envoy; only cases whose title holds CASE
  agents           SVIDs a second, how soon a registration reaches a workload, and what an agent holds
  rest             memory, start-up, size, the ledger alone, and how soon revocations and new keys hold
  --quick          few rounds and small sizes: shows that it works, and no figure to keep";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["decide"] => decide::run(&decide::FULL),
        ["decide", "--quick"] => decide::run(&decide::QUICK),
        ["gateway"] => return gateway::run(&gateway::FULL, ""),
        ["gateway", "--quick"] => return gateway::run(&gateway::QUICK, ""),
        ["gateway", only] => return gateway::run(&gateway::FULL, only),
        ["agents"] => return agents::run(&agents::FULL),
        ["agents", "--quick"] => return agents::run(&agents::QUICK),
        ["hold", socket] => agents::hold(socket),
        ["rest"] => return rest::run(&rest::FULL),
        ["rest", "--quick"] => return rest::run(&rest::QUICK),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(64);
        }
    }
    ExitCode::SUCCESS
}
