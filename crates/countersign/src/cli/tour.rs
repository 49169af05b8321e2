//! `dev --tour`: the story of the first ten minutes, walked against a server of its own. Every outcome is checked: the
//! answer, the ledger's code, and what reached the service behind.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use issuer::pem;
use net::tls::{self, OwnSvid};
use net::{now, record_id};
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::reach::{Reach, find};
use super::{Client, Stopped, explain_text, output};
use crate::control::EstateRequest;
use crate::dev::{self, Caller, DevFailed, FakeClouds, Fresh, Options, Running};
use crate::estate::{Bundle, BundleError};
use crate::issuing::certificates_in;

/// The policy line that the tour edits, and what it writes instead.
const BEFORE: &str =
    r#"permit (principal == Agent::"spiffe://prod.acme.test/agents/dunning", action in Action::"read""#;
const AFTER: &str =
    r#"permit (principal == Agent::"spiffe://prod.acme.test/agents/dunning", action in Action::"administer""#;

/// Under which name the tour reaches the gateway, and the trust domain of its SVIDs.
const HOST: &str = "billing.acme.test";
const DOMAIN: &str = "prod.acme.test";

/// Why the tour ended before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum TourFailed {
    #[error("`{}` is not empty; the tour wants a directory of its own", .path.display())]
    NotEmpty { path: PathBuf },
    #[error("the server does not start")]
    Dev(#[from] DevFailed),
    #[error("a file cannot be read or written")]
    Io(#[from] std::io::Error),
    #[error("the estate cannot be read")]
    Bundle(#[from] BundleError),
    #[error("a token cannot be made")]
    Token(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("a certificate or a key cannot be read")]
    Pem(#[from] issuer::BadPem),
    #[error("a request failed")]
    Request(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the control socket answers: {message}")]
    Control { message: String },
    #[error("{count} of {of} outcomes differ from what is promised")]
    Differs { count: usize, of: usize },
}

/// One step: who asks for what, and what must come of it.
struct Step {
    title: &'static str,
    /// Whose token comes along.
    caller: Option<Caller>,
    /// The sample workload whose SVID the connection is made with; without one, it is made without TLS.
    svid: Option<&'static str>,
    method: Method,
    target: &'static str,
    status: u16,
    /// Code of the answer; `None` for a 200.
    code: Option<&'static str>,
    /// Code in the ledger, where it says more than the answer.
    ledger: Option<&'static str>,
    missing: Option<&'static str>,
    principal: Option<&'static str>,
}

/// Walks the tour in `directory`, or in a temporary one.
pub(super) async fn tour(directory: Option<&Path>) -> Result<(), TourFailed> {
    let temporary = tempfile::Builder::new().prefix("countersign-tour-").tempdir()?;
    let directory = directory.unwrap_or(temporary.path()).to_owned();
    if directory.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(TourFailed::NotEmpty { path: directory });
    }
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (fresh, clouds) = (Fresh::Reused, FakeClouds::None);
    let options = Options { directory, listen, fresh, watch: false, environment: None, own: None, clouds };
    let running = dev::start(options).await?;
    let mut tour = Tour::new(running)?;
    let walked = tour.walk().await;
    let Tour { running, steps, differ, .. } = tour;
    running.stop().await;
    walked?;
    if differ > 0 {
        return Err(TourFailed::Differs { count: differ, of: steps });
    }
    output::line(&format!("{steps} outcomes, each as promised: answer, ledger and what reached the service behind.\n"));
    output::line(
        "Next: `countersign dev` keeps such a server running in ./.countersign; it prints what to try.\n\
         The edit loop is yours: change a line of .countersign/estate/billing.cedar, run\n\
         `countersign apply -f .countersign/estate` (or start with `dev --watch`), and the next curl flips.",
    );
    Ok(())
}

struct Tour {
    running: Running,
    client: Client,
    steps: usize,
    differ: usize,
}

/// An answer of the gateway.
struct Answer {
    status: StatusCode,
    record: String,
    document: Value,
}

impl Tour {
    fn new(running: Running) -> Result<Self, TourFailed> {
        let client =
            find(&Reach { server: Some(running.json.control.clone()), ..Reach::default() }).map_err(stopped)?;
        Ok(Self { running, client, steps: 0, differ: 0 })
    }

    async fn walk(&mut self) -> Result<(), TourFailed> {
        output::line(&format!(
            "A gateway at {} and {} stands before a sample billing API. Callers bring tokens that sample\n\
             issuers signed, or SVIDs; every request is proved, resolved, decided and recorded before a byte goes on.\n",
            self.running.json.gateway.http, self.running.json.gateway.https
        ));
        let mut forked = String::new();
        for step in steps() {
            let record = self.step(&step).await?;
            if step.caller == Some(Caller::CiFork) {
                forked = record;
            }
        }
        self.edit_loop().await?;
        output::line(&format!(
            "Why was the fork refused?\n\n  $ countersign explain {}\n",
            forked.get(..8).unwrap_or(&forked)
        ));
        let explained = self.explained(&forked).await?;
        let text = explain_text(&explained);
        output::line(&indented(&text));
        self.check("explain names the policy that refused the fork", text.contains("jobs-need-protected-ref"));
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Result<String, TourFailed> {
        let reached = self.reached()?;
        let answer = self.ask(step).await?;
        let record = self.explained(&answer.record).await?;
        let word = |pointer: &str| record.pointer(pointer).and_then(Value::as_str);
        let who = match (step.svid, step.caller) {
            (Some(svid), Some(caller)) => format!("{svid}+{}", caller.name()),
            (Some(svid), None) => svid.to_owned(),
            (None, caller) => caller.map_or("nobody", Caller::name).to_owned(),
        };
        let code = answer.document.get("code").and_then(Value::as_str);
        let in_ledger = word("/verdicts/0/code");
        let let_through = self.reached()? - reached;
        let mut line = format!("{who:<16} {:<4} {:<12} {}", step.method, step.target, answer.status.as_u16());
        if let Some(code) = in_ledger {
            let _ = write!(line, " {code}");
        }
        if let Some(missing) = step.missing {
            let _ = write!(line, ", missing {missing}");
        }
        output::line(&format!("{line}\n    {}", step.title));
        let expected_code = step.ledger.or(step.code);
        self.check("the answer's status", answer.status.as_u16() == step.status);
        self.check("the answer's code", answer.status.is_success() || code == step.code);
        self.check("the code in the ledger", in_ledger == expected_code);
        self.check("what reached the service", let_through == usize::from(step.code.is_none()));
        if let Some(principal) = step.principal {
            self.check("the principal in the ledger", word("/principal/id") == Some(principal));
        }
        if let Some(missing) = step.missing {
            let listed = record.pointer("/verdicts/0/missing").and_then(Value::as_array);
            self.check("what is missing", listed.is_some_and(|list| list.iter().any(|one| one == missing)));
        }
        Ok(answer.record)
    }

    /// Changes one line of policy, applies it, and asks again.
    async fn edit_loop(&mut self) -> Result<(), TourFailed> {
        let estate = self.running.json.estate.clone();
        let file = estate.join("billing.cedar");
        let policy = std::fs::read_to_string(&file)?;
        output::line(&format!(
            "\nNow the edit loop. In {}, dunning may `read`; it becomes `administer`:\n\n  $ countersign apply -f {}",
            file.display(),
            estate.display()
        ));
        for (text, status, code, title) in [
            (policy.replace(BEFORE, AFTER), 403, Some("no_permit"), "the very next request is decided by the new line"),
            (policy, 200, None, "and back: what is applied is what holds"),
        ] {
            std::fs::write(&file, text)?;
            let request = EstateRequest { estate: Bundle::read(&estate)?, base: None, new_generation: false };
            let applied = self.client.post("/v1/apply", &request).await.map_err(stopped)?;
            output::line(&format!(
                "epoch {} is in force",
                applied.get("epoch").map(ToString::to_string).unwrap_or_default()
            ));
            let step = Step { status, code, ..reads(Caller::Dunning, title) };
            self.step(&step).await?;
        }
        output::line("");
        Ok(())
    }

    fn check(&mut self, what: &str, holds: bool) {
        self.steps += 1;
        if !holds {
            self.differ += 1;
            output::line(&format!("    DIFFERS: {what} is not as promised"));
        }
    }

    async fn ask(&self, step: &Step) -> Result<Answer, TourFailed> {
        let json = &self.running.json;
        let address = json.gateway.http.trim_start_matches("http://");
        let mut request = Request::builder().method(step.method.clone()).uri(step.target).header(header::HOST, HOST);
        if let Some(caller) = step.caller {
            let keys = self.running.directory.path("keys");
            let token = dev::token(caller, &keys, &json.issuer, now(), &record_id().to_string())
                .map_err(|error| TourFailed::Token(error.into()))?;
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = if step.method == Method::POST { Bytes::from_static(b"{}") } else { Bytes::new() };
        let request = request.body(Full::new(body)).map_err(|error| TourFailed::Request(error.into()))?;
        let Some(svid) = step.svid else { return exchange(TcpStream::connect(address).await?, request).await };
        exchange(self.shake_hands(svid).await?, request).await
    }

    /// A connection made with the SVID of a sample workload, to a gateway that has to show an SVID of the same authority.
    async fn shake_hands(&self, workload: &str) -> Result<TlsStream<TcpStream>, TourFailed> {
        let json = &self.running.json;
        let authorities = certificates_in(&std::fs::read(&json.ca)?).map_err(failed)?;
        let (source, domain) = (DOMAIN.parse().map_err(failed)?, DOMAIN.parse().map_err(failed)?);
        let bundle = credential::Bundle::new(source, domain, &authorities, Duration::ZERO).map_err(failed)?;
        let trusted = credential::Authorities::new([bundle]);
        let own = OwnSvid::default();
        if let Some(files) = json.svids.get(workload) {
            let key = pem::decode("PRIVATE KEY", &std::fs::read_to_string(&files.key)?)?;
            own.install(&certificates_in(&std::fs::read(&files.cert)?).map_err(failed)?, &key).map_err(failed)?;
        }
        let gateway = tls::client(Arc::new(own), Arc::new(move |peer| peer.check(&trusted, now())));
        let address = json.gateway.https.trim_start_matches("https://");
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from(HOST).map_err(failed)?;
        Ok(TlsConnector::from(gateway).connect(name, stream).await?)
    }

    async fn explained(&self, record: &str) -> Result<Value, TourFailed> {
        self.client.get(&format!("/v1/judgements/{record}")).await.map_err(stopped)
    }

    /// How many requests the sample API has seen.
    fn reached(&self) -> Result<usize, TourFailed> {
        let log = std::fs::read_to_string(self.running.directory.path("upstream.jsonl"))?;
        Ok(log.lines().count())
    }
}

async fn exchange<T: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: T,
    request: Request<Full<Bytes>>,
) -> Result<Answer, TourFailed> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(failed)?;
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.map_err(failed)?.to_bytes();
    drop(sender);
    // the exchange is over; how the connection ends says nothing more
    let _ = connection.await;
    let record = parts.headers.get("countersign-record").and_then(|value| value.to_str().ok());
    Ok(Answer {
        status: parts.status,
        record: record.unwrap_or_default().to_owned(),
        document: serde_json::from_slice(&body).unwrap_or_default(),
    })
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> TourFailed {
    TourFailed::Request(error.into())
}

fn steps() -> Vec<Step> {
    const CI: &str = "spiffe://prod.acme.test/ci/billing";
    const DUNNING: &str = "spiffe://prod.acme.test/agents/dunning";
    const REPORTER: &str = "spiffe://prod.acme.test/billing/reporter";
    let refused = |caller, title, target, code| Step { target, status: 403, code: Some(code), ..reads(caller, title) };
    let nobody = |title, target| Step {
        caller: None,
        target,
        status: 401,
        code: Some("unauthenticated"),
        ledger: Some("credential_missing"),
        ..reads(Caller::CiMain, title)
    };
    vec![
        Step { principal: Some(CI), ..reads(Caller::CiMain, "a release job on a protected branch reads an invoice") },
        Step {
            principal: Some(CI),
            missing: Some("protected_ref"),
            ..refused(
                Caller::CiFork,
                "the same repository, but a fork's pull request: proved, and forbidden",
                "/invoices/1",
                "forbidden",
            )
        },
        Step {
            status: 401,
            code: Some("unauthenticated"),
            ledger: Some("principal_unknown"),
            ..reads(Caller::CiLookalike, "the same names, but another repository: names are not identity")
        },
        Step { principal: Some(DUNNING), ..reads(Caller::Dunning, "an agent reads") },
        Step {
            method: Method::POST,
            principal: Some(DUNNING),
            missing: Some("task_capability"),
            ..refused(
                Caller::Dunning,
                "the agent writes without a task: refused, and told what is missing",
                "/invoices",
                "no_permit",
            )
        },
        refused(Caller::Alice, "a person, proved, asks for what is not in the catalog", "/nope", "operation_unmapped"),
        nobody("without a credential: told nothing", "/nope"),
        nobody("the same words, mapped or not: strangers cannot map the catalog", "/invoices/1"),
        Step {
            caller: None,
            target: "/healthz",
            principal: Some("anonymous"),
            ..reads(Caller::CiMain, "a public operation: open, and recorded as anonymous")
        },
        Step {
            missing: Some("sender_bound"),
            ..refused(
                Caller::CiMain,
                "a sensitive export: a bearer token is not proof enough",
                "/export",
                "evidence_missing",
            )
        },
        Step {
            target: "/export",
            principal: Some(REPORTER),
            ..by_svid(None, "a workload's SVID over mutual TLS is: its key was there")
        },
        Step {
            status: 401,
            code: Some("unauthenticated"),
            ledger: Some("kind_mismatch"),
            ..by_svid(Some(Caller::Alice), "a person's token through a machine's connection: neither wins")
        },
        Step {
            status: 401,
            code: Some("unauthenticated"),
            ledger: Some("conflicting_credentials"),
            ..by_svid(Some(Caller::Dunning), "nor does another machine's")
        },
    ]
}

/// Reads an invoice, and may.
const fn reads(caller: Caller, title: &'static str) -> Step {
    Step {
        title,
        caller: Some(caller),
        svid: None,
        method: Method::GET,
        target: "/invoices/1",
        status: 200,
        code: None,
        ledger: None,
        missing: None,
        principal: None,
    }
}

/// Reads an invoice with the reporter's SVID, and perhaps with a token beside it.
fn by_svid(caller: Option<Caller>, title: &'static str) -> Step {
    Step { caller, svid: Some("reporter"), ..reads(Caller::CiMain, title) }
}

fn stopped(stopped: Stopped) -> TourFailed {
    TourFailed::Control { message: stopped.message }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
