//! How key sets are kept: the rules with instants that are given, and the task against issuers on loopback.

mod keeping;
mod rules;

use std::sync::Arc;
use std::time::Duration;

use credential::KeySet;
use net::{Plain, Reach, Remote, Roots};

use crate::estate::RemoteKeys;

const POINT: &str =
    r#""x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;

/// A key set of one key.
fn document(kid: &str) -> String {
    format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","kid":"{kid}",{POINT}}}]}}"#)
}

fn set(kid: &str) -> Arc<KeySet> {
    Arc::new(KeySet::parse(document(kid).as_bytes()).unwrap())
}

/// Keys of the source `ci` at `url`.
fn remote(url: &str, refresh: Duration, max_stale: Duration) -> RemoteKeys {
    let remote = Remote::new(url, Reach::Loopback, Plain::OnLoopback, Roots::Platform).unwrap();
    RemoteKeys { source: "ci".parse().unwrap(), remote, refresh, max_stale }
}
