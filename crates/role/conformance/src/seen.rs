//! Everything that was seen of a server: what every line is judged by, without asking again.

use std::collections::{BTreeMap, BTreeSet};

use model::Time;
use serde_json::Value;
use tonic::Code;
use wire::workload::{
    JwtBundlesResponse, JwtsvidResponse, ValidateJwtsvidResponse, WitBundlesResponse, WitsvidResponse,
    X509BundlesResponse, X509svidResponse,
};

use crate::read::certificate::Certificate;
use crate::read::jwk::Jwk;
use crate::read::token::Token;
use crate::verdict::{Against, broken, shown, unseen};

/// What was seen.
pub(crate) struct Seen {
    pub(crate) at: Time,
    pub(crate) audiences: [String; 2],
    pub(crate) x509: Watched<X509svidResponse>,
    pub(crate) x509_bundles: Watched<X509BundlesResponse>,
    pub(crate) jwt_bundles: Watched<JwtBundlesResponse>,
    /// For both audiences, and whatever SPIFFE ID.
    pub(crate) jwt: Answer<JwtsvidResponse>,
    /// For the first SPIFFE ID alone.
    pub(crate) jwt_named: Answer<JwtsvidResponse>,
    /// For one that no workload has.
    pub(crate) jwt_foreign: Answer<JwtsvidResponse>,
    /// For the first SPIFFE ID with letters of its path in the other case.
    pub(crate) jwt_recased: Answer<JwtsvidResponse>,
    pub(crate) validated: Answer<ValidateJwtsvidResponse>,
    pub(crate) attacks: Vec<(Attack, Answer<ValidateJwtsvidResponse>)>,
    pub(crate) headers: Vec<HeaderTry>,
    pub(crate) unknown_rpc: Answer<()>,
    /// Requests whose mandatory field is at its default, by what is missing.
    pub(crate) defaults: Vec<(&'static str, Answer<()>)>,
    pub(crate) wit: Wit,
    pub(crate) published: Option<Published>,
    /// Read from the answers above.
    pub(crate) svids: Vec<Svid>,
    pub(crate) tokens: Vec<JwtSvid>,
    /// Those of the own trust domain in FetchJWTBundles.
    pub(crate) jwt_keys: Vec<Jwk>,
}

/// How a request was answered.
#[derive(Debug, Clone)]
pub(crate) enum Answer<T> {
    Said(T),
    Refused { code: Code, message: String },
    Late,
    NotAsked(&'static str),
}

/// One stream's messages until it fell silent, and those of a second stream.
pub(crate) struct Watched<T> {
    pub(crate) first: Answer<Vec<T>>,
    pub(crate) again: Answer<Vec<T>>,
}

/// An X.509-SVID as it was handed out.
pub(crate) struct Svid {
    pub(crate) spiffe_id: String,
    pub(crate) chain: Result<Vec<Certificate>, String>,
    pub(crate) key: Vec<u8>,
    pub(crate) bundle: Result<Vec<Certificate>, String>,
}

/// A JWT-SVID as it was handed out.
pub(crate) struct JwtSvid {
    pub(crate) spiffe_id: String,
    pub(crate) token: Result<Token, String>,
}

/// A token that has to be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attack {
    /// A good one, for somebody else.
    OtherAudience,
    /// A good one, in JSON serialization.
    Flattened,
    General,
    Unsigned,
    /// By HMAC, with a public key as the secret.
    Hmac,
    EdDsa,
    /// By an own key, which its header brings along.
    EmbeddedKey,
    /// By the X.509-SVID's key.
    OtherUse,
    WithoutExpiry,
    WithoutAudience,
    Expired,
    OtherSubject,
    /// By an own key, of a trust domain that nobody knows.
    OtherDomain,
}

/// One request with a wrong security header.
pub(crate) struct HeaderTry {
    pub(crate) rpc: &'static str,
    pub(crate) header: &'static str,
    pub(crate) answer: Answer<()>,
}

/// What was said of WIT-SVIDs.
pub(crate) struct Wit {
    pub(crate) svids: Answer<Vec<WitsvidResponse>>,
    pub(crate) bundles: Answer<Vec<WitBundlesResponse>>,
}

/// What a bundle endpoint published.
pub(crate) struct Published {
    pub(crate) url: String,
    pub(crate) document: Result<Vec<u8>, Unpublished>,
}

/// Why it did not.
pub(crate) struct Unpublished {
    pub(crate) why: String,
    pub(crate) cause: NoDocument,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoDocument {
    /// The URL is none that may be fetched.
    Url,
    /// The endpoint asks who is there.
    WantsCredentials,
    Failed,
}

impl<T> Answer<T> {
    /// What was said, for lines that are not about whether something is said.
    pub(crate) fn said(&self, rpc: &str) -> Result<&T, Against> {
        match self {
            Self::Said(said) => Ok(said),
            Self::Refused { .. } | Self::Late | Self::NotAsked(_) => unseen(format!("{rpc}: {}", self.described())),
        }
    }

    /// The request is refused, in whichever words.
    pub(crate) fn refused(&self) -> Result<String, Against> {
        match self {
            Self::Refused { code: Code::Unimplemented, .. } => unseen("it is not implemented"),
            Self::Refused { code, .. } => Ok(format!("{code:?}")),
            Self::Said(_) => broken("accepted"),
            Self::Late => broken("no answer in time"),
            Self::NotAsked(why) => unseen(*why),
        }
    }

    /// The request is refused with exactly this code.
    pub(crate) fn refused_with(&self, expected: Code) -> Result<String, Against> {
        match self {
            Self::Refused { code, .. } if *code == expected => Ok(format!("{code:?}")),
            Self::NotAsked(why) => unseen(*why),
            Self::Said(_) | Self::Refused { .. } | Self::Late => broken(self.described()),
        }
    }

    pub(crate) fn is_refused_with(&self, expected: Code) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == expected)
    }

    /// Why nothing was said, where it should have been.
    fn why_not(&self) -> Option<String> {
        let excused = matches!(self, Self::Said(_)) || self.is_refused_with(Code::Unimplemented);
        (!excused).then(|| self.described())
    }

    pub(crate) fn described(&self) -> String {
        match self {
            Self::Said(_) => "accepted".to_owned(),
            Self::Refused { code, message } => format!("{code:?}: {}", shown(message)),
            Self::Late => "no answer in time".to_owned(),
            Self::NotAsked(why) => (*why).to_owned(),
        }
    }

    pub(crate) fn map<U>(self, map: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Self::Said(said) => Answer::Said(map(said)),
            Self::Refused { code, message } => Answer::Refused { code, message },
            Self::Late => Answer::Late,
            Self::NotAsked(why) => Answer::NotAsked(why),
        }
    }
}

impl Svid {
    /// The leaf, and what stands above it. A chain in the wrong order has its leaf all the same: the order is one line.
    pub(crate) fn leaf(&self) -> Option<(&Certificate, Vec<&Certificate>)> {
        let chain = self.chain.as_ref().ok()?;
        let at = chain.iter().position(|it| !it.is_authority).unwrap_or(0);
        let leaf = chain.get(at)?;
        Some((leaf, chain.iter().enumerate().filter(|(place, _)| *place != at).map(|(_, it)| it).collect()))
    }
}

impl Seen {
    /// Whether the caller has an identity at all.
    pub(crate) fn is_entitled(&self) -> bool {
        !self.x509.first.is_refused_with(Code::PermissionDenied)
    }

    /// RPCs that should have answered, and what they said. That one is missing is a line of its own.
    pub(crate) fn unanswered(&self) -> Vec<String> {
        let answers = [
            ("FetchX509SVID", self.x509.first.why_not()),
            ("FetchX509Bundles", self.x509_bundles.first.why_not()),
            ("FetchJWTSVID", self.jwt.why_not()),
            ("FetchJWTBundles", self.jwt_bundles.first.why_not()),
        ];
        answers.into_iter().filter_map(|(rpc, why)| Some(format!("{rpc}: {}", why?))).collect()
    }

    /// The caller's first SPIFFE ID.
    pub(crate) fn identity(&self) -> Option<&str> {
        let x509 = self.svids.first().map(|svid| svid.spiffe_id.as_str());
        x509.or_else(|| self.tokens.first().map(|svid| svid.spiffe_id.as_str()))
    }

    /// The X.509-SVIDs that were read.
    pub(crate) fn x509_svids(&self) -> Result<&[Svid], Against> {
        self.x509.first.said("FetchX509SVID")?;
        Ok(&self.svids)
    }

    /// Leaves, by their SPIFFE ID.
    pub(crate) fn leaves(&self) -> Result<Vec<(String, &Certificate)>, Against> {
        let svids = self.x509_svids()?.iter();
        Ok(svids.filter_map(|svid| Some((svid.spiffe_id.clone(), svid.leaf()?.0))).collect())
    }

    /// What signs: the own bundle, and what stands between it and leaves.
    pub(crate) fn authorities(&self) -> Result<Vec<(String, &Certificate)>, Against> {
        let mut found = Vec::new();
        for svid in self.x509_svids()? {
            let above = svid.leaf().map(|(_, above)| above).unwrap_or_default();
            let all = above.into_iter().chain(svid.bundle.iter().flatten());
            found.extend(all.map(|it| (format!("an authority of {}", svid.spiffe_id), it)));
        }
        Ok(found)
    }

    /// JWT-SVIDs that are tokens, each beside the SPIFFE ID that it is said to have.
    pub(crate) fn jwts(&self) -> Result<Vec<(&str, &Token)>, Against> {
        self.jwt.said("FetchJWTSVID")?;
        Ok(self.tokens.iter().filter_map(|svid| Some((svid.spiffe_id.as_str(), svid.token.as_ref().ok()?))).collect())
    }

    /// Every SPIFFE ID that was seen, and where.
    pub(crate) fn ids(&self) -> BTreeMap<String, BTreeSet<&'static str>> {
        let mut ids: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
        let mut saw = |id: &str, place| {
            if !id.is_empty() {
                ids.entry(id.to_owned()).or_default().insert(place);
            }
        };
        for svid in &self.svids {
            saw(&svid.spiffe_id, "FetchX509SVID");
            // several names are another line's
            if let Some(uri) = svid.leaf().and_then(|(leaf, _)| leaf.only_uri()) {
                saw(uri, "a certificate");
            }
        }
        for svid in &self.tokens {
            saw(&svid.spiffe_id, "FetchJWTSVID");
        }
        for key in self.bundle_names().iter().filter(|name| name.contains("://")) {
            saw(key, "a bundle's name");
        }
        ids
    }

    fn bundle_names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        if let Answer::Said(messages) = &self.x509.first {
            names.extend(messages.iter().flat_map(|message| message.federated_bundles.keys().cloned()));
        }
        if let Answer::Said(messages) = &self.x509_bundles.first {
            names.extend(messages.iter().flat_map(|message| message.bundles.keys().cloned()));
        }
        if let Answer::Said(messages) = &self.jwt_bundles.first {
            names.extend(messages.iter().flat_map(|message| message.bundles.keys().cloned()));
        }
        names
    }

    /// Whether one attack was refused; several of one kind are all looked at.
    pub(crate) fn repelled(&self, attacks: &[(Attack, &str)]) -> Result<String, Against> {
        let (mut refused, mut accepted) = (Vec::new(), Vec::new());
        for (attack, called) in attacks {
            for (_, answer) in self.attacks.iter().filter(|(made, _)| made == attack) {
                match answer.refused() {
                    Ok(_) if refused.contains(called) => {}
                    Ok(_) => refused.push(*called),
                    Err(Against::Broken(how)) => accepted.push(format!("{called}: {how}")),
                    Err(Against::Unseen(_)) => {}
                }
            }
        }
        match (refused.is_empty(), accepted.is_empty()) {
            (_, false) => broken(accepted.join("; ")),
            (true, true) => unseen("no token to attack with was to be had, or none is validated"),
            (false, true) => Ok(format!("refused: {}", refused.join(", "))),
        }
    }

    /// The bundle endpoint's document.
    pub(crate) fn published(&self) -> Result<Value, Against> {
        let Some(published) = &self.published else { return unseen("not asked for: it needs --bundle") };
        match &published.document {
            Ok(bytes) => serde_json::from_slice(bytes).or_else(|_| unseen("the document is no JSON")),
            Err(unpublished) => unseen(format!("there is no document: {}", unpublished.why)),
        }
    }
}
