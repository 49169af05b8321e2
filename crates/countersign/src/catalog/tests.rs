//! The catalog over HTTP: what matches, and what is ambiguous.

use super::{AmbiguousPath, Asks, Clash, Match, Pattern, Route, Routes, check_path};

fn routes(texts: &[&str]) -> Result<Routes, Clash> {
    Routes::new(texts.iter().map(|text| Route::new(text, Asks::Public).unwrap()).collect(), &[])
}

/// `route param=value…`, `ambiguous` or `none`.
fn found(routes: &Routes, method: &str, path: &str) -> String {
    match routes.find(method, path) {
        Match::Route { route, params } => {
            let params = params.iter().map(|(name, value)| format!(" {name}={value}"));
            route.text().to_owned() + &params.collect::<String>()
        }
        Match::Ambiguous => "ambiguous".to_owned(),
        Match::None => "none".to_owned(),
    }
}

#[test]
fn a_request_finds_the_most_literal_route() {
    let routes =
        routes(&["GET /", "GET /invoices/{invoice}", "GET /invoices/latest", "POST /invoices", "GET /a/{b}/c/{d-e}"])
            .unwrap();
    for (method, path, expected) in [
        ("GET", "/", "GET /"),
        ("GET", "/invoices/1", "GET /invoices/{invoice} invoice=1"),
        ("GET", "/invoices/latest", "GET /invoices/latest"),
        ("GET", "/invoices/latest2", "GET /invoices/{invoice} invoice=latest2"),
        ("GET", "/invoices/a%20b%C3%A9", "GET /invoices/{invoice} invoice=a bé"),
        ("GET", "/invoices/", "none"),
        ("GET", "/invoices", "none"),
        ("HEAD", "/invoices/1", "none"),
        ("get", "/invoices/1", "none"),
        ("POST", "/invoices", "POST /invoices"),
        ("GET", "/Invoices/1", "none"),
        ("GET", "/invoices/1/2", "none"),
        ("GET", "/a/1/c/2", "GET /a/{b}/c/{d-e} b=1 d-e=2"),
        ("GET", "/%69nvoices/1", "ambiguous"),
        ("GET", "/invoices/lates%74", "ambiguous"),
        ("GET", "/invoices/1;v=2", "ambiguous"),
        ("GET", "/invoices;v=2/1", "ambiguous"),
        ("GET", "/nope;v=2", "none"),
        ("GET", "/invoices/%3b", "ambiguous"),
    ] {
        assert_eq!(found(&routes, method, path), expected, "{method} {path}");
    }
}

#[test]
fn a_literal_beats_a_brace_and_any_other_overlap_does_not_load() {
    assert!(routes(&["GET /a/{x}", "GET /a/b", "GET /{y}/{z}"]).is_ok());
    assert!(routes(&["GET /a/{x}", "POST /a/{y}"]).is_ok());
    for texts in [["GET /a/{x}", "GET /a/{y}"], ["GET /a/{x}", "GET /{y}/b"], ["GET /a", "GET /a"]] {
        let Clash { later, earlier, why } = routes(&texts).unwrap_err();
        assert_eq!((later, earlier), (1, 0));
        assert_eq!(
            why.to_string(),
            format!("`{}` and `{}` match one request, and neither is the more literal one", texts[1], texts[0])
        );
    }
}

#[test]
fn what_is_refused_is_taken_by_no_brace() {
    let routes = |refused: &[&str]| {
        let refused: Vec<Pattern> = refused.iter().map(|text| Pattern::new(text).unwrap()).collect();
        let routes = ["GET /users/{user}", "POST /users/{user}", "GET /{a}/{b}/c"];
        Routes::new(routes.map(|text| Route::new(text, Asks::Public).unwrap()).to_vec(), &refused)
    };
    let refusing = routes(&["GET /users/export", "GET /users/{id}/c", "GET /{x}"]).unwrap();
    for (method, path, expected) in [
        ("GET", "/users/1", "GET /users/{user} user=1"),
        ("GET", "/users/export", "none"),
        ("GET", "/users/%65xport", "none"),
        ("GET", "/users/export;x", "ambiguous"),
        ("POST", "/users/export", "POST /users/{user} user=export"),
        ("GET", "/users/1/c", "none"),
        ("GET", "/people/1/c", "GET /{a}/{b}/c a=people b=1"),
        ("GET", "/people", "none"),
    ] {
        assert_eq!(found(&refusing, method, path), expected, "{method} {path}");
    }
    assert_eq!(refusing.iter().count(), 3);
    for refused in ["GET /users/{x}", "GET /users/x/{y}"] {
        let clash = routes(&["GET /z", refused]).unwrap_err();
        assert_eq!(clash.later, 4, "{clash:?}");
    }
    // what is refused twice over is refused
    assert!(routes(&["GET /z/{x}/y/w", "GET /z/y/{x}/w"]).is_ok());
}

#[test]
fn a_route_is_refused_in_exact_words() {
    for (text, expected) in [
        ("/invoices", "`/invoices`: expected a method and a path, such as `GET /invoices/{invoice}`"),
        ("get /invoices", "`get` cannot be mapped"),
        ("TRACE /invoices", "`TRACE` cannot be mapped"),
        ("GET invoices", "`invoices`: a path starts with `/`, does not end in `/`, and has at most 64 segments"),
        ("GET /a/", "`/a/`: a path starts with `/`, does not end in `/`, and has at most 64 segments"),
        ("GET /a//b", "``: a segment is literal text of unreserved characters, or one `{name}`"),
        ("GET /a/../b", "`..`: a segment is literal text of unreserved characters, or one `{name}`"),
        ("GET /a%20b", "`a%20b`: a segment is literal text of unreserved characters, or one `{name}`"),
        ("GET /a{b}", "`a{b}`: a segment is literal text of unreserved characters, or one `{name}`"),
        ("GET /{a}/{a}", "`{a}` stands in the path twice"),
    ] {
        assert_eq!(Route::new(text, Asks::Public).unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_path_that_two_readers_could_take_apart_differently_is_ambiguous() {
    use AmbiguousPath::{BadTriplet, DotSegment, DoubleSlash, EncodedDelimiter, NotAbsolute, NotUtf8, RawByte};
    for (path, expected) in [
        ("/invoices/1", Ok(())),
        ("/invoices/a%20b", Ok(())),
        ("/invoices/%c3%a9", Ok(())),
        ("/invoices/1;v=2", Ok(())),
        ("invoices", Err(NotAbsolute)),
        ("*", Err(NotAbsolute)),
        ("//invoices/1", Err(DoubleSlash)),
        ("/invoices//1", Err(DoubleSlash)),
        ("/invoices/./1", Err(DotSegment)),
        ("/invoices/../1", Err(DotSegment)),
        ("/invoices/..", Err(DotSegment)),
        ("/invoices/..;/1", Err(DotSegment)),
        ("/invoices/%2e%2e/1", Err(EncodedDelimiter)),
        ("/invoices/.%2E/1", Err(EncodedDelimiter)),
        ("/invoices/1%2f2", Err(EncodedDelimiter)),
        ("/invoices/1%5C2", Err(EncodedDelimiter)),
        ("/invoices/1%00", Err(EncodedDelimiter)),
        ("/invoices/1%0d%0a", Err(EncodedDelimiter)),
        ("/invoices/1%252f2", Err(EncodedDelimiter)),
        ("/invoices/1\\2", Err(RawByte)),
        ("/invoices/é", Err(RawByte)),
        ("/invoices/1 2", Err(RawByte)),
        ("/invoices/1#2", Err(RawByte)),
        ("/invoices/1\u{7f}", Err(RawByte)),
        ("/invoices/%", Err(BadTriplet)),
        ("/invoices/%1", Err(BadTriplet)),
        ("/invoices/%zz", Err(BadTriplet)),
        ("/invoices/%+1", Err(BadTriplet)),
        ("/invoices/%c0%af", Err(NotUtf8)),
        ("/invoices/%ff", Err(NotUtf8)),
    ] {
        assert_eq!(check_path(path), expected, "{path}");
    }
}

#[test]
fn an_encoded_percent_sign_is_never_decoded_twice() {
    let routes = routes(&["GET /invoices/{invoice}"]).unwrap();
    assert_eq!(check_path("/invoices/%2541"), Err(AmbiguousPath::EncodedDelimiter));
    assert_eq!(found(&routes, "GET", "/invoices/%41"), "GET /invoices/{invoice} invoice=A");
}

#[test]
fn no_bytes_make_the_path_reader_panic_or_match_what_it_refuses() {
    let routes = routes(&["GET /invoices/{invoice}", "GET /export"]).unwrap();
    for seed in ["/invoices/1", "/export", "/invoices/%41%c3%a9;v=1", "/../%2e//\\"] {
        testkit::mutate(seed.as_bytes(), 2_000, |bytes| {
            let Ok(path) = std::str::from_utf8(bytes) else { return };
            if check_path(path).is_ok()
                && let Match::Route { route, .. } = routes.find("GET", path)
                && route.text() == "GET /export"
            {
                assert_eq!(path, "/export");
            }
        });
    }
}
