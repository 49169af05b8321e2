//! Parsers that read strangers' bytes are total; a token that was touched proves nothing.

use model::Code;
use proptest::prelude::{ProptestConfig, any, prop, prop_assert, prop_assert_eq, proptest};

use crate::tests::issuer::{NOW, at, base64, changed, claims, public_members, source, token, try_verify};
use crate::{Algorithm, ClaimPath, KeySet};

/// Every way to touch one place of `bytes`: each bit flipped, the byte left out, one put in, and the rest cut off.
fn touched(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len()).flat_map(move |place| {
        let flipped = (0..8).map(move |bit| {
            let mut touched = bytes.to_vec();
            touched[place] ^= 1 << bit;
            touched
        });
        let without = [[&bytes[..place], &bytes[place + 1..]].concat(), bytes[..place].to_vec()];
        let with = b".=A \"\n\0\xff".iter().map(move |byte| [&bytes[..place], &[*byte], &bytes[place..]].concat());
        flipped.chain(without).chain(with)
    })
}

#[test]
fn a_token_that_was_touched_anywhere_proves_nothing() {
    for (algorithm, header) in
        [(Algorithm::Rs256, r#"{"alg":"RS256","kid":"rsa"}"#), (Algorithm::EdDsa, r#"{"alg":"EdDSA","kid":"ed"}"#)]
    {
        let good = token(algorithm, header, &claims(&[]));
        for bad in touched(good.as_bytes()).filter(|bad| bad != good.as_bytes()) {
            let outcome = try_verify(source(), &bad, at(NOW));
            assert!(outcome.is_err(), "{algorithm}: {}", String::from_utf8_lossy(&bad));
        }
    }
}

/// A public key may be touched and stay one; a key set may not become something that was not read from it.
#[test]
fn a_key_set_that_was_touched_is_read_or_refused() {
    let keys = format!(r#"{{"keys":[{{"kid":"a","use":"sig",{}}}]}}"#, public_members(Algorithm::Es256));
    for bad in touched(keys.as_bytes()) {
        if let Ok(read) = KeySet::parse(&bad) {
            assert_eq!(read.digest(), crate::digest_of(&bad));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1024) })]

    #[test]
    fn any_bytes_are_no_token(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let refused = try_verify(source(), &bytes, at(NOW)).unwrap_err();
        prop_assert_eq!(refused.cause.code(), Code::CredentialMalformed);
    }

    #[test]
    fn any_three_parts_are_no_token(header in any::<Vec<u8>>(), payload in any::<Vec<u8>>(), signature in any::<Vec<u8>>()) {
        let token = format!("{}.{}.{}", base64(header), base64(payload), base64(signature));
        let refused = try_verify(source(), token.as_bytes(), at(NOW)).unwrap_err();
        prop_assert_eq!(refused.cause.code(), Code::CredentialMalformed);
    }

    #[test]
    fn any_signature_over_good_claims_proves_nothing(signature in any::<Vec<u8>>(), alg in 0..Algorithm::ALL.len()) {
        let header = format!(r#"{{"alg":"{}"}}"#, Algorithm::ALL[alg]);
        let token = format!("{}.{}.{}", base64(header), base64(claims(&[])), base64(signature));
        let refused = try_verify(source(), token.as_bytes(), at(NOW)).unwrap_err();
        prop_assert_eq!(refused.cause.code(), Code::SignatureInvalid);
    }

    #[test]
    fn a_signature_covers_header_and_payload(name in "[a-z]{1,8}", value in any::<String>()) {
        let value = serde_json::Value::from(value).to_string();
        let good = changed(&[]);
        let (_, signature) = good.rsplit_once('.').unwrap();
        let header = base64(r#"{"alg":"ES256","kid":"p256"}"#);
        let other = claims(&[(&name, Some(&value))]);
        if other != claims(&[]) {
            let forged = format!("{header}.{}.{signature}", base64(other));
            prop_assert!(try_verify(source(), forged.as_bytes(), at(NOW)).is_err());
        }
    }

    #[test]
    fn any_bytes_are_no_key_set(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(KeySet::parse(&bytes).is_err());
    }

    #[test]
    fn any_members_are_read_or_refused(
        kty in "RSA|EC|OKP|oct", crv in "P-256|P-384|P-521|Ed25519", n in any::<Vec<u8>>(), e in any::<Vec<u8>>(),
    ) {
        let (n, e) = (base64(n), base64(e));
        let key = format!(r#"{{"kty":"{kty}","crv":"{crv}","n":"{n}","e":"{e}","x":"{n}","y":"{e}"}}"#);
        let short = KeySet::parse(format!(r#"{{"keys":[{key}]}}"#).as_bytes());
        prop_assert!(short.is_err() || (kty == "OKP" && crv == "Ed25519" && n.len() == 43));
    }

    #[test]
    fn a_claim_path_round_trips(names in prop::collection::vec(".{1,8}", 1..5)) {
        let text: Vec<String> = names.iter().map(|name| name.replace('\\', r"\\").replace('.', r"\.")).collect();
        let path: ClaimPath = text.join(".").parse().unwrap();
        prop_assert_eq!(path.to_string(), text.join("."));
        prop_assert_eq!(path.to_string().parse::<ClaimPath>().unwrap(), path);
    }

    #[test]
    fn any_text_is_a_claim_path_or_refused(text in any::<String>()) {
        if let Ok(path) = text.parse::<ClaimPath>() {
            prop_assert_eq!(path.to_string(), text);
        }
    }
}
