//! The `countersign-agent` binary: the node agent, and nothing else.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use net::causes::chain;

/// The node agent of Countersign
#[derive(Debug, Parser)]
#[command(
    name = "countersign-agent",
    version,
    after_help = "Workloads find the SPIFFE Workload API at the socket that the settings name:
  export SPIFFE_ENDPOINT_SOCKET=unix:///run/countersign/agent.sock

Examples:
  countersign-agent --config agent.yaml --enroll-token-file token   # the first time
  countersign-agent --config agent.yaml"
)]
struct Args {
    /// Settings of the agent
    #[arg(long, env = "COUNTERSIGN_CONFIG", value_name = "FILE")]
    config: PathBuf,
    /// File with a join token: for first contact, or after the agent's SVID has ended
    #[arg(long, env = "COUNTERSIGN_ENROLL_TOKEN_FILE", value_name = "FILE")]
    enroll_token_file: Option<PathBuf>,
}

const DENIED: u8 = 2;
const INVALID: u8 = 3;
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let usage = error.use_stderr();
            let _ = error.print();
            return if usage { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    agent::log();
    let done = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map(|runtime| {
        runtime.block_on(agent::agent(&args.config, args.enroll_token_file.as_deref(), |settings| {
            tracing::info!(socket = %settings.socket.display(), "workloads are served");
        }))
    });
    let (code, why) = match done {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(error)) if error.is_denied() => (ExitCode::from(DENIED), chain(&error)),
        Ok(Err(error)) if error.is_invalid() => (ExitCode::from(INVALID), chain(&error)),
        Ok(Err(error)) => (ExitCode::FAILURE, chain(&error)),
        Err(error) => (ExitCode::FAILURE, chain(&error)),
    };
    tracing::error!("{why}");
    code
}
