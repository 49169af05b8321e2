//! How a token is presented: one `Authorization`, the scheme in any case, exactly one space.

use super::{estate, presenting};
use crate::harness::{Dev, Mint, Upstream, ci_claims};

#[test]
fn a_bearer_token_has_one_place_and_one_spelling() {
    let upstream = Upstream::start();
    let dev = Dev::serving(&estate(&upstream.url));
    let token = Mint::shared().ci(&ci_claims());
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        presenting(&dev, &[&format!("Authorization: {scheme} {token}")]).is(200);
    }
    presenting(&dev, &[&format!("authorization:Bearer {token}  ")]).is(200);
    let before = upstream.reached().len();
    let table = [
        ("another scheme", vec![format!("Authorization: Basic {token}")], 401, "credential_missing"),
        ("DPoP", vec![format!("Authorization: DPoP {token}")], 401, "credential_missing"),
        ("no scheme", vec![format!("Authorization: {token}")], 401, "credential_missing"),
        ("empty", vec!["Authorization:".to_owned()], 401, "credential_missing"),
        ("a tab for the space", vec![format!("Authorization: Bearer\t{token}")], 401, "credential_missing"),
        ("another header", vec![format!("X-Authorization: Bearer {token}")], 401, "credential_missing"),
        ("a proxy's", vec![format!("Proxy-Authorization: Bearer {token}")], 401, "credential_missing"),
        ("a twin", vec![format!("Author_ization: Bearer {token}")], 401, "credential_missing"),
        ("a cookie", vec![format!("Cookie: Authorization=Bearer {token}")], 401, "credential_missing"),
        ("the scheme alone", vec!["Authorization: Bearer".to_owned()], 401, "credential_malformed"),
        ("two spaces", vec![format!("Authorization: Bearer  {token}")], 401, "credential_malformed"),
        ("a second word", vec![format!("Authorization: Bearer {token} x")], 401, "credential_malformed"),
        ("in quotes", vec![format!("Authorization: Bearer \"{token}\"")], 401, "credential_malformed"),
        ("two in one", vec![format!("Authorization: Bearer {token}, Bearer {token}")], 401, "credential_malformed"),
        ("two headers", vec![format!("Authorization: Bearer {token}"); 2], 400, "request_ambiguous"),
        (
            "two schemes",
            vec![format!("Authorization: Bearer {token}"), "authorization: Basic eDp5".to_owned()],
            400,
            "request_ambiguous",
        ),
    ];
    let mut answers = Vec::new();
    for (name, lines, status, _) in &table {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let answer = presenting(&dev, &lines);
        assert_eq!(answer.status, *status, "{name}");
        answers.push(answer.record().to_owned());
    }
    // in the query it is no credential, and it goes where the query goes
    answers.push(dev.call("GET", &format!("/invoices/1?access_token={token}"), None).is(401).record().to_owned());
    let judgements = dev.judgements();
    for ((name, .., code), id) in table.iter().zip(&answers) {
        assert_eq!(judgements[id]["verdicts"][0]["code"], *code, "{name}");
    }
    assert_eq!(judgements[&answers[table.len()]]["verdicts"][0]["code"], "credential_missing");
    assert_eq!(upstream.reached().len(), before, "something went upstream");
}
