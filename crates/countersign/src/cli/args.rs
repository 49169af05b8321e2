//! Verbs and flags.

mod conformance;
mod identities;
mod processes;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::reach::Reach;
use crate::control::Kind as RevocableKind;

pub use conformance::Conformance;
pub use identities::{
    Authority, AuthorityDo, AuthorityOf, Import, ImportSpire, ImportVerb, Registration, RegistrationVerb,
};
pub use processes::{Agent, AgentVerb, Dev, DevVerb, Enroll, EnrollToken, EnrollVerb, Gateway, Init, OwnApi, Role};

/// Proves who a caller is, decides what it may do, and lets the call through.
#[derive(Debug, Parser)]
#[command(
    name = "countersign",
    version,
    max_term_width = 120,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
    #[command(flatten)]
    pub reach: Reach,
    /// How to print: for people, or for programs
    #[arg(long, global = true, env = "COUNTERSIGN_OUTPUT", value_enum, default_value_t = Format::Text)]
    pub output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
    /// XML of test results, of `conformance` alone
    #[value(hide = true)]
    Junit,
}

impl Format {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Junit => "junit",
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run everything on loopback, with sample callers and a sample API
    #[command(after_help = "Examples:
  countersign dev                         serve on 127.0.0.1:8480 from ./.countersign
  countersign dev --listen 127.0.0.1:0    serve on free ports
  countersign dev --watch                 apply the estate whenever it is saved
  countersign dev --tour                  walk the story in a temporary directory, and check it
  countersign dev --upstream http://127.0.0.1:9000 --openapi api.yaml \\
      --issuer https://idp.example --audience https://api.example    before your own API
  countersign dev --environment staging   serve one of several environments of the estate
  countersign dev --clouds                with fakes of Amazon, Google and Azure, for nodes that prove themselves
  curl -H \"Authorization: Bearer $(countersign dev token ci-main)\" http://127.0.0.1:8480/invoices/1")]
    Dev(Dev),
    /// Lay out a real installation: keys, settings, unit files, a first estate
    #[command(after_help = "Examples:
  countersign init --environment production --dir /var/lib/countersign
  countersign init --environment staging --trust-domain staging.acme.test --dir staging --operator ada")]
    Init(Init),
    /// Run a control plane
    #[command(after_help = "Examples:
  countersign server --config /var/lib/countersign/server.yaml")]
    Server(Role),
    /// Run a gateway apart from its control plane
    #[command(after_help = "Examples:
  countersign gateway --config gateway.yaml --enroll-token-file token    the first time
  countersign gateway --config gateway.yaml")]
    Gateway(Gateway),
    /// Run a node agent: workloads of this node find the SPIFFE Workload API at its socket
    #[command(after_help = "`countersign-agent` is the same and nothing else, for nodes that need no more.

Examples:
  countersign agent --config agent.yaml --enroll-token-file token   # the first time
  countersign agent --config agent.yaml")]
    Agent(Agent),
    /// Let a new plane come to the control plane
    #[command(after_help = "Examples:
  countersign enroll token --role gateway --name edge-1 > token")]
    Enroll(Enroll),
    /// Validate an estate offline
    #[command(after_help = "Examples:
  countersign check -f .countersign/estate
  countersign check -f estate/ --environment staging
  countersign check -f estate.yaml --output json")]
    Check(Check),
    /// Show what an estate would change, and put it in force
    #[command(after_help = "PATH is the whole estate: what is absent is removed.

Examples:
  countersign apply -f .countersign/estate          shows the plan and asks
  countersign apply -f .countersign/estate --yes    does not ask")]
    Apply(Apply),
    /// Show what an estate would change, and change nothing
    #[command(after_help = "Examples:
  countersign plan -f .countersign/estate
  countersign plan -f .countersign/estate --output json")]
    Plan(Plan),
    /// Bring the content of an earlier epoch back, as a new epoch
    #[command(after_help = "Examples:
  countersign rollback 7")]
    Rollback(Rollback),
    /// Let something count no more: a principal, a credential, a key or a source
    #[command(
        after_help = "What is revoked is refused at once, and open connections and streams that rest on it are cut.

Examples:
  countersign revoke principal dunning --wait
  countersign revoke credential 6f1c…        the credential_id that a record shows
  countersign revoke key github/github-1
  countersign revoke source github"
    )]
    Revoke(Revoke),
    /// Register workloads beside the estate: at once, one by one, by name
    #[command(after_help = "What the estate registers is changed there. Of one name, the estate's counts.

Examples:
  countersign registration put -f web.yaml
  countersign registration delete web
  countersign get registrations")]
    Registration(Registration),
    /// Write registrations from what another product has; nothing is changed there, or here
    #[command(after_help = "Examples:
  spire-server entry show -output json | countersign import spire - --out registrations/")]
    Import(Import),
    /// Let it count again, for what is issued from now on
    #[command(after_help = "What was issued before the revocation stays refused.

Examples:
  countersign restore principal dunning")]
    Restore(Revoke),
    /// Look at the keys that sign SVIDs, and change them: prepare, activate, taint, revoke
    #[command(
        after_help = "By itself, the next authority is prepared at half of the active one's life and activated at the last sixth.
After a key leaked, do all four by hand: prepare another, activate it, taint the one before (what it signed is replaced at
once), and revoke that once everyone has something new.

Examples:
  countersign authority show
  countersign authority show --kind jwt --output json
  countersign authority prepare --kind x509
  countersign authority activate --kind x509            the one that is prepared
  countersign authority taint --kind x509 6f1c          an id, or the beginning of one
  countersign authority revoke --kind x509"
    )]
    Authority(Authority),
    /// List what is live, of one kind
    #[command(after_help = "Examples:
  countersign get principals
  countersign get principal dunning
  countersign get revocations --output json")]
    Get(Get),
    /// Say what the server is deciding by
    #[command(after_help = "Examples:
  countersign status
  countersign status --verbose          and how it is, and where this command line's settings came from
  countersign status --output json
  COUNTERSIGN_CONTEXT=operator/context.json countersign status    from another machine, as an operator")]
    Status(Status),
    /// Look for what is wrong, or will be soon; works while nothing runs, and changes nothing
    #[command(
        after_help = "Looks at modes and owners of files, ledger, state, free space, certificates and ports; and, where a process answers,
at its age, clock, key sets and planes. Exits with 1 if there is a problem, with 0 if there are warnings alone.

Examples:
  countersign doctor
  countersign doctor --dir /var/lib/countersign
  countersign doctor --dir /var/lib/countersign/gateway --output json"
    )]
    Doctor,
    /// Say who the server takes you for
    #[command(after_help = "Examples:
  countersign whoami")]
    Whoami,
    /// Explain gate 1 step by step: what a token or an X.509-SVID proves, and whom
    #[command(
        after_help = "A certificate is no secret: it counts for who proves to hold its key, which this verb does not ask for.

Examples:
  countersign dev token ci-main | countersign resolve --token-file -
  countersign resolve --token-file token.jwt -f estate/    offline; nothing is recorded
  countersign resolve --cert svid.pem
  countersign resolve --cert svid.pem -f estate/ --bundle bundle.pem"
    )]
    Resolve(Resolve),
    /// Explain gate 2: what a principal may do, given what would be proved
    #[command(after_help = "Examples:
  countersign decide --principal dunning --action read --resource billing/invoices
  countersign decide --principal billing-ci --action read --resource billing/invoices --context context.json
  echo '{\"evidence\": [\"protected_ref\"]}' | countersign decide --principal billing-ci --action read \\
      --resource billing/invoices --context - -f estate/    offline")]
    Decide(Decide),
    /// Explain one judgement: identity, access, protocol, outcome
    #[command(after_help = "Examples:
  countersign explain last         the last judgement at another door than this one
  countersign explain 3f2a         by the beginning of its id (header `countersign-record`)
  countersign explain --trace 4bf92f3577b34da6a3ce929d0e0e4736
  countersign explain last --ledger .countersign/ledger    offline")]
    Explain(Explain),
    /// Decide recorded judgements again, and compare
    #[command(after_help = "Examples:
  countersign replay 3f2a
  countersign replay --since 10m
  countersign replay --since 2026-11-01T00:00:00Z --output json
  countersign replay --since 1h --ledger .countersign/ledger    offline")]
    Replay(Replay),
    /// Read and verify the ledger
    #[command(after_help = "Examples:
  countersign ledger tail --denied --since 10m
  countersign ledger checkpoint --out checkpoint.json
  countersign ledger verify .countersign/ledger --checkpoint checkpoint.json --key .countersign/checkpoint.pub")]
    Ledger(Ledger),
    /// Mint an X.509-SVID for a principal
    #[command(after_help = "Examples:
  countersign svid mint reporter --out reporter/
  countersign svid mint spiffe://prod.acme.test/billing/reporter --out reporter/ --ttl 15m")]
    Svid(Svid),
    /// Look at what the operations of an estate ask, offline
    #[command(after_help = "Examples:
  countersign catalog list -f .countersign/estate
  countersign catalog lint -f .countersign/estate")]
    Catalog(Catalog),
    /// Look at a SPIFFE Workload API from outside: which demands of the standards hold, line by line
    #[command(
        after_help = "Looks at any implementation, and changes nothing there. The caller has to be a registered workload: without an identity
most lines cannot be looked at. `--output junit` prints XML for systems that show test results.

Exits with 0 if all that can be looked at holds, with 1 if a line is broken, the caller has no identity or
the server is not ready, with 4 if nothing answers at the socket.

Examples:
  countersign conformance --socket /run/countersign/agent/workload.sock
  sudo -u billing countersign conformance --socket /tmp/spire-agent/public/api.sock
  countersign conformance --socket agent.sock --bundle https://bundle.prod.acme.test --output json
  countersign conformance --socket agent.sock --include 30-40 --output junit > conformance.xml"
    )]
    Conformance(Conformance),
    /// Say what an answer code means, and what to do about it
    #[command(after_help = "Examples:
  countersign explain-code audience_wrong")]
    ExplainCode(ExplainCode),
    /// Print what a shell needs to complete verbs and flags
    #[command(after_help = "Examples:
  source <(countersign completion bash)
  countersign completion zsh > ~/.zfunc/_countersign
  countersign completion fish > ~/.config/fish/completions/countersign.fish")]
    Completion(Completion),
    /// Print the version
    #[command(after_help = "Examples:
  countersign version
  countersign version --output json")]
    Version,
}

#[derive(Debug, Args)]
pub struct Check {
    /// A directory, or one file
    #[arg(short = 'f', long = "file", value_name = "PATH")]
    pub file: PathBuf,
    /// Only this environment of it; else every one
    #[arg(long, value_name = "NAME")]
    pub environment: Option<String>,
}

#[derive(Debug, Args)]
pub struct Apply {
    /// A directory, or one file: the whole estate
    #[arg(short = 'f', long = "file", value_name = "PATH")]
    pub file: PathBuf,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Begin a new generation: the state came back from a backup, and gateways may have seen epochs that it does not know
    #[arg(long)]
    pub new_generation: bool,
}

#[derive(Debug, Args)]
pub struct Plan {
    /// A directory, or one file: the whole estate
    #[arg(short = 'f', long = "file", value_name = "PATH")]
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub struct Rollback {
    /// The epoch whose content comes back
    pub epoch: u64,
}

#[derive(Debug, Args)]
pub struct Revoke {
    pub kind: RevocableKind,
    /// Id or name of a principal, id of a credential, SOURCE/KID of a key, name of a source
    pub id: String,
    /// Show where it is in force, and fail if it is not everywhere
    #[arg(long)]
    pub wait: bool,
}

#[derive(Debug, Args)]
pub struct Get {
    /// A kind of document, `policies`, `revocations`, `planes`, `agents`, `registrations` or `federations`
    pub kind: String,
    /// Only this one
    pub name: Option<String>,
}

#[derive(Debug, Args)]
pub struct Status {
    /// Say more: age, ledger, key sets, certificates and planes of the server; where each setting came from
    #[arg(long, short)]
    pub verbose: bool,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("credential").required(true).args(["token_file", "cert"])))]
pub struct Resolve {
    /// File with the token, `-` for standard input
    #[arg(long, value_name = "FILE|-")]
    pub token_file: Option<PathBuf>,
    /// File with the certificate and what stands above it, in PEM, leaf first; `-` for standard input
    #[arg(long, value_name = "FILE|-")]
    pub cert: Option<PathBuf>,
    /// The authorities of the environment's trust domain in PEM, since an estate holds none
    #[arg(long, value_name = "FILE", requires_all = ["cert", "file"])]
    pub bundle: Option<PathBuf>,
    /// Offline, against this estate
    #[arg(short = 'f', long = "file", value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// The environment, where the estate has several
    #[arg(long, value_name = "NAME", requires = "file")]
    pub environment: Option<String>,
}

#[derive(Debug, Args)]
pub struct Decide {
    /// Id or name of a principal
    #[arg(long, value_name = "ID|NAME")]
    pub principal: String,
    #[arg(long)]
    pub action: String,
    #[arg(long)]
    pub resource: String,
    /// JSON file, `-` for standard input: {"evidence": [], "params": {}, "protocol": "http", "service": "…"}
    #[arg(long, value_name = "FILE|-")]
    pub context: Option<PathBuf>,
    /// Offline, against this estate
    #[arg(short = 'f', long = "file", value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// The environment, where the estate has several
    #[arg(long, value_name = "NAME", requires = "file")]
    pub environment: Option<String>,
}

#[derive(Debug, Args)]
pub struct Explain {
    /// Id of a record, the beginning of one, or `last`
    #[arg(required_unless_present = "trace", conflicts_with = "trace")]
    pub id: Option<String>,
    /// By the trace it belongs to
    #[arg(long)]
    pub trace: Option<String>,
    /// Offline, from this ledger
    #[arg(long, value_name = "DIR")]
    pub ledger: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Replay {
    /// Id of a record, or the beginning of one
    #[arg(required_unless_present = "since", conflicts_with = "since")]
    pub id: Option<String>,
    /// Every judgement since then: RFC 3339, or a duration such as 10m
    #[arg(long)]
    pub since: Option<String>,
    /// Offline, from this ledger and the estates kept beside it
    #[arg(long, value_name = "DIR")]
    pub ledger: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Ledger {
    #[command(subcommand)]
    pub verb: LedgerVerb,
}

#[derive(Debug, Subcommand)]
pub enum LedgerVerb {
    /// Print records, one a line
    #[command(after_help = "Examples:
  countersign ledger tail --follow
  countersign ledger tail --denied --principal spiffe://prod.acme.test/ci/billing --since 1h --output json")]
    Tail(Tail),
    /// Verify a ledger offline
    #[command(after_help = "Examples:
  countersign ledger verify .countersign/ledger
  countersign ledger verify .countersign/ledger --checkpoint checkpoint.json --key checkpoint.pub")]
    Verify(Verify),
    /// Write a signed checkpoint, to be kept elsewhere
    #[command(after_help = "Examples:
  countersign ledger checkpoint --out checkpoint.json")]
    Checkpoint {
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Begin a new chain beside a damaged one, which stays as it is
    #[command(after_help = "For an operator who has looked at the damage: the next server writes the new chain.

Examples:
  countersign ledger new-chain .countersign/ledger")]
    NewChain(NewChain),
}

#[derive(Debug, Args)]
pub struct Tail {
    /// Wait for more
    #[arg(long)]
    pub follow: bool,
    /// Refusals only
    #[arg(long)]
    pub denied: bool,
    /// Of one principal, by id
    #[arg(long, value_name = "ID")]
    pub principal: Option<String>,
    /// Since then: RFC 3339, or a duration such as 10m
    #[arg(long)]
    pub since: Option<String>,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// The ledger's directory
    #[arg(value_name = "DIR")]
    pub ledger: PathBuf,
    /// A checkpoint that was kept elsewhere
    #[arg(long, requires = "key", value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// The public key of checkpoints, kept elsewhere
    #[arg(long, requires = "checkpoint", value_name = "FILE")]
    pub key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct NewChain {
    /// The ledger's directory
    #[arg(value_name = "DIR")]
    pub ledger: PathBuf,
}

#[derive(Debug, Args)]
pub struct Svid {
    #[command(subcommand)]
    pub verb: SvidVerb,
}

#[derive(Debug, Subcommand)]
pub enum SvidVerb {
    /// Make a key here, have its SVID minted, and write svid.pem, svid.key (0600) and bundle.pem
    #[command(
        after_help = "For where no agent runs yet: whoever holds the key is the principal until the SVID ends. The key never
leaves this machine, and the order is recorded.

Examples:
  countersign svid mint reporter --out reporter/
  curl --cert reporter/svid.pem --key reporter/svid.key --cacert reporter/bundle.pem https://127.0.0.1:8443/export"
    )]
    Mint(Mint),
}

#[derive(Debug, Args)]
pub struct Mint {
    /// Name or SPIFFE ID of a principal
    pub id: String,
    /// Directory for the files
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Lifetime, from 1s to 24h
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    pub ttl: String,
}

#[derive(Debug, Args)]
pub struct ExplainCode {
    pub code: String,
}

#[derive(Debug, Args)]
pub struct Completion {
    pub shell: Shell,
}

#[derive(Debug, Args)]
pub struct Catalog {
    #[command(subcommand)]
    pub verb: CatalogVerb,
}

#[derive(Debug, Subcommand)]
pub enum CatalogVerb {
    /// Print every operation: what it asks, on which resource, and the proof that it demands
    #[command(after_help = "Examples:
  countersign catalog list -f .countersign/estate")]
    List {
        /// A directory, or one file
        #[arg(short = 'f', long = "file", value_name = "PATH")]
        file: PathBuf,
        /// The environment, where the estate has several
        #[arg(long, value_name = "NAME")]
        environment: Option<String>,
    },
    /// Point out operations, resources and policies that deserve a look before they are in force
    #[command(
        after_help = "Exits with 0 if there are notes alone, with 1 if there are warnings, with 3 if the estate does not load.
Without --environment, every environment is looked at, and what two of them have in common.

Examples:
  countersign catalog lint -f .countersign/estate
  countersign catalog lint -f estate.yaml --output json"
    )]
    Lint {
        /// A directory, or one file
        #[arg(short = 'f', long = "file", value_name = "PATH")]
        file: PathBuf,
        /// Only this environment of it
        #[arg(long, value_name = "NAME")]
        environment: Option<String>,
    },
}
