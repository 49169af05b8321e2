//! Held against the examples that Amazon publishes; the scenarios hold it against boto3.

use super::{Canonical, Scope, SecretKey, sign};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TIME: &str = "20150830T123600Z";

#[test]
fn the_published_examples_have_the_published_signatures() {
    let list_users = Canonical {
        method: "GET",
        path: "/",
        query: "Action=ListUsers&Version=2010-05-08",
        headers: &[
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("host", "iam.amazonaws.com"),
            ("x-amz-date", TIME),
        ],
        body: b"",
    };
    let scope = Scope { time: TIME, region: "us-east-1", service: "iam" };
    let secret = SecretKey::new(SECRET.to_owned());
    assert_eq!(list_users.signed_headers(), "content-type;host;x-amz-date");
    assert_eq!(sign(&secret, scope, &list_users), "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
    let vanilla = Canonical {
        method: "GET",
        path: "/",
        query: "",
        headers: &[("host", "example.amazonaws.com"), ("x-amz-date", TIME)],
        body: b"",
    };
    let scope = Scope { service: "service", ..scope };
    assert_eq!(sign(&secret, scope, &vanilla), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    // and every part of it counts
    let parts = [
        sign(&secret, scope, &Canonical { method: "POST", ..vanilla.clone() }),
        sign(&secret, scope, &Canonical { path: "/a", ..vanilla.clone() }),
        sign(&secret, scope, &Canonical { query: "a=b", ..vanilla.clone() }),
        sign(&secret, scope, &Canonical { body: b"a", ..vanilla.clone() }),
        sign(&secret, scope, &Canonical { headers: &[("host", "evil.test"), ("x-amz-date", TIME)], ..vanilla.clone() }),
        sign(&secret, Scope { region: "eu-central-2", ..scope }, &vanilla),
        sign(&secret, Scope { time: "20150831T123600Z", ..scope }, &vanilla),
        sign(&SecretKey::new("other".to_owned()), scope, &vanilla),
    ];
    assert!(parts.iter().all(|other| *other != sign(&secret, scope, &vanilla)));
}
