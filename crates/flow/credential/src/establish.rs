//! What a credential that held says: the finding, from claims that were checked before.

use std::collections::BTreeSet;

use model::{Binding, Digest, Fact, SourceName, Time};

use crate::claims::Registered;
use crate::json::Object;
use crate::jwk::Key;
use crate::verify::LEEWAY;
use crate::{CredentialKind, Finding, PeerCredentials, Source, digest_of};

/// Longest `jti` that names a credential, and longest claim for display, in bytes.
const MAX_TEXT: usize = 256;
/// Starts the id of a credential that does not name itself.
const BY_DIGEST: &str = "sha256:";

/// What the checks brought to light beside the claims.
pub(crate) struct Established<'a> {
    pub(crate) identity: Vec<String>,
    pub(crate) expires: Time,
    pub(crate) digest: Digest,
    /// The key that verified it.
    pub(crate) key: &'a Key,
}

/// What the kernel says of a local peer. It holds as long as the connection: whoever uses it looks at nothing older.
pub(crate) fn of_peer(peer: PeerCredentials) -> Finding {
    let pid = peer.pid.map(|pid| format!(",pid:{pid}")).unwrap_or_default();
    let text = format!("uid:{},gid:{}{pid}", peer.uid, peer.gid);
    Finding {
        source: local(),
        kind: CredentialKind::Kernel,
        binding: Binding::Kernel,
        key: vec![peer.uid.to_string()],
        display: Vec::new(),
        facts: BTreeSet::new(),
        credential_id: format!("uid:{}", peer.uid),
        digest: digest_of(text.as_bytes()),
        issued: None,
        expires: None,
        until: Time::MAX,
        key_id: None,
        key_thumbprint: None,
    }
}

pub(crate) fn of_token(
    source: &Source,
    claims: &Object,
    registered: &Registered<'_>,
    established: Established<'_>,
) -> Finding {
    let Established { identity, expires, digest, key } = established;
    let dies = expires.plus(LEEWAY);
    Finding {
        source: source.name.clone(),
        kind: CredentialKind::Jwt,
        binding: Binding::Bearer,
        key: identity,
        display: display(source, claims),
        facts: facts(source, claims),
        credential_id: credential_id(registered.id, digest),
        digest,
        issued: registered.issued,
        expires: Some(expires),
        until: registered.issued.map_or(dies, |issued| dies.min(issued.plus(source.max_age).plus(LEEWAY))),
        key_id: key.kid().map(str::to_owned),
        key_thumbprint: Some(key.thumbprint()),
    }
}

/// Strings only; one that is too long is left out, because a cut name is another name.
fn display(source: &Source, claims: &Object) -> Vec<(String, String)> {
    let shown = |path: &crate::ClaimPath| {
        let text = path.find_text(claims).filter(|text| text.len() <= MAX_TEXT)?;
        Some((path.to_string(), text.to_owned()))
    };
    source.display.iter().filter_map(shown).collect()
}

/// A rule without conditions establishes nothing, and no rule a fact that is Countersign's own to find.
fn facts(source: &Source, claims: &Object) -> BTreeSet<Fact> {
    let rules = source.evidence.iter().filter(|rule| !rule.conditions.is_empty() && !rule.fact.is_built_in());
    let established = rules.filter(|rule| {
        rule.conditions
            .iter()
            .all(|(path, values)| path.find_text(claims).is_some_and(|text| values.iter().any(|value| value == text)))
    });
    established.map(|rule| rule.fact.clone()).collect()
}

pub(crate) fn credential_id(jti: Option<&str>, digest: Digest) -> String {
    let names = |id: &&str| {
        !id.is_empty() && id.len() <= MAX_TEXT && !id.starts_with(BY_DIGEST) && !id.chars().any(char::is_control)
    };
    jti.filter(names).map_or_else(|| format!("{BY_DIGEST}{digest}"), str::to_owned)
}

#[expect(clippy::expect_used, reason = "`local` is lower-case letters only, which every source's name may be")]
fn local() -> SourceName {
    "local".parse().expect("`local` is a name")
}
