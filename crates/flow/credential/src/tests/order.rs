//! The order of the checks: a credential with every fault is refused for the first.

use model::Code;

use crate::tests::issuer::{base64, changed, claims, every_key, refused, source};
use crate::{Algorithm, Cause, Source, SourceKeys, Step};

/// Puts the faults right one after another.
#[test]
fn each_fault_hides_those_behind_it() {
    let faulty = |header: &str, claims: &str| format!("{}.{}.{}", base64(header), base64(claims), base64([0; 64]));
    let away = Source { keys: SourceKeys::Fetched(None), algorithms: vec![Algorithm::Es256], ..source() };
    let here = Source { keys: SourceKeys::Given(every_key()), ..away.clone() };
    let late = ("exp", Some("1"));
    let elsewhere = ("aud", Some(r#""https://evil.test""#));
    let stranger = ("iss", Some(r#""https://evil.test""#));
    let (foreign, ours) = (r#"{"alg":"RS256","kid":"rsa"}"#, r#"{"alg":"ES256","kid":"p256"}"#);
    for (source, token, code, step) in [
        // header parameters, generic types of claims: before any source is picked
        (
            &away,
            faulty(r#"{"alg":"none","crit":[]}"#, &claims(&[late, elsewhere, stranger])),
            Code::CredentialMalformed,
            Step::Shape,
        ),
        (
            &away,
            faulty(foreign, &claims(&[("exp", Some("\"1\"")), elsewhere, stranger])),
            Code::CredentialMalformed,
            Step::Shape,
        ),
        (
            &away,
            faulty(r#"{"alg":"RS256","typ":"x"}"#, &claims(&[late, elsewhere, stranger, ("sub", None)])),
            Code::IssuerUnknown,
            Step::Issuer,
        ),
        // what the picked source asks of the shape
        (
            &away,
            faulty(r#"{"alg":"RS256","typ":"x"}"#, &claims(&[late, elsewhere])),
            Code::CredentialMalformed,
            Step::Shape,
        ),
        (&away, faulty(foreign, &claims(&[late, elsewhere, ("sub", None)])), Code::CredentialMalformed, Step::Shape),
        (
            &away,
            faulty(foreign, &claims(&[late, elsewhere, ("owner_id", None)])),
            Code::CredentialMalformed,
            Step::Shape,
        ),
        (&away, faulty(foreign, &claims(&[late, elsewhere])), Code::AlgorithmRefused, Step::Algorithm),
        (&away, faulty(ours, &claims(&[late, elsewhere])), Code::KeysUnavailable, Step::Key),
        (&here, faulty(r#"{"alg":"ES256","kid":"x"}"#, &claims(&[late, elsewhere])), Code::KeyUnknown, Step::Key),
        (
            &here,
            faulty(r#"{"alg":"ES256","kid":"rsa"}"#, &claims(&[late, elsewhere])),
            Code::AlgorithmRefused,
            Step::Algorithm,
        ),
        (&here, faulty(ours, &claims(&[late, elsewhere])), Code::SignatureInvalid, Step::Signature),
        (&here, changed(&[late, elsewhere]), Code::Expired, Step::Times),
        (&here, changed(&[elsewhere]), Code::AudienceWrong, Step::Audience),
    ] {
        let cause = refused(source.clone(), &token);
        assert_eq!((cause.code(), cause.step()), (code, step), "{cause}");
    }
}

#[test]
fn steps_are_named_in_their_order() {
    let names: Vec<&str> = Step::ALL.iter().map(|step| step.as_str()).collect();
    assert_eq!(
        names,
        ["shape", "issuer", "algorithm", "key", "signature", "times", "audience", "binding", "revocation"]
    );
    assert!(Step::ALL.is_sorted());
    assert!(Cause::IssuerUnknown.step() < Cause::SignatureInvalid.step());
}
