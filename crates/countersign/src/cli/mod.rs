//! The command line: flags, which server, output, exit codes. What the verbs do stands elsewhere.

mod args;
mod authority;
mod catalog;
mod client;
mod codes;
mod conformance;
mod doctor;
mod explained;
mod import;
mod installation;
mod offline;
mod operate;
mod output;
mod reach;
mod remote;
mod server;
mod settings;
mod status;
mod tour;

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches};

use self::args::{AgentVerb, EnrollVerb, LedgerVerb, SvidVerb};
use crate::control::Act;

pub use args::{Cli, Format, Verb};
pub use client::Client;
pub use explained::explain_text;

/// How a verb ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    /// It failed, or what was compared differs.
    Failed = 1,
    /// One of the gates said no.
    Denied = 2,
    /// The input is not what it should be.
    Invalid = 3,
    /// The server cannot be reached.
    Unreachable = 4,
    /// The command line is not understood.
    Usage = 64,
}

/// A verb that did not end well: what to say on stderr, and how to exit.
#[derive(Debug)]
pub struct Stopped {
    pub exit: Exit,
    pub message: String,
}

impl Stopped {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// Ends without another word: the output has said it all.
    pub fn silently(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    /// An error and its causes.
    pub fn because(exit: Exit, error: &dyn std::error::Error) -> Self {
        Self::new(exit, net::causes::chain(error))
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let parsed = Cli::command().try_get_matches().and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    let (cli, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            // help and version are what was asked for; all else is a usage error
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            // nobody is left to tell if this cannot be printed
            let _ = error.print();
            return exit(code);
        }
    };
    match run(cli, &matches) {
        Ok(()) => exit(Exit::Done),
        Err(stopped) => {
            if !stopped.message.is_empty() {
                output::complain(&stopped.message);
            }
            exit(stopped.exit)
        }
    }
}

fn exit(code: Exit) -> ExitCode {
    ExitCode::from(code as u8)
}

fn run(cli: Cli, matches: &ArgMatches) -> Result<(), Stopped> {
    let Cli { verb, reach, output } = cli;
    let client = || reach::find(&reach);
    if output == Format::Junit && !matches!(verb, Verb::Conformance(_)) {
        return Err(Stopped::new(Exit::Usage, "`--output junit` is for `conformance` alone: expected text or json"));
    }
    match verb {
        Verb::Dev(dev) => server::dev(&dev, &reach, output),
        Verb::Init(new) => installation::init(&new, reach.dir, output),
        Verb::Server(role) => installation::server(&role, output),
        Verb::Agent(args::Agent { verb: Some(AgentVerb::Evict { name }), .. }) => {
            operate::evict(&client()?, &name, output)
        }
        Verb::Agent(agent) => installation::agent(&agent, output),
        Verb::Gateway(gateway) => installation::gateway(&gateway.role, gateway.enroll_token_file.as_deref(), output),
        Verb::Enroll(args::Enroll { verb: EnrollVerb::Token(order) }) => {
            installation::enroll_token(&client()?, &order, output)
        }
        Verb::Check(check) => offline::check(&check, output),
        Verb::Apply(apply) => remote::apply(&client, &apply, output),
        Verb::Plan(plan) => operate::plan(&client()?, &plan, output),
        Verb::Rollback(rollback) => operate::roll_back(&client()?, &rollback, output),
        Verb::Revoke(revoke) => operate::revoke(&client()?, Act::Revoke, &revoke, output),
        Verb::Registration(registration) => operate::register(&client()?, registration.verb, output),
        Verb::Import(args::Import { verb: args::ImportVerb::Spire(spire) }) => import::spire(&spire, output),
        Verb::Restore(restore) => operate::revoke(&client()?, Act::Restore, &restore, output),
        Verb::Authority(asked) => authority::authority(&client()?, &asked.verb, output),
        Verb::Get(get) => operate::get(&client()?, &get, output),
        Verb::Status(asked) if asked.verbose => {
            let settings = settings::settings(matches, &reach, output)?;
            status::verbose(&client()?, settings, output)
        }
        Verb::Status(_) => status::status(&client()?, output),
        Verb::Doctor => doctor::doctor(&reach, output),
        Verb::Whoami => operate::who_am_i(&client()?, output),
        Verb::Resolve(resolve) if resolve.file.is_some() => offline::resolve(&resolve, output),
        Verb::Resolve(resolve) => remote::resolve(&client()?, &resolve, output),
        Verb::Decide(decide) if decide.file.is_some() => offline::decide(&decide, output),
        Verb::Decide(decide) => remote::decide(&client()?, &decide, output),
        Verb::Explain(explain) if explain.ledger.is_some() => offline::explain(explain, output),
        Verb::Explain(explain) => remote::explain(&client()?, explain, output),
        Verb::Replay(replay) if replay.ledger.is_some() => offline::replay(replay, output),
        Verb::Replay(replay) => remote::replay(&client()?, replay, output),
        Verb::Ledger(ledger) => match ledger.verb {
            LedgerVerb::Tail(tail) => server::runtime()?.block_on(remote::tail(&client()?, tail, output)),
            LedgerVerb::Checkpoint { out } => remote::checkpoint(&client()?, &out, output),
            LedgerVerb::Verify(verify) => offline::verify(&verify, output),
            LedgerVerb::NewChain(chain) => offline::new_chain(&chain, output),
        },
        Verb::Svid(args::Svid { verb: SvidVerb::Mint(mint) }) => remote::mint(&client()?, &mint, output),
        Verb::Catalog(catalog) => catalog::catalog(&catalog, output),
        Verb::Conformance(asked) => conformance::conformance(asked, output),
        Verb::ExplainCode(code) => offline::explain_code(&code, output),
        Verb::Completion(completion) => {
            offline::completion(&completion, output);
            Ok(())
        }
        Verb::Version => {
            offline::version(output);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
