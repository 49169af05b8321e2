//! The checks, in their order.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use model::{Binding, Digest, SourceName, Time};

use crate::cause::shown;
use crate::claims::{Confirmation, Registered};
use crate::establish::{self, Established};
use crate::json::{Json, Object};
use crate::jwk::Key;
use crate::jws::Jws;
use crate::memo::Held;
use crate::{
    Algorithm, Cause, Channel, CredentialKind, ExtraAudiences, Finding, KeySet, Message, NodeEvidence,
    PeerCertificates, Presented, Proofs, Refused, Source, Sources, Step, Token, Verified, nodes, operators,
};

/// How far the issuer's clock may be from ours.
pub(crate) const LEEWAY: Duration = Duration::from_secs(60);

/// SHA-256.
pub fn digest_of(bytes: &[u8]) -> Digest {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest(&SHA256, bytes).as_ref());
    Digest::new(sum)
}

/// Checks everything that was presented: what was presented must hold, or nothing is proved.
///
/// # Errors
/// [`Refused`] for the first credential that does not hold.
pub fn verify(sources: &Sources, presented: &Presented<'_>, at: Time) -> Result<Proofs, Box<Refused>> {
    let (channel, certificate) = match &presented.channel {
        None => (None, None),
        Some(Channel::Kernel(peer)) => (Some(establish::of_peer(*peer)), None),
        Some(Channel::Tls(peer)) => (Some(certificate(sources, peer, at)?), Some(peer.digest())),
    };
    let message = match presented.message {
        None => None,
        Some(Message::Bearer(token)) => match held(sources, token, certificate, at) {
            Ok(finding) => Some(finding),
            Err((cause, source)) => {
                return Err(Box::new(Refused {
                    cause,
                    source,
                    kind: CredentialKind::Jwt,
                    binding: Binding::Bearer,
                    digest: token.digest(),
                    beside: channel,
                }));
            }
        },
        Some(Message::Node(evidence)) => match node(sources, evidence, at) {
            Ok(finding) => Some(Arc::new(finding)),
            Err((cause, source)) => {
                let (proof, beside) = (&evidence.proof, channel);
                let (kind, binding, digest) = (proof.method().kind(), proof.binding(), proof.digest());
                return Err(Box::new(Refused { cause, source, kind, binding, digest, beside }));
            }
        },
    };
    Ok(Proofs::new(channel.map(Arc::new).map(Verified::earned), message.map(Verified::earned)))
}

/// What certificates prove of whoever holds the leaf's key: plain facts, for explanations. No [`Verified`] comes from them,
/// because a certificate is no secret.
///
/// # Errors
/// The [`Cause`], and the step that found it: shape, times, issuer (the trust domain), signature (the path) or revocation, in
/// this order.
pub fn examine(sources: &Sources, peer: &PeerCertificates, at: Time) -> Result<Finding, (Step, Cause)> {
    let sound = sources.kind_of(peer) == CredentialKind::X509 || peer.has_sound_leaf();
    let step = |cause: &Cause| if sound { cause.step() } else { Step::Shape };
    held_certificate(sources, peer, at).map_err(|cause| (step(&cause), cause))
}

fn certificate(sources: &Sources, peer: &PeerCertificates, at: Time) -> Result<Finding, Box<Refused>> {
    held_certificate(sources, peer, at).map_err(|cause| {
        let kind = sources.kind_of(peer);
        Box::new(Refused {
            cause,
            // an operator's certificate names its source by its bytes; an SVID that does not hold names nothing yet
            source: (kind == CredentialKind::X509).then(operators::source),
            kind,
            binding: Binding::Mtls,
            digest: peer.digest(),
            beside: None,
        })
    })
}

/// A certificate that holds, and that nobody revoked since.
fn held_certificate(sources: &Sources, peer: &PeerCertificates, at: Time) -> Result<Finding, Cause> {
    let finding = sources.check(peer, at)?;
    unrevoked(sources, &finding)?;
    Ok(finding)
}

/// A token that holds, and that nobody revoked since.
fn held(
    sources: &Sources,
    token: Token<'_>,
    certificate: Option<Digest>,
    at: Time,
) -> Result<Arc<Finding>, (Cause, Option<SourceName>)> {
    let finding = bearer(sources, token, certificate, at)?;
    unrevoked(sources, &finding).map_err(|cause| (cause, Some(finding.source.clone())))?;
    Ok(finding)
}

/// Evidence of a node that holds, and that nobody revoked since.
fn node(sources: &Sources, evidence: &NodeEvidence<'_>, at: Time) -> Result<Finding, (Cause, Option<SourceName>)> {
    let finding = nodes::check(sources, evidence, at)?;
    unrevoked(sources, &finding).map_err(|cause| (cause, Some(finding.source.clone())))?;
    Ok(finding)
}

fn unrevoked(sources: &Sources, finding: &Finding) -> Result<(), Cause> {
    sources.revocations().of_finding(finding).map_or(Ok(()), |what| Err(Cause::Revoked { what }))
}

/// The untrusted `iss` picks the source; from there on the source says what is accepted. What a source accepted before,
/// byte for byte, it accepts again while its times hold and what it is bound to is there. `certificate` is the digest of
/// the one that the channel proved.
fn bearer(
    sources: &Sources,
    token: Token<'_>,
    certificate: Option<Digest>,
    at: Time,
) -> Result<Arc<Finding>, (Cause, Option<SourceName>)> {
    if let Some((anchor, held)) = sources.recall(token.digest())
        && let Some(finding) = held.proves(certificate, at)
    {
        anchor.count_hit();
        return Ok(finding);
    }
    let unpicked = |cause| (cause, None);
    let jws = Jws::read(token.bytes()).map_err(unpicked)?;
    let claims = Registered::read(&jws.claims).map_err(unpicked)?;
    let anchor = sources.with_issuer(claims.issuer).ok_or_else(|| unpicked(Cause::IssuerUnknown))?;
    // known, and the hint to it was overwritten
    if let Some(finding) = anchor.recall(token.digest()).and_then(|held| held.proves(certificate, at)) {
        anchor.count_hit();
        sources.point(token.digest(), anchor);
        return Ok(finding);
    }
    anchor.count_miss();
    let source = &anchor.source;
    let held = check(source, &jws, &claims, (token, certificate), at);
    let held = held.map_err(|cause| (cause, Some(source.name.clone())))?;
    anchor.remember(token.digest(), held.clone());
    sources.point(token.digest(), anchor);
    Ok(held.finding)
}

/// A token that is bound is worth nothing without what it is bound to: never is it taken for a bearer's (RFC 9449 §7.2).
fn bound(confirmation: Option<Confirmation<'_>>, certificate: Option<Digest>) -> Result<Binding, Cause> {
    match confirmation {
        None => Ok(Binding::Bearer),
        Some(Confirmation::Certificate(thumbprint)) => {
            let proved =
                certificate.is_some_and(|digest| BASE64_URL_SAFE_NO_PAD.encode(digest.as_bytes()) == thumbprint);
            if proved { Ok(Binding::Mtls) } else { Err(Cause::BindingMismatch { to: "another client certificate" }) }
        }
        Some(Confirmation::Other) => Err(Cause::BindingMismatch { to: "a key that was not proved" }),
    }
}

pub(crate) fn check(
    source: &Source,
    jws: &Jws<'_>,
    claims: &Registered<'_>,
    (token, certificate): (Token<'_>, Option<Digest>),
    at: Time,
) -> Result<Held, Cause> {
    check_type(source, jws.header.typ.as_deref())?;
    check_required(source, &jws.claims)?;
    let expires = claims.expires.ok_or_else(|| missing("exp"))?;
    let audience = claims.audience.as_deref().ok_or_else(|| missing("aud"))?;
    let identity = identity_key(source, &jws.claims)?;

    let algorithm = allowed_algorithm(source, &jws.header.alg)?;
    let keys = source.keys.in_force().ok_or(Cause::KeysUnavailable)?;
    let key = signing_key(keys, jws.header.kid.as_deref(), algorithm)?;
    check_signature(key, algorithm, jws)?;

    check_times(source, claims, expires, at)?;
    check_audience(source, audience)?;
    let binding = bound(claims.confirmation, certificate)?;
    let established = Established { identity, expires, digest: token.digest(), key };
    let finding = Finding { binding, ..establish::of_token(source, &jws.claims, claims, established) };
    Ok(Held {
        finding: Arc::new(finding),
        from: holds_from(source, claims, expires),
        certificate: certificate.filter(|_| binding == Binding::Mtls),
    })
}

/// RFC 8725 §3.11; `application/` may be left out and case does not count (RFC 7515 §4.1.9).
fn check_type(source: &Source, typ: Option<&str>) -> Result<(), Cause> {
    let accepted = source.types.iter().any(|accepted| match (accepted.as_deref(), typ) {
        (Some(accepted), Some(typ)) => media_type(accepted).eq_ignore_ascii_case(media_type(typ)),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    });
    match typ {
        _ if accepted => Ok(()),
        Some(typ) => Err(Cause::WrongType { found: shown(typ) }),
        None => Err(Cause::HeaderType { name: "typ" }),
    }
}

fn media_type(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
        Some(_) | None => typ,
    }
}

fn check_required(source: &Source, claims: &Object) -> Result<(), Cause> {
    let absent = |name: &&String| matches!(claims.find(name), None | Some(Json::Null));
    source.required_claims.iter().find(absent).map_or(Ok(()), |name| Err(missing(name)))
}

fn identity_key(source: &Source, claims: &Object) -> Result<Vec<String>, Cause> {
    let value = |path: &crate::ClaimPath| match path.find(claims) {
        None => Err(missing(&path.to_string())),
        Some(Json::String(text)) if !text.is_empty() => Ok(text.clone()),
        Some(_) => Err(Cause::ClaimType { name: path.to_string(), expected: "a non-empty string" }),
    };
    source.identity_key.iter().map(value).collect()
}

fn allowed_algorithm(source: &Source, alg: &str) -> Result<Algorithm, Cause> {
    let listed = source.algorithms.iter().copied().find(|algorithm| algorithm.as_str() == alg);
    listed.ok_or_else(|| Cause::AlgorithmRefused { found: shown(alg) })
}

pub(crate) fn signing_key<'a>(keys: &'a KeySet, kid: Option<&str>, algorithm: Algorithm) -> Result<&'a Key, Cause> {
    match kid {
        Some(kid) => keys.named(kid).ok_or(Cause::KeyUnknown),
        None => keys.only_fit(algorithm).map_err(|fitting| Cause::KeyNotNamed { fitting }),
    }
}

pub(crate) fn check_signature(key: &Key, algorithm: Algorithm, jws: &Jws<'_>) -> Result<(), Cause> {
    let Some(verifier) = key.verifier(algorithm) else {
        return Err(Cause::AlgorithmNotOfKey { found: algorithm.to_string() });
    };
    verifier.verify_sig(jws.signed, &jws.signature).ok().ok_or(Cause::SignatureInvalid)
}

pub(crate) fn check_times(source: &Source, claims: &Registered<'_>, expires: Time, at: Time) -> Result<(), Cause> {
    if expires.plus(LEEWAY) <= at {
        return Err(Cause::Expired { at: expires });
    }
    for (claim, time) in [("nbf", claims.not_before), ("iat", claims.issued)] {
        if let Some(time) = time.filter(|time| *time > at.plus(LEEWAY)) {
            return Err(Cause::NotYetValid { claim, at: time });
        }
    }
    let too_old = match claims.issued {
        // `<=` as for `exp`: the finding's `until` is the first instant at which the token is refused
        Some(issued) => issued.plus(source.max_age).plus(LEEWAY) <= at,
        None => expires > at.plus(source.max_age).plus(LEEWAY),
    };
    if too_old { Err(Cause::TooOld) } else { Ok(()) }
}

/// The first instant at which [`check_times`] passes; the last one is before the finding's `until`.
fn holds_from(source: &Source, claims: &Registered<'_>, expires: Time) -> Time {
    let span = claims.issued.is_none().then(|| expires.minus(source.max_age));
    let begins = [claims.not_before, claims.issued, span].into_iter().flatten().max();
    begins.map_or(Time::MIN, |begins| begins.minus(LEEWAY))
}

/// RFC 7519 §4.1.3, by equality of strings and no other comparison.
pub(crate) fn check_audience(source: &Source, named: &[&str]) -> Result<(), Cause> {
    let is_ours = |audience: &&str| source.audiences.iter().any(|ours| ours == audience);
    let accepted = match (source.extra_audiences, named) {
        (ExtraAudiences::Refused, [only]) => is_ours(only),
        (ExtraAudiences::Refused, _) => false,
        (ExtraAudiences::Allowed, named) => named.iter().any(is_ours),
    };
    if accepted { Ok(()) } else { Err(Cause::AudienceWrong) }
}

pub(crate) fn missing(name: &str) -> Cause {
    Cause::ClaimMissing { name: name.to_owned() }
}
