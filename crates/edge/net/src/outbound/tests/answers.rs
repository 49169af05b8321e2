//! What servers answer, and what becomes of it.

use std::time::Duration;

use super::super::{FetchFailed, Fetched, Terms, fetch, fetch_on};
use super::{plain, server};
use crate::causes::chain;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n";

async fn answered(first: &str, again: &str) -> Result<Fetched, String> {
    let (address, _heard) = server(first, again).await;
    fetch(&plain(address)).await.map_err(|failed| chain(&failed))
}

#[tokio::test]
async fn a_document_is_asked_for_without_a_word_too_many() {
    let (address, mut heard) = server(&format!("{OK}\r\n{{}}"), "").await;
    let fetched = fetch(&plain(address)).await.unwrap();
    assert_eq!(fetched, Fetched { document: "{}".into(), max_age: None });
    let agent = concat!("countersign/", env!("CARGO_PKG_VERSION"));
    let expected =
        format!("GET /jwks?v=1 HTTP/1.1\r\nhost: {address}\r\naccept: application/json\r\nuser-agent: {agent}\r\n\r\n");
    assert_eq!(heard.request().await, expected);
}

#[tokio::test]
async fn only_200_is_an_answer_and_a_redirect_goes_nowhere() {
    let (elsewhere, mut heard) = server(&format!("{OK}\r\n{{}}"), "").await;
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let redirect = format!("HTTP/1.1 {status}\r\nlocation: http://{elsewhere}/jwks\r\ncontent-length: 0\r\n\r\n");
        let code = &status[..3];
        let said = answered(&redirect, "").await.unwrap_err();
        assert!(said.starts_with(&format!("the answer was {code}")) && said.ends_with(", not 200"), "{said}");
    }
    assert!(heard.nothing());
    let said = answered("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n", "").await.unwrap_err();
    assert_eq!(said, "the answer was 500 Internal Server Error, not 200");
    let said = answered("HTTP/1.1 204 No Content\r\n\r\n", "").await.unwrap_err();
    assert_eq!(said, "the answer was 204 No Content, not 200");
}

#[tokio::test]
async fn what_is_posted_may_be_made_by_it_and_what_is_got_may_not() {
    let made = "HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}";
    let (address, _heard) = server(made, "").await;
    let terms = Terms { post: Some("{}".into()), ..Terms::public() };
    assert_eq!(fetch_on(&plain(address), &terms).await.unwrap().document, "{}");
    assert_eq!(answered(made, "").await.unwrap_err(), "the answer was 201 Created, not 200");
}

#[tokio::test]
async fn a_document_has_an_end() {
    let too_long = "the document is longer than 262144 bytes";
    let block = "x".repeat(4096);
    let length = |bytes: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n");
    assert_eq!(answered(&length(200 << 20), &block).await.unwrap_err(), too_long);
    assert_eq!(answered("HTTP/1.1 200 OK\r\n\r\n", &block).await.unwrap_err(), too_long);
    let chunk = format!("1000\r\n{block}\r\n");
    let endless = answered("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", &chunk).await;
    assert_eq!(endless.unwrap_err(), too_long);
    let whole = answered(&format!("{}{}", length(256 << 10), "x".repeat(256 << 10)), "").await;
    assert_eq!(whole.unwrap().document.len(), 256 << 10);
}

#[tokio::test]
async fn a_head_has_an_end_and_a_document_does_not_break_off() {
    let head = "HTTP/1.1 200 OK\r\n";
    for (first, again) in [
        (head, "x: y\r\n"),
        (head, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
        ("this is not HTTP\r\n\r\n", ""),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}", ""),
        ("", ""),
    ] {
        let said = answered(first, again).await.unwrap_err();
        assert!(said.starts_with("the exchange failed: "), "{first:?}: {said}");
    }
    for first in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
    ] {
        let said = answered(first, "").await.unwrap_err();
        assert!(said.starts_with("the document broke off: "), "{said}");
    }
}

#[tokio::test]
async fn a_server_that_takes_its_time_is_left() {
    let (silent, _heard) = server("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", "").await;
    // it has sent all that it will, and keeps the connection while it waits for the next
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mute = listener.local_addr().unwrap();
    for address in [mute, silent] {
        let hasty = Terms { within: Duration::from_millis(300), ..Terms::public() };
        let failed = fetch_on(&plain(address), &hasty).await.unwrap_err();
        let said = chain(&failed);
        assert!(matches!(failed, FetchFailed::Late { .. } | FetchFailed::Broke(_)), "{said}");
    }
    let late = FetchFailed::Late { within: Terms::public().within };
    assert_eq!(late.to_string(), "no whole answer within 5 s");
    drop(listener);
}

#[tokio::test]
async fn nobody_there_is_said_so() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let said = chain(&fetch(&plain(address)).await.unwrap_err());
    assert!(said.starts_with("cannot connect: "), "{said}");
}

#[tokio::test]
async fn the_shortest_age_that_a_server_says_counts() {
    for (lines, age) in [
        ("cache-control: public, max-age=300\r\n", Some(300)),
        ("cache-control: Max-Age=\"60\"\r\ncache-control: max-age=300\r\n", Some(60)),
        ("cache-control: max-age=300, no-cache\r\n", Some(0)),
        ("cache-control: no-store\r\n", Some(0)),
        ("cache-control: max-age=-1, s-maxage=5, max-age, max-age=1e9\r\n", None),
        ("cache-control: max-age=99999999999999999999999\r\n", None),
        ("", None),
    ] {
        let fetched = answered(&format!("{OK}{lines}\r\n{{}}"), "").await.unwrap();
        assert_eq!(fetched.max_age, age.map(Duration::from_secs), "{lines}");
    }
}
