//! An issuer whose answers are no key sets: what is known stays in force (A5, A7, A8, E40).

use std::time::Duration;

use serde_json::Value;

use super::{estate, key, token};
use crate::harness::{Dev, Issuer, Says, until_within};

fn http(head: &str, body: &str) -> Says {
    Says::Bytes(format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
}

#[test]
fn an_issuer_that_lies_changes_nothing() {
    let honest = vec![key("honest")];
    let issuer = Issuer::start(Says::Keys(honest.clone()));
    let elsewhere = Issuer::start(Says::Keys(vec![key("evil")]));
    let dev = Dev::serving(&estate(&issuer, ", refresh: 1s"));
    let token = token("far", "honest");
    dev.get("/invoices/1", &token).is(200);
    let mut private = key("honest");
    private["d"] = Value::from("AQAB");
    let redirect = format!("302 Found\r\nlocation: {}", elsewhere.url);
    for (lie, words) in [
        (Says::Keys(vec![private]), "has the private member `d`"),
        (http("200 OK\r\ncontent-type: text/html", "<html>sign in</html>"), "the key set is not JSON"),
        (Says::Endless, "the document is longer than 262144 bytes"),
        (http(&redirect, ""), "the answer was 302 Found, not 200"),
        (http("503 Service Unavailable", "later"), "the answer was 503 Service Unavailable, not 200"),
        (Says::Keys(Vec::new()), "none of the 0 keys"),
        (Says::Drip, "no whole answer within 5 s"),
    ] {
        issuer.says(lie);
        until_within(Duration::from_secs(30), || dev.log().contains(words).then_some(()))
            .unwrap_or_else(|| panic!("`{words}` is not in the log:\n{}", dev.log()));
        dev.get("/invoices/1", &token).is(200);
    }
    assert_eq!(elsewhere.asked(), 0, "a redirect is not followed");
    issuer.says(Says::Keys(vec![key("after")]));
    let after = super::token("far", "after");
    until_within(Duration::from_secs(30), || (dev.get("/invoices/1", &after).status == 200).then_some(()))
        .expect("the truth is heard again");
}
