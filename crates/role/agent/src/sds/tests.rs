//! Requests of Envoys: what is read of them. How they are answered is shown by scenarios.

use prost_types::value::Kind;
use prost_types::{Struct, Value};
use wire::envoy::config::core::v3::Node;
use wire::envoy::service::discovery::v3::DiscoveryRequest;

use super::asked::{Asked, Validation};

fn envoy(said: Option<Kind>) -> Node {
    let fields = said.map(|kind| ("disable_spiffe_cert_validation".to_owned(), Value { kind: Some(kind) }));
    Node { id: "envoy".to_owned(), metadata: Some(Struct { fields: fields.into_iter().collect() }) }
}

fn asking(node: Option<Node>, names: &[&str]) -> DiscoveryRequest {
    let resource_names = names.iter().map(|name| (*name).to_owned()).collect();
    DiscoveryRequest { node, resource_names, ..DiscoveryRequest::default() }
}

#[test]
fn only_a_clear_word_takes_the_validator_away() {
    let text = |text: &str| Some(Kind::StringValue(text.to_owned()));
    for (said, expected) in [
        (Some(Kind::BoolValue(true)), Validation::Authorities),
        (text("true"), Validation::Authorities),
        (text("T"), Validation::Authorities),
        (text("tRuE"), Validation::Spiffe),
        (text(""), Validation::Spiffe),
        (Some(Kind::BoolValue(false)), Validation::Spiffe),
        (Some(Kind::NumberValue(1.0)), Validation::Spiffe),
        (None, Validation::Spiffe),
    ] {
        let asked = Asked::read(asking(Some(envoy(said)), &[]), None).unwrap();
        assert_eq!(asked.validation, expected);
    }
    assert_eq!(Asked::read(asking(None, &[]), None).unwrap().validation, Validation::Spiffe);
}

#[test]
fn who_an_envoy_is_holds_for_its_later_requests() {
    let first = Asked::read(asking(Some(envoy(Some(Kind::BoolValue(true)))), &["ROOTCA"]), None).unwrap();
    let second = Asked::read(asking(None, &["default"]), Some(&first)).unwrap();
    assert_eq!(second.validation, Validation::Authorities);
    let third = Asked::read(asking(Some(envoy(None)), &["default"]), Some(&second)).unwrap();
    assert_eq!(third.validation, Validation::Spiffe);
}

#[test]
fn without_names_everything_is_asked_for_and_empty_names_are_none() {
    for names in [&[][..], &["", ""]] {
        let asked = Asked::read(asking(None, names), None).unwrap();
        assert!(asked.wants("spiffe://prod.acme.test/web"));
    }
    let asked = Asked::read(asking(None, &["", "ROOTCA"]), None).unwrap();
    assert!(asked.wants("ROOTCA") && !asked.wants("spiffe://prod.acme.test/web"));
}
