//! Verbs that need no server.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use credential::Authorities;
use model::{Code, TrustDomain};
use net::now;
use serde_json::{Value, json};
use store::{State, StateFault};

use super::args::{Check, Completion, Decide, Explain, ExplainCode, NewChain, Replay, Resolve, Verify};
use super::remote::{
    decide_request, print_replayed, print_resolved, print_verdict, read_certificates, selector, shown, which,
};
use super::server::runtime;
use super::{Cli, Exit, Format, Stopped, codes, explained, output};
use crate::control::{self, NotFound, Shown};
use crate::dev::DevJson;
use crate::epochs::{Archive, compile_alone};
use crate::estate::{Bundle, Estate, Problem, Vars, load, load_all};
use crate::home::{operator, state_beside};
use crate::issuing;
use crate::keys;
use crate::live::About;

/// Validates an estate.
///
/// # Errors
/// [`Stopped`] with [`Exit::Invalid`] if it has problems.
pub(super) fn check(check: &Check, format: Format) -> Result<(), Stopped> {
    let bundle = Bundle::read(&check.file).map_err(|error| Stopped::because(Exit::Invalid, &error))?;
    let (errors, notes) = match loaded(&bundle, check.environment.as_deref()) {
        Ok(estates) => (Vec::new(), notes(estates)),
        Err(errors) => (errors, Vec::new()),
    };
    let values = |problems: &[Problem]| problems.iter().map(problem_value).collect::<Vec<Value>>();
    let document = json!({"ok": errors.is_empty(), "errors": values(&errors), "notes": values(&notes)});
    output::result(&document, format, |document| {
        let all = ["errors", "notes"].iter().flat_map(|list| document.get(list).and_then(Value::as_array)).flatten();
        let mut lines: Vec<String> = all.map(output::problem_text).collect();
        lines.push(match errors.len() {
            0 => "the estate is sound".to_owned(),
            1 => "1 error".to_owned(),
            many => format!("{many} errors"),
        });
        lines.join("\n")
    });
    if errors.is_empty() { Ok(()) } else { Err(Stopped::silently(Exit::Invalid)) }
}

/// The environment of that name; without a name, every one.
///
/// # Errors
/// Every problem.
pub(super) fn loaded(bundle: &Bundle, environment: Option<&str>) -> Result<Vec<Estate>, Vec<Problem>> {
    match environment {
        Some(_) => load(bundle, &Vars::Noted, &[], environment, now()).map(|estate| vec![estate]),
        None => load_all(bundle, &Vars::Noted, &[], now()),
    }
}

/// What is worth knowing of any of them, once.
fn notes(estates: Vec<Estate>) -> Vec<Problem> {
    let mut notes: Vec<Problem> = estates.into_iter().flat_map(|estate| estate.notes).collect();
    notes.sort();
    notes.dedup();
    notes
}

/// Gate 1 against an estate on disk; key sets that it names by URL are fetched.
///
/// # Errors
/// [`Stopped`].
pub(super) fn resolve(resolve: &Resolve, format: Format) -> Result<(), Stopped> {
    let shown = shown(resolve)?;
    let Compiled { snapshot, domain, .. } = compiled(resolve.file.as_deref(), resolve.environment.as_deref())?;
    let resolved = match (shown, &resolve.bundle) {
        (Shown::Token(token), _) => control::resolve_token(&snapshot, token.as_bytes(), now()),
        (Shown::Chain(chain), None) => control::resolve_certificate(&snapshot, chain, Some(&domain), now()),
        (Shown::Chain(chain), Some(path)) => {
            let bundle = issuing::bundle(&domain, &read_certificates(path)?);
            let bundle = bundle.map_err(|error| Stopped::because(Exit::Invalid, &error))?;
            let sources = snapshot.sources.clone().with_authorities(Authorities::new([bundle]));
            control::resolve_certificate(&guard::Snapshot { sources, ..snapshot }, chain, None, now())
        }
    };
    print_resolved(&serde_json::to_value(resolved).unwrap_or_default(), format)
}

/// Gate 2 against an estate on disk.
///
/// # Errors
/// [`Stopped`].
pub(super) fn decide(decide: &Decide, format: Format) -> Result<(), Stopped> {
    let request = decide_request(decide)?;
    let Compiled { snapshot, about, .. } = compiled(decide.file.as_deref(), decide.environment.as_deref())?;
    let verdict =
        control::decide(&snapshot, &about, &request, now()).map_err(|error| Stopped::because(Exit::Invalid, &error))?;
    print_verdict(&serde_json::to_value(verdict).unwrap_or_default(), format)
}

/// One environment of an estate on disk.
struct Compiled {
    snapshot: guard::Snapshot,
    about: About,
    domain: TrustDomain,
}

fn compiled(path: Option<&Path>, environment: Option<&str>) -> Result<Compiled, Stopped> {
    let path = path.unwrap_or(Path::new("."));
    let bundle = Bundle::read(path).map_err(|error| Stopped::because(Exit::Invalid, &error))?;
    let vars = vars(path);
    let estate = load(&bundle, &vars, &[], environment, now()).map_err(|problems| does_not_load(&problems))?;
    let fetched = runtime()?.block_on(keys::fetched_once(&estate.remote_keys()));
    let domain = estate.environment.trust_domain.clone();
    let (snapshot, about) = compile_alone(estate, &fetched, bundle.digest(&vars));
    Ok(Compiled { snapshot, about, domain })
}

/// The addresses of the dev server in whose directory the estate lies, if it runs: `${DEV_…}` then means them.
fn vars(estate: &Path) -> Vars {
    let beside = estate.canonicalize().ok().and_then(|path| path.parent().map(|folder| folder.join("dev.json")));
    let here = PathBuf::from(".countersign/dev.json");
    let found = beside.into_iter().chain([here]).find_map(|path| std::fs::read(path).ok());
    match found.and_then(|bytes| serde_json::from_slice::<DevJson>(&bytes).ok()) {
        Some(json) => Vars::Dev(json.vars()),
        None => Vars::Noted,
    }
}

/// Every problem of an estate.
pub(super) fn does_not_load(problems: &[Problem]) -> Stopped {
    let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Stopped::new(Exit::Invalid, format!("the estate does not load\n{}", text.join("\n")))
}

fn problem_value(problem: &Problem) -> Value {
    serde_json::to_value(problem).unwrap_or_default()
}

/// Explains one judgement from a ledger on disk.
///
/// # Errors
/// [`Stopped`].
pub(super) fn explain(explain: Explain, format: Format) -> Result<(), Stopped> {
    let ledger = explain.ledger.clone().unwrap_or_default();
    let selector = selector(explain)?;
    let explained = async {
        let archive = archive(&ledger).await?;
        control::explain(&ledger, &archive, selector).await.map_err(|why| not_found(&why))
    };
    let document = runtime()?.block_on(explained)?;
    output::result(&document, format, explained::explain_text);
    Ok(())
}

/// Decides again what a ledger on disk has recorded.
///
/// # Errors
/// [`Stopped`] with [`Exit::Failed`] if a judgement would be another one now.
pub(super) fn replay(replay: Replay, format: Format) -> Result<(), Stopped> {
    let ledger = replay.ledger.clone().unwrap_or_default();
    let which = which(replay)?;
    let replayed = async {
        let archive = archive(&ledger).await?;
        control::replay(&ledger, &archive, which).await.map_err(|why| not_found(&why))
    };
    let replayed = runtime()?.block_on(replayed)?;
    print_replayed(&serde_json::to_value(replayed).unwrap_or_default(), format)
}

/// What a dev server kept beside its ledger, if it is there. Its operator is the owner of the ledger.
async fn archive(ledger: &Path) -> Result<Archive, Stopped> {
    let cannot =
        |error: std::io::Error| Stopped::new(Exit::Invalid, format!("cannot read `{}`: {error}", ledger.display()));
    let ledger = ledger.canonicalize().map_err(cannot)?;
    let owner = std::fs::metadata(&ledger).map_err(cannot)?.uid();
    let state = match State::read(&state_beside(&ledger)).await {
        Ok(state) => Some(state),
        Err(StateFault::Missing { .. }) => None,
        Err(fault) => return Err(Stopped::because(Exit::Failed, &fault)),
    };
    Ok(Archive::new(state, vec![operator(owner)]))
}

fn not_found(why: &NotFound) -> Stopped {
    let exit = match why {
        NotFound::Unknown | NotFound::Ambiguous | NotFound::Counted => Exit::Invalid,
        NotFound::Ledger(_) | NotFound::Epochs(_) | NotFound::Json(_) | NotFound::BrokenOff(_) => Exit::Failed,
    };
    Stopped::because(exit, why)
}

/// Verifies a ledger.
///
/// # Errors
/// [`Stopped`] with [`Exit::Failed`] if it has a fault.
pub(super) fn verify(verify: &Verify, format: Format) -> Result<(), Stopped> {
    let checkpoint = verify.checkpoint.as_deref().zip(verify.key.as_deref());
    let found = store::verify(&verify.ledger, checkpoint).map_err(|error| Stopped::because(Exit::Invalid, &error))?;
    for note in &found.notes {
        output::note(&net::causes::chain(note));
    }
    let document = serde_json::to_value(&found).unwrap_or_default();
    output::result(&document, format, output::verified_text);
    if found.ok { Ok(()) } else { Err(Stopped::silently(Exit::Failed)) }
}

/// Begins a new chain beside a damaged one.
///
/// # Errors
/// [`Stopped`].
pub(super) fn new_chain(chain: &NewChain, format: Format) -> Result<(), Stopped> {
    let writer =
        store::begin_new_chain(&chain.ledger, now()).map_err(|error| Stopped::because(Exit::Failed, &error))?;
    output::result(&json!({"writer": writer}), format, |_| format!("the next server writes chain {writer}"));
    Ok(())
}

/// Says what a code means, what it often comes from and what to do.
///
/// # Errors
/// [`Stopped`] with [`Exit::Invalid`] if there is no such code.
pub(super) fn explain_code(asked: &ExplainCode, format: Format) -> Result<(), Stopped> {
    let code: Code = asked.code.parse().map_err(|error| Stopped::because(Exit::Invalid, &error))?;
    let parts = codes::parts(code);
    let [name, layer, title] = [code.as_str(), code.layer().as_str(), code.title()];
    let fixed =
        [("code", name), ("layer", layer), ("title", title)].map(|(field, text)| (field.to_owned(), text.into()));
    let told = parts.iter().map(|part| (part.name.to_owned(), part.lines.join(" ").into()));
    let document = Value::Object(fixed.into_iter().chain(told).collect());
    output::result(&document, format, |_| {
        let told = parts.iter().map(|part| format!("{:<8}{}\n", part.name, part.lines.join("\n        ")));
        format!("{name} ({layer} layer): {title}\n\n{}", told.collect::<String>())
    });
    Ok(())
}

/// Prints what a shell needs to complete verbs and flags.
pub(super) fn completion(asked: &Completion, format: Format) {
    let mut script = Vec::new();
    clap_complete::generate(asked.shell, &mut Cli::command(), "countersign", &mut script);
    let script = String::from_utf8_lossy(&script);
    output::result(&json!({"shell": asked.shell.to_string(), "script": script}), format, |_| script.to_string());
}

/// Prints the version.
pub(super) fn version(format: Format) {
    let version = env!("CARGO_PKG_VERSION");
    output::result(&json!({"version": version}), format, |_| format!("countersign {version}"));
}
