//! SPIFFE_Federation.md: how bundles travel between trust domains.

use super::CLIENT;
use crate::line::Check::{By, Outside};
use crate::line::{Document, Line};
use crate::seen::{NoDocument, Published, Seen};
use crate::verdict::{Against, Judged, broken, demand, unseen};

/// Why nothing of `https_spiffe` is judged.
const SPIFFE_PROFILE: &str = "the kit fetches by profile https_web alone";

const fn line(number: u16, section: &'static str, expected: &'static str, check: crate::line::Check) -> Line {
    Line::stable(number, Document::Federation, section, expected, check)
}

pub(super) const LINES: &[Line] = &[
    line(60, "§4.1", "a key is published before it signs anything", Outside("it shows in a rotation alone")),
    line(
        61,
        "§4.2",
        "bundles of different trust domains are never merged",
        Outside("of what is handed out, line 57 tells"),
    ),
    line(62, "§5", "a client has both profiles", Outside(CLIENT)),
    line(63, "§5.1", "URL, profile and trust domain are configured, and none is guessed", Outside(CLIENT)),
    line(64, "§5.2", "the URL is of `https`, and has no user", By(url)),
    line(65, "§5.2.1.2", "`https_web` needs no further parameter", Outside(CLIENT)),
    line(66, "§5.2.1.3", "the endpoint does not ask who is there", By(no_credentials)),
    line(67, "§5.2.1.3", "GET gives the current bundle, in UTF-8", By(document)),
    line(68, "§5.2.1.4", "`https_web`: the certificate is the host's", Outside(CLIENT)),
    line(69, "§5.2.2.3", "`https_spiffe`: the server has an X.509-SVID", Outside(SPIFFE_PROFILE)),
    line(70, "§5.2.2.2", "`https_spiffe`: the client knows the endpoint's SPIFFE ID and bundle", Outside(CLIENT)),
    line(71, "§5.2.2.4", "`https_spiffe`: the server is the one with that SPIFFE ID", Outside(CLIENT)),
    line(72, "§5.2", "a redirect is followed under the same rules, and the configured URL kept", Outside(CLIENT)),
    line(73, "§6.2", "after a failure the last good bundle is kept, until the relationship ends", Outside(CLIENT)),
];

fn published(seen: &Seen) -> Result<&Published, Against> {
    seen.published.as_ref().ok_or_else(|| Against::Unseen("not asked for: it needs --bundle".to_owned()))
}

fn url(seen: &Seen) -> Judged {
    let url = published(seen)?.url.as_str();
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return broken(format!("`{authority}` names a user"));
    }
    match scheme {
        "https" => Ok(url.to_owned()),
        "http" => unseen("plain HTTP on loopback, for trying things out"),
        other => broken(format!("scheme `{other}`")),
    }
}

fn no_credentials(seen: &Seen) -> Judged {
    match &published(seen)?.document {
        Ok(_) => Ok("it was fetched without any".to_owned()),
        Err(unpublished) if unpublished.cause == NoDocument::WantsCredentials => broken(unpublished.why.clone()),
        Err(unpublished) => unseen(unpublished.why.clone()),
    }
}

fn document(seen: &Seen) -> Judged {
    let bytes = match &published(seen)?.document {
        Ok(bytes) => bytes,
        Err(unpublished) if unpublished.cause == NoDocument::Failed => return broken(unpublished.why.clone()),
        Err(unpublished) => return unseen(unpublished.why.clone()),
    };
    let utf8 = std::str::from_utf8(bytes).is_ok();
    demand(utf8, || "it is not UTF-8".to_owned()).or_else(broken)?;
    match serde_json::from_slice::<serde_json::Value>(bytes) {
        Ok(_) => Ok(format!("{} bytes of JSON", bytes.len())),
        Err(error) => broken(format!("no JSON: {error}")),
    }
}
