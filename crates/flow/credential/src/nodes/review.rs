//! What the API server of a cluster says of an agent's token (`TokenReview` of `authentication.k8s.io/v1`), and, where that says too
//! little, of its pod and its node. The edge asks; here the answers are bytes, and what is to be asked next follows from them.
//!
//! Only the API server knows that a pod or a service account was deleted while the token's signature still holds.

use std::collections::BTreeSet;

use model::{Binding, Time};

use crate::cause::shown;
use crate::claims::Registered;
use crate::establish::credential_id;
use crate::json::{self, Json, Object};
use crate::jws::Jws;
use crate::verify::{self, LEEWAY, missing};
use crate::{Cause, CredentialKind, Finding, Source, Token};

use super::token::{self, TokenRules};

/// Longest answer that is read, in bytes: a node lists the images that it has.
pub const MAX_ANSWER: usize = 1024 * 1024;
/// Longest name or value that is taken from an answer, in bytes (RFC 1123 names and labels have fewer).
const MAX_NAME: usize = 253;
/// What the user's name of a service account starts with.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";
/// What the API server adds to a user who came with a token that is bound to a pod, from 1.22 on for the pod and 1.30 on for the node.
const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";
const NODE_UID: &str = "authentication.kubernetes.io/node-uid";

/// How the API server is asked about tokens of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Whether the cluster's keys have to verify a token as well; then nothing else is sent to the API server.
    pub keys: ReviewedKeys,
    /// Labels of nodes that become selectors.
    pub node_labels: Vec<String>,
}

/// Whether a cluster whose API server is asked has keys here too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewedKeys {
    Checked,
    None,
}

/// What the API server answered: JSON as it came, of what was asked.
#[derive(Debug, Default)]
pub struct Answers {
    pub review: Option<Vec<u8>>,
    pub pod: Option<Vec<u8>>,
    pub node: Option<Vec<u8>>,
}

/// What the API server is to be asked. Names stand in a URL's path as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReviewQuestion {
    Token { audiences: Vec<String> },
    Pod { namespace: String, name: String },
    Node { name: String },
}

/// A user as `TokenReview` names him, with the pod that his token is bound to.
struct Reviewed {
    namespace: String,
    account: String,
    pod: String,
    pod_uid: String,
    node: Option<String>,
    node_uid: Option<String>,
}

/// What is to be asked next of a token that may be worth it; nothing where nothing is left, or more would change nothing.
pub(super) fn question(
    source: &Source,
    rules: &TokenRules,
    token: Token<'_>,
    answers: &Answers,
    at: Time,
) -> Option<ReviewQuestion> {
    let review = rules.review()?;
    before(source, rules, review, token, at).ok()?;
    if answers.review.is_none() {
        return Some(ReviewQuestion::Token { audiences: source.audiences.clone() });
    }
    let user = reviewed(source, answers).ok()?;
    if !rules.lists(&[&user.namespace, &user.account]) {
        return None;
    }
    if user.node.is_none() && answers.pod.is_none() {
        return Some(ReviewQuestion::Pod { namespace: user.namespace, name: user.pod });
    }
    let name = node_name(&user, answers).ok()?;
    let asks = user.node_uid.is_none() || !review.node_labels.is_empty();
    (asks && answers.node.is_none()).then_some(ReviewQuestion::Node { name })
}

/// What the answers prove.
pub(super) fn check(
    source: &Source,
    rules: &TokenRules,
    review: &Review,
    (token, answers): (Token<'_>, &Answers),
    at: Time,
) -> Result<Finding, Cause> {
    let found = before(source, rules, review, token, at)?;
    let user = reviewed(source, answers)?;
    rules.check_listed(&[&user.namespace, &user.account])?;
    let node = node_name(&user, answers)?;
    let mut uid = user.node_uid.clone();
    let mut labels = Vec::new();
    if uid.is_none() || !review.node_labels.is_empty() {
        let object = object(answers.node.as_deref(), "v1", "Node")?;
        let metadata = member(&object, "metadata")?;
        same(&name(metadata, "name")?, &node, "its node's name")?;
        let found = name(metadata, "uid")?;
        same(uid.as_ref().unwrap_or(&found), &found, "its node's uid")?;
        uid = Some(found);
        let all = metadata.find("labels").and_then(Json::as_object);
        let value = |key: &String| {
            let value = all?.find(key)?.as_str().filter(|value| is_name(value))?;
            Some((format!("k8s_psat:agent_node_label:{key}"), value.to_owned()))
        };
        labels = review.node_labels.iter().filter_map(value).collect();
    }
    let uid = uid.ok_or(Cause::NotReviewed)?;
    same(found.key.first().unwrap_or(&uid), &uid, "its node's uid")?;
    let pairs = [
        ("k8s_psat:cluster", source.name.to_string()),
        ("k8s_psat:agent_ns", user.namespace),
        ("k8s_psat:agent_sa", user.account),
        ("k8s_psat:agent_pod_name", user.pod),
        ("k8s_psat:agent_pod_uid", user.pod_uid),
        ("k8s_psat:agent_node_name", node),
        ("k8s_psat:agent_node_uid", uid.clone()),
    ];
    let display = pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(labels).collect();
    Ok(Finding { key: vec![uid], display, ..found })
}

/// What is looked at before the API server is asked anything: a token that it could not accept costs no question.
fn before(source: &Source, rules: &TokenRules, review: &Review, token: Token<'_>, at: Time) -> Result<Finding, Cause> {
    match review.keys {
        ReviewedKeys::Checked => token::by_keys(source, rules, token, at),
        ReviewedKeys::None => unverified(source, token, at),
    }
}

/// What a token says of itself, to be believed once the API server authenticates it.
fn unverified(source: &Source, token: Token<'_>, at: Time) -> Result<Finding, Cause> {
    let jws = Jws::read(token.bytes())?;
    let claims = Registered::read(&jws.claims)?;
    let expires = claims.expires.ok_or_else(|| missing("exp"))?;
    verify::check_times(source, &claims, expires, at)?;
    verify::check_audience(source, claims.audience.as_deref().ok_or_else(|| missing("aud"))?)?;
    let dies = expires.plus(LEEWAY);
    Ok(Finding {
        source: source.name.clone(),
        kind: CredentialKind::Jwt,
        binding: Binding::Bearer,
        key: Vec::new(),
        display: Vec::new(),
        facts: BTreeSet::new(),
        credential_id: credential_id(claims.id, token.digest()),
        digest: token.digest(),
        issued: claims.issued,
        expires: Some(expires),
        until: claims.issued.map_or(dies, |issued| dies.min(issued.plus(source.max_age).plus(LEEWAY))),
        key_id: None,
        key_thumbprint: None,
    })
}

/// Whom the API server takes the token for.
fn reviewed(source: &Source, answers: &Answers) -> Result<Reviewed, Cause> {
    let review = object(answers.review.as_deref(), "authentication.k8s.io/v1", "TokenReview")?;
    let status = member(&review, "status")?;
    if !status.find("authenticated").is_some_and(Json::is_true) {
        let why = status.find("error").and_then(Json::as_str).unwrap_or("it is not authenticated");
        return Err(Cause::NotAuthenticated { why: shown(why) });
    }
    // a server that knows nothing of audiences says yes to a token that is for others, and names none
    let echoed = status.find("audiences").and_then(Json::as_array).unwrap_or_default();
    if !echoed.iter().any(|one| one.as_str().is_some_and(|one| source.audiences.iter().any(|ours| ours == one))) {
        return Err(Cause::AudienceWrong);
    }
    let user = member(status, "user")?;
    let username = user.find("username").and_then(Json::as_str).unwrap_or_default();
    let parts = username.strip_prefix(SERVICE_ACCOUNT).and_then(|rest| rest.split_once(':'));
    let (namespace, account) = parts
        .filter(|(namespace, account)| is_name(namespace) && is_name(account))
        .ok_or_else(|| Cause::NotListed { found: shown(username) })?;
    let none = Object::default();
    let extra = user.find("extra").and_then(Json::as_object).unwrap_or(&none);
    let bound = |name| one(extra, name)?.ok_or(Cause::ReviewMismatch { what: "it is bound to no pod" });
    Ok(Reviewed {
        namespace: namespace.to_owned(),
        account: account.to_owned(),
        pod: bound(POD_NAME)?,
        pod_uid: bound(POD_UID)?,
        node: one(extra, NODE_NAME)?,
        node_uid: one(extra, NODE_UID)?,
    })
}

/// The node that the pod is on: by the review itself, or by the pod.
fn node_name(user: &Reviewed, answers: &Answers) -> Result<String, Cause> {
    if let Some(node) = &user.node {
        return Ok(node.clone());
    }
    let pod = object(answers.pod.as_deref(), "v1", "Pod")?;
    let metadata = member(&pod, "metadata")?;
    same(&name(metadata, "namespace")?, &user.namespace, "its pod's namespace")?;
    same(&name(metadata, "name")?, &user.pod, "its pod's name")?;
    // another pod may have come by the same name
    same(&name(metadata, "uid")?, &user.pod_uid, "its pod's uid")?;
    let spec = member(&pod, "spec")?;
    same(&name(spec, "serviceAccountName")?, &user.account, "its pod's service account")?;
    name(spec, "nodeName")
}

/// An object of this kind that was asked for.
fn object(answer: Option<&[u8]>, version: &str, kind: &str) -> Result<Object, Cause> {
    let answer = answer.filter(|answer| answer.len() <= MAX_ANSWER).ok_or(Cause::NotReviewed)?;
    let object = json::read_object(answer).ok_or(Cause::NotReviewed)?;
    let is = |name, expected| object.find(name).and_then(Json::as_str) == Some(expected);
    if is("apiVersion", version) && is("kind", kind) { Ok(object) } else { Err(Cause::NotReviewed) }
}

fn member<'a>(object: &'a Object, name: &str) -> Result<&'a Object, Cause> {
    object.find(name).and_then(Json::as_object).ok_or(Cause::NotReviewed)
}

fn name(object: &Object, name: &str) -> Result<String, Cause> {
    let found = object.find(name).and_then(Json::as_str).filter(|found| is_name(found));
    found.map(str::to_owned).ok_or(Cause::NotReviewed)
}

/// The one value of a name; none where it has none. Of several nobody could say which one counts.
fn one(extra: &Object, name: &str) -> Result<Option<String>, Cause> {
    let Some(values) = extra.find(name) else { return Ok(None) };
    match values.as_array() {
        Some([only]) => only.as_str().filter(|value| is_name(value)).map(|value| Some(value.to_owned())),
        Some(_) | None => None,
    }
    .ok_or(Cause::NotReviewed)
}

/// A name as Kubernetes has them (RFC 1123 subdomains, uids, labels' values): nothing that means anything in a URL's path.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= MAX_NAME && bytes.iter().copied().all(plain) && ends(bytes.first()) && ends(bytes.last())
}

fn same(found: &str, expected: &str, what: &'static str) -> Result<(), Cause> {
    if found == expected { Ok(()) } else { Err(Cause::ReviewMismatch { what }) }
}
