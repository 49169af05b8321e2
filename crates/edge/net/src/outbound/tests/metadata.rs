//! The metadata service of the machine: where it may be, and what is asked of it.

use http::{HeaderName, HeaderValue, Method};

use super::super::Metadata;
use super::server;
use crate::causes::chain;

#[tokio::test]
async fn it_is_asked_with_its_headers_and_no_redirect_is_followed() {
    let (address, mut heard) = server("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", "").await;
    let metadata = Metadata::new(&format!("http://{address}/")).unwrap();
    let flavour = (HeaderName::from_static("metadata-flavor"), HeaderValue::from_static("Google"));
    let found = metadata.ask(Method::PUT, "/a?b=c", vec![flavour.clone()]).await.unwrap();
    assert_eq!(found, "abc");
    let head = heard.request().await;
    assert!(head.starts_with(&format!("PUT /a?b=c HTTP/1.1\r\nhost: {address}\r\n")), "{head}");
    assert!(head.contains("metadata-flavor: Google\r\n"), "{head}");
    let (address, _heard) =
        server("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", "").await;
    let failed = Metadata::new(&format!("http://{address}")).unwrap().ask(Method::GET, "/", vec![flavour]).await;
    assert_eq!(chain(&failed.unwrap_err()), "the answer was 302 Found, not 200");
}

#[test]
fn it_is_at_an_address_that_no_router_forwards() {
    for url in [
        Metadata::DEFAULT,
        "http://[fd00:ec2::254]",
        "http://127.0.0.1:8080",
        "http://[fe80::1]/",
        "http://169.254.170.2",
    ] {
        assert!(Metadata::new(url).is_ok(), "{url}");
    }
    for url in [
        "https://169.254.169.254",
        "http://metadata.google.internal",
        "http://localhost",
        "http://10.0.0.1",
        "http://198.51.100.7",
        "http://[fd00::1]",
        "http://169.254.169.254/latest",
        "http://169.254.169.254?x",
        "http://169.254.169.254#x",
        "http://user@169.254.169.254",
        "http://2852039166",
        "169.254.169.254",
        "",
    ] {
        let bad = Metadata::new(url).unwrap_err().to_string();
        assert!(bad.starts_with(&format!("`{url}` is no metadata service: expected `http://`")), "{bad}");
    }
}
