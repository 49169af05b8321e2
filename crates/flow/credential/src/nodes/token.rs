//! Tokens by which a platform says which of its machines somebody is on: checked as every token is, and found by the name of
//! their source, since clusters and projects share issuers.

use std::sync::Arc;

use model::Time;

use super::NodeMethod;
use super::aws_iid::{is_account, is_instance, is_region};
use super::review::Review;
use crate::cause::shown;
use crate::claims::Registered;
use crate::json::{Json, Object};
use crate::jws::Jws;
use crate::verify::{self, missing};
use crate::{Cause, ClaimPath, Finding, Source, Token};

/// Longest claim that becomes a selector, in bytes.
const MAX_VALUE: usize = 256;

/// Claims that become selectors, by the names that SPIRE gives them.
const OF_KUBERNETES: &[(&str, &str)] = &[
    ("k8s_psat:agent_ns", r"kubernetes\.io.namespace"),
    ("k8s_psat:agent_sa", r"kubernetes\.io.serviceaccount.name"),
    ("k8s_psat:agent_pod_name", r"kubernetes\.io.pod.name"),
    ("k8s_psat:agent_pod_uid", r"kubernetes\.io.pod.uid"),
    ("k8s_psat:agent_node_name", r"kubernetes\.io.node.name"),
    ("k8s_psat:agent_node_uid", r"kubernetes\.io.node.uid"),
];
const OF_GOOGLE: &[(&str, &str)] = &[
    ("gcp_iit:project-id", "google.compute_engine.project_id"),
    ("gcp_iit:zone", "google.compute_engine.zone"),
    ("gcp_iit:instance-name", "google.compute_engine.instance_name"),
    ("gcp_iit:instance-id", "google.compute_engine.instance_id"),
];
const OF_AZURE: &[(&str, &str)] =
    &[("azure_msi:tenant-id", "tid"), ("azure_msi:principal-id", "sub"), ("azure_msi:resource-id", "xms_mirid")];
/// What Amazon's STS says of its own accord. `request_tags` are whatever the caller chose, and are no selectors.
const OF_AMAZON: &[(&str, &str)] = &[
    ("aws_jwt:iamrole", "sub"),
    ("aws_jwt:account", OF_AMAZON_ACCOUNT),
    ("aws_jwt:region", r"https://sts\.amazonaws\.com/.source_region"),
    ("aws_jwt:org", r"https://sts\.amazonaws\.com/.org_id"),
    ("aws_jwt:vpc", r"https://sts\.amazonaws\.com/.ec2_instance_source_vpc"),
];
const OF_AMAZON_ACCOUNT: &str = r"https://sts\.amazonaws\.com/.aws_account";
const INSTANCE_OF_AMAZON: &str = r"https://sts\.amazonaws\.com/.ec2_source_instance_arn";
const TAGS_OF_AMAZON: &str = r"https://sts\.amazonaws\.com/.principal_tags";
/// Most tags of a role that become selectors.
const MAX_TAGS: usize = 50;

/// What is asked of a node's token beside what its source asks of every token.
#[derive(Debug, Clone)]
pub struct TokenRules {
    method: NodeMethod,
    /// A selector and its claim.
    attested: Vec<(&'static str, ClaimPath)>,
    /// Claims that together are one word of the list.
    listed: Vec<ClaimPath>,
    list: Vec<String>,
    review: Option<Review>,
}

impl TokenRules {
    /// Nodes whose agents are of these service accounts, each `NAMESPACE:NAME`.
    pub fn kubernetes(service_accounts: Vec<String>) -> Self {
        let listed = [r"kubernetes\.io.namespace", r"kubernetes\.io.serviceaccount.name"];
        Self::new(NodeMethod::K8sPsat, OF_KUBERNETES, &listed, service_accounts)
    }

    /// The same, where the cluster's API server is asked about each token.
    #[must_use]
    pub fn reviewed(self, review: Review) -> Self {
        Self { review: Some(review), ..self }
    }

    /// Instances of these projects.
    pub fn google(projects: Vec<String>) -> Self {
        Self::new(NodeMethod::GcpIit, OF_GOOGLE, &["google.compute_engine.project_id"], projects)
    }

    /// Managed identities of these tenants.
    pub fn azure(tenants: Vec<String>) -> Self {
        Self::new(NodeMethod::AzureMsi, OF_AZURE, &["tid"], tenants)
    }

    /// Instances that have one of these roles, each its ARN.
    pub fn amazon(roles: Vec<String>) -> Self {
        Self::new(NodeMethod::AwsJwt, OF_AMAZON, &["sub"], roles)
    }

    /// The claims that are the key of a node.
    pub fn identity_key(&self) -> Vec<ClaimPath> {
        let paths: &[&str] = match self.method {
            NodeMethod::X509Pop | NodeMethod::Tpm | NodeMethod::AwsIid | NodeMethod::AwsSts => &[],
            NodeMethod::K8sPsat => &[r"kubernetes\.io.node.uid"],
            NodeMethod::GcpIit => &["google.compute_engine.project_id", "google.compute_engine.instance_id"],
            NodeMethod::AzureMsi => &["tid", "sub"],
            // of which the parts are the key
            NodeMethod::AwsJwt => &[INSTANCE_OF_AMAZON],
        };
        paths.iter().map(|text| path(text)).collect()
    }

    fn new(method: NodeMethod, attested: &[(&'static str, &str)], listed: &[&str], list: Vec<String>) -> Self {
        let attested = attested.iter().map(|(name, text)| (*name, path(text))).collect();
        Self { method, attested, listed: listed.iter().map(|text| path(text)).collect(), list, review: None }
    }

    pub(super) const fn review(&self) -> Option<&Review> {
        self.review.as_ref()
    }

    /// Whether these parts together are a word of the list.
    pub(super) fn lists(&self, parts: &[&str]) -> bool {
        self.check_listed(parts).is_ok()
    }

    pub(super) fn check_listed(&self, parts: &[&str]) -> Result<(), Cause> {
        let found = parts.join(":");
        if self.list.contains(&found) { Ok(()) } else { Err(Cause::NotListed { found: shown(&found) }) }
    }

    pub(crate) const fn method(&self) -> NodeMethod {
        self.method
    }
}

/// # Panics
/// Never: the tests of each method read its claims.
#[expect(clippy::expect_used, reason = "the literals of this file; the tests of each method read them")]
fn path(text: &str) -> ClaimPath {
    text.parse().expect("a claim's path")
}

/// A token of a source that nobody else is asked about.
pub(super) fn check(source: &Source, rules: &TokenRules, token: Token<'_>, at: Time) -> Result<Finding, Cause> {
    if rules.review.is_some() {
        return Err(Cause::NotReviewed);
    }
    by_keys(source, rules, token, at)
}

/// The checks of every token, in their order, and then whether its node is among those that are vouched for.
pub(super) fn by_keys(source: &Source, rules: &TokenRules, token: Token<'_>, at: Time) -> Result<Finding, Cause> {
    let jws = Jws::read(token.bytes())?;
    let claims = Registered::read(&jws.claims)?;
    if !source.issuer.is_empty() && claims.issuer != source.issuer {
        return Err(Cause::IssuerUnknown);
    }
    let held = verify::check(source, &jws, &claims, (token, None), at)?;
    let part = |path: &ClaimPath| path.find_text(&jws.claims).ok_or_else(|| missing(&path.to_string()));
    rules.check_listed(&rules.listed.iter().map(part).collect::<Result<Vec<_>, _>>()?)?;
    let attested = rules.attested.iter().filter_map(|(name, path)| {
        let value = path.find_text(&jws.claims)?;
        fits(value).then(|| ((*name).to_owned(), value.to_owned()))
    });
    let cluster =
        (rules.method == NodeMethod::K8sPsat).then(|| ("k8s_psat:cluster".to_owned(), source.name.to_string()));
    let display = cluster.into_iter().chain(attested).collect();
    let finding = Finding { display, ..Arc::unwrap_or_clone(held.finding) };
    if rules.method == NodeMethod::AwsJwt { of_instance(finding, &jws.claims) } else { Ok(finding) }
}

/// The key of an instance of Amazon's, from its ARN: `arn:PARTITION:ec2:REGION:ACCOUNT:instance/ID`. It is the account's that
/// the token is of.
fn of_instance(finding: Finding, claims: &Object) -> Result<Finding, Cause> {
    let named = path(INSTANCE_OF_AMAZON);
    let parts: Vec<&str> = named.find_text(claims).unwrap_or_default().split(':').collect();
    let account = path(OF_AMAZON_ACCOUNT).find_text(claims);
    let key = match parts.as_slice() {
        ["arn", _, "ec2", region, of, instance] if is_region(region) && is_account(of) && account == Some(of) => {
            let id = instance.strip_prefix("instance/").filter(|id| is_instance(id));
            id.map(|id| vec![(*of).to_owned(), (*region).to_owned(), id.to_owned()])
        }
        _ => None,
    };
    let expected = "the ARN of an instance of the token's account";
    let key = key.ok_or_else(|| Cause::ClaimType { name: named.to_string(), expected })?;
    let instance = key.last().map(|id| ("aws_jwt:instance:id".to_owned(), id.clone()));
    let tags = path(TAGS_OF_AMAZON);
    let tags = tags.find(claims).and_then(Json::as_object).into_iter().flat_map(Object::members).take(MAX_TAGS);
    let tags = tags.filter_map(|(name, value)| {
        let name = Some(name).filter(|name| fits(name) && !name.contains(':'))?;
        Some((format!("aws_jwt:tag:{name}"), value.as_str().filter(|value| fits(value))?.to_owned()))
    });
    let display = finding.display.into_iter().chain(instance).chain(tags).collect();
    Ok(Finding { key, display, ..finding })
}

/// Whether a text can stand in a selector.
fn fits(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_VALUE && !text.chars().any(char::is_control)
}
