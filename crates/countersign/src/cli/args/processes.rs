//! Flags of the verbs that run a process, or lay out what one needs.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::control::PlaneRole;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Dev {
    #[command(subcommand)]
    pub verb: Option<DevVerb>,
    /// Address of the gateway; port 0 gives every listener a free port
    #[arg(long, env = "COUNTERSIGN_LISTEN", value_name = "HOST:PORT", default_value = "127.0.0.1:8480")]
    pub listen: SocketAddr,
    /// Empty the directory first
    #[arg(long)]
    pub fresh: bool,
    /// Walk the story, check every outcome, and exit
    #[arg(long, conflicts_with_all = ["watch", "fresh"])]
    pub tour: bool,
    /// Apply the estate whenever it is saved
    #[arg(long)]
    pub watch: bool,
    /// Serve fakes of Amazon's STS and of the metadata services of Amazon, Google and Azure beside
    #[arg(long, conflicts_with = "tour")]
    pub clouds: bool,
    /// The environment that is served, where the estate has several
    #[arg(long, env = "COUNTERSIGN_ENVIRONMENT", value_name = "NAME", conflicts_with = "tour")]
    pub environment: Option<String>,
    #[command(flatten)]
    pub own: OwnApi,
}

/// A first estate for the user's own API and issuer, instead of the quickstart.
#[derive(Debug, Args)]
#[command(next_help_heading = "For your own API, in a fresh directory")]
pub struct OwnApi {
    /// Where it listens: `http://host:port`
    #[arg(long, value_name = "URL", requires_all = ["openapi", "issuer", "audience"], conflicts_with = "tour")]
    pub upstream: Option<String>,
    /// Its OpenAPI 3.0 or 3.1 file, YAML or JSON
    #[arg(long, value_name = "FILE", requires = "upstream")]
    pub openapi: Option<PathBuf>,
    /// The issuer of its callers' tokens, exactly as `iss` has it
    #[arg(long, value_name = "URL", requires = "upstream")]
    pub issuer: Option<String>,
    /// The audience of these tokens
    #[arg(long, value_name = "NAME", requires = "upstream")]
    pub audience: Option<String>,
    /// The issuer's keys; else its discovery document is asked, once
    #[arg(long, value_name = "URL", requires = "upstream")]
    pub jwks_url: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum DevVerb {
    /// Print a fresh token of a sample caller
    #[command(after_help = "Examples:
  countersign dev token ci-main
  countersign dev token dunning --dir /tmp/demo")]
    Token {
        /// ci-main, ci-fork, ci-lookalike, dunning or alice
        name: String,
    },
    /// Serve a slice of a Kubernetes API server on loopback, to try node attestation without a cluster
    #[command(after_help = "Examples:
  countersign dev kubernetes
  countersign dev kubernetes --listen 127.0.0.1:0 --dir /tmp/demo
  curl -H \"Authorization: Bearer $(cat .countersign/kubernetes/admin.token)\" http://127.0.0.1:8490/version")]
    Kubernetes {
        /// Where it listens; port 0 is a free one
        #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8490")]
        listen: SocketAddr,
        /// A certificate in PEM; without one it speaks plain HTTP
        #[arg(long, value_name = "FILE", requires = "tls_private_key_file")]
        tls_cert_file: Option<PathBuf>,
        /// Its key in PEM
        #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
        tls_private_key_file: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub struct Init {
    /// Name of the environment: lower-case letters, digits and `-`
    #[arg(long, value_name = "NAME")]
    pub environment: String,
    /// Its trust domain; else NAME.internal
    #[arg(long, value_name = "DOMAIN")]
    pub trust_domain: Option<String>,
    /// Who operates it from elsewhere, by a certificate; else your login name, or `admin`
    #[arg(long, value_name = "NAME")]
    pub operator: Option<String>,
}

#[derive(Debug, Args)]
pub struct Role {
    /// Settings of the process
    #[arg(long, env = "COUNTERSIGN_CONFIG", value_name = "FILE")]
    pub config: PathBuf,
}

#[derive(Debug, Args)]
pub struct Gateway {
    #[command(flatten)]
    pub role: Role,
    /// File with an enrolment token: for first contact, or after the gateway's SVID has ended
    #[arg(long, env = "COUNTERSIGN_ENROLL_TOKEN_FILE", value_name = "FILE")]
    pub enroll_token_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(subcommand_negates_reqs = true)]
pub struct Agent {
    #[command(subcommand)]
    pub verb: Option<AgentVerb>,
    /// Settings of the process
    #[arg(long, env = "COUNTERSIGN_CONFIG", value_name = "FILE", required = true)]
    pub config: Option<PathBuf>,
    /// File with a join token: for first contact, or after the agent's SVID has ended
    #[arg(long, env = "COUNTERSIGN_ENROLL_TOKEN_FILE", value_name = "FILE")]
    pub enroll_token_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum AgentVerb {
    /// Forget an agent: its streams end, and it has nothing until it has attested its node again
    #[command(after_help = "One that must not come back is revoked instead: countersign revoke principal ID

Examples:
  countersign agent evict node-1
  countersign agent evict x509pop/racks/fb2125db84c57eb584036ada87ecfafa8bb8d8c39f2f31e6b4611402a15013c1")]
    Evict {
        /// What `countersign get agents` calls it, or its SPIFFE ID
        name: String,
    },
}

#[derive(Debug, Args)]
pub struct Enroll {
    #[command(subcommand)]
    pub verb: EnrollVerb,
}

#[derive(Debug, Subcommand)]
pub enum EnrollVerb {
    /// Print a token of one use, with which a new plane proves itself once
    #[command(
        after_help = "Whoever holds the token until it is used or ends is the plane of that name: hand it over like a password.

Examples:
  countersign enroll token --role gateway --name edge-1 > token
  countersign enroll token --role agent --name node-1 > token
  countersign enroll token --role gateway --name edge-1 --ttl 1h --output json"
    )]
    Token(EnrollToken),
}

#[derive(Debug, Args)]
pub struct EnrollToken {
    /// What the plane is
    #[arg(long, value_enum)]
    pub role: PlaneRole,
    /// Its name, the last part of its SPIFFE ID: lower-case letters, digits and `-`; else one is made up
    #[arg(long)]
    pub name: Option<String>,
    /// Lifetime, from 1s to 24h
    #[arg(long, value_name = "DURATION", default_value = "15m")]
    pub ttl: String,
}
