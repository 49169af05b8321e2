//! JWT-SVIDs: whatever is shown, none holds that no key of the bundle signed.
#![no_main]

use std::sync::LazyLock;

use credential::{KeySet, validate_jwt_svid};
use model::Time;

/// The key of RFC 7515, appendix A.3; nothing that it signed is a JWT-SVID.
const KEYS: &[u8] = br#"{"keys":[{"kty":"EC","kid":"k","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
static KEY_SET: LazyLock<KeySet> = LazyLock::new(|| KeySet::parse(KEYS).expect("a key set"));

libfuzzer_sys::fuzz_target!(|token: &[u8]| {
    let at = Time::from_unix_seconds(1_800_000_000);
    assert!(validate_jwt_svid(token, "billing", |_| Some(&KEY_SET), at).is_err());
});
