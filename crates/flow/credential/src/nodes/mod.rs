//! What a machine presents to prove which node it is, and the sources that an estate declares for it: one module an outside
//! party. Challenges are made and answers of other servers are fetched by the edge before; here they are bytes.

mod aws_iid;
mod aws_sts;
mod cms;
mod token;
mod x509pop;

use std::collections::BTreeMap;

use model::{Binding, Digest, SourceName, Time};

use crate::{Cause, CredentialKind, Finding, Sources, Token, digest_of};

pub use aws_iid::{AwsInstances, BadRegion, is_region};
pub use aws_sts::{
    AwsCall, AwsCallers, BadRole, STS_BODY, STS_BODY_TYPE, STS_BOUND, SignedCall, StsAnswer, StsCall, StsPlace,
    host_of, sts_of,
};
pub use token::TokenRules;
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
    Token(NodeMethod, Token<'a>),
    /// The document within its signature, as the metadata service gives it.
    AwsIid(&'a [u8]),
    AwsSts(AwsCall<'a>),
}

/// Every source of nodes.
pub type NodeSources = BTreeMap<SourceName, NodeTrust>;

impl NodeMethod {
    pub const ALL: &'static [Self] =
        &[Self::X509Pop, Self::K8sPsat, Self::GcpIit, Self::AzureMsi, Self::AwsIid, Self::AwsSts, Self::AwsJwt];

    /// As it stands in SPIFFE IDs and in front of selectors.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X509Pop => "x509pop",
            Self::K8sPsat => "k8s_psat",
            Self::GcpIit => "gcp_iit",
            Self::AzureMsi => "azure_msi",
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
            Self::AwsIid | Self::AwsJwt => &["account", "region", "instance"],
            Self::AwsSts => &["account", "role", "session"],
        }
    }

    /// Whether anybody on the node can have its evidence, and not its agent alone.
    pub const fn is_anybodys(self) -> bool {
        match self {
            Self::X509Pop | Self::K8sPsat => false,
            Self::GcpIit | Self::AzureMsi | Self::AwsIid | Self::AwsSts | Self::AwsJwt => true,
        }
    }

    pub(crate) const fn kind(self) -> CredentialKind {
        match self {
            Self::X509Pop => CredentialKind::X509Pop,
            Self::AwsIid => CredentialKind::AwsIid,
            Self::AwsSts => CredentialKind::AwsSts,
            Self::K8sPsat | Self::GcpIit | Self::AzureMsi | Self::AwsJwt => CredentialKind::Jwt,
        }
    }

    const fn binding(self) -> Binding {
        match self {
            Self::X509Pop | Self::AwsSts => Binding::Proof,
            Self::K8sPsat | Self::GcpIit | Self::AzureMsi | Self::AwsIid | Self::AwsJwt => Binding::Bearer,
        }
    }
}

impl NodeTrust {
    pub const fn method(&self) -> NodeMethod {
        match self {
            Self::X509Pop(_) => NodeMethod::X509Pop,
            Self::Token(rules) => rules.method(),
            Self::AwsInstances(_) => NodeMethod::AwsIid,
            Self::AwsCallers(_) => NodeMethod::AwsSts,
        }
    }

    /// The keys in force, by content; none where they are those of the source of the same name.
    pub(crate) const fn digest(&self) -> Option<Digest> {
        match self {
            Self::X509Pop(authorities) => Some(authorities.digest()),
            Self::AwsInstances(instances) => Some(instances.digest()),
            Self::Token(_) | Self::AwsCallers(_) => None,
        }
    }
}

impl NodeProof<'_> {
    pub const fn method(&self) -> NodeMethod {
        match self {
            Self::X509Pop(_) => NodeMethod::X509Pop,
            Self::Token(method, _) => *method,
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
            Self::Token(_, token) => token.digest(),
            Self::AwsIid(document) => digest_of(document),
            Self::AwsSts(call) => call.signed.digest(),
        }
    }
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
        (NodeTrust::Token(rules), NodeProof::Token(_, token)) => {
            let source = sources.with_name(source).ok_or_else(unknown)?;
            token::check(source, rules, *token, at)
        }
        (NodeTrust::AwsInstances(instances), NodeProof::AwsIid(document)) => {
            aws_iid::check(source, instances, document, at)
        }
        (NodeTrust::AwsCallers(callers), NodeProof::AwsSts(call)) => aws_sts::check(source, callers, call, at),
        // a source's method is the evidence's
        (
            NodeTrust::X509Pop(_) | NodeTrust::Token(_) | NodeTrust::AwsInstances(_) | NodeTrust::AwsCallers(_),
            NodeProof::X509Pop(_) | NodeProof::Token(..) | NodeProof::AwsIid(_) | NodeProof::AwsSts(_),
        ) => return Err(unknown()),
    };
    found.map_err(|cause| (cause, Some(source.clone())))
}

#[cfg(test)]
mod tests;
