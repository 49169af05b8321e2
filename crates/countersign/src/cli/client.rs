//! The client of a control door: over the socket of its machine, or over TLS from elsewhere.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use net::causes::chain;
use net::{Nodes, was_turned_away};
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Exit, Stopped};

/// How long an answer may take to begin.
const WITHIN: Duration = Duration::from_secs(120);
/// How long a connection that failed may take to say why.
const ENDED_WITHIN: Duration = Duration::from_secs(1);

/// Speaks to one server, or to any node of one.
pub struct Client {
    way: Way,
}

enum Way {
    Socket(PathBuf),
    Tls(Nodes),
}

/// An answer whose body is still to be read.
pub struct Reply {
    pub status: StatusCode,
    body: Incoming,
    /// Drives the connection while the body is read.
    _connection: Driver,
}

type Driver = JoinHandle<hyper::Result<()>>;

impl Client {
    pub(super) const fn local(socket: PathBuf) -> Self {
        Self { way: Way::Socket(socket) }
    }

    pub(super) const fn remote(nodes: Nodes) -> Self {
        Self { way: Way::Tls(nodes) }
    }

    /// Asks for `path`, and gives the document that answers.
    ///
    /// # Errors
    /// [`Stopped`] with [`Exit::Unreachable`] where nobody answers, and as the answer says where it is not 200.
    pub async fn get(&self, path: &str) -> Result<Value, Stopped> {
        self.send(Method::GET, path, Bytes::new()).await?.document().await
    }

    /// Sends `document` to `path`, and gives the document that answers.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post(&self, path: &str, document: &impl Serialize) -> Result<Value, Stopped> {
        let body = serde_json::to_vec(document).map_err(|error| Stopped::because(Exit::Invalid, &error))?;
        self.send(Method::POST, path, Bytes::from(body)).await?.document().await
    }

    /// Sends a request.
    ///
    /// # Errors
    /// [`Stopped`] with [`Exit::Unreachable`], and with [`Exit::Denied`] where the server does not take our certificate.
    pub async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Reply, Stopped> {
        let request = |host: &str| {
            let request = Request::builder().method(method).uri(path).header(header::HOST, host);
            let request = request.header(header::CONTENT_TYPE, "application/json").body(Full::new(body));
            request.map_err(|error| Stopped::because(Exit::Usage, &error))
        };
        match &self.way {
            Way::Socket(socket) => {
                let address = format!("unix:{}", socket.display());
                let stream =
                    UnixStream::connect(socket).await.map_err(|error| unreachable(&address, &chain(&error)))?;
                exchange(stream, request("localhost")?, &address).await
            }
            Way::Tls(nodes) => {
                let reached = nodes.reach().await;
                let (node, stream) = reached.map_err(|why| Stopped::because(Exit::Unreachable, &why))?;
                exchange(stream, request(node.as_str())?, &format!("https://{node}")).await
            }
        }
    }
}

/// One request, on a connection of its own.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
    address: &str,
) -> Result<Reply, Stopped> {
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(address, &chain(&error)))?;
    let connection = tokio::spawn(connection);
    match timeout(WITHIN, sender.send_request(request)).await {
        Ok(Ok(answer)) => Ok(Reply { status: answer.status(), body: answer.into_body(), _connection: connection }),
        Ok(Err(error)) => Err(unanswered(address, &cause(connection, error).await)),
        Err(_) => Err(unreachable(address, "no answer in time")),
    }
}

/// Why a connection took no request: what ended it, if it had ended by itself.
async fn cause(connection: Driver, error: hyper::Error) -> hyper::Error {
    match timeout(ENDED_WITHIN, connection).await {
        Ok(Ok(Err(cause))) => cause,
        Ok(Ok(Ok(())) | Err(_)) | Err(_) => error,
    }
}

fn unanswered(address: &str, error: &hyper::Error) -> Stopped {
    if !was_turned_away(error) {
        return unreachable(address, &chain(error));
    }
    let why = format!(
        "the server at `{address}` does not take this certificate: is it, to the byte, one of `operators` in its \
         server.yaml, and in its times? The server's ledger says why"
    );
    Stopped::new(Exit::Denied, why)
}

fn unreachable(address: &str, why: &str) -> Stopped {
    Stopped::new(Exit::Unreachable, format!("cannot reach the server at `{address}`: {why}"))
}

impl Reply {
    /// The whole document.
    ///
    /// # Errors
    /// [`Stopped`] if the answer is not 200, or breaks off.
    pub async fn document(self) -> Result<Value, Stopped> {
        let status = self.status;
        let broke = |error: &dyn std::error::Error| Stopped::because(Exit::Unreachable, error);
        let bytes = self.body.collect().await.map_err(|error| broke(&error))?.to_bytes();
        let document: Value = serde_json::from_slice(&bytes).map_err(|error| broke(&error))?;
        if status == StatusCode::OK { Ok(document) } else { Err(stopped(status, &document)) }
    }

    /// The next part of a body that comes line by line.
    ///
    /// # Errors
    /// [`Stopped`] if the body breaks off.
    pub async fn part(&mut self) -> Result<Option<Bytes>, Stopped> {
        match self.body.frame().await {
            None => Ok(None),
            Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
            Some(Err(error)) => Err(Stopped::because(Exit::Unreachable, &error)),
        }
    }
}

fn stopped(status: StatusCode, document: &Value) -> Stopped {
    let exit = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::Denied,
        StatusCode::INTERNAL_SERVER_ERROR | StatusCode::SERVICE_UNAVAILABLE => Exit::Failed,
        _ => Exit::Invalid,
    };
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    let mut message = text("error").unwrap_or("the server gave no reason").to_owned();
    if let Some(code) = text("code") {
        message.push_str(&format!(" ({code}"));
        if let Some(record) = text("record") {
            message.push_str(&format!(", record {record}"));
        }
        message.push(')');
    }
    for problem in document.get("errors").and_then(Value::as_array).into_iter().flatten() {
        message.push('\n');
        message.push_str(&super::output::problem_text(problem));
    }
    Stopped::new(exit, message)
}
