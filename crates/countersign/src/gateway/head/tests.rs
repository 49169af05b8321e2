//! Heads that are read, and heads that cannot be read in one way.

use guard::{Asked, Errand, NoRoom};
use http::{HeaderValue, Request, Version};
use model::PrincipalId;
use net::{Connections, Destination};

use super::{Forward, Read, bearer, read, token};
use crate::catalog::{Asks, Catalog, Route, Routes, Service};
use crate::live::{Limits, Room, Timeouts, Upstream};

fn catalog(limits: Limits) -> Catalog<Upstream> {
    let asks = |resource: &str| Asks::Action { action: "read".parse().unwrap(), resource: resource.parse().unwrap() };
    let routes = [
        Route::new("GET /healthz", Asks::Public),
        Route::new("GET /invoices/{invoice}", asks("billing/invoices")),
        Route::new("POST /invoices", asks("billing/invoices")),
    ];
    Catalog::new([Service {
        name: "billing-api".parse().unwrap(),
        hosts: vec!["billing.acme.test".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()],
        routes: Routes::new(routes.into_iter().map(Result::unwrap).collect(), &[]).unwrap(),
        door: Upstream {
            pool: Connections::default().to(&Destination { authority: "127.0.0.1:1".parse().unwrap(), id: None }),
            limits,
            timeouts: Timeouts::default(),
            room: Room::new(limits.in_flight, limits.in_flight_per_principal),
        },
    }])
}

fn request(target: &str, headers: &[(&str, &str)]) -> Read {
    asked(Limits::default(), "GET", target, headers)
}

fn asked(limits: Limits, method: &str, target: &str, headers: &[(&str, &str)]) -> Read {
    let mut request = Request::builder().method(method).uri(target);
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request = request.header("host", "billing.acme.test");
    }
    for (name, value) in headers {
        request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    read(&catalog(limits), request.body(()).unwrap().into_parts().0)
}

/// What became of a request: `read RESOURCE`, or the code.
fn outcome(read: &Read) -> String {
    match &read.asked {
        Asked::Operation(operation) => format!("{} {}", operation.question.action, operation.question.resource),
        Asked::Unmapped { code, .. } => format!("unmapped {code}"),
        Asked::Unfit(code) => format!("unfit {code} {}", read.status.as_u16()),
    }
}

fn errand(read: Read) -> Forward {
    match read.asked {
        Asked::Operation(operation) => operation.errand,
        Asked::Unmapped { code, .. } | Asked::Unfit(code) => panic!("{code}"),
    }
}

#[test]
fn a_request_that_is_mapped_asks_its_question() {
    let read = request("/invoices/1?a=b", &[]);
    assert_eq!(outcome(&read), "read billing/invoices");
    assert_eq!(read.operation, "GET /invoices/{invoice}");
    assert_eq!(errand(read).target, "/invoices/1?a=b");
    assert_eq!(outcome(&request("/healthz", &[])), "read public/billing-api");
    assert_eq!(outcome(&request("/nope", &[])), "unmapped operation_unmapped");
    assert_eq!(request("/nope?secret=1", &[]).operation, "GET /nope");
}

#[test]
fn the_host_picks_the_service() {
    for (host, expected) in [
        ("billing.acme.test", "read billing/invoices"),
        ("BILLING.acme.TEST:8480", "read billing/invoices"),
        ("127.0.0.1:99", "read billing/invoices"),
        ("[::1]:99", "read billing/invoices"),
        ("other.test", "unmapped operation_unmapped"),
        ("billing.acme.test.", "unfit request_ambiguous 400"),
        ("", "unfit request_malformed 400"),
        (":80", "unfit request_malformed 400"),
        ("billing.acme.test:80x", "unfit request_ambiguous 400"),
        ("billing.acme.test/x", "unfit request_ambiguous 400"),
        ("a@billing.acme.test", "unfit request_ambiguous 400"),
        ("billing.acme.test, other.test", "unfit request_ambiguous 400"),
    ] {
        assert_eq!(outcome(&request("/invoices/1", &[("host", host)])), expected, "{host:?}");
    }
    let two = [("host", "billing.acme.test"), ("host", "billing.acme.test")];
    assert_eq!(outcome(&request("/invoices/1", &two)), "unfit request_ambiguous 400");
    for (target, expected) in [
        ("http://billing.acme.test/invoices/1", "read billing/invoices"),
        ("http://other.test/invoices/1", "unfit request_ambiguous 400"),
        ("http://user@billing.acme.test/invoices/1", "unfit request_ambiguous 400"),
    ] {
        assert_eq!(outcome(&request(target, &[])), expected, "{target}");
    }
}

#[test]
fn a_request_without_a_host_is_malformed() {
    let bare = |version| {
        let request = Request::builder().uri("/invoices/1").version(version).body(()).unwrap();
        outcome(&read(&catalog(Limits::default()), request.into_parts().0))
    };
    assert_eq!(bare(Version::HTTP_11), "unfit request_malformed 400");
    assert_eq!(bare(Version::HTTP_10), "unfit request_malformed 400");
}

#[test]
fn headers_that_two_readers_understand_differently_are_refused() {
    for headers in [
        &[("authorization", "Bearer a"), ("authorization", "Bearer b")][..],
        &[("x-http-method-override", "DELETE")],
        &[("X_HTTP_Method_Override", "DELETE")],
        &[("x-method-override", "DELETE")],
        &[("connection", "close, authorization")],
        &[("connection", "x-identity")],
        &[("transfer-encoding", "gzip, chunked")],
        &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
    ] {
        assert_eq!(outcome(&request("/invoices/1", headers)), "unfit request_ambiguous 400", "{headers:?}");
    }
    for headers in [&[("connection", "keep-alive, TE")][..], &[("te", "trailers")], &[("connection", "Close")]] {
        assert_eq!(outcome(&request("/invoices/1", headers)), "read billing/invoices", "{headers:?}");
    }
    let upgrade = [("connection", "upgrade"), ("upgrade", "websocket")];
    assert_eq!(outcome(&request("/invoices/1", &upgrade)), "unmapped operation_unmapped");
    for method in ["TRACE", "CONNECT"] {
        let read = asked(Limits::default(), method, "/invoices/1", &[]);
        assert_eq!(outcome(&read), "unfit request_ambiguous 400", "{method}");
    }
}

#[test]
fn what_depends_on_the_catalog_is_looked_at_after_the_caller_is_known() {
    for target in ["/%69nvoices/1", "/invoices/1;v=2", "/%68ealthz"] {
        assert_eq!(outcome(&request(target, &[])), "unmapped request_ambiguous", "{target}");
    }
    for target in ["/invoices/../1", "/invoices/%2e%2e/1", "/invoices//1", "/invoices/1%2f2", "/%"] {
        assert_eq!(outcome(&request(target, &[])), "unfit request_ambiguous 400", "{target}");
    }
}

#[test]
fn limits_have_answers_of_their_own() {
    let limits = Limits { request_line: 64, headers: 200, header_count: 3, body: Some(10), ..Limits::default() };
    let long = format!("/invoices/{}", "1".repeat(64));
    let (big, one) = ("x".repeat(300), [("a", "1"), ("b", "2"), ("c", "3")]);
    for (target, headers, expected) in [
        (long.as_str(), &[][..], "unfit request_too_large 414"),
        ("/invoices/1", &[("a", big.as_str())], "unfit request_too_large 431"),
        ("/invoices/1", &one, "unfit request_too_large 431"),
        ("/invoices/1", &[("content-length", "11")], "unfit request_too_large 413"),
        ("/invoices/1", &[("content-length", "10")], "read billing/invoices"),
    ] {
        assert_eq!(outcome(&asked(limits, "GET", target, headers)), expected, "{target}");
    }
}

#[test]
fn an_errand_holds_its_place_from_when_it_is_let_through_to_its_end() {
    let catalog = catalog(Limits { in_flight: 1, ..Limits::default() });
    let ask = || {
        let request = Request::get("/invoices/1").header("host", "billing.acme.test").body(()).unwrap();
        errand(read(&catalog, request.into_parts().0))
    };
    let (mut one, mut other) = (ask(), ask());
    let caller = PrincipalId::Anonymous;
    assert_eq!(one.take_room(&caller), Ok(()));
    assert_eq!(other.take_room(&caller), Err(NoRoom));
    drop(one);
    assert_eq!(other.take_room(&caller), Ok(()));
}

#[test]
fn only_a_bearer_credential_is_read() {
    for (value, expected) in [
        ("Bearer abc", Some("abc")),
        ("bEARER abc", Some("abc")),
        ("Bearer  abc", Some(" abc")),
        ("Bearer abc def", Some("abc def")),
        ("Bearer", Some("")),
        ("Bearer ", Some("")),
        ("Bearerabc", None),
        ("Basic abc", None),
        ("", None),
        ("Bearer\tabc", None),
    ] {
        let (parts, ()) = Request::get("/invoices/1").header("authorization", value).body(()).unwrap().into_parts();
        let found = bearer(&parts).map(|value| String::from_utf8_lossy(token(&value)).into_owned());
        assert_eq!(found.as_deref(), expected, "{value:?}");
    }
}

#[test]
fn neither_credentials_nor_identity_go_upstream() {
    let gone = [
        "authorization",
        "proxy-authorization",
        "forwarded",
        "x-forwarded-for",
        "X_Forwarded_For",
        "x-forwarded-client-cert",
        "x-original-url",
        "x_rewrite_url",
        "countersign-record",
        "x-countersign-principal",
        "X_Countersign_Principal",
        "te",
        "keep-alive",
        "proxy-connection",
        "trailer",
    ];
    let mut headers: Vec<(&str, &str)> = gone.iter().map(|name| (*name, "x")).collect();
    headers.extend([("cookie", "a=b"), ("x-custom", "1"), ("x-custom", "2"), ("expect", "100-continue")]);
    let upstream = errand(request("/invoices/1", &headers)).headers;
    for name in gone {
        assert!(!upstream.contains_key(name), "{name}");
    }
    assert_eq!(upstream["cookie"], "a=b");
    assert_eq!(upstream["host"], "billing.acme.test");
    assert_eq!(upstream.get_all("x-custom").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert!(upstream.contains_key("traceparent") && upstream.contains_key("expect"));
}

#[test]
fn a_sound_trace_goes_on_and_any_other_is_fresh() {
    let sound = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let read = request("/invoices/1", &[("traceparent", sound)]);
    assert_eq!(read.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(errand(read).headers["traceparent"], sound);
    for bad in [
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "",
    ] {
        let read = request("/invoices/1", &[("traceparent", bad)]);
        let trace = read.trace.to_string();
        assert_ne!(trace, "4bf92f3577b34da6a3ce929d0e0e4736", "{bad}");
        let forwarded = errand(read).headers["traceparent"].to_str().unwrap().to_owned();
        assert!(forwarded.starts_with(&format!("00-{trace}-")) && forwarded.len() == sound.len(), "{forwarded}");
    }
    let two = [("traceparent", sound), ("traceparent", sound)];
    assert_ne!(request("/invoices/1", &two).trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
}
