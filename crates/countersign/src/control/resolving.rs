//! Gate 1 for those who ask what a credential proves, step by step. No record, no effect.

use std::sync::Arc;

use credential::{Cause, CredentialKind, Message, OPERATORS, PeerCertificates, Presented, SVIDS, Step, Token};
use identity::{Access, Resolution, Unresolved};
use model::{Code, Time, TrustDomain};
use serde::{Deserialize, Serialize};

const OF_TOKEN: &[(Step, &str)] = &[
    (Step::Shape, "a compact JWS with sound header and claims"),
    (Step::Issuer, "a trust source has this issuer"),
    (Step::Algorithm, "the source accepts this algorithm, and the key is of it"),
    (Step::Key, "the source has this key"),
    (Step::Signature, "the signature verifies"),
    (Step::Times, "within its times and the source's `maxAge`"),
    (Step::Audience, "issued for an audience of the source"),
    (Step::Binding, "bound to nothing, or to what the connection proves"),
    (Step::Revocation, "neither it nor its key or source is revoked"),
];

const OF_SVID: &[(Step, &str)] = &[
    (Step::Shape, "the leaf keeps the rules of an X.509-SVID"),
    (Step::Times, "the leaf is within its times"),
    (Step::Issuer, "the bundle of its trust domain is at hand"),
    (Step::Signature, "the chain leads to an authority of the bundle"),
    (Step::Revocation, "neither it nor its authority or source is revoked"),
    (
        Step::Binding,
        "bound to the leaf's key: whoever presents it proves in a handshake to hold that, and no certificate shows it",
    ),
];

const OF_OPERATOR: &[(Step, &str)] = &[
    (Step::Issuer, "its bytes are those of an operator's certificate"),
    (Step::Times, "within its times"),
    (Step::Revocation, "neither it nor its source is revoked"),
    (
        Step::Binding,
        "bound to its key: whoever presents it proves in a handshake to hold that, and no certificate shows it",
    ),
];

/// Gate 1, explained step by step.
#[derive(Debug, Serialize, Deserialize)]
pub struct Resolved {
    pub principal: Option<ResolvedPrincipal>,
    pub code: Option<String>,
    pub steps: Vec<ResolveStep>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct ResolvedPrincipal {
    pub id: String,
    pub kind: String,
    pub owner: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct ResolveStep {
    pub step: String,
    pub source: Option<String>,
    pub ok: bool,
    pub detail: String,
}

/// Explains what a token proves, and whom.
pub fn resolve_token(snapshot: &guard::Snapshot, token: &[u8], at: Time) -> Resolved {
    let steps = Steps(OF_TOKEN);
    let presented = Presented { channel: None, message: Some(Message::Bearer(Token::new(token))) };
    let proofs = match credential::verify(&snapshot.sources, &presented, at) {
        Ok(proofs) => proofs,
        Err(refused) => {
            let source = refused.source.as_ref().map(ToString::to_string);
            let (step, code) = (refused.cause.step(), refused.cause.code());
            return steps.refused(step, source.as_deref(), code, refused.cause.to_string());
        }
    };
    let finding = proofs.message().map(credential::Verified::finding);
    let source = finding.map(|finding| finding.source.to_string());
    let key = finding.map(|finding| finding.key.join(", ")).unwrap_or_default();
    let resolved = identity::resolve(&snapshot.directory, snapshot.sources.revocations(), &proofs, Access::Proved, at);
    let resolved = resolved.map(|caller| caller.resolution().clone());
    steps.resolved(source.as_deref(), &key, resolved)
}

/// Explains what a chain of certificates in DER proves, and whom. `without` is a trust domain whose bundle is not at hand.
pub fn resolve_certificate(
    snapshot: &guard::Snapshot,
    chain: Vec<Vec<u8>>,
    without: Option<&TrustDomain>,
    at: Time,
) -> Resolved {
    let peer = PeerCertificates::new(chain);
    let (steps, source) = match snapshot.sources.kind_of(&peer) {
        CredentialKind::X509 => (Steps(OF_OPERATOR), OPERATORS),
        CredentialKind::X509Svid
        | CredentialKind::Jwt
        | CredentialKind::Kernel
        | CredentialKind::X509Pop
        | CredentialKind::Tpm
        | CredentialKind::AwsIid
        | CredentialKind::AwsSts => (Steps(OF_SVID), SVIDS),
    };
    let finding = match credential::examine(&snapshot.sources, &peer, at) {
        Ok(finding) => finding,
        Err((step, cause)) => {
            let missing = without.filter(|own| cause == Cause::TrustDomainUnknown { domain: (*own).clone() });
            let give = |own| format!("an estate holds no authorities: give the bundle of `{own}` with --bundle FILE");
            let why = missing.map_or_else(|| cause.to_string(), give);
            return steps.refused(step, None, cause.code(), why);
        }
    };
    let id = finding.key.join(", ");
    let (revocations, finding) = (snapshot.sources.revocations(), Some(Arc::new(finding)));
    let found = identity::resolve_findings(&snapshot.directory, revocations, finding, None, Access::Proved, at);
    steps.resolved(Some(source), &id, found)
}

/// The steps of one kind of credential in their order, each with what it means to have passed it.
struct Steps(&'static [(Step, &'static str)]);

impl Steps {
    fn refused(&self, at: Step, source: Option<&str>, code: Code, detail: String) -> Resolved {
        let mut steps = self.passed(Some(at), source);
        steps.push(ResolveStep { step: at.as_str().to_owned(), source: source.map(str::to_owned), ok: false, detail });
        Resolved { principal: None, code: Some(code.to_string()), steps }
    }

    /// What became of a credential that holds; `key` is what it says of its holder.
    fn resolved(&self, source: Option<&str>, key: &str, found: Result<Resolution, Unresolved>) -> Resolved {
        let (ok, detail, principal, code) = match found {
            Ok(Resolution { actor, .. }) => {
                let principal = ResolvedPrincipal {
                    id: actor.id.to_string(),
                    kind: actor.kind.to_string(),
                    owner: actor.owner.to_string(),
                };
                (true, format!("key ({key}) belongs to {} `{}`", actor.kind, actor.id), Some(principal), None)
            }
            Err(why) => (false, format!("{why}; the key is ({key})"), None, Some(why.code().to_string())),
        };
        let mut steps = self.passed(None, source);
        steps.push(ResolveStep { step: "resolve".to_owned(), source: source.map(str::to_owned), ok, detail });
        Resolved { principal, code, steps }
    }

    /// Every step before this one.
    fn passed(&self, end: Option<Step>, source: Option<&str>) -> Vec<ResolveStep> {
        let mut picked = false;
        let before = self.0.iter().take_while(|(step, _)| Some(*step) != end);
        let passed = before.map(|(step, detail)| {
            // the issuer picks the source, so that no earlier step has one
            picked |= *step == Step::Issuer;
            let source = source.filter(|_| picked).map(str::to_owned);
            ResolveStep { step: step.as_str().to_owned(), source, ok: true, detail: (*detail).to_owned() }
        });
        passed.collect()
    }
}
