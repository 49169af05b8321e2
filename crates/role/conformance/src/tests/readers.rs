//! What servers send is read to its end or refused, whatever it is.

use model::Time;
use testkit::{TestCa, mutate};

use crate::read::certificate::sequence;
use crate::read::id::{Parts, domain_id};
use crate::read::jwk;
use crate::read::key::{JwsSigner, public_half};
use crate::read::path::validate;
use crate::read::token::Token;

const ROUNDS: u32 = 3_000;
const TOKEN: &str =
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImtleS0xIn0.eyJzdWIiOiJzcGlmZmU6Ly9hLnRlc3QvYiIsImF1ZCI6WyJjIl0sImV4cCI6MX0.AAAA";
const KEYS: &str =
    r#"{"keys":[{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA","kid":"key-1"},{"kty":"RSA","n":"AAAA","e":"AQAB"}]}"#;

#[test]
fn certificates_and_keys_may_be_anything() {
    let at = Time::from_unix_seconds(1_800_000_000);
    let authority = TestCa::new("example.test", at, |_| {});
    let bundle = sequence(&authority.certificate()).unwrap();
    let (leaf, key) = authority.leaf("spiffe://example.test/workload", at, |_| {});
    mutate(&[leaf, authority.certificate()].concat(), ROUNDS, |bytes| {
        let Ok(read) = sequence(bytes) else { return };
        if let Some((leaf, above)) = read.split_first() {
            let _ = validate(leaf, &above.iter().collect::<Vec<_>>(), &bundle, at);
        }
    });
    mutate(&key, ROUNDS, |bytes| {
        let _ = public_half(bytes);
        let _ = JwsSigner::with(bytes).map(|key| key.sign(b"x"));
    });
}

#[test]
fn tokens_key_sets_and_ids_may_be_anything() {
    let keys = jwk::keys(KEYS.as_bytes()).unwrap();
    mutate(TOKEN.as_bytes(), ROUNDS, |bytes| {
        if let Ok(token) = Token::read(&String::from_utf8_lossy(bytes)) {
            let _ = (token.audience(), token.expires());
            assert!(!keys.iter().any(|key| jwk::verifies(key, &token)));
        }
    });
    let token = Token::read(TOKEN).unwrap();
    mutate(KEYS.as_bytes(), ROUNDS, |bytes| {
        let keys = jwk::keys(bytes).unwrap_or_default();
        assert!(!keys.iter().any(|key| jwk::verifies(key, &token)));
    });
    mutate(b"spiffe://user@example.test:8443/a/../b/?q#f", ROUNDS, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let parts = Parts::of(&text);
        let _ = (parts.domain(), parts.segments().count(), domain_id(&text));
    });
}
