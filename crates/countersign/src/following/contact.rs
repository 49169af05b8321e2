//! How a plane reaches control: HTTP/1.1 over mutual TLS, with the control plane's own SVID at the other end or nobody.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use net::{NoNode, Nodes};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::feed::MAX_LINE;

/// To the head of an answer, and to the end of a document.
const WITHIN: Duration = Duration::from_secs(5);
/// Longest document of an answer, in bytes.
const MAX_DOCUMENT: usize = 1024 * 1024;

/// Speaks to control.
pub struct Contact {
    nodes: Nodes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoContact {
    #[error(transparent)]
    Node(#[from] NoNode),
    #[error("control does not answer in time")]
    Late,
    #[error("the exchange with control failed")]
    Http(#[from] hyper::Error),
    #[error("control's answer broke off, or is too long")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("a request cannot be written")]
    Request(#[from] http::Error),
    #[error("what control answers is not understood")]
    Json(#[from] serde_json::Error),
    #[error("control refused ({status}): {why}")]
    Refused { status: StatusCode, why: String },
}

/// Lines of an answer that goes on.
pub struct Lines {
    body: Incoming,
    held: BytesMut,
    /// How much of `held` has no end of a line.
    searched: usize,
    driver: JoinHandle<()>,
}

impl Contact {
    pub const fn new(nodes: Nodes) -> Self {
        Self { nodes }
    }

    /// Sends a document, and reads the one that answers.
    ///
    /// # Errors
    /// [`NoContact`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        token: Option<&str>,
        document: &impl Serialize,
    ) -> Result<T, NoContact> {
        let (body, driver) = self.send(Method::POST, path, token, serde_json::to_vec(document)?.into()).await?;
        let read = timeout(WITHIN, Limited::new(body, MAX_DOCUMENT).collect()).await;
        driver.abort();
        let bytes = read.or(Err(NoContact::Late))?.map_err(NoContact::Body)?.to_bytes();
        Ok(serde_json::from_slice(&bytes)?)
    }

    /// Asks for an answer that comes line by line.
    ///
    /// # Errors
    /// [`NoContact`].
    pub async fn lines(&self, path: &str) -> Result<Lines, NoContact> {
        let (body, driver) = self.send(Method::GET, path, None, Bytes::new()).await?;
        Ok(Lines { body, held: BytesMut::new(), searched: 0, driver })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Bytes,
    ) -> Result<(Incoming, JoinHandle<()>), NoContact> {
        let (authority, stream) = self.nodes.reach().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(async move {
            // how it went shows in the exchange itself
            let _ = connection.await;
        });
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, authority.as_str())
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(body))?;
        let answer = timeout(WITHIN, sender.send_request(request)).await.or(Err(NoContact::Late))??;
        let (parts, body) = answer.into_parts();
        if parts.status == StatusCode::OK {
            return Ok((body, driver));
        }
        let why = timeout(WITHIN, Limited::new(body, MAX_DOCUMENT).collect()).await;
        driver.abort();
        let why = why.ok().and_then(Result::ok).map(|why| why.to_bytes()).unwrap_or_default();
        let why = serde_json::from_slice::<Value>(&why).unwrap_or_default();
        let text = |name: &str| why.get(name).and_then(Value::as_str).unwrap_or("no reason given").to_owned();
        let why = format!("{}, record {}", text("error"), text("record"));
        Err(NoContact::Refused { status: parts.status, why })
    }
}

impl Lines {
    /// The next line; none once there are no more.
    ///
    /// # Errors
    /// [`NoContact::Body`] if the answer breaks off, or a line is too long.
    pub async fn next(&mut self) -> Result<Option<Bytes>, NoContact> {
        loop {
            let unsearched = self.held.get(self.searched..).unwrap_or_default();
            if let Some(end) = unsearched.iter().position(|byte| *byte == b'\n') {
                let line = self.held.split_to(self.searched + end).freeze();
                self.held.advance(1);
                self.searched = 0;
                return Ok(Some(line));
            }
            self.searched = self.held.len();
            if self.held.len() > MAX_LINE {
                return Err(NoContact::Body("a line is too long".into()));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => self.held.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Some(Err(error)) => return Err(NoContact::Body(error.into())),
            }
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
