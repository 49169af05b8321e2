//! The paths, who may use them, and answers as an API server gives them.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use net::{Door, Peer};
use serde_json::{Value, json};

use super::tokens::Signing;
use super::world::{Refusal, World};

/// Longest body of a request, in bytes.
const MAX_BODY: usize = 256 * 1024;

pub(super) struct ApiServer {
    signing: Signing,
    world: Mutex<World>,
    admin: String,
    reviewer: String,
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum User {
    Admin,
    /// Bound to `system:auth-delegator`, and to reading pods and nodes.
    Reviewer,
}

/// What is answered.
type Answered = (StatusCode, Value);

impl ApiServer {
    pub(super) fn new(signing: Signing, url: &str, [admin, reviewer]: [String; 2]) -> Self {
        Self { signing: signing.at(url), world: Mutex::default(), admin, reviewer }
    }

    /// Without a token that is known nobody is anybody: anonymous users have no right here.
    fn user(&self, headers: &HeaderMap) -> Option<User> {
        let token = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        match token {
            token if token == self.admin => Some(User::Admin),
            token if token == self.reviewer => Some(User::Reviewer),
            _ => None,
        }
    }

    fn answer_to(&self, method: &Method, path: &str, headers: &HeaderMap, body: &[u8]) -> Answered {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        if let (&Method::GET, [".well-known", "openid-configuration"]) = (method, parts.as_slice()) {
            return (StatusCode::OK, self.signing.discovery());
        }
        if let (&Method::GET, ["openid", "v1", "jwks"]) = (method, parts.as_slice()) {
            return (StatusCode::OK, self.signing.jwks());
        }
        let Some(user) = self.user(headers) else {
            return failure(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized");
        };
        let reads = matches!(
            (method.as_str(), parts.as_slice()),
            ("POST", ["apis", "authentication.k8s.io", "v1", "tokenreviews"])
                | ("GET", ["api", "v1", "nodes", _] | ["api", "v1", "namespaces", _, "pods", _])
        );
        if user != User::Admin && !reads {
            return failure(StatusCode::FORBIDDEN, "Forbidden", "the reviewer cannot do this");
        }
        let body = if *method == Method::POST {
            match serde_json::from_slice::<Value>(body) {
                Ok(body) => body,
                Err(_) => return failure(StatusCode::BAD_REQUEST, "BadRequest", "the body is no JSON"),
            }
        } else {
            Value::Null
        };
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        match self.perform(&mut world, method, &parts, &body) {
            Some(Ok(shown)) if *method == Method::POST => (StatusCode::CREATED, shown),
            Some(Ok(shown)) => (StatusCode::OK, shown),
            Some(Err(Refusal::NotFound(why))) => failure(StatusCode::NOT_FOUND, "NotFound", &why),
            Some(Err(Refusal::AlreadyExists(why))) => failure(StatusCode::CONFLICT, "AlreadyExists", &why),
            Some(Err(Refusal::Invalid(why))) => failure(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", &why),
            Some(Err(Refusal::TooMany)) => failure(StatusCode::FORBIDDEN, "Forbidden", "there are too many objects"),
            None => failure(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource"),
        }
    }

    fn perform(
        &self,
        world: &mut World,
        method: &Method,
        parts: &[&str],
        body: &Value,
    ) -> Option<Result<Value, Refusal>> {
        let name = |namespace: &str, name: &str| (namespace.to_owned(), name.to_owned());
        Some(match (method.as_str(), parts) {
            ("GET", ["version"]) => Ok(json!({"major": "1", "minor": "33", "gitVersion": "v1.33.0"})),
            ("POST", ["apis", "authentication.k8s.io", "v1", "tokenreviews"]) => {
                is(body, "authentication.k8s.io/v1", "TokenReview").map(|()| self.signing.review(world, body))
            }
            ("POST", ["api", "v1", "nodes"]) => is(body, "v1", "Node").and_then(|()| world.make_node(body)),
            ("GET", ["api", "v1", "nodes", node]) => world.shown_node(node),
            ("POST", ["api", "v1", "namespaces", namespace, "serviceaccounts"]) => {
                is(body, "v1", "ServiceAccount").and_then(|()| world.make_account(namespace, body))
            }
            ("GET", ["api", "v1", "namespaces", namespace, "serviceaccounts", account]) => {
                world.shown_account(&name(namespace, account))
            }
            ("POST", ["api", "v1", "namespaces", namespace, "serviceaccounts", account, "token"]) => {
                let request = is(body, "authentication.k8s.io/v1", "TokenRequest");
                request.and_then(|()| self.signing.request(world, &name(namespace, account), body))
            }
            ("POST", ["api", "v1", "namespaces", namespace, "pods"]) => {
                is(body, "v1", "Pod").and_then(|()| world.make_pod(namespace, body))
            }
            ("GET", ["api", "v1", "namespaces", namespace, "pods"]) => Ok(world.shown_pods(namespace)),
            ("GET", ["api", "v1", "namespaces", namespace, "pods", pod]) => world.shown_pod(&name(namespace, pod)),
            ("DELETE", ["api", "v1", "namespaces", namespace, kind @ ("pods" | "serviceaccounts"), object]) => {
                world.delete(kind, &name(namespace, object))
            }
            _ => return None,
        })
    }
}

impl Door for ApiServer {
    type Body = Full<Bytes>;

    async fn answer(&self, request: Request<Incoming>, _peer: Peer) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let (status, document) = match Limited::new(body, MAX_BODY).collect().await {
            Ok(body) => self.answer_to(&parts.method, parts.uri.path(), &parts.headers, &body.to_bytes()),
            Err(_) => failure(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", "the body is too long"),
        };
        tracing::info!(method = %parts.method, path = parts.uri.path(), status = status.as_u16(), "the API server answers");
        let mut answer = Response::new(Full::from(document.to_string()));
        *answer.status_mut() = status;
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer
    }
}

/// Clients leave version and kind out of what a path says already; what says another is not taken.
fn is(body: &Value, version: &str, kind: &str) -> Result<(), Refusal> {
    let says = |name: &str, expected: &str| body.get(name).is_none_or(|found| found.is_null() || found == expected);
    if body.is_object() && says("apiVersion", version) && says("kind", kind) {
        return Ok(());
    }
    Err(Refusal::Invalid(format!("the object is no {kind} of {version}")))
}

fn failure(status: StatusCode, reason: &str, message: &str) -> Answered {
    let document = json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": status.as_u16(),
    });
    (status, document)
}
