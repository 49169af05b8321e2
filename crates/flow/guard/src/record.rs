//! From the flow's types to the record's: what is written of a judgement.

use audit::{Context, Inputs, Presented, Principal};
use credential::{CredentialKind, Finding, Refused};
use model::{Code, Decision, Fact, PolicyId};

use crate::admit::{Judgement, Verdict};
use crate::asked::{Asked, Call};
use crate::snapshot::Snapshot;

/// Longest parameters that are written though no decision read them, in bytes.
const MOST_UNREAD: usize = 512;

/// The entry for a judgement.
pub(crate) fn judgement<E>(
    snapshot: &Snapshot,
    call: &Call,
    asked: &Asked<E>,
    judgement: &Judgement,
) -> audit::Judgement {
    let actor = actor(&judgement.verdict);
    audit::Judgement {
        id: call.id.to_string(),
        trace_id: call.trace.to_string(),
        door: call.door.to_owned(),
        protocol: Some(call.protocol.to_owned()),
        operation: call.operation.clone(),
        presented: presented(&judgement.verdict),
        principal: actor.map(principal),
        subject: None,
        actors: Vec::new(),
        verdicts: vec![verdict(asked, &judgement.verdict)],
        evidence: evidence(&judgement.verdict),
        generation: snapshot.generation.0,
        epoch: snapshot.epoch.0,
        revocation_seq: snapshot.sources.revocations().seq(),
        inputs: Inputs {
            snapshot: format!("sha256:{}", snapshot.digest),
            keys: format!("sha256:{}", snapshot.keys),
            context: context(asked, &judgement.verdict),
        },
        deadline: match &judgement.verdict {
            Verdict::Granted(_, grant) => Some(grant.deadline().to_string()),
            Verdict::Unfit(_)
            | Verdict::Unproved(_)
            | Verdict::Unresolved(..)
            | Verdict::Unmapped(..)
            | Verdict::Denied(..)
            | Verdict::Stale(..)
            | Verdict::Overloaded(..) => None,
        },
    }
}

/// Parameters, unless they were never read: then a stranger chose them, and only as many are written as fit.
fn params(params: &[(String, String)], verdict: &Verdict) -> Vec<(String, String)> {
    let length: usize = params.iter().map(|(name, value)| name.len() + value.len()).sum();
    match verdict {
        Verdict::Unproved(_) | Verdict::Unresolved(..) if length > MOST_UNREAD => Vec::new(),
        Verdict::Unfit(_)
        | Verdict::Unproved(_)
        | Verdict::Unresolved(..)
        | Verdict::Unmapped(..)
        | Verdict::Denied(..)
        | Verdict::Stale(..)
        | Verdict::Overloaded(..)
        | Verdict::Granted(..) => params.to_vec(),
    }
}

fn actor(verdict: &Verdict) -> Option<&identity::Principal> {
    match verdict {
        Verdict::Unfit(_) | Verdict::Unproved(_) | Verdict::Unresolved(..) => None,
        Verdict::Unmapped(caller, _)
        | Verdict::Denied(caller, _)
        | Verdict::Stale(caller, ..)
        | Verdict::Overloaded(caller, _)
        | Verdict::Granted(caller, _) => Some(&caller.resolution().actor),
    }
}

fn presented(verdict: &Verdict) -> Vec<Presented> {
    match verdict {
        Verdict::Unfit(_) => Vec::new(),
        Verdict::Unproved(refused) => refused.beside.iter().map(proved).chain([unproved(refused)]).collect(),
        Verdict::Unresolved(proofs, _) => proofs.findings().map(proved).collect(),
        Verdict::Unmapped(caller, _)
        | Verdict::Denied(caller, _)
        | Verdict::Stale(caller, ..)
        | Verdict::Overloaded(caller, _)
        | Verdict::Granted(caller, _) => caller.resolution().proved().map(proved).collect(),
    }
}

fn evidence(verdict: &Verdict) -> Vec<String> {
    let names = |facts: &std::collections::BTreeSet<Fact>| facts.iter().map(Fact::to_string).collect();
    match verdict {
        Verdict::Unfit(_) | Verdict::Unproved(_) => Vec::new(),
        Verdict::Unresolved(proofs, _) => names(&policy::Engine::evidence_of(proofs.findings())),
        Verdict::Unmapped(caller, _) => names(&policy::Engine::evidence_of(caller.resolution().proved())),
        Verdict::Denied(_, denial) => names(&denial.finding.evidence),
        Verdict::Granted(_, grant) | Verdict::Stale(_, grant, _) | Verdict::Overloaded(_, grant) => {
            names(&grant.finding().evidence)
        }
    }
}

fn verdict<E>(asked: &Asked<E>, verdict: &Verdict) -> audit::Verdict {
    let entry = match verdict {
        Verdict::Unfit(code) => refused(*code, None),
        Verdict::Unproved(why) => refused(why.cause.code(), Some(why.cause.to_string())),
        Verdict::Unresolved(_, why) => refused(why.code(), Some(why.to_string())),
        Verdict::Unmapped(_, code) => refused(*code, None),
        Verdict::Denied(_, denial) => decided(&denial.finding),
        Verdict::Overloaded(_, grant) => {
            audit::Verdict { tier: Some(grant.tier().to_string()), ..refused(Code::Overloaded, None) }
        }
        Verdict::Granted(_, grant) => decided(grant.finding()),
        Verdict::Stale(_, grant, why) => {
            audit::Verdict { tier: Some(grant.tier().to_string()), ..refused(Code::SnapshotStale, Some(why.clone())) }
        }
    };
    match asked {
        Asked::Operation(operation) => audit::Verdict {
            action: Some(operation.question.action.to_string()),
            resource: Some(operation.question.resource.to_string()),
            ..entry
        },
        Asked::Unmapped { .. } | Asked::Unfit(_) => entry,
    }
}

/// A decision of the policy engine, as a record shows it.
pub(crate) fn decided(finding: &policy::Finding) -> audit::Verdict {
    audit::Verdict {
        action: None,
        resource: None,
        tier: Some(finding.tier.to_string()),
        decision: if finding.code.is_some() { Decision::Deny } else { Decision::Allow }.to_string(),
        layer: finding.code.map(|code| code.layer().to_string()),
        code: finding.code.map(|code| code.to_string()),
        reason: Some(finding.reason.clone()),
        policies: finding.policies.iter().map(PolicyId::to_string).collect(),
        missing: finding.missing.iter().map(Fact::to_string).collect(),
        obligations: Vec::new(),
    }
}

/// A refusal before any policy was asked.
pub(crate) fn refused(code: Code, reason: Option<String>) -> audit::Verdict {
    audit::Verdict {
        action: None,
        resource: None,
        tier: None,
        decision: Decision::Deny.to_string(),
        layer: Some(code.layer().to_string()),
        code: Some(code.to_string()),
        reason: Some(reason.unwrap_or_else(|| code.title().to_owned())),
        policies: Vec::new(),
        missing: Vec::new(),
        obligations: Vec::new(),
    }
}

pub(crate) fn principal(principal: &identity::Principal) -> Principal {
    Principal { id: principal.id.to_string(), kind: principal.kind.to_string(), owner: principal.owner.to_string() }
}

fn proved(finding: &Finding) -> Presented {
    Presented {
        source: Some(finding.source.to_string()),
        kind: kind(finding.kind),
        binding: finding.binding.to_string(),
        credential_id: Some(finding.credential_id.clone()),
        digest: format!("sha256:{}", finding.digest),
        issued: finding.issued.map(|time| time.to_string()),
        expires: finding.expires.map(|time| time.to_string()),
        until: Some(finding.until.to_string()),
        key: Some(finding.key.clone()),
        facts: finding.facts.iter().map(Fact::to_string).collect(),
        display: finding.display.clone(),
        key_id: finding.key_id.clone(),
        key_thumbprint: finding.key_thumbprint.map(|thumbprint| thumbprint.to_string()),
        refused: None,
    }
}

fn unproved(refused: &Refused) -> Presented {
    Presented {
        source: refused.source.as_ref().map(ToString::to_string),
        kind: kind(refused.kind),
        binding: refused.binding.to_string(),
        credential_id: None,
        digest: format!("sha256:{}", refused.digest),
        issued: None,
        expires: None,
        until: None,
        key: None,
        facts: Vec::new(),
        display: Vec::new(),
        key_id: None,
        key_thumbprint: None,
        refused: Some(refused.cause.code().to_string()),
    }
}

fn kind(kind: CredentialKind) -> String {
    match kind {
        CredentialKind::Jwt => "jwt",
        CredentialKind::X509Svid => "x509-svid",
        CredentialKind::X509 => "x509",
        CredentialKind::Kernel => "kernel",
        CredentialKind::X509Pop => "x509pop",
        CredentialKind::Tpm => "tpm",
        CredentialKind::AwsIid => "aws_iid",
        CredentialKind::AwsSts => "aws_sts",
    }
    .to_owned()
}

fn context<E>(asked: &Asked<E>, verdict: &Verdict) -> Context {
    match asked {
        Asked::Operation(operation) => Context {
            service: Some(operation.question.service.clone()),
            public: operation.access == identity::Access::Public,
            params: params(&operation.question.params, verdict),
        },
        Asked::Unmapped { service, .. } => Context { service: service.clone(), ..Context::default() },
        Asked::Unfit(_) => Context::default(),
    }
}
