//! Which of two bundles is news, and how soon it is asked for the next.

use std::sync::Arc;
use std::time::Duration;

use credential::{SpiffeBundle, digest_of};
use model::TrustDomain;
use net::{Plain, Reach, Remote, Roots};

use super::Held;
use super::keeper::{is_news, pace};
use crate::estate::{Federation, Server};

fn domain() -> TrustDomain {
    "other.test".parse().unwrap()
}

/// A bundle with a key of JWT-SVIDs of this name; without one, with nobody.
fn bundle(kid: &str, more: &str) -> SpiffeBundle {
    let key = format!(
        r#"{{"use":"jwt-svid","kid":"{kid}","kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}}"#
    );
    let key = if kid.is_empty() { "" } else { &key };
    SpiffeBundle::parse(&domain(), format!(r#"{{"keys":[{key}]{more}}}"#).as_bytes()).unwrap()
}

fn numbered(kid: &str, sequence: u64) -> SpiffeBundle {
    bundle(kid, &format!(r#","spiffe_sequence":{sequence}"#))
}

fn federation(server: Server) -> Federation {
    Federation {
        name: "other".to_owned(),
        domain: domain(),
        remote: Remote::new("https://other.test/", Reach::Public, Plain::Refused, Roots::Platform).unwrap(),
        server,
        refresh: None,
        terms: digest_of(b""),
    }
}

fn held(bundle: SpiffeBundle) -> Held {
    Held { bundle: Arc::new(bundle), seq: 1, fetched: String::new(), terms: digest_of(b"").to_string() }
}

/// Whether `found` is taken where `known` is, or why not.
fn taken(known: Option<SpiffeBundle>, found: &SpiffeBundle) -> Result<bool, String> {
    is_news(&federation(Server::Web), known.map(held).as_ref(), found).map_err(|why| why.to_string())
}

#[test]
fn what_lies_behind_what_is_known_is_never_taken() {
    let older = Err("its sequence 4 lies behind 5, which is known".to_owned());
    assert_eq!(taken(Some(numbered("a", 5)), &numbered("a", 4)), older);
    assert_eq!(taken(Some(numbered("a", 5)), &numbered("b", 4)), older);
    assert_eq!(taken(Some(numbered("a", 5)), &numbered("b", 6)), Ok(true));
    assert_eq!(taken(Some(numbered("a", u64::MAX - 1)), &numbered("", u64::MAX)), Ok(true));
}

#[test]
fn one_sequence_is_of_one_content() {
    let disputed = Err("other authorities under the sequence 5, which is known".to_owned());
    assert_eq!(taken(Some(numbered("a", 5)), &numbered("b", 5)), disputed);
    assert_eq!(taken(Some(numbered("a", 5)), &numbered("a", 5)), Ok(false));
    assert_eq!(taken(Some(bundle("a", "")), &bundle("a", "")), Ok(false));
}

#[test]
fn without_a_sequence_the_last_one_counts() {
    assert_eq!(taken(None, &bundle("a", "")), Ok(true));
    assert_eq!(taken(Some(bundle("a", "")), &bundle("b", "")), Ok(true));
    assert_eq!(taken(Some(bundle("a", "")), &numbered("a", 1)), Ok(true));
}

#[test]
fn the_bootstrap_is_known_before_anything_was_had() {
    let id = "spiffe://other.test/server".parse().unwrap();
    let federation = federation(Server::Spiffe { id, bootstrap: Box::new(numbered("a", 5)) });
    let news = |found: &SpiffeBundle| is_news(&federation, None, found).map_err(|why| why.to_string());
    assert_eq!(news(&numbered("a", 4)), Err("its sequence 4 lies behind 5, which is known".to_owned()));
    assert_eq!(news(&numbered("a", 5)), Ok(true), "it was never had");
    assert_eq!(news(&numbered("b", 6)), Ok(true));
}

#[test]
fn a_bundle_sets_the_pace_within_bounds_and_the_document_without() {
    let (mut federation, seconds) = (federation(Server::Web), Duration::from_secs);
    let hinted = |hint: &str| Some(held(bundle("a", &format!(r#","spiffe_refresh_hint":{hint}"#))));
    assert_eq!(pace(&federation, None), seconds(60));
    assert_eq!(pace(&federation, Some(&held(bundle("a", "")))), seconds(300));
    for (hint, expected) in [("0", 60), ("600", 600), ("18446744073709551615", 24 * 3600)] {
        assert_eq!(pace(&federation, hinted(hint).as_ref()), seconds(expected), "{hint}");
    }
    federation.refresh = Some(seconds(1));
    assert_eq!(pace(&federation, hinted("600").as_ref()), seconds(1));
}
