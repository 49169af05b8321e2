//! What a machine presents to prove which node it is, and the sources that an estate declares for it: one module an outside
//! party. Challenges are made and answers of other servers are fetched by the edge before; here they are bytes.

mod aws_iid;
mod aws_sts;
mod chain;
mod cms;
mod review;
mod token;
mod tpm;
mod x509pop;

use std::collections::BTreeMap;

use model::{Binding, Digest, SourceName, Time};

use crate::{Cause, CredentialKind, Finding, Sources, Token, digest_of};

pub use aws_iid::{AwsInstances, BadRegion, is_region};
pub use aws_sts::{
    AwsCall, AwsCallers, BadRole, STS_BODY, STS_BODY_TYPE, STS_BOUND, SignedCall, StsAnswer, StsCall, StsPlace,
    host_of, sts_of,
};
pub use review::{Answers, MAX_ANSWER, Review, ReviewQuestion, ReviewedKeys};
pub use token::TokenRules;
pub use tpm::{
    EndorsementKey, EndorsementPublic, Point, TpmFlaw, TpmHash, TpmProof, TpmQuote, TpmTrust, tpm_name, tpm_qualifying,
};
pub use x509pop::{CHALLENGE, Challenge, NodeAuthorities, Possession, Statement};

/// How a node proves which one it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeMethod {
    /// Possession of the key of a certificate that it has already.
    X509Pop,
    /// A token of a service account of a Kubernetes cluster, projected into the agent's pod.
    K8sPsat,
    /// The identity token of an instance of Google Compute Engine.
    GcpIit,
    /// The token of a managed identity of Azure.
    AzureMsi,
    /// The endorsement key of its TPM.
    Tpm,
    /// The signed identity document of an instance of Amazon EC2.
    AwsIid,
    /// A request to Amazon's STS that says whose session signed it.
    AwsSts,
    /// A token of Amazon's STS for an instance's role.
    AwsJwt,
}

/// What is accepted of a party that vouches for nodes.
#[derive(Debug, Clone)]
pub enum NodeTrust {
    X509Pop(NodeAuthorities),
    Tpm(TpmTrust),
    /// Tokens of the source of the same name, and what is asked of them beside.
    Token(TokenRules),
    AwsInstances(AwsInstances),
    AwsCallers(AwsCallers),
}

/// What a node presents.
pub struct NodeEvidence<'a> {
    /// The source that is to vouch for it. Not believed: it picks the source, as `iss` does for a token.
    pub source: &'a str,
    pub proof: NodeProof<'a>,
}

/// The proof, by its method.
pub enum NodeProof<'a> {
    X509Pop(Possession<'a>),
    Tpm(TpmProof<'a>),
    Token(NodeMethod, Token<'a>),
    /// A token of a Kubernetes cluster, and what its API server says of it.
    Reviewed(Token<'a>, &'a Answers),
    /// The document within its signature, as the metadata service gives it.
    AwsIid(&'a [u8]),
    AwsSts(AwsCall<'a>),
}

/// Every source of nodes.
pub type NodeSources = BTreeMap<SourceName, NodeTrust>;

impl NodeMethod {
    pub const ALL: &'static [Self] = &[
        Self::X509Pop,
        Self::K8sPsat,
        Self::GcpIit,
        Self::AzureMsi,
        Self::Tpm,
        Self::AwsIid,
        Self::AwsSts,
        Self::AwsJwt,
    ];

    /// As it stands in SPIFFE IDs and in front of selectors.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X509Pop => "x509pop",
            Self::K8sPsat => "k8s_psat",
            Self::GcpIit => "gcp_iit",
            Self::AzureMsi => "azure_msi",
            Self::Tpm => "tpm",
            Self::AwsIid => "aws_iid",
            Self::AwsSts => "aws_sts",
            Self::AwsJwt => "aws_jwt",
        }
    }

    /// What together names one node of a source, in order.
    pub const fn key(self) -> &'static [&'static str] {
        match self {
            Self::X509Pop => &["fingerprint"],
            Self::K8sPsat => &["node"],
            Self::GcpIit => &["project", "instance"],
            Self::AzureMsi => &["tenant", "principal"],
            Self::Tpm => &["endorsement"],
            Self::AwsIid | Self::AwsJwt => &["account", "region", "instance"],
            Self::AwsSts => &["account", "role", "session"],
        }
    }

    /// Whether anybody on the node can have its evidence, and not its agent alone.
    pub const fn is_anybodys(self) -> bool {
        match self {
            Self::X509Pop | Self::K8sPsat | Self::Tpm => false,
            Self::GcpIit | Self::AzureMsi | Self::AwsIid | Self::AwsSts | Self::AwsJwt => true,
        }
    }

    pub(crate) const fn kind(self) -> CredentialKind {
        match self {
            Self::X509Pop => CredentialKind::X509Pop,
            Self::Tpm => CredentialKind::Tpm,
            Self::AwsIid => CredentialKind::AwsIid,
            Self::AwsSts => CredentialKind::AwsSts,
            Self::K8sPsat | Self::GcpIit | Self::AzureMsi | Self::AwsJwt => CredentialKind::Jwt,
        }
    }

    const fn binding(self) -> Binding {
        match self {
            Self::X509Pop | Self::Tpm | Self::AwsSts => Binding::Proof,
            Self::K8sPsat | Self::GcpIit | Self::AzureMsi | Self::AwsIid | Self::AwsJwt => Binding::Bearer,
        }
    }
}

impl NodeTrust {
    pub const fn method(&self) -> NodeMethod {
        match self {
            Self::X509Pop(_) => NodeMethod::X509Pop,
            Self::Tpm(_) => NodeMethod::Tpm,
            Self::Token(rules) => rules.method(),
            Self::AwsInstances(_) => NodeMethod::AwsIid,
            Self::AwsCallers(_) => NodeMethod::AwsSts,
        }
    }

    /// The keys in force, by content; none where they are those of the source of the same name.
    pub(crate) const fn digest(&self) -> Option<Digest> {
        match self {
            Self::X509Pop(authorities) => Some(authorities.digest()),
            Self::Tpm(trust) => Some(trust.digest()),
            Self::AwsInstances(instances) => Some(instances.digest()),
            Self::Token(_) | Self::AwsCallers(_) => None,
        }
    }
}

impl NodeProof<'_> {
    pub const fn method(&self) -> NodeMethod {
        match self {
            Self::X509Pop(_) => NodeMethod::X509Pop,
            Self::Tpm(_) => NodeMethod::Tpm,
            Self::Token(method, _) => *method,
            Self::Reviewed(..) => NodeMethod::K8sPsat,
            Self::AwsIid(_) => NodeMethod::AwsIid,
            Self::AwsSts(_) => NodeMethod::AwsSts,
        }
    }

    pub(crate) const fn binding(&self) -> Binding {
        self.method().binding()
    }

    /// SHA-256 of what a record names the credential by.
    pub(crate) fn digest(&self) -> Digest {
        match self {
            Self::X509Pop(possession) => digest_of(possession.chain.first().map_or(&[], Vec::as_slice)),
            Self::Tpm(proof) => digest_of(proof.endorsement),
            Self::Token(_, token) | Self::Reviewed(token, _) => token.digest(),
            Self::AwsIid(document) => digest_of(document),
            Self::AwsSts(call) => call.signed.digest(),
        }
    }
}

/// Whether the API server of a source's cluster is asked about each of its tokens.
pub fn is_reviewed(sources: &Sources, source: &SourceName) -> bool {
    matches!(sources.nodes().get(source), Some(NodeTrust::Token(rules)) if rules.review().is_some())
}

/// What the API server of a source's cluster is to be asked next about a token; nothing where nothing is left to ask, or where
/// more would change nothing.
pub fn review_question(
    sources: &Sources,
    source: &SourceName,
    token: Token<'_>,
    answers: &Answers,
    at: Time,
) -> Option<ReviewQuestion> {
    let Some(NodeTrust::Token(rules)) = sources.nodes().get(source) else { return None };
    review::question(sources.with_name(source)?, rules, token, answers, at)
}

/// What evidence proves at `at`, whatever was revoked.
///
/// # Errors
/// The [`Cause`], and the source that was picked, if there is one.
pub(crate) fn check(
    sources: &Sources,
    evidence: &NodeEvidence<'_>,
    at: Time,
) -> Result<Finding, (Cause, Option<SourceName>)> {
    let method = evidence.proof.method();
    let unknown = || (Cause::NodeSourceUnknown { method: method.as_str() }, None);
    let named = evidence.source.parse().ok().and_then(|name: SourceName| sources.nodes().get_key_value(&name));
    let (source, trust) = named.filter(|(_, trust)| trust.method() == method).ok_or_else(unknown)?;
    let found = match (trust, &evidence.proof) {
        (NodeTrust::X509Pop(authorities), NodeProof::X509Pop(possession)) => {
            x509pop::check(source, authorities, possession, at)
        }
        (NodeTrust::Tpm(trust), NodeProof::Tpm(proof)) => tpm::check(source, trust, proof, at),
        (NodeTrust::Token(rules), NodeProof::Token(_, token)) => {
            let source = sources.with_name(source).ok_or_else(unknown)?;
            token::check(source, rules, *token, at)
        }
        (NodeTrust::Token(rules), NodeProof::Reviewed(token, answers)) => {
            let source = sources.with_name(source).ok_or_else(unknown)?;
            match rules.review() {
                Some(review) => review::check(source, rules, review, (*token, answers), at),
                None => return Err(unknown()),
            }
        }
        (NodeTrust::AwsInstances(instances), NodeProof::AwsIid(document)) => {
            aws_iid::check(source, instances, document, at)
        }
        (NodeTrust::AwsCallers(callers), NodeProof::AwsSts(call)) => aws_sts::check(source, callers, call, at),
        // a source's method is the evidence's
        (
            NodeTrust::X509Pop(_)
            | NodeTrust::Tpm(_)
            | NodeTrust::Token(_)
            | NodeTrust::AwsInstances(_)
            | NodeTrust::AwsCallers(_),
            NodeProof::X509Pop(_)
            | NodeProof::Tpm(_)
            | NodeProof::Token(..)
            | NodeProof::Reviewed(..)
            | NodeProof::AwsIid(_)
            | NodeProof::AwsSts(_),
        ) => return Err(unknown()),
    };
    found.map_err(|cause| (cause, Some(source.clone())))
}

#[cfg(test)]
mod tests;
