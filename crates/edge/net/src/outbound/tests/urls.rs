//! URLs that name no document, in exact words.

use super::super::Reach;
use super::refused;

#[test]
fn a_url_can_be_read_in_one_way() {
    let as_written = "neither a host's name nor an address as addresses are written";
    for host in [
        "2130706433",
        "017700000001",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "127.0.0.1.",
        "0177.0.0.1",
        "1.2.3.4.5",
        "a.0x",
        "a.1",
        "a..b",
        "a.test.",
        "-a.test",
        ".a",
    ] {
        let url = format!("https://{host}/jwks");
        assert_eq!(refused(&url, Reach::Private), format!("`{url}`: `{host}` is {as_written}"));
    }
    let plain = "expected a host, perhaps a port, and neither user nor fragment";
    for url in ["https://u:p@a.test/", "https://a.test/#x", "https://a.test:99999/", "/jwks"] {
        assert_eq!(refused(url, Reach::Private), format!("`{url}`: {plain}"));
    }
    assert_eq!(refused("https://a b/", Reach::Private), "`https://a b/` is not a URL: invalid uri character");
    for url in ["https://a.test", "https://a-b.c_d.test:8443/x?y=z", "https://xn--bcher-kva.test/", "https://1.1.1.1/"]
    {
        assert_eq!(refused(url, Reach::Public), "");
    }
    for url in ["gopher://a.test/", "file:///etc/passwd", "ftp://127.0.0.1/", "http://a.test/", "http://0x7f.1/"] {
        let said = refused(url, Reach::Private);
        assert!(said.ends_with("expected `https://`") || said.ends_with(plain) || said.contains("not a URL"), "{said}");
    }
}

#[test]
fn an_address_in_a_url_is_judged_when_it_is_read() {
    let never = "is a link-local address, from which nothing is fetched";
    for address in ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]"] {
        let said = refused(&format!("https://{address}/latest/"), Reach::Private);
        assert!(said.ends_with(never), "{said}");
    }
    assert_eq!(
        refused("https://10.0.0.1/jwks", Reach::Loopback),
        "`https://10.0.0.1/jwks`: 10.0.0.1 is a private address; write `dangerouslyAllowPrivateAddresses: true` if that is meant"
    );
    assert_eq!(refused("https://10.0.0.1/jwks", Reach::Private), "");
    assert_eq!(refused("https://[::1]:8443/jwks", Reach::Loopback), "");
    for reach in [Reach::Public, Reach::Private] {
        assert_eq!(
            refused("http://127.0.0.1/jwks", reach),
            "`http://127.0.0.1/jwks`: plain HTTP needs `dangerouslyAllowLoopbackHttp: true` in a development environment"
        );
    }
    assert_eq!(refused("http://127.0.0.1/jwks", Reach::Loopback), "");
}
