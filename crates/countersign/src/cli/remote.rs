//! Verbs that ask a server.

use std::io::{IsTerminal, Read, Write};
use std::path::Path;

use http::Method;
use issuer::{NewKey, pem};
use model::Time;
use net::causes::chain;
use net::now;
use net::svid::{Minted, save};
use serde_json::{Value, json};

use super::args::{Apply, Decide, Explain, Mint, Replay, Resolve, Tail};
use super::server::runtime;
use super::{Client, Exit, Format, Stopped, explained, output};
use crate::control::{self, DecideContext, DecideRequest, EstateRequest, ResolveRequest, Selector, Shown, SvidRequest};
use crate::estate::{Bundle, read_duration};
use crate::issuing::{certificate_pem, certificates_in};

/// Longest token, context or chain that is read from a file, in bytes.
const MAX_INPUT: u64 = 1024 * 1024;

/// Shows what an estate would change, asks, and puts it in force.
///
/// # Errors
/// [`Stopped`].
pub(super) fn apply(
    client: &dyn Fn() -> Result<Client, Stopped>,
    apply: &Apply,
    format: Format,
) -> Result<(), Stopped> {
    let estate = Bundle::read(&apply.file).map_err(|error| Stopped::because(Exit::Invalid, &error))?;
    let asks = !apply.yes;
    if asks && !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Err(Stopped::new(Exit::Usage, "there is no terminal to ask on: add --yes to apply without asking"));
    }
    let (client, runtime) = (client()?, runtime()?);
    let plan = EstateRequest { estate, base: None, new_generation: apply.new_generation };
    let planned = runtime.block_on(client.post("/v1/plan", &plan))?;
    if format == Format::Text {
        output::note(output::changes_text(&planned).trim_end());
    }
    if asks && !confirmed() {
        return Err(Stopped::new(Exit::Failed, "nothing was applied"));
    }
    let base = planned.get("base").and_then(Value::as_u64);
    let applied = runtime.block_on(client.post("/v1/apply", &EstateRequest { base, ..plan }))?;
    output::result(&applied, format, |applied| {
        format!("epoch {} is in force", applied.get("epoch").map(ToString::to_string).unwrap_or_default())
    });
    Ok(())
}

/// Makes a key, has its SVID minted, and writes both.
///
/// # Errors
/// [`Stopped`].
pub(super) fn mint(client: &Client, mint: &Mint, format: Format) -> Result<(), Stopped> {
    let key = NewKey::make().map_err(|error| Stopped::because(Exit::Failed, &error))?;
    let csr = pem::encode("CERTIFICATE REQUEST", &key.request);
    let request = SvidRequest { id: mint.id.clone(), csr, ttl: Some(mint.ttl.clone()) };
    let document = runtime()?.block_on(client.post("/v1/svids", &request))?;
    let minted: Minted = serde_json::from_value(document).map_err(|error| Stopped::because(Exit::Invalid, &error))?;
    save(&mint.out, &key, &minted).map_err(|error| Stopped::because(Exit::Failed, &error))?;
    let out = mint.out.display();
    let told = json!({
        "id": minted.id,
        "credential_id": minted.credential_id,
        "expires": minted.expires,
        "out": mint.out,
    });
    output::result(&told, format, |_| {
        format!("{} until {}\nin {out}: svid.pem, svid.key, bundle.pem", minted.id, minted.expires)
    });
    Ok(())
}

fn confirmed() -> bool {
    let mut stderr = std::io::stderr();
    // a question that cannot be asked is not answered with yes
    let asked = write!(stderr, "apply? [y/N] ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    asked.is_ok() && std::io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

/// Gate 1, asked of a server.
///
/// # Errors
/// [`Stopped`].
pub(super) fn resolve(client: &Client, resolve: &Resolve, format: Format) -> Result<(), Stopped> {
    let request = match shown(resolve)? {
        Shown::Token(token) => ResolveRequest::Token(token),
        Shown::Chain(chain) => ResolveRequest::Cert(chain.iter().map(|der| certificate_pem(der)).collect()),
    };
    let document = runtime()?.block_on(client.post("/v1/resolve", &request))?;
    print_resolved(&document, format)
}

/// The credential that is to be explained. Of a file with certificates nothing else is taken: a key may lie there too.
///
/// # Errors
/// [`Stopped`] with [`Exit::Invalid`].
pub(super) fn shown(resolve: &Resolve) -> Result<Shown, Stopped> {
    match (&resolve.cert, &resolve.token_file) {
        (Some(path), _) => read_certificates(path).map(Shown::Chain),
        (None, path) => {
            let token = read_token(path.as_deref().unwrap_or(Path::new("-")))?;
            // bytes that are no text are no token either; gate 1 says so, whatever stands for them
            Ok(Shown::Token(String::from_utf8_lossy(&token).into_owned()))
        }
    }
}

/// # Errors
/// [`Stopped`] with [`Exit::Denied`] if the token proves nobody.
pub(super) fn print_resolved(document: &Value, format: Format) -> Result<(), Stopped> {
    output::result(document, format, output::resolved_text);
    if document.get("principal").is_none_or(Value::is_null) { Err(Stopped::silently(Exit::Denied)) } else { Ok(()) }
}

/// Gate 2, asked of a server.
///
/// # Errors
/// [`Stopped`].
pub(super) fn decide(client: &Client, decide: &Decide, format: Format) -> Result<(), Stopped> {
    let document = runtime()?.block_on(client.post("/v1/decide", &decide_request(decide)?))?;
    print_verdict(&document, format)
}

/// # Errors
/// [`Stopped`] with [`Exit::Denied`] if the answer is no.
pub(super) fn print_verdict(document: &Value, format: Format) -> Result<(), Stopped> {
    output::result(document, format, explained::verdict_text);
    let allowed = document.get("decision").and_then(Value::as_str) == Some("allow");
    if allowed { Ok(()) } else { Err(Stopped::silently(Exit::Denied)) }
}

/// # Errors
/// [`Stopped`] if the context cannot be read.
pub(super) fn decide_request(decide: &Decide) -> Result<DecideRequest, Stopped> {
    let context = match &decide.context {
        None => DecideContext::default(),
        Some(path) => {
            let bytes = read_input(path, MAX_INPUT)?;
            serde_json::from_slice(&bytes).map_err(|error| Stopped::because(Exit::Invalid, &error))?
        }
    };
    let (principal, action, resource) = (decide.principal.clone(), decide.action.clone(), decide.resource.clone());
    Ok(DecideRequest { principal, action, resource, context })
}

/// Explains one judgement.
///
/// # Errors
/// [`Stopped`].
pub(super) fn explain(client: &Client, explain: Explain, format: Format) -> Result<(), Stopped> {
    let path = match selector(explain)? {
        Selector::Id(id) => format!("/v1/judgements/{id}"),
        Selector::Last => "/v1/judgements/last".to_owned(),
        Selector::Trace(trace) => format!("/v1/traces/{trace}"),
    };
    let document = runtime()?.block_on(client.get(&path))?;
    output::result(&document, format, explained::explain_text);
    Ok(())
}

/// What `explain` was asked for.
///
/// # Errors
/// [`Stopped`] with [`Exit::Invalid`] if it is not an id.
pub(super) fn selector(explain: Explain) -> Result<Selector, Stopped> {
    match (explain.id, explain.trace) {
        (Some(id), _) if id == "last" => Ok(Selector::Last),
        (Some(id), _) => checked(&id).map(|id| Selector::Id(id.to_owned())),
        (None, trace) => checked(&trace.unwrap_or_default()).map(|trace| Selector::Trace(trace.to_owned())),
    }
}

/// What `replay` was asked for.
///
/// # Errors
/// [`Stopped`] with [`Exit::Invalid`] if it is neither an id nor a time.
pub(super) fn which(replay: Replay) -> Result<control::Replay, Stopped> {
    match (replay.id, replay.since) {
        (Some(id), _) => checked(&id).map(|id| control::Replay::Id(id.to_owned())),
        (None, since) => instant(&since.unwrap_or_default()).map(control::Replay::Since),
    }
}

/// Ids become part of a path: only what an id can have.
fn checked(id: &str) -> Result<&str, Stopped> {
    let sound = !id.is_empty() && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if sound { Ok(id) } else { Err(Stopped::new(Exit::Invalid, format!("`{}` is not an id", id.escape_debug()))) }
}

/// Decides recorded judgements again.
///
/// # Errors
/// [`Stopped`] with [`Exit::Failed`] if one differs.
pub(super) fn replay(client: &Client, replay: Replay, format: Format) -> Result<(), Stopped> {
    let query = match which(replay)? {
        control::Replay::Id(id) => format!("id={id}"),
        control::Replay::Since(since) => format!("since={since}"),
    };
    let document = runtime()?.block_on(client.post(&format!("/v1/replay?{query}"), &json!({})))?;
    print_replayed(&document, format)
}

/// # Errors
/// [`Stopped`] with [`Exit::Failed`] if a judgement would be another one now.
pub(super) fn print_replayed(document: &Value, format: Format) -> Result<(), Stopped> {
    output::result(document, format, output::replayed_text);
    let differ = document.get("differ").and_then(Value::as_array).is_none_or(|differ| !differ.is_empty());
    if differ { Err(Stopped::silently(Exit::Failed)) } else { Ok(()) }
}

/// Prints records, and more as they come.
///
/// # Errors
/// [`Stopped`].
pub(super) async fn tail(client: &Client, tail: Tail, format: Format) -> Result<(), Stopped> {
    let mut query = Vec::new();
    query.extend(tail.follow.then(|| "follow=true".to_owned()));
    query.extend(tail.denied.then(|| "denied=true".to_owned()));
    query.extend(tail.principal.as_deref().map(|id| format!("principal={}", encoded(id))));
    query.extend(tail.since.as_deref().map(|since| Ok(format!("since={}", instant(since)?))).transpose()?);
    let path = format!("/v1/records?{}", query.join("&"));
    let mut reply = client.send(Method::GET, &path, bytes::Bytes::new()).await?;
    if reply.status != http::StatusCode::OK {
        return reply.document().await.map(drop);
    }
    let mut pending = Vec::new();
    while let Some(part) = reply.part().await? {
        if format == Format::Json {
            output::raw(&part);
            continue;
        }
        pending.extend_from_slice(&part);
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            if let Ok(record) = serde_json::from_slice(&line) {
                output::line(&output::record_text(&record));
            }
        }
    }
    Ok(())
}

/// Writes a signed checkpoint.
///
/// # Errors
/// [`Stopped`].
pub(super) fn checkpoint(client: &Client, out: &Path, format: Format) -> Result<(), Stopped> {
    let document = runtime()?.block_on(client.post("/v1/checkpoints", &json!({})))?;
    let text = format!("{document}\n");
    let failed = |error| Stopped::new(Exit::Failed, format!("cannot write `{}`: {error}", out.display()));
    net::files::write_whole(out, text.as_bytes(), 0o644).map_err(failed)?;
    output::result(&document, format, |_| format!("wrote {}; keep it away from the ledger", out.display()));
    Ok(())
}

/// An instant, or so long ago.
fn instant(text: &str) -> Result<Time, Stopped> {
    let expected = || format!("`{text}` is neither an RFC 3339 time nor a duration such as 10m");
    match text.parse::<Time>() {
        Ok(time) => Ok(time),
        Err(_) => Ok(now().minus(read_duration(text).ok_or_else(|| Stopped::new(Exit::Invalid, expected()))?)),
    }
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':' | b'/');
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

/// The certificates of a PEM file in DER, in their order.
///
/// # Errors
/// [`Stopped`] with [`Exit::Invalid`].
pub(super) fn read_certificates(path: &Path) -> Result<Vec<Vec<u8>>, Stopped> {
    let unfit = |why| Stopped::new(Exit::Invalid, format!("cannot use `{}`: {}", path.display(), chain(&why)));
    certificates_in(&read_input(path, MAX_INPUT)?).map_err(unfit)
}

/// A token from a file or from standard input, without the line's end.
///
/// # Errors
/// [`Stopped`] with [`Exit::Invalid`].
fn read_token(path: &Path) -> Result<Vec<u8>, Stopped> {
    let mut token = read_input(path, MAX_INPUT)?;
    while token.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        token.pop();
    }
    Ok(token)
}

/// A file, or standard input: at most so many bytes of it.
///
/// # Errors
/// [`Stopped`] with [`Exit::Invalid`].
pub(super) fn read_input(path: &Path, most: u64) -> Result<Vec<u8>, Stopped> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    read.map_err(|error| Stopped::new(Exit::Invalid, format!("cannot read `{}`: {error}", path.display())))?;
    Ok(bytes)
}
