//! Re-deciding from a record: resolve and decide run again over what verification had found.

use std::sync::Arc;

use credential::{CredentialKind, Finding};
use identity::Access;
use model::{Code, Time};
use policy::{Facts, Question};

use crate::record;
use crate::snapshot::Snapshot;

/// What a replay compares: who was found, and what was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub principal: Option<String>,
    pub verdict: audit::Verdict,
}

/// A record that cannot be re-decided: it does not say what this format promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreplayable {
    #[error("the record has no verdict")]
    NoVerdict,
    #[error("`{field}` is `{value}`, which cannot be read")]
    Field { field: &'static str, value: String },
    #[error("`{field}` is missing")]
    Missing { field: &'static str },
}

impl Answer {
    /// What the record itself says.
    ///
    /// # Errors
    /// [`Unreplayable::NoVerdict`].
    pub fn recorded(entry: &audit::Judgement) -> Result<Self, Unreplayable> {
        let verdict = entry.verdicts.first().ok_or(Unreplayable::NoVerdict)?.clone();
        Ok(Self { principal: entry.principal.as_ref().map(|principal| principal.id.clone()), verdict })
    }
}

/// Decides again what `entry` decided at `at`, by the snapshot that it names. Makes no witness: nothing can follow.
///
/// # Errors
/// [`Unreplayable`] if the record does not hold what it promises.
pub fn replay(snapshot: &Snapshot, entry: &audit::Judgement, at: Time) -> Result<Answer, Unreplayable> {
    let recorded = Answer::recorded(entry)?;
    let verification_refused = entry.presented.iter().find_map(|presented| presented.refused.as_deref());
    let code = recorded.verdict.code.as_deref().map(|code| parse::<Code>("code", code)).transpose()?;
    let unfit = entry.presented.is_empty()
        && entry.principal.is_none()
        && code.is_some_and(|code| code != Code::CredentialMissing);
    if verification_refused.is_some() || unfit || code == Some(Code::SnapshotStale) {
        // the record holds verification's result, not the credential, and how old the snapshot was: both stand
        return Ok(recorded);
    }
    let access = if entry.inputs.context.public { Access::Public } else { Access::Proved };
    let (channel, message) = findings(entry)?;
    let (channel, message) = (channel.map(Arc::new), message.map(Arc::new));
    let resolution = match identity::resolve_findings(
        &snapshot.directory,
        snapshot.sources.revocations(),
        channel,
        message,
        access,
        at,
    ) {
        Ok(resolution) => resolution,
        Err(why) => {
            let verdict = record::refused(why.code(), Some(why.to_string()));
            return Ok(Answer { principal: None, verdict: asked_as(verdict, &recorded) });
        }
    };
    let principal = Some(resolution.actor.id.to_string());
    let Some(question) = question(entry, &recorded.verdict)? else {
        // resolved, and then found to ask for nothing in the catalog
        let code = code.unwrap_or(Code::OperationUnmapped);
        return Ok(Answer { principal, verdict: record::refused(code, None) });
    };
    let facts = Facts {
        principal: &resolution.actor,
        evidence: policy::Engine::evidence_of(resolution.proved()),
        question: &question,
        at,
    };
    let finding = snapshot.engine.decide(&facts);
    if finding.code.is_none() && code == Some(Code::Overloaded) {
        // the policies let it through; that there was no room is nothing that could be decided again
        return Ok(Answer { principal, verdict: recorded.verdict });
    }
    let verdict = record::decided(&finding);
    Ok(Answer { principal, verdict: asked_as(verdict, &recorded) })
}

fn asked_as(verdict: audit::Verdict, recorded: &Answer) -> audit::Verdict {
    audit::Verdict { action: recorded.verdict.action.clone(), resource: recorded.verdict.resource.clone(), ..verdict }
}

fn question(entry: &audit::Judgement, verdict: &audit::Verdict) -> Result<Option<Question>, Unreplayable> {
    let (Some(action), Some(resource)) = (&verdict.action, &verdict.resource) else { return Ok(None) };
    let context = &entry.inputs.context;
    Ok(Some(Question {
        action: parse("action", action)?,
        resource: parse("resource", resource)?,
        protocol: entry.protocol.clone().ok_or(Unreplayable::Missing { field: "protocol" })?,
        service: context.service.clone().ok_or(Unreplayable::Missing { field: "service" })?,
        params: context.params.clone(),
    }))
}

/// The findings of the channel and of the message, as they were recorded.
fn findings(entry: &audit::Judgement) -> Result<(Option<Finding>, Option<Finding>), Unreplayable> {
    let (mut channel, mut message) = (None, None);
    for presented in &entry.presented {
        let finding = finding(presented)?;
        match finding.kind {
            CredentialKind::Kernel | CredentialKind::X509Svid | CredentialKind::X509 => channel = Some(finding),
            CredentialKind::Jwt
            | CredentialKind::X509Pop
            | CredentialKind::Tpm
            | CredentialKind::AwsIid
            | CredentialKind::AwsSts => message = Some(finding),
        }
    }
    Ok((channel, message))
}

fn finding(presented: &audit::Presented) -> Result<Finding, Unreplayable> {
    let time = |field, text: &Option<String>| text.as_deref().map(|text| parse::<Time>(field, text)).transpose();
    let digest = presented.digest.strip_prefix("sha256:").unwrap_or(&presented.digest);
    Ok(Finding {
        source: parse("source", presented.source.as_deref().ok_or(Unreplayable::Missing { field: "source" })?)?,
        kind: match presented.kind.as_str() {
            "jwt" => CredentialKind::Jwt,
            "x509-svid" => CredentialKind::X509Svid,
            "x509" => CredentialKind::X509,
            "kernel" => CredentialKind::Kernel,
            "x509pop" => CredentialKind::X509Pop,
            "tpm" => CredentialKind::Tpm,
            "aws_iid" => CredentialKind::AwsIid,
            "aws_sts" => CredentialKind::AwsSts,
            other => return Err(Unreplayable::Field { field: "kind", value: other.to_owned() }),
        },
        binding: parse("binding", &presented.binding)?,
        key: presented.key.clone().ok_or(Unreplayable::Missing { field: "key" })?,
        display: presented.display.clone(),
        facts: presented.facts.iter().map(|fact| parse("facts", fact)).collect::<Result<_, _>>()?,
        credential_id: presented.credential_id.clone().ok_or(Unreplayable::Missing { field: "credential_id" })?,
        digest: parse("digest", digest)?,
        issued: time("issued", &presented.issued)?,
        expires: time("expires", &presented.expires)?,
        until: time("until", &presented.until)?.ok_or(Unreplayable::Missing { field: "until" })?,
        key_id: presented.key_id.clone(),
        key_thumbprint: presented.key_thumbprint.as_deref().map(|text| parse("key_thumbprint", text)).transpose()?,
    })
}

fn parse<T: std::str::FromStr>(field: &'static str, text: &str) -> Result<T, Unreplayable> {
    text.parse().ok().ok_or_else(|| Unreplayable::Field { field, value: text.to_owned() })
}
