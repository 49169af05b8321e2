//! Key sets: what does not load, in which words, and what is passed over.

use crate::tests::issuer::{base64, changed, headed, proved, public_members, refused, source};
use crate::{Algorithm, Cause, KeySet, Source, SourceKeys};

fn set(keys: &[String]) -> String {
    let keys: Vec<String> = keys.iter().map(|members| format!("{{{members}}}")).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

fn one(members: &str) -> String {
    set(&[members.to_owned()])
}

fn rsa(extra: &str) -> String {
    format!("{extra}{}", public_members(Algorithm::Rs256))
}

fn p256(extra: &str) -> String {
    format!("{extra}{}", public_members(Algorithm::Es256))
}

#[track_caller]
fn check(json: &str, words: &str) {
    assert_eq!(KeySet::parse(json.as_bytes()).unwrap_err().to_string(), words);
}

#[test]
fn a_key_set_is_an_object_with_keys() {
    for json in ["[]", "{}", r#"{"keys":{}}"#, r#"{"keys":null}"#, r#"{"Keys":[]}"#, "7"] {
        check(json, "expected a JSON object with an array `keys` (RFC 7517 §5)");
    }
    check(r#"{"keys":[]}"#, "none of the 0 keys is a signature key of a type that is accepted here");
    check(r#"{"keys":[7]}"#, "key number 1 is not a JSON object");
    check(
        r#"{"keys":[],"keys":[]}"#,
        "the key set is not JSON, or names a member twice: member `keys` is named twice at line 1 column 21",
    );
    check("", "the key set is not JSON, or names a member twice: EOF while parsing a value at line 1 column 0");
    assert!(KeySet::parse(b"\xef\xbb\xbf{\"keys\":[]}").is_err());
    assert!(KeySet::parse(&one(&p256(r#""x":"AA","#)).into_bytes()).is_err(), "a coordinate named twice");
}

#[test]
fn a_private_or_symmetric_key_refuses_the_set() {
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
        for json in ["\"AA\"", "null", "[]"] {
            let keys = [rsa(""), p256(&format!(r#""kid":"a","{member}":{json},"#))];
            let words = format!("key `a` has the private member `{member}`; a key set holds public keys only");
            check(&set(&keys), &words);
        }
    }
    // those that would be passed over too
    check(
        &set(&[rsa(""), r#""kty":"new","use":"enc","d":"AA""#.to_owned()]),
        "key number 2 has the private member `d`; a key set holds public keys only",
    );
    check(
        &set(&[rsa(""), r#""kty":"oct","kid":"s","k":"c2VjcmV0""#.to_owned()]),
        "key `s` is symmetric (`kty` is `oct`); a key set holds public keys only",
    );
}

#[test]
fn a_kid_is_there_once() {
    check(&set(&[rsa(r#""kid":"a","#), p256(r#""kid":"a","#)]), "two keys have the `kid` `a`");
    check(&set(&[rsa(r#""kid":"a","#), p256(r#""kid":"\u0061","use":"enc","#)]), "two keys have the `kid` `a`");
    check(&one(&rsa(r#""kid":7,"#)), "`kid` of key number 1 is not a string");
    assert!(KeySet::parse(set(&[rsa(""), p256("")]).as_bytes()).is_ok(), "keys without a `kid` are legal");
    assert!(KeySet::parse(set(&[rsa(r#""kid":"a","#), p256(r#""kid":"A","#)]).as_bytes()).is_ok());
}

#[test]
fn members_have_their_types() {
    check(&one(r#""kid":"a""#), "key `a` has no `kty`");
    check(&one(r#""kty":1"#), "`kty` of key number 1 is not a string");
    check(&one(&rsa(r#""alg":1,"#)), "`alg` of key number 1 is not a string");
    check(&one(&rsa(r#""use":["sig"],"#)), "`use` of key number 1 is not a string");
    check(&one(&rsa(r#""key_ops":"verify","#)), "`key_ops` of key number 1 is not an array of strings");
    check(&one(&rsa(r#""key_ops":["verify",1],"#)), "`key_ops` of key number 1 is not an array of strings");
    check(&one(r#""kty":"RSA","e":"AQAB""#), "key number 1 has no `n`");
    check(&one(r#""kty":"EC","x":"AA""#), "key number 1 has no `crv`");
    check(&one(r#""kty":"EC","crv":"P-256""#), "key number 1 has no `x`");
    check(&one(r#""kty":"OKP","crv":"Ed25519","x":7"#), "`x` of key number 1 is not a string");
    for bad in ["AQAB=", "AQ AB", "AQA+", "AQB", "AQAB\\n"] {
        check(&one(&format!(r#""kty":"RSA","n":"{bad}","e":"AQAB""#)), "`n` of key number 1 is not unpadded base64url");
    }
}

#[test]
fn an_rsa_key_has_2048_to_8192_bits_and_a_sound_exponent() {
    let of_bits = |bits: usize| {
        let mut n = vec![0xff; bits.div_ceil(8)];
        n[0] = u8::try_from((1_u16 << (bits - 8 * (n.len() - 1))) - 1).unwrap();
        format!(r#""kid":"r","kty":"RSA","n":"{}","e":"AQAB""#, base64(n))
    };
    for bits in [512, 1024, 2047, 8193, 16384] {
        let words = format!("key `r` has a modulus of {bits} bits; expected 2048 to 8192");
        check(&one(&of_bits(bits)), &words);
    }
    for bits in [2048, 2049, 3072, 4096, 8192] {
        assert!(KeySet::parse(one(&of_bits(bits)).as_bytes()).is_ok(), "{bits}");
    }
    let with = |n: &[u8], e: &[u8]| one(&format!(r#""kty":"RSA","n":"{}","e":"{}""#, base64(n), base64(e)));
    let n = [0xff; 256];
    for e in [&[1][..], &[2], &[1, 0, 0], &[2, 0, 0, 0, 1], &[1, 0, 0, 0, 0, 1]] {
        check(&with(&n, e), "`e` of key number 1 is not an odd number from 3 up, of at most 33 bits");
    }
    for e in [&[3][..], &[1, 0, 1]] {
        assert!(KeySet::parse(with(&n, e).as_bytes()).is_ok());
    }
    for (n, e, name) in [
        (&[&[0][..], &n].concat()[..], &[1, 0, 1][..], "n"),
        (&[], &[1, 0, 1], "n"),
        (&n, &[0, 1, 0, 1], "e"),
        (&n, &[], "e"),
    ] {
        let words = format!("`{name}` of key number 1 is empty or starts with a zero byte (RFC 7518 §2)");
        check(&with(n, e), &words);
    }
    let even = [&[0xff; 255][..], &[0xfe]].concat();
    check(
        &with(&even, &[1, 0, 1]),
        "key number 1 is not a public key of its type: its point is not on the curve, or its modulus is even",
    );
}

#[test]
fn a_point_is_on_its_curve_and_of_full_length() {
    let point = |curve: &str, x: &[u8], y: &[u8]| {
        one(&format!(r#""kid":"e","kty":"EC","crv":"{curve}","x":"{}","y":"{}""#, base64(x), base64(y)))
    };
    let rejected = "key `e` is not a public key of its type: its point is not on the curve, or its modulus is even";
    for (curve, bytes) in [("P-256", 32), ("P-384", 48), ("P-521", 66)] {
        check(&point(curve, &vec![0; bytes], &vec![0; bytes]), rejected);
        check(&point(curve, &vec![1; bytes], &vec![2; bytes]), rejected);
        check(&point(curve, &vec![0xff; bytes], &vec![0xff; bytes]), rejected);
        let words = format!("`x` of key `e` has {} bytes; its curve has {bytes}", bytes - 1);
        check(&point(curve, &vec![1; bytes - 1], &vec![1; bytes]), &words);
        let words = format!("`y` of key `e` has {} bytes; its curve has {bytes}", bytes + 1);
        check(&point(curve, &vec![1; bytes], &vec![1; bytes + 1]), &words);
    }
    check(&one(r#""kty":"OKP","crv":"Ed25519","x":"AAAA""#), "`x` of key number 1 has 3 bytes; its curve has 32");
}

#[test]
fn keys_that_are_not_for_us_are_passed_over() {
    for other in [
        r#""kty":"new","kid":"p256""#.to_owned(),
        r#""kty":"EC","kid":"p256","crv":"secp256k1","x":"AA","y":"AA""#.to_owned(),
        r#""kty":"OKP","kid":"p256","crv":"X25519","x":"AA""#.to_owned(),
        r#""kty":"OKP","kid":"p256","crv":"P-256","x":"AA""#.to_owned(),
        p256(r#""kid":"p256","use":"enc","#),
        p256(r#""kid":"p256","key_ops":["encrypt"],"#),
        p256(r#""kid":"p256","key_ops":[],"#),
        p256(r#""kid":"p256","alg":"ECDH-ES","#),
        p256(r#""kid":"p256","alg":"HS256","#),
    ] {
        check(&one(&other), "none of the 1 keys is a signature key of a type that is accepted here");
        let keys = KeySet::parse(set(&[rsa(""), other.clone()]).as_bytes()).unwrap();
        let source = Source { keys: SourceKeys::Given(keys.into()), ..source() };
        assert_eq!(refused(source.clone(), &changed(&[])), Cause::KeyUnknown, "{other}");
        assert_eq!(refused(source, &headed(r#"{"alg":"ES256"}"#)), Cause::KeyNotNamed { fitting: 0 });
    }
    let verifying = p256(r#""kid":"p256","use":"sig","key_ops":["verify"],"alg":"ES256","x5c":["?"],"ext":true,"#);
    let keys = KeySet::parse(one(&verifying).as_bytes()).unwrap();
    proved(Source { keys: SourceKeys::Given(keys.into()), ..source() }, &changed(&[]));
}

#[test]
fn an_algorithm_of_another_type_of_key_refuses_the_set() {
    let words = "`alg` of key `a` is `ES384`, which is not for a key of its type";
    check(&one(&p256(r#""kid":"a","alg":"ES384","#)), words);
    check(&one(&rsa(r#""kid":"a","alg":"ES384","#)), words);
}

#[test]
fn a_key_set_is_bounded() {
    let other = r#""kty":"new""#.to_owned();
    let of = |count: usize| set(&[vec![other.clone(); count - 1], vec![rsa("")]].concat());
    assert!(KeySet::parse(of(100).as_bytes()).is_ok());
    check(&of(101), "the key set has 101 keys; at most 100 are read");
    let good = one(&rsa(""));
    let padded = |length: usize| format!("{good}{}", " ".repeat(length - good.len()));
    assert!(KeySet::parse(padded(256 * 1024).as_bytes()).is_ok());
    check(&padded(256 * 1024 + 1), "the key set has 262145 bytes; at most 262144 are read");
    let named = format!(r#""kid":"{}\u001b","kty":7"#, "k".repeat(60_000));
    let words = KeySet::parse(one(&named).as_bytes()).unwrap_err().to_string();
    assert!(words.len() < 120, "{words}");
}

#[test]
fn a_key_set_is_named_by_its_exact_bytes_and_prints_short() {
    let json = one(&rsa(""));
    let keys = KeySet::parse(json.as_bytes()).unwrap();
    assert_eq!(keys.digest(), crate::digest_of(json.as_bytes()));
    assert_ne!(keys.digest(), KeySet::parse(format!("{json} ").as_bytes()).unwrap().digest());
    assert_eq!(format!("{:?}", keys.clone()), format!("KeySet {{ digest: {}, keys: 1 }}", keys.digest()));
}

/// RFC 7638 §3.1 and RFC 8037 appendix A.3.
#[test]
fn thumbprints_are_those_of_the_specifications() {
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    for (jwk, thumbprint) in [
        (
            format!(r#""kid":"k","kty":"RSA","n":"{n}","e":"AQAB","alg":"RS256""#),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        ),
        (
            r#""kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","crv":"Ed25519","kty":"OKP""#.to_owned(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        ),
    ] {
        let keys = KeySet::parse(one(&jwk).as_bytes()).unwrap();
        assert_eq!(base64(keys.named("k").unwrap().thumbprint().as_bytes()), thumbprint);
    }
}
