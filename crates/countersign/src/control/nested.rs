//! Control planes below this one: their authorities are signed here, and their keys of JWT-SVIDs published. Each is a workload with a
//! registration that says `downstream`, for that id alone; of what it asks for, its key counts, and what it wants shorter or less.

use std::time::Duration;

use credential::{AuthorityCertificate, Flaw, NotAsked, check_asked};
use http::StatusCode;
use issuer::{BadRequest, CertificateRequest, MintFailed, Term};
use model::{Code, PrincipalId, SpiffeId, Time};
use net::serial;
use serde::Serialize;
use serde_json::json;

use super::perform::Settling;
use super::reply::Reply;
use crate::epochs::{Author, Epochs, NotPublished};
use crate::issuing::{BelowAnswer, Issuer, NotShared, OuterAnswer, OuterWord, certificate_pem};

/// Most keys that a record names.
const MOST_NAMED: usize = 32;

/// What a control plane below asks for.
#[derive(Debug)]
pub enum Below {
    /// An authority, with so many below it: a certificate request in DER.
    Sign { request: Vec<u8>, below: u8, life: Duration },
    /// Its keys of JWT-SVIDs, and no other ones of it, are to be published: points, and their ends.
    Share(Vec<(Vec<u8>, Time)>),
}

/// Why nothing is signed or published for who asks.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotNested {
    #[error("nothing is in force here: apply an estate first")]
    NoEnvironment,
    #[error("`{id}` is no control plane below this one: no registration of it that is in force says `downstream`")]
    NotDownstream { id: String },
    #[error("`{id}` has expired as a principal, or as a control plane below this one")]
    Expired { id: String },
    #[error(
        "{asked} are to stand below it, and {most} may: see `authority: {{below: …}}` in the settings here, which counts for authorities that are prepared from then on"
    )]
    TooDeep { asked: usize, most: usize },
    #[error(transparent)]
    Request(#[from] BadRequest),
    #[error("the authority that signs here cannot be read")]
    Own(#[from] Flaw),
    #[error("cannot sign")]
    Sign(#[from] MintFailed),
    #[error("this installation would refuse it itself")]
    Unsound(#[from] NotAsked),
    #[error(transparent)]
    Published(#[from] NotPublished),
}

impl Below {
    /// The operation's name in records.
    pub(super) const fn operation(&self) -> &'static str {
        match self {
            Self::Sign { .. } => "nested authority",
            Self::Share(_) => "nested bundle",
        }
    }

    /// What a policy may narrow it by, and what its record says that it was about.
    pub(super) fn params(&self) -> Vec<(String, String)> {
        let pair = |name: &str, value: String| (name.to_owned(), value);
        match self {
            Self::Sign { request, below, life } => vec![
                pair("request", credential::digest_of(request).to_string()),
                pair("below", below.to_string()),
                pair("life", format!("{}s", life.as_secs())),
            ],
            Self::Share(keys) => {
                let ids: Vec<String> = keys.iter().take(MOST_NAMED).map(|(point, _)| issuer::key_id(point)).collect();
                vec![pair("keys", ids.join("\n"))]
            }
        }
    }
}

/// Does what was permitted to who asks, if it stands below this control plane.
pub(super) async fn perform(epochs: &Epochs, asked: Below, settling: Settling, by: &Author) -> Reply {
    match asked {
        Below::Sign { request, below, life } => answer(sign(epochs, (&request, below, life), by), settling, by),
        Below::Share(keys) => answer(share(epochs, &keys, by).await, settling, by),
    }
}

/// Signs an authority for who asks.
fn sign(epochs: &Epochs, (request, below, life): (&[u8], u8, Duration), by: &Author) -> Result<BelowAnswer, NotNested> {
    let issuer = epochs.issuer().ok_or(NotNested::NoEnvironment)?;
    let until = entitled(epochs, &by.principal, by.at)?;
    let request = CertificateRequest::read(request)?;
    let own = AuthorityCertificate::read(issuer.authority.certificate(), issuer.domain())?;
    // one that bounds nothing itself lets as many stand below it as there may be
    let most = own.below.unwrap_or(usize::from(u8::MAX));
    let asked = usize::from(below) + 1;
    if asked > most {
        return Err(NotNested::TooDeep { asked, most });
    }
    let life = life.min(issuer.x509_life()).min(until.since(by.at));
    let signed = issuer.authority.certify(&request, serial(), Term { at: by.at, life, below })?;
    // INVARIANT: nothing is handed out that would be refused here: a weak key, for one
    check_asked(&signed, issuer.domain(), credential::digest_of(&request.key()).as_bytes(), below)?;
    tracing::info!(owner = by.principal, record = by.record, below, "the authority of a control plane below is signed");
    let chain = std::iter::once(&signed).chain(issuer.authority.above());
    let chain = chain.map(|der| certificate_pem(der)).collect();
    Ok(BelowAnswer { chain, outer: said(&issuer, &by.principal) })
}

/// Publishes the keys of who asks, and no other ones of it.
async fn share(epochs: &Epochs, keys: &[(Vec<u8>, Time)], by: &Author) -> Result<OuterAnswer, NotNested> {
    entitled(epochs, &by.principal, by.at)?;
    epochs.share(&by.principal, keys, by).await?;
    let issuer = epochs.issuer().ok_or(NotNested::NoEnvironment)?;
    Ok(said(&issuer, &by.principal))
}

/// Withdraws the keys of control planes that stand below this one no more.
pub(super) async fn withdraw(epochs: &Epochs, by: &Author) -> Result<(), NotNested> {
    let Some(issuer) = epochs.issuer() else { return Ok(()) };
    for owner in gone(epochs, &issuer, by.at) {
        epochs.share(&owner, &[], by).await?;
    }
    Ok(())
}

/// Control planes whose keys are published and that stand below this one no more.
pub(super) fn gone(epochs: &Epochs, issuer: &Issuer, at: Time) -> Vec<String> {
    let live = epochs.live().load_full();
    let revocations = live.snapshot.sources.revocations();
    let is_revoked = |id: &str| id.parse().map_or(true, |id| revocations.of_principal(&id, Some(at)));
    let mut owners: Vec<String> = issuer.keys().iter().filter_map(|key| key.owner.clone()).collect();
    owners.sort_unstable();
    owners.dedup();
    owners.retain(|id| is_revoked(id) || entitled(epochs, id, at).is_err());
    owners
}

/// Until when a principal is a control plane below this one.
fn entitled(epochs: &Epochs, id: &str, at: Time) -> Result<Time, NotNested> {
    let no = || NotNested::NotDownstream { id: id.to_owned() };
    let spiffe: SpiffeId = id.parse().ok().ok_or_else(no)?;
    let live = epochs.live().load_full();
    if live.domain.as_ref().is_none_or(|domain| !spiffe.is_member_of(domain)) || policy::is_part(&spiffe) {
        return Err(no());
    }
    let registered = epochs.registry().downstream(&spiffe);
    let ends = registered.iter().map(|one| one.registration.expires.unwrap_or(Time::MAX)).max().ok_or_else(no)?;
    let principal = live.snapshot.directory.principal(&PrincipalId::Spiffe(spiffe));
    let until = principal.ok_or_else(no)?.expires.unwrap_or(Time::MAX).min(ends);
    if until <= at { Err(NotNested::Expired { id: id.to_owned() }) } else { Ok(until) }
}

fn said(issuer: &Issuer, owner: &str) -> OuterAnswer {
    OuterAnswer { bundle: OuterWord::of(issuer, owner) }
}

/// What who asks is told.
fn answer(done: Result<impl Serialize, NotNested>, settling: Settling, by: &Author) -> Reply {
    match done {
        Ok(document) => {
            settling.settle(StatusCode::OK);
            Reply::ok(&document)
        }
        Err(why) => refused(&why, settling, by),
    }
}

/// And of why nothing is done, what the record says.
fn refused(why: &NotNested, settling: Settling, by: &Author) -> Reply {
    let told = |status: StatusCode, code: Option<Code>| {
        let error = net::causes::chain(why);
        Reply::Json(status, json!({"error": error, "code": code.map(Code::as_str), "record": by.record}))
    };
    match why {
        NotNested::NotDownstream { .. } | NotNested::Expired { .. } | NotNested::TooDeep { .. } => {
            settling.refused(Code::NoPermit);
            told(StatusCode::FORBIDDEN, Some(Code::NoPermit))
        }
        NotNested::Request(_)
        | NotNested::Unsound(_)
        | NotNested::Published(NotPublished::Shared(NotShared::TooMany | NotShared::Others { .. })) => {
            settling.refused(Code::RequestMalformed);
            told(StatusCode::UNPROCESSABLE_ENTITY, Some(Code::RequestMalformed))
        }
        NotNested::NoEnvironment | NotNested::Own(_) | NotNested::Sign(_) | NotNested::Published(_) => {
            settling.settle(StatusCode::INTERNAL_SERVER_ERROR);
            tracing::error!(
                error = net::causes::chain(why),
                owner = by.principal,
                "nothing is done for a control plane below"
            );
            told(StatusCode::INTERNAL_SERVER_ERROR, None)
        }
    }
}
