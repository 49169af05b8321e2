//! Gate 1 for those who ask what a credential proves, step by step. No record, no effect.

use credential::{Message, Presented, Step, Token};
use identity::Access;
use model::Time;
use serde::{Deserialize, Serialize};

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
pub fn resolve(snapshot: &guard::Snapshot, token: &[u8], at: Time) -> Resolved {
    let presented = Presented { channel: None, message: Some(Message::Bearer(Token::new(token))) };
    let proofs = match credential::verify(&snapshot.sources, &presented, at) {
        Ok(proofs) => proofs,
        Err(refused) => {
            let source = refused.source.as_ref().map(ToString::to_string);
            let mut steps = passed(|step| *step < refused.cause.step(), source.as_deref());
            steps.push(ResolveStep {
                step: refused.cause.step().as_str().to_owned(),
                source,
                ok: false,
                detail: refused.cause.to_string(),
            });
            return Resolved { principal: None, code: Some(refused.cause.code().to_string()), steps };
        }
    };
    let finding = proofs.message().map(credential::Verified::finding);
    let source = finding.map(|finding| finding.source.to_string());
    let mut steps = passed(|_| true, source.as_deref());
    let resolved = identity::resolve(&snapshot.directory, snapshot.sources.revocations(), &proofs, Access::Proved, at);
    let key = finding.map(|finding| finding.key.join(", ")).unwrap_or_default();
    let (ok, detail, principal, code) = match resolved {
        Ok(caller) => {
            let actor = &caller.resolution().actor;
            let principal = ResolvedPrincipal {
                id: actor.id.to_string(),
                kind: actor.kind.to_string(),
                owner: actor.owner.to_string(),
            };
            (true, format!("key ({key}) belongs to {} `{}`", actor.kind, actor.id), Some(principal), None)
        }
        Err(why) => (false, format!("{why}; the key is ({key})"), None, Some(why.code().to_string())),
    };
    steps.push(ResolveStep { step: "resolve".to_owned(), source, ok, detail });
    Resolved { principal, code, steps }
}

fn passed(which: impl Fn(&Step) -> bool, source: Option<&str>) -> Vec<ResolveStep> {
    let detail = |step: Step| match step {
        Step::Shape => "a compact JWS with sound header and claims",
        Step::Issuer => "a trust source has this issuer",
        Step::Algorithm => "the source accepts this algorithm, and the key is of it",
        Step::Key => "the source has this key",
        Step::Signature => "the signature verifies",
        Step::Times => "within its times and the source's `maxAge`",
        Step::Audience => "issued for an audience of the source",
        Step::Revocation => "neither it nor its key or source is revoked",
        Step::Binding => "bound to nothing, or to what the connection proves",
    };
    let step = |step: &Step| ResolveStep {
        step: step.as_str().to_owned(),
        // the issuer picks the source, so that no earlier step has one
        source: (*step >= Step::Issuer).then(|| source.map(str::to_owned)).flatten(),
        ok: true,
        detail: detail(*step).to_owned(),
    };
    Step::ALL.iter().filter(|s| which(s)).map(step).collect()
}
