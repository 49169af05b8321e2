//! First estates: what they say, and that nothing from outside can say more.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use net::now;

use super::discovery::{self, Keys};
use super::starter::Starter;
use super::{LaidOut, OwnApi, OwnApiFailed, lay_out};
use crate::catalog::Asks;
use crate::estate::{Bundle, Estate, Vars, load, outline};

const API: &str = r#"{"openapi": "3.0.1", "servers": [{"url": "{where}/v9"}, {"url": "https://a.test/v1/"}], "paths": {
  "/": {"get": {}},
  "/invoices": {"get": {}, "head": {}, "post": {}},
  "/invoices/{invoice-id}/lines:batch": {"put": {}, "delete": {}, "get": {"x-countersign": {"action": "read", "resource": "ledger/lines"}}},
  "/healthz": {"get": {"x-countersign": {"access": "public"}}},
  "/reports/{name}.csv": {"get": {}}
}}"#;

fn own() -> OwnApi {
    OwnApi {
        upstream: "http://127.0.0.1:9000".to_owned(),
        openapi: "api.json".into(),
        issuer: "https://idp.test".to_owned(),
        audience: "https://api.test".to_owned(),
        jwks_url: Some("https://idp.test/jwks".to_owned()),
    }
}

/// The text of a first estate, and the estate if it loads.
fn started(own: &OwnApi, api: &str) -> (String, Result<Estate, String>) {
    let outline = outline("api.openapi.json", api).unwrap();
    let url = own.jwks_url.clone().unwrap();
    let keys = Keys { url, algorithms: vec!["RS256".to_owned()] };
    let gateway = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let starter = Starter { own, keys: &keys, outline: &outline, file: "api.openapi.json", gateway };
    let (estate, policies) = (starter.estate(), starter.policies());
    let files = [("api.openapi.json", api), ("api.cedar", &policies), ("estate.yaml", &estate)];
    let bundle = Bundle::new(files.map(|(name, text)| (name.to_owned(), text.to_owned())));
    let loaded = load(&bundle, &Vars::Dev(BTreeMap::new()), &[], None, now());
    (estate, loaded.map_err(|problems| problems.iter().map(|problem| format!("{problem}\n")).collect()))
}

#[test]
fn every_operation_is_mapped_by_its_method_as_a_beginning() {
    let estate = started(&own(), API).1.unwrap_or_else(|problems| panic!("{problems}"));
    let routes = estate.services[0].routes.iter().map(|route| match &route.asks {
        Asks::Public => format!("{}: public", route.text()),
        Asks::Action { action, resource } => format!("{}: {action} {resource}", route.text()),
    });
    assert_eq!(
        routes.collect::<Vec<_>>(),
        [
            "GET /v1/invoices: read api/invoices",
            "HEAD /v1/invoices: read api/invoices",
            "POST /v1/invoices: write api/invoices",
            "PUT /v1/invoices/{invoice-id}/lines:batch: write api/invoices/lines-batch",
            "DELETE /v1/invoices/{invoice-id}/lines:batch: write api/invoices/lines-batch",
            "GET /v1/invoices/{invoice-id}/lines:batch: read ledger/lines",
            "GET /v1/healthz: public",
        ]
    );
    let unmapped: Vec<_> = estate.services[0].unmapped.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(unmapped, ["GET /v1/", "GET /v1/reports/{name}.csv"]);
    let resources: Vec<_> = estate.resources.keys().map(ToString::to_string).collect();
    assert_eq!(resources, ["api", "api/invoices", "api/invoices/lines-batch", "ledger", "ledger/lines"]);
    assert_eq!(estate.engine.policy_texts().count(), 0, "nothing is permitted");
}

#[test]
fn what_no_route_can_say_apart_is_left_to_its_author() {
    let api = r#"{"openapi": "3.1.0", "paths": {"/jobs/{job}": {"post": {}, "get": {}}, "/jobs/{job}:cancel": {"post": {}}}}"#;
    let (text, loaded) = started(&own(), api);
    let estate = loaded.unwrap_or_else(|problems| panic!("{problems}"));
    let routes: Vec<_> = estate.services[0].routes.iter().map(|route| route.text()).collect();
    assert_eq!(routes, ["POST /jobs/{job}", "GET /jobs/{job}"], "the first one by hand");
    assert!(text.contains("  http:   ") && text.contains("#   POST /jobs/{job}:cancel"), "{text}");
}

#[test]
fn an_api_that_maps_itself_is_not_mapped_again() {
    let api = r#"{"openapi": "3.1.0", "x-countersign": {"access": "public"}, "paths": {"/a": {"get": {}}}}"#;
    let (text, loaded) = started(&own(), api);
    assert!(loaded.is_ok() && !text.contains("mapping:") && !text.contains("unmapped:"), "{text}");
}

#[test]
fn nothing_from_outside_changes_the_structure() {
    let evil = "x\"]\n---\nkind: Environment\u{85}#'{}[]: &a *b !c \\ ${";
    let own = OwnApi { issuer: evil.to_owned(), audience: evil.to_owned(), ..own() };
    let (_, loaded) = started(&own, API);
    let estate = loaded.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(
        (estate.sources[0].0.issuer.as_str(), estate.sources[0].0.audiences.as_slice()),
        (evil, &[evil.to_owned()][..])
    );
    for path in ["/a\\nb", "/a\\\"}, {x: y", "/a # b", "/a'b", "/&a", "/*a", "/\\u0007{x}"] {
        let api = format!(r#"{{"openapi": "3.0.1", "paths": {{"{path}": {{"get": {{}}}}, "/z": {{"get": {{}}}}}}}}"#);
        let estate = started(&own, &api).1.unwrap_or_else(|problems| panic!("{path}: {problems}"));
        let found = estate.services[0].routes.iter().count() + estate.services[0].unmapped.len();
        assert_eq!(found, 2, "{path}");
    }
}

#[test]
fn a_discovery_document_is_of_the_issuer_that_was_named() {
    let read = |text: &str| {
        let url = "https://idp.test/.well-known/openid-configuration".to_owned();
        discovery::read(url, text.as_bytes(), "https://idp.test")
    };
    let said = |text: &str| net::causes::chain(&read(text).unwrap_err());
    let document = r#"{"issuer": "https://idp.test", "jwks_uri": "https://idp.test/jwks", "x": 1}"#;
    let keys = read(document).unwrap();
    assert_eq!(
        (keys.url.as_str(), keys.algorithms),
        ("https://idp.test/jwks", vec!["RS256".to_owned(), "ES256".to_owned()])
    );
    let signs = r#""id_token_signing_alg_values_supported": ["none", "HS256", "PS256", "EdDSA", "RS256]\n"], "x""#;
    assert_eq!(read(&document.replace("\"x\"", signs)).unwrap().algorithms, ["PS256", "EdDSA"]);
    for issuer in ["https://idp.test/", "https://IDP.test", "https://idp.test.evil.test"] {
        assert_eq!(
            said(&document.replacen("https://idp.test", issuer, 1)),
            format!(
                "`https://idp.test/.well-known/openid-configuration` is of the issuer `{issuer}`, and --issuer is `https://idp.test`: they are compared as they are written"
            )
        );
    }
    let none = "`https://idp.test/.well-known/openid-configuration` is no discovery document; name the issuer's keys with --jwks-url: ";
    for text in [
        "",
        "[]",
        "{}",
        r#"{"issuer": "https://idp.test"}"#,
        &document.replace("\"x\": 1", "\"issuer\": \"https://idp.test\""),
    ] {
        assert!(said(text).starts_with(none), "{}", said(text));
    }
}

#[tokio::test]
async fn an_estate_is_laid_out_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let laid_out = async |own: OwnApi| -> Result<LaidOut, String> {
        let gateway = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let laid_out = lay_out(&at("estate"), &own, gateway, &Vars::Dev(BTreeMap::new()), &[]).await;
        laid_out.map_err(|error: OwnApiFailed| {
            net::causes::chain(&error).replace(&folder.path().display().to_string(), "D")
        })
    };
    let own = OwnApi { openapi: at("api.json"), ..own() };
    let refused = async |own: &OwnApi| {
        let why = laid_out(own.clone()).await.unwrap_err();
        assert!(!at("estate").exists(), "{why}");
        why
    };
    assert_eq!(refused(&own).await, "cannot read `D/api.json`: No such file or directory (os error 2)");
    std::fs::write(at("api.json"), API.replace("3.0.1", "2.0")).unwrap();
    assert_eq!(
        refused(&own).await,
        "the operations of `D/api.json` cannot be read\napi.openapi.json:1:13: `2.0`: expected a version of OpenAPI 3.0 or 3.1, such as `3.1.0`"
    );
    std::fs::write(at("api.json"), "x".repeat(4 * 1024 * 1024 + 1)).unwrap();
    assert_eq!(refused(&own).await, "`D/api.json` is longer than 4194304 bytes");
    std::fs::write(at("api.json"), API).unwrap();
    let upstream = refused(&OwnApi { upstream: "https://api.test/v1".to_owned(), ..own.clone() }).await;
    assert!(upstream.contains("`https://api.test/v1`: expected `http://host:port`, without a path"), "{upstream}");
    let keys = refused(&OwnApi { jwks_url: Some("http://10.0.0.1/jwks".to_owned()), ..own.clone() }).await;
    assert!(keys.contains("`http://10.0.0.1/jwks`: expected `https://`"), "{keys}");
    let unreachable =
        refused(&OwnApi { jwks_url: None, issuer: "http://127.0.0.1:1/".to_owned(), ..own.clone() }).await;
    assert!(unreachable.starts_with("the issuer's discovery document `http://127.0.0.1:1/.well-known/openid-configuration` cannot be fetched; name its keys with --jwks-url: "), "{unreachable}");

    let done = laid_out(own.clone()).await.unwrap();
    assert_eq!((done.target.as_str(), done.left_out), ("/v1/invoices", 2));
    let names = |path: &Path| {
        let mut names: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&at("estate")), ["api.cedar", "api.openapi.json", "estate.yaml"]);
    assert_eq!(
        laid_out(own).await.unwrap_err(),
        "`D/estate` is there already, and --upstream lays out a first one: edit it and start without these flags, name another --dir, or add --fresh"
    );
}
