//! The sample callers: whom a newcomer can be, to see what each may do.

use std::path::Path;

use model::Time;
use serde_json::{Value, json};

use super::issuers::Issuer;
use crate::fakes::BadKey;

/// Whom the sample tokens are for.
const AUDIENCE: &str = "https://billing.acme.test";
/// How long a sample token lasts, in seconds.
const LIFETIME: i64 = 300;

/// A sample caller with a token of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// A release job on a protected branch.
    CiMain,
    /// The same repository, a pull request from a fork.
    CiFork,
    /// The same names, another repository.
    CiLookalike,
    /// An agent that reminds late payers.
    Dunning,
    /// A person.
    Alice,
}

impl Caller {
    pub const ALL: [Self; 5] = [Self::CiMain, Self::CiFork, Self::CiLookalike, Self::Dunning, Self::Alice];

    pub const fn name(self) -> &'static str {
        match self {
            Self::CiMain => "ci-main",
            Self::CiFork => "ci-fork",
            Self::CiLookalike => "ci-lookalike",
            Self::Dunning => "dunning",
            Self::Alice => "alice",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|caller| caller.name() == name)
    }

    const fn issuer(self) -> Issuer {
        match self {
            Self::CiMain | Self::CiFork | Self::CiLookalike => Issuer::Github,
            Self::Dunning => Issuer::Platform,
            Self::Alice => Issuer::People,
        }
    }

    fn claims(self, issuer_url: &str, at: Time, id: &str) -> Value {
        let now = at.as_micros() / 1_000_000;
        let expires = now + LIFETIME;
        match self {
            Self::CiMain => {
                let run = ["refs/heads/main", "true", "push"];
                job(issuer_url, now, id, ["9001", "4711"], run)
            }
            Self::CiFork => {
                let run = ["refs/pull/7/merge", "false", "pull_request"];
                job(issuer_url, now, id, ["9001", "4711"], run)
            }
            Self::CiLookalike => {
                let run = ["refs/heads/main", "true", "push"];
                job(issuer_url, now, id, ["6660", "6661"], run)
            }
            Self::Dunning => {
                json!({"iss": "workload-identity-issuer", "sub": "dunning-agent", "aud": AUDIENCE, "exp": expires})
            }
            Self::Alice => json!({
                "iss": format!("{issuer_url}/people"), "sub": "alice", "aud": AUDIENCE, "iat": now, "exp": expires, "jti": id,
            }),
        }
    }
}

/// A fresh token of a sample caller, signed with the sample issuer's key under `keys`.
///
/// # Errors
/// [`BadKey`].
pub fn token(caller: Caller, keys: &Path, issuer_url: &str, at: Time, id: &str) -> Result<String, BadKey> {
    Ok(caller.issuer().key(keys)?.token(&caller.claims(issuer_url, at, id))?)
}

/// Claims as a CI system sets them: names for people, ids for machines, and how the job came to run.
fn job(issuer_url: &str, now: i64, id: &str, [owner_id, repository_id]: [&str; 2], run: [&str; 3]) -> Value {
    let [git_ref, protected, event] = run;
    json!({
        "iss": format!("{issuer_url}/github"),
        "sub": format!("repo:acme/billing:ref:{git_ref}"),
        "aud": AUDIENCE,
        "iat": now,
        "nbf": now,
        "exp": now + LIFETIME,
        "jti": id,
        "repository": "acme/billing",
        "repository_owner": "acme",
        "repository_id": repository_id,
        "repository_owner_id": owner_id,
        "ref": git_ref,
        "ref_protected": protected,
        "event_name": event,
        "run_id": "1001",
        "actor": "octo",
    })
}
