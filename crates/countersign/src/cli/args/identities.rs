//! Flags of the verbs about identities: who is registered, and the keys that sign for them.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use model::TrustDomain;

use crate::control::AuthorityKind;

#[derive(Debug, Args)]
pub struct Registration {
    #[command(subcommand)]
    pub verb: RegistrationVerb,
}

#[derive(Debug, Subcommand)]
pub enum RegistrationVerb {
    /// Register what documents say, or change what has their names; all of them or none
    #[command(after_help = "Examples:
  countersign registration put -f registrations/
  countersign registration put -f web.yaml --output json")]
    Put {
        /// A directory, or a YAML file, with Registration documents alone: at most 1000
        #[arg(short, long, value_name = "PATH")]
        file: PathBuf,
    },
    /// Register nothing any more under these names; workloads lose what they had by them
    #[command(after_help = "Examples:
  countersign registration delete web api")]
    Delete {
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub struct Import {
    #[command(subcommand)]
    pub verb: ImportVerb,
}

#[derive(Debug, Subcommand)]
pub enum ImportVerb {
    /// Registrations from the entries of a SPIRE server, as `spire-server entry show -output json` prints them
    #[command(
        after_help = "Whatever cannot be carried is said on stderr, line by line, and under `notes` in JSON. Groups of nodes (`-node`) stand in the
registrations below them. The same entries give the same files. docs/from-spire.md compares the two.

Exits with 0 also where something is said, with 3 if the input is no list of entries.

Examples:
  spire-server entry show -output json > entries.json
  countersign import spire entries.json                        to standard output
  countersign import spire entries.json --out registrations/   at most 1000 a file, into a new directory
  for file in registrations/*.yaml; do countersign registration put -f $file; done
  countersign import spire entries.json --output json | jq -r '.notes[] | select(.kind == \"left_out\").message'"
    )]
    Spire(ImportSpire),
}

#[derive(Debug, Args)]
pub struct ImportSpire {
    /// File with the entries, `-` for standard input
    #[arg(value_name = "FILE|-")]
    pub file: PathBuf,
    /// The trust domain; else that of the entries, if they are of one
    #[arg(long, value_name = "D")]
    pub trust_domain: Option<TrustDomain>,
    /// Directory for the files: a new one, or an empty one
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Authority {
    #[command(subcommand)]
    pub verb: AuthorityDo,
}

#[derive(Debug, Subcommand)]
pub enum AuthorityDo {
    /// List the authorities that are published
    Show {
        /// Only those that sign these
        #[arg(long, value_enum)]
        kind: Option<AuthorityKind>,
    },
    /// Make another one, and publish it
    Prepare {
        /// What it signs
        #[arg(long, value_enum, default_value_t = AuthorityKind::X509)]
        kind: AuthorityKind,
    },
    /// Let the prepared one sign from now on
    Activate(AuthorityOf),
    /// Have what it signed replaced at once
    Taint(AuthorityOf),
    /// Publish a tainted one no more: what it signed counts nowhere
    Revoke(AuthorityOf),
}

#[derive(Debug, Args)]
pub struct AuthorityOf {
    /// Its id, or the beginning of it; without one, the only one that it could be
    pub id: Option<String>,
    /// What it signs
    #[arg(long, value_enum, default_value_t = AuthorityKind::X509)]
    pub kind: AuthorityKind,
}
