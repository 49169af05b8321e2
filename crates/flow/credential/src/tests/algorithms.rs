//! Signatures: what verifies, and every known way round.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use model::Code;

use crate::json::read;
use crate::jwk::Key;
use crate::tests::issuer::{
    base64, changed, claims, headed, key_set, proved, public_members, refused, rsa_der, sign, source, token,
};
use crate::{Algorithm, Cause, Source, SourceKeys, UnknownAlgorithm};

const KIDS: &[(Algorithm, &str)] = &[
    (Algorithm::Rs256, "rsa"),
    (Algorithm::Rs384, "rsa"),
    (Algorithm::Rs512, "rsa"),
    (Algorithm::Ps256, "rsa"),
    (Algorithm::Ps384, "rsa"),
    (Algorithm::Ps512, "rsa"),
    (Algorithm::Es256, "p256"),
    (Algorithm::Es384, "p384"),
    (Algorithm::Es512, "p521"),
    (Algorithm::EdDsa, "ed"),
];

fn by(algorithm: Algorithm, kid: &str) -> String {
    token(algorithm, &format!(r#"{{"alg":"{algorithm}","kid":"{kid}"}}"#), &claims(&[]))
}

fn with_keys(keys: &[String]) -> Source {
    Source { keys: SourceKeys::Given(key_set(keys)), ..source() }
}

/// A token of these parts, whatever they are.
fn joined(header: &str, signature: impl AsRef<[u8]>) -> String {
    format!("{}.{}.{}", base64(header), base64(claims(&[])), base64(signature))
}

#[test]
fn every_algorithm_verifies_by_a_key_of_its_type() {
    assert_eq!(KIDS.iter().map(|(algorithm, _)| *algorithm).collect::<Vec<_>>(), Algorithm::ALL);
    for (algorithm, kid) in KIDS {
        assert_eq!(proved(source(), &by(*algorithm, kid)).key, ["9001", "4711"], "{algorithm}");
        // the one key of its type, without a name
        let alone = token(*algorithm, &format!(r#"{{"alg":"{algorithm}"}}"#), &claims(&[]));
        proved(source(), &alone);
    }
}

#[test]
fn an_algorithm_is_read_as_it_is_written() {
    for algorithm in Algorithm::ALL {
        assert_eq!(algorithm.to_string().parse(), Ok(*algorithm));
        assert!(algorithm.to_string().to_lowercase().parse::<Algorithm>().is_err());
    }
    let unknown: UnknownAlgorithm = "HS256".parse::<Algorithm>().unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "`HS256` is not a signature algorithm that is accepted here; expected one of RS256, RS384, RS512, PS256, PS384, \
         PS512, ES256, ES384, ES512, EdDSA"
    );
}

#[test]
fn a_token_without_a_signature_algorithm_is_refused() {
    for alg in
        ["none", "None", "NONE", "nOnE", "", " none", "none ", "ES256 ", " ES256", "es256", "ES256\\u0000", "ES256K"]
    {
        for signature in [Vec::new(), vec![0], vec![0; 64]] {
            let cause = refused(source(), &joined(&format!(r#"{{"alg":"{alg}","kid":"p256"}}"#), signature));
            assert_eq!(cause.code(), Code::AlgorithmRefused, "{alg}");
        }
    }
    let cause = refused(source(), &joined(r#"{"alg":"none"}"#, ""));
    assert_eq!(cause.to_string(), "algorithm `none` is not accepted from this source");
    let cause = refused(source(), &joined(r#"{"alg":"ES256","kid":"p256"}"#, ""));
    assert_eq!(cause.to_string(), "the signature does not verify");
}

#[test]
fn a_public_key_is_never_a_secret() {
    let der = rsa_der();
    let encoded = STANDARD.encode(&der);
    let secrets = [
        der.clone(),
        der[9..265].to_vec(),
        format!("-----BEGIN RSA PUBLIC KEY-----\n{encoded}\n-----END RSA PUBLIC KEY-----\n").into_bytes(),
        format!("\n-----BEGIN RSA PUBLIC KEY-----\n{encoded}\n-----END RSA PUBLIC KEY-----").into_bytes(),
        format!("{{{}}}", public_members(Algorithm::Rs256)).into_bytes(),
        Vec::new(),
    ];
    let hashes = [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)];
    for (name, hash) in hashes {
        for (secret, kid) in secrets.iter().zip(["rsa", "p256", "rsa", "rsa", "rsa", "rsa"]) {
            let header = format!(r#"{{"alg":"{name}","kid":"{kid}"}}"#);
            let signed = format!("{}.{}", base64(&header), base64(claims(&[])));
            let tag = hmac::sign(&hmac::Key::new(hash, secret), signed.as_bytes());
            let cause = refused(source(), &joined(&header, tag));
            assert_eq!(cause, Cause::AlgorithmRefused { found: name.to_owned() });
        }
    }
}

#[test]
fn an_algorithm_that_the_source_does_not_list_is_refused() {
    let only = Source { algorithms: vec![Algorithm::Es256], ..source() };
    for (algorithm, kid) in KIDS.iter().filter(|(algorithm, _)| *algorithm != Algorithm::Es256) {
        let cause = refused(only.clone(), &by(*algorithm, kid));
        assert_eq!(cause, Cause::AlgorithmRefused { found: algorithm.to_string() });
    }
    assert_eq!(refused(Source { algorithms: Vec::new(), ..source() }, &changed(&[])).code(), Code::AlgorithmRefused);
}

#[test]
fn an_algorithm_belongs_to_the_key_that_is_named() {
    for (algorithm, own) in KIDS {
        for (_, kid) in KIDS.iter().filter(|(_, kid)| kid != own) {
            let cause = refused(source(), &by(*algorithm, kid));
            assert_eq!(cause, Cause::AlgorithmNotOfKey { found: algorithm.to_string() });
            assert_eq!(cause.code(), Code::AlgorithmRefused);
        }
    }
    let restricted = with_keys(&[format!(r#""kid":"rsa","alg":"PS256",{}"#, public_members(Algorithm::Rs256))]);
    proved(restricted.clone(), &by(Algorithm::Ps256, "rsa"));
    let cause = refused(restricted, &by(Algorithm::Rs256, "rsa"));
    assert_eq!(cause.to_string(), "algorithm `RS256` does not belong to the key that the credential names");
}

#[test]
fn a_signature_of_one_algorithm_is_none_of_another() {
    let signed = |header: &str| format!("{}.{}", base64(header), base64(claims(&[])));
    for (made, said) in [(Algorithm::Rs256, Algorithm::Ps256), (Algorithm::Ps256, Algorithm::Rs256)]
        .into_iter()
        .chain([(Algorithm::Rs256, Algorithm::Rs384), (Algorithm::Ps512, Algorithm::Ps256)])
    {
        let header = format!(r#"{{"alg":"{said}","kid":"rsa"}}"#);
        let signature = sign(made, signed(&header).as_bytes());
        assert_eq!(refused(source(), &joined(&header, signature)), Cause::SignatureInvalid);
    }
}

#[test]
fn ecdsa_signatures_are_two_numbers_of_full_length_and_not_zero() {
    const HEADER: &str = r#"{"alg":"ES256","kid":"p256"}"#;
    let signed = format!("{}.{}", base64(HEADER), base64(claims(&[])));
    let good = sign(Algorithm::Es256, signed.as_bytes());
    let (r, s) = good.split_at(32);
    let zero = [0; 32];
    let der = [&[0x30, 0x46, 0x02, 0x21, 0x00][..], r, &[0x02, 0x21, 0x00], s].concat();
    for bad in [
        [zero, zero].concat(),
        [r, &zero].concat(),
        [&zero, s].concat(),
        [&ORDER[..], &ORDER].concat(),
        [r, &ORDER].concat(),
        [s, r].concat(),
        vec![0xff; 64],
        der,
        good[..63].to_vec(),
        [&good[..], &[0]].concat(),
        [&[0][..], &good].concat(),
        [&[0; 16][..], r, &[0; 16], s].concat(),
        Vec::new(),
    ] {
        assert_eq!(refused(source(), &joined(HEADER, &bad)), Cause::SignatureInvalid, "{bad:02x?}");
    }
    proved(source(), &joined(HEADER, &good));
}

/// The order of P-256 (SEC 2 §2.4.2).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
    0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// RFC 7518 §3.4 does not ask for the lower of the two values: either is a signature by the key's owner over the same bytes.
/// So a credential is recognised by its `jti` or digest for display and search, never by its digest for single use.
#[test]
fn the_twin_of_an_ecdsa_signature_is_a_signature_too() {
    const HEADER: &str = r#"{"alg":"ES256","kid":"p256"}"#;
    let signed = format!("{}.{}", base64(HEADER), base64(claims(&[])));
    let mut twin = sign(Algorithm::Es256, signed.as_bytes());
    let mut borrow = 0;
    for place in (0..32).rev() {
        let difference = i16::from(ORDER[place]) - i16::from(twin[32 + place]) - borrow;
        borrow = i16::from(difference < 0);
        twin[32 + place] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    proved(source(), &joined(HEADER, &twin));
}

#[test]
fn a_key_that_the_token_brings_along_is_never_used() {
    let theirs = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let (x, y) = theirs.public_key().as_ref()[1..].split_at(32);
    let jwk = format!(r#"{{"kty":"EC","crv":"P-256","kid":"p256","x":"{}","y":"{}"}}"#, base64(x), base64(y));
    for header in [
        format!(r#"{{"alg":"ES256","jwk":{jwk}}}"#),
        format!(r#"{{"alg":"ES256","kid":"p256","jwk":{jwk}}}"#),
        format!(r#"{{"alg":"ES256","kid":"p256","jwks":{{"keys":[{jwk}]}}}}"#),
        r#"{"alg":"ES256","kid":"p256","x5c":["MIIB"],"x5t":"AAAA","x5u":"https://evil.test/c"}"#.to_owned(),
        r#"{"alg":"ES256","kid":"p256","jku":"http://169.254.169.254/jwks"}"#.to_owned(),
    ] {
        let signed = format!("{}.{}", base64(&header), base64(claims(&[])));
        let signature = theirs.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        assert_eq!(refused(source(), &joined(&header, signature)), Cause::SignatureInvalid, "{header}");
        // beside a true signature such parameters change nothing
        proved(source(), &headed(&header));
    }
}

#[test]
fn a_kid_is_an_opaque_name() {
    let long = "k".repeat(5500);
    for kid in ["", "P256", "p256 ", "p256\\u0000", "../../../../dev/null", "' OR 1=1 --", "https://evil.test/k", &long]
    {
        let cause = refused(source(), &headed(&format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#)));
        assert_eq!(cause, Cause::KeyUnknown, "{kid}");
    }
    assert_eq!(Cause::KeyUnknown.to_string(), "the source has no such key");
    let odd = with_keys(&[format!(r#""kid":"../x\u0000","use":"sig",{}"#, public_members(Algorithm::Es256))]);
    proved(odd, &headed(r#"{"alg":"ES256","kid":"..\/x\u0000"}"#));
}

#[test]
fn without_a_kid_exactly_one_key_fits() {
    let unnamed = headed(r#"{"alg":"ES256"}"#);
    let second = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let (x, y) = second.public_key().as_ref()[1..].split_at(32);
    let other = format!(r#""kty":"EC","crv":"P-256","x":"{}","y":"{}""#, base64(x), base64(y));
    let ours = public_members(Algorithm::Es256);
    let two = with_keys(&[ours.clone(), other.clone()]);
    let cause = refused(two, &unnamed);
    assert_eq!((cause.to_string().as_str(), cause.code()), ("no `kid`, and 2 keys fit", Code::KeyUnknown));
    let none = with_keys(&[public_members(Algorithm::Rs256)]);
    assert_eq!(refused(none, &unnamed), Cause::KeyNotNamed { fitting: 0 });
    assert_eq!(refused(with_keys(&[other]), &unnamed), Cause::SignatureInvalid);
    proved(with_keys(&[ours, public_members(Algorithm::Rs256)]), &unnamed);
}

#[test]
fn without_keys_nothing_is_proved() {
    let cause = refused(Source { keys: SourceKeys::Fetched(None), ..source() }, &changed(&[]));
    assert_eq!(cause.to_string(), "the source's keys are not available");
    assert_eq!(cause.code(), Code::KeysUnavailable);
}

/// Tokens of the specifications, made by others: RFC 7515 appendix A.3, RFC 8037 appendix A.4.
#[test]
fn the_examples_of_the_specifications_verify() {
    for (algorithm, jwk, token) in [
        (
            Algorithm::Es256,
            r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
        (
            Algorithm::EdDsa,
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ] {
        let key = Key::read(&read(jwk.as_bytes()).unwrap(), 1).unwrap().unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let verifier = key.verifier(algorithm).unwrap();
        assert!(verifier.verify_sig(signed.as_bytes(), &signature).is_ok());
        assert!(verifier.verify_sig(&signed.as_bytes()[1..], &signature).is_err());
    }
}
