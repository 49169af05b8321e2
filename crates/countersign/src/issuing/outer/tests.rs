//! The word of an outer control plane: read whole, or refused.

use std::time::Duration;

use issuer::Signer;
use model::TrustDomain;
use net::causes::chain;
use net::now;
use store::P256Signer;
use testkit::{TestCa, mutate};

use super::{BelowAnswer, MOST, Outer, OuterAnswer, OuterStanding, OuterWord};
use crate::issuing::certificate_pem;

fn domain() -> TrustDomain {
    "prod.acme.test".parse().unwrap()
}

fn ca(domain: &str) -> String {
    certificate_pem(&TestCa::new(domain, now().minus(Duration::from_secs(60)), |_| {}).certificate())
}

fn word() -> OuterWord {
    let point = issuer::point_text(P256Signer::make().unwrap().0.public_point());
    let ids = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    OuterWord { x509: ca("prod.acme.test"), jwt: vec![point], authorities: ids(&["a", "b"]), tainted: ids(&["b"]) }
}

#[test]
fn an_authority_counts_that_is_published_and_not_tainted() {
    let outer = Outer::read(&domain(), word()).unwrap();
    assert_eq!((outer.x509.len(), outer.jwt.len()), (1, 1));
    let standings = ["a", "b", "c"].map(|id| outer.standing(id));
    assert_eq!(standings, [OuterStanding::Sound, OuterStanding::Tainted, OuterStanding::Gone]);
}

#[test]
fn what_names_nobody_or_somebody_else_is_refused() {
    let refused = |change: fn(&mut OuterWord), words: &str| {
        let mut word = word();
        change(&mut word);
        let why = chain(&Outer::read(&domain(), word).unwrap_err());
        assert!(why.starts_with(words), "{why}");
    };
    refused(|word| word.x509.clear(), "it names nobody to be trusted: it holds no certificate in PEM");
    refused(|word| word.x509 = ca("other.test"), "it names as an authority what is none: ");
    refused(|word| word.jwt.push("nothing".to_owned()), "it has a key of JWT-SVIDs that is none");
    refused(|word| word.jwt = vec![word.jwt[0].clone(); MOST + 1], "it has more than 200 keys or authorities");
    refused(|word| word.tainted = vec!["a".to_owned(); MOST + 1], "it has more than 200 keys or authorities");
}

#[test]
fn whatever_an_outer_control_plane_answers_is_read_or_refused() {
    let answer = BelowAnswer { chain: ca("prod.acme.test"), outer: OuterAnswer { bundle: word() } };
    let seed = serde_json::to_vec(&answer).unwrap();
    let mut read = 0;
    mutate(&seed, 2_000, |bytes| {
        let Ok(answer) = serde_json::from_slice::<BelowAnswer>(bytes) else { return };
        if let Ok(outer) = Outer::read(&domain(), answer.outer.bundle) {
            assert!(!outer.x509.is_empty());
            read += 1;
        }
    });
    assert!(read > 0, "some of it is as sound as before");
}
