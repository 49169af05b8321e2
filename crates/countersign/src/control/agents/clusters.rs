//! API servers of Kubernetes clusters, asked about tokens of their agents. What is to be asked, and what an answer proves, is said by
//! `credential`: here it is carried, each question bounded in time and bytes, a few at once, and never to where an answer points.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use credential::{Answers, MAX_ANSWER, ReviewQuestion, Sources, Token, review_question};
use http::HeaderValue;
use model::SourceName;
use net::causes::chain;
use net::{BadRemote, BadRoots, FetchFailed, Plain, Reach, Remote, Roots, Terms, fetch_on, now};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::estate::ClusterSettings;

/// Longest that all questions about one token take, waiting for room included: a node waits for its answer.
const WITHIN: Duration = Duration::from_secs(8);
/// Most tokens about which one API server is asked at once: strangers may bring them.
const AT_ONCE: usize = 16;
/// Longest token or file of certificates, in bytes.
const MAX_FILE: u64 = 256 * 1024;
/// Most questions about one token: the token, its pod, its node.
const MOST: usize = 3;

/// The API servers that this control plane may ask.
pub struct Clusters {
    by_source: BTreeMap<SourceName, (ClusterSettings, Semaphore)>,
}

/// Why an API server did not answer.
#[derive(Debug, thiserror::Error)]
enum NotAnswered {
    #[error("no API server is written for it: name one in `server.yaml` under `clusters`")]
    Unknown,
    #[error("no answer within {} s", WITHIN.as_secs())]
    Late,
    #[error("cannot read `{}`", .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("`{}` holds no root certificates", .path.display())]
    Roots { path: PathBuf, source: BadRoots },
    #[error("`{}` is no token", .path.display())]
    Token { path: PathBuf },
    #[error("its URL cannot be used")]
    Url(#[from] BadRemote),
    #[error("it does not answer")]
    Fetch(#[from] FetchFailed),
}

impl Clusters {
    pub fn new(clusters: Vec<ClusterSettings>) -> Self {
        let with_room = |cluster: ClusterSettings| (cluster.source.clone(), (cluster, Semaphore::new(AT_ONCE)));
        Self { by_source: clusters.into_iter().map(with_room).collect() }
    }

    /// What the API server of a source's cluster says of a token; as far as it was asked, and answered. `text` is the token.
    pub(super) async fn review(&self, sources: &Sources, source: &SourceName, text: &[u8]) -> Answers {
        let mut answers = Answers::default();
        let asked = timeout(WITHIN, self.ask(sources, source, text, &mut answers));
        if let Err(why) = asked.await.unwrap_or(Err(NotAnswered::Late)) {
            tracing::warn!(%source, why = chain(&why), "a cluster's API server says nothing of a token");
        }
        answers
    }

    async fn ask(
        &self,
        sources: &Sources,
        source: &SourceName,
        text: &[u8],
        answers: &mut Answers,
    ) -> Result<(), NotAnswered> {
        let token = Token::new(text);
        let next = |answers: &Answers| review_question(sources, source, token, answers, now());
        let Some(mut question) = next(answers) else { return Ok(()) };
        let (cluster, room) = self.by_source.get(source).ok_or(NotAnswered::Unknown)?;
        // nobody closes it
        let _room = room.acquire().await;
        let access = Access::of(cluster)?;
        for _ in 0..MOST {
            let answer = Some(access.answer(&question, text).await?.to_vec());
            match question {
                ReviewQuestion::Token { .. } => answers.review = answer,
                ReviewQuestion::Pod { .. } => answers.pod = answer,
                ReviewQuestion::Node { .. } => answers.node = answer,
            }
            match next(answers) {
                Some(another) => question = another,
                None => break,
            }
        }
        Ok(())
    }
}

/// What an API server is asked with, read anew for every token.
struct Access<'a> {
    server: &'a str,
    roots: Roots,
    bearer: HeaderValue,
}

impl<'a> Access<'a> {
    fn of(cluster: &'a ClusterSettings) -> Result<Self, NotAnswered> {
        let roots = match &cluster.ca {
            Some(path) => {
                Roots::only(&read(path)?).map_err(|source| NotAnswered::Roots { path: path.clone(), source })?
            }
            None => Roots::Platform,
        };
        let bearer = HeaderValue::try_from(format!("Bearer {}", read(&cluster.token)?.trim()));
        let mut bearer = bearer.or(Err(NotAnswered::Token { path: cluster.token.clone() }))?;
        bearer.set_sensitive(true);
        Ok(Self { server: &cluster.server, roots, bearer })
    }

    async fn answer(&self, question: &ReviewQuestion, token: &[u8]) -> Result<Bytes, NotAnswered> {
        let (path, post) = match question {
            ReviewQuestion::Token { audiences } => {
                let token = String::from_utf8_lossy(token);
                let review = json!({
                    "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
                    "spec": {"token": token, "audiences": audiences},
                });
                ("/apis/authentication.k8s.io/v1/tokenreviews".to_owned(), Some(Bytes::from(review.to_string())))
            }
            ReviewQuestion::Pod { namespace, name } => (format!("/api/v1/namespaces/{namespace}/pods/{name}"), None),
            ReviewQuestion::Node { name } => (format!("/api/v1/nodes/{name}"), None),
        };
        let url = format!("{}{path}", self.server);
        let remote = Remote::new(&url, Reach::Private, Plain::OnLoopback, self.roots.clone())?;
        let terms = Terms {
            authorization: Some(self.bearer.clone()),
            post,
            most: MAX_ANSWER,
            within: WITHIN,
            ..Terms::public()
        };
        Ok(fetch_on(&remote, &terms).await?.document)
    }
}

fn read(path: &Path) -> Result<String, NotAnswered> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text));
    read.map_err(|source| NotAnswered::File { path: path.to_owned(), source })?;
    Ok(text)
}
