//! SPIFFE bundles: what is read of them, what is passed over, and what refuses one whole.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::{Time, TrustDomain};
use testkit::{TestCa, mutate};

use crate::tests::issuer::public_members;
use crate::{Algorithm, BadSpiffeBundle, SpiffeBundle};

fn domain() -> TrustDomain {
    "other.test".parse().unwrap()
}

fn now() -> Time {
    "2027-01-02T03:04:05Z".parse().unwrap()
}

fn authority(of: &str) -> Vec<u8> {
    TestCa::new(of, now(), |_| {}).certificate()
}

fn x509(certificate: &[u8]) -> String {
    format!(r#"{{"use":"x509-svid","kty":"EC","x5c":["{}"]}}"#, STANDARD.encode(certificate))
}

fn jwt(kid: &str) -> String {
    format!(r#"{{"use":"jwt-svid","kid":"{kid}",{}}}"#, public_members(Algorithm::Es256))
}

fn bundle(keys: &[String], more: &str) -> String {
    format!(r#"{{"keys":[{}]{more}}}"#, keys.join(","))
}

fn read(document: &str) -> Result<SpiffeBundle, BadSpiffeBundle> {
    SpiffeBundle::parse(&domain(), document.as_bytes())
}

#[track_caller]
fn check(document: &str, words: &str) {
    let refused = read(document).unwrap_err();
    let source = std::error::Error::source(&refused).map(|source| format!(": {source}")).unwrap_or_default();
    assert_eq!(format!("{refused}{source}"), words);
}

/// How many authorities of X.509-SVIDs and keys of JWT-SVIDs are read.
#[track_caller]
fn counted(keys: &[String]) -> (usize, usize) {
    let read = read(&bundle(keys, "")).unwrap();
    (read.x509_authorities().len(), read.jwt_keys().matches("\"kid\"").count())
}

#[test]
fn keys_are_told_apart_by_their_use() {
    let certificate = authority("other.test");
    let read = read(&bundle(&[x509(&certificate), jwt("a")], r#","spiffe_sequence":7,"spiffe_refresh_hint":60"#));
    let read = read.unwrap();
    assert_eq!(read.x509_authorities(), [certificate]);
    assert!(read.jwt_keys().contains(r#""kid":"a""#) && !read.jwt_keys().contains("use"), "{}", read.jwt_keys());
    assert_eq!((read.sequence(), read.refresh_hint()), (Some(7), Some(Duration::from_secs(60))));
}

fn wit(kid: &str) -> String {
    jwt(kid).replace("jwt-svid", "wit-svid")
}

/// SPIFFE_Workload_API.md §6.2.2, §7.2.2: no key of one use is handed out for the other.
#[test]
fn keys_of_jwt_svids_and_of_wit_svids_are_never_mixed() {
    let read = |keys: &[String]| read(&bundle(keys, "")).unwrap();
    let both = read(&[jwt("j"), wit("w")]);
    assert!(both.jwt_keys().contains(r#""kid":"j""#) && !both.jwt_keys().contains(r#""kid":"w""#));
    let wits = both.wit_keys().unwrap();
    assert!(wits.contains(r#""kid":"w""#) && !wits.contains(r#""kid":"j""#) && !wits.contains("use"), "{wits}");
    assert_eq!(read(&[jwt("j")]).wit_keys(), None);
    assert!(!both.trusts_as(&read(&[jwt("j")])) && both.trusts_as(&read(&[wit("w"), jwt("j")])));
}

#[test]
fn what_is_wrong_with_keys_of_wit_svids_leaves_none_of_them_and_everything_else() {
    let private = wit("v").replace("\"kid\"", "\"d\":\"AA\",\"kid\"");
    for wrong in [wit("j"), private, r#"{"use":"wit-svid","kty":"EC","kid":"v"}"#.to_owned(), wit("w")] {
        let found = read(&bundle(&[jwt("j"), wit("w"), wrong.clone()], "")).unwrap();
        assert_eq!((found.wit_keys(), found.jwt_keys().matches("\"kid\"").count()), (None, 1), "{wrong}");
    }
}

#[test]
fn what_is_not_known_is_passed_over_and_the_rest_counts() {
    let good = [x509(&authority("other.test")), jwt("a")];
    for unknown in [
        r#"{"use":"wit-svid","kty":"EC","kid":"w"}"#,
        r#"{"use":"X509-SVID","kty":"EC","x5c":["AAAA"]}"#,
        r#"{"use":"JWT-svid","kty":"EC","kid":"b"}"#,
        r#"{"use":"jwt-svid","kty":"oct","kid":"b","k":"AAAA"}"#,
        r#"{"use":"jwt-svid","kty":"OKP","kid":"b"}"#,
        r#"{"use":"jwt-svid","kty":"RSA"}"#,
        r#"{"use":"x509-svid","kty":"EC"}"#,
        r#"{"use":"x509-svid","kty":"EC","x5c":[]}"#,
        r#"{"use":"x509-svid","kty":"EC","x5c":["no certificate"]}"#,
        r#"{"kty":"EC"}"#,
        "7",
    ] {
        assert_eq!(counted(&[&[unknown.to_owned()], &good[..]].concat()), (1, 1), "{unknown}");
    }
    assert!(read(&bundle(&good, r#","another":{"parameter":1}"#)).is_ok());
}

#[test]
fn an_authority_of_another_trust_domain_is_none_of_this_one() {
    assert_eq!(counted(&[x509(&authority("evil.test"))]), (0, 0));
    let leaf = TestCa::new("other.test", now(), |_| {}).leaf("spiffe://other.test/a", now(), |_| {}).0;
    assert_eq!(counted(&[x509(&leaf)]), (0, 0));
}

#[test]
fn of_several_certificates_the_first_counts() {
    let (first, second) = (authority("other.test"), authority("other.test"));
    let chain = format!(
        r#"{{"use":"x509-svid","kty":"EC","x5c":["{}","{}"]}}"#,
        STANDARD.encode(&first),
        STANDARD.encode(second)
    );
    assert_eq!(read(&bundle(&[chain], "")).unwrap().x509_authorities(), [first]);
}

#[test]
fn an_empty_bundle_is_one_and_has_nobody() {
    let read = read(r#"{"keys":[]}"#).unwrap();
    assert_eq!((read.x509_authorities().len(), read.jwt_keys()), (0, r#"{"keys":[]}"#));
    assert_eq!((read.sequence(), read.refresh_hint()), (None, None));
}

#[test]
fn a_sequence_has_64_bits() {
    let sequence = |number: &str| read(&format!(r#"{{"keys":[],"spiffe_sequence":{number}}}"#));
    assert_eq!(sequence("18446744073709551615").unwrap().sequence(), Some(u64::MAX));
    for bad in ["18446744073709551616", "-1", "1.0", "1e3", "\"1\"", "null"] {
        check(
            &format!(r#"{{"keys":[],"spiffe_sequence":{bad}}}"#),
            "`spiffe_sequence` is not an integer from 0 up, of at most 64 bits",
        );
    }
    check(
        r#"{"keys":[],"spiffe_refresh_hint":"60"}"#,
        "`spiffe_refresh_hint` is not an integer from 0 up, of at most 64 bits",
    );
}

#[test]
fn what_is_known_and_broken_refuses_the_document() {
    for none in ["[]", "{}", r#"{"keys":{}}"#] {
        check(none, "expected a JSON object with an array `keys` (SPIFFE_Trust_Domain_and_Bundle.md §4.1.3)");
    }
    check(
        r#"{"keys":[],"keys":[]}"#,
        "the bundle is not JSON, or names a member twice: member `keys` is named twice at line 1 column 21",
    );
    check(&bundle(&[jwt("a"), jwt("a")], ""), "the keys of JWT-SVIDs cannot be used: two keys have the `kid` `a`");
    let private = jwt("a").replace("\"kid\"", "\"d\":\"AA\",\"kid\"");
    check(
        &bundle(&[private], ""),
        "the keys of JWT-SVIDs cannot be used: key `a` has the private member `d`; a key set holds public keys only",
    );
    check(&bundle(&vec!["7".to_owned(); 101], ""), "the bundle has 101 keys; at most 100 are read");
    check(
        &bundle(&vec![x509(&authority("other.test")); 33], ""),
        "the bundle has 33 authorities of X.509-SVIDs; at most 32 are read",
    );
    check(&" ".repeat(256 * 1024 + 1), "the bundle has 262145 bytes; at most 262144 are read");
}

/// Whatever is read can be handed on: no touched bundle makes an agent refuse what it is told.
#[test]
fn a_bundle_that_was_touched_is_read_or_refused() {
    let keys = [x509(&authority("other.test")), jwt("a\\\""), wit("b")];
    let good = bundle(&keys, r#","spiffe_sequence":7"#);
    mutate(good.as_bytes(), 20_000, |bytes| {
        if let Ok(read) = SpiffeBundle::parse(&domain(), bytes) {
            let source = crate::SVIDS.parse().unwrap();
            assert!(crate::Bundle::new(source, domain(), read.x509_authorities(), Duration::ZERO).is_ok());
            assert!(serde_json::from_str::<serde_json::Value>(read.jwt_keys()).is_ok());
            assert!(read.wit_keys().is_none_or(|keys| crate::KeySet::parse(keys.as_bytes()).is_ok()));
        }
    });
}
