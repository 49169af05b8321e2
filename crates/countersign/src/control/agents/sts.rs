//! Asking Amazon's STS who signed a request. Strangers make control ask: it asks few at once, only for sources and regions of
//! the estate, and only what it has made itself.

use std::time::Duration;

use bytes::Bytes;
use credential::{AwsCall, Challenge, NodeProof, NodeTrust, SignedCall, Statement, StsAnswer, StsCall, StsPlace};
use http::{HeaderName, HeaderValue, StatusCode};
use net::causes::chain;
use net::{FetchFailed, Peer, Plain, Reach, Remote, Roots, Terms, fetch_on, now};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tonic::{Status, Streaming};
use wire::Message as _;
use wire::agent::{AgentSvid, AttestRequest, Evidence};

use super::attest::{answer, nonce};
use super::service::Agents;

/// Most questions to STS at once; whoever comes beyond them waits for a turn.
const AT_ONCE: usize = 32;
static TURN: Semaphore = Semaphore::const_new(AT_ONCE);
/// Longest answer, in bytes.
const MAX_ANSWER: usize = 16 * 1024;
/// How long a turn is waited for, and then an answer.
const WITHIN: Duration = Duration::from_secs(5);

impl Agents {
    /// What answers a challenge with a request to STS that is signed.
    pub(super) async fn caller(
        &self,
        peer: &Peer,
        mut said: Streaming<AttestRequest>,
        evidence: &Evidence,
        challenge: &Challenge,
    ) -> Result<AgentSvid, Status> {
        let answer = wire::agent::SignedCall::decode(answer(&mut said).await?)
            .map_err(|why| Status::invalid_argument(format!("the answer is no signed request: {why}")))?;
        let nonce = nonce(&answer.nonce)?;
        let domain = self.own_domain()?;
        let source = evidence.source.as_str();
        let signed = SignedCall {
            access_key: &answer.access_key,
            time: &answer.time,
            region: &answer.region,
            session_token: &answer.session_token,
            signature: &answer.signature,
            statement: Statement { domain: &domain, source, challenge, nonce, request: &evidence.csr },
        };
        let heard = match self.call(source, &signed) {
            Some(call) => match timeout(WITHIN, TURN.acquire()).await {
                Ok(Ok(_turn)) => ask(&call).await,
                Ok(Err(_)) | Err(_) => Heard::Nothing,
            },
            // the gates say why, whatever STS would say
            None => Heard::Nothing,
        };
        let answer = match &heard {
            Heard::Said(answer) => StsAnswer::Said(answer),
            Heard::Refused => StsAnswer::Refused,
            Heard::Nothing => StsAnswer::Unheard,
        };
        let proof = NodeProof::AwsSts(AwsCall { signed, answer });
        self.prove(peer, proof, evidence).await
    }

    /// The request, as the estate in force lets one of that source be made.
    fn call(&self, source: &str, signed: &SignedCall<'_>) -> Option<StsCall> {
        let live = self.live();
        let trust = live.snapshot.sources.nodes().get(&source.parse().ok()?)?;
        let NodeTrust::AwsCallers(callers) = trust else { return None };
        callers.call(signed, now()).ok()
    }
}

enum Heard {
    Said(Bytes),
    Refused,
    Nothing,
}

/// Over TLS that proves STS's name; no redirect is followed.
async fn ask(call: &StsCall) -> Heard {
    let Some((remote, terms)) = request(call) else { return Heard::Nothing };
    match fetch_on(&remote, &terms).await {
        Ok(fetched) => Heard::Said(fetched.document),
        Err(FetchFailed::Status(StatusCode::FORBIDDEN)) => Heard::Refused,
        Err(why) => {
            tracing::warn!(url = call.url, why = chain(&why), "STS cannot be asked who signed a node's request");
            Heard::Nothing
        }
    }
}

fn request(call: &StsCall) -> Option<(Remote, Terms)> {
    let (reach, plain) = match call.place {
        StsPlace::Amazons => (Reach::Public, Plain::Refused),
        StsPlace::AmazonsInPrivate => (Reach::Private, Plain::Refused),
        StsPlace::Here(_) => (Reach::Loopback, Plain::OnLoopback),
    };
    let remote = Remote::new(&call.url, reach, plain, Roots::Platform).ok()?;
    let header = |(name, value): &(&'static str, String)| {
        let mut value = HeaderValue::from_str(value).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::from_static(name), value))
    };
    let headers = call.headers.iter().map(header).collect::<Option<Vec<_>>>()?;
    let post = Some(Bytes::from_static(call.body.as_bytes()));
    Some((remote, Terms { headers, post, most: MAX_ANSWER, within: WITHIN, ..Terms::public() }))
}
