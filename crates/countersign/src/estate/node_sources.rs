//! `TrustSource`s that vouch for nodes: one field of the document a method.

use std::time::Duration;

use credential::{
    Algorithm, CredentialCache, ExtraAudiences, NodeAuthorities, NodeMethod, NodeTrust, Picked, Review, ReviewedKeys,
    Source, TokenRules, TpmTrust,
};
use model::{Digest, PrincipalKind, SourceName};
use net::causes::chain;
use yaml::{Fields, Node, Reader};

use super::document::Document;
use super::key_sets::{self, Jwks, named};
use super::sources;
use crate::issuing::certificates_in;

/// The fields, and the method that each is of.
pub(super) const FIELDS: [(&str, NodeMethod); 8] = [
    ("x509pop", NodeMethod::X509Pop),
    ("kubernetes", NodeMethod::K8sPsat),
    ("google", NodeMethod::GcpIit),
    ("azure", NodeMethod::AzureMsi),
    ("tpm", NodeMethod::Tpm),
    ("awsInstance", NodeMethod::AwsIid),
    ("awsCaller", NodeMethod::AwsSts),
    ("awsToken", NodeMethod::AwsJwt),
];

/// The issuer of identity tokens of Google: that of humans too.
const GOOGLE: &str = "https://accounts.google.com";
/// Longest life of a node's token: a cluster's are projected for an hour and may be for a day.
const TOKEN_AGE: Duration = Duration::from_secs(24 * 3600);
/// With what platforms sign.
const ALGORITHMS: &[Algorithm] = &[Algorithm::Rs256, Algorithm::Es256, Algorithm::Es384];

/// What a document declares of them.
pub(super) struct Declared<'n>(Vec<(NodeMethod, &'n Node)>);

/// Which of them.
pub(super) enum Only<'n> {
    None,
    One(NodeMethod, &'n Node),
    Several,
}

impl<'n> Declared<'n> {
    pub(super) fn read(fields: &mut Fields<'n>) -> Self {
        Self(FIELDS.into_iter().filter_map(|(name, method)| Some((method, fields.optional(name)?))).collect())
    }

    pub(super) fn only(&self) -> Only<'n> {
        match self.0.as_slice() {
            [] => Only::None,
            [(method, node)] => Only::One(*method, node),
            _ => Only::Several,
        }
    }
}

/// What a source of nodes is read against.
pub(super) struct Reading<'a> {
    pub document: &'a Document,
    pub of: &'a sources::Reading<'a>,
    pub name: SourceName,
}

/// What vouches for nodes, and whose tokens it does by.
pub(super) type Read = (NodeTrust, Option<(Source, Jwks)>);

impl Reading<'_> {
    pub(super) fn read(&self, reader: &mut Reader<'_>, method: NodeMethod, node: &Node) -> Option<Read> {
        match method {
            NodeMethod::X509Pop => Some((self.x509pop(reader, node)?, None)),
            NodeMethod::Tpm => Some((self.tpm(reader, node)?, None)),
            NodeMethod::K8sPsat => self.kubernetes(reader, node),
            NodeMethod::GcpIit => {
                let rules = |projects: Vec<String>, _: &str| (GOOGLE.to_owned(), TokenRules::google(projects));
                self.tokens(reader, node, ("google", "projects"), rules)
            }
            NodeMethod::AzureMsi => {
                let rules = |tenants: Vec<String>, first: &str| {
                    (format!("https://sts.windows.net/{first}/"), TokenRules::azure(tenants))
                };
                self.tokens(reader, node, ("azure", "tenants"), rules)
            }
            NodeMethod::AwsIid => Some((self.aws_instance(reader, node)?, None)),
            NodeMethod::AwsSts => Some((self.aws_caller(reader, node)?, None)),
            NodeMethod::AwsJwt => self.aws_token(reader, node),
        }
    }

    /// A cluster's tokens: by its keys, by what its API server says of each, or by both.
    fn kubernetes(&self, reader: &mut Reader<'_>, node: &Node) -> Option<Read> {
        let mut fields = reader.fields(node, "kubernetes")?;
        let audience = fields.required(reader, "audience").and_then(|node| reader.words(node));
        let accounts = fields.required(reader, "serviceAccounts");
        let accounts = accounts.and_then(|node| reader.some(node, |r, n| r.words(n)));
        let (reach, plain) = sources::reach(reader, &mut fields, self.of.development);
        let review = fields.optional("tokenReview").map(|node| node_labels(reader, node));
        let jwks = fields.optional("jwks");
        fields.close(reader);
        let keys = key_sets::Reading { document: self.document, bundle: self.of.bundle, reach, plain };
        let (jwks, keys) = match (jwks, &review) {
            (Some(node), _) => (keys.read(reader, node)?, ReviewedKeys::Checked),
            (None, Some(_)) => (Jwks::Nowhere, ReviewedKeys::None),
            (None, None) => {
                reader.problem(node.at, "kubernetes: expected `jwks`, `tokenReview` or both");
                return None;
            }
        };
        let rules = TokenRules::kubernetes(accounts?);
        let rules = match review {
            Some(node_labels) => rules.reviewed(Review { keys, node_labels: node_labels? }),
            None => rules,
        };
        let source = self.source(String::new(), audience?, &rules, &jwks);
        Some((NodeTrust::Token(rules), Some((source, jwks))))
    }

    /// A platform's tokens; `rules` gives the issuer that they must name, if that is known, and what is asked of them.
    fn tokens(
        &self,
        reader: &mut Reader<'_>,
        node: &Node,
        (what, listed): (&'static str, &'static str),
        rules: impl FnOnce(Vec<String>, &str) -> (String, TokenRules),
    ) -> Option<Read> {
        let fields = reader.fields(node, what)?;
        self.tokens_of(reader, fields, listed, |list, first| Some(rules(list, first)))
    }

    pub(super) fn tokens_of(
        &self,
        reader: &mut Reader<'_>,
        mut fields: Fields<'_>,
        listed: &'static str,
        rules: impl FnOnce(Vec<String>, &str) -> Option<(String, TokenRules)>,
    ) -> Option<Read> {
        let audience = fields.required(reader, "audience").and_then(|node| reader.words(node));
        let list = fields.required(reader, listed).and_then(|node| reader.some(node, |r, n| r.words(n)));
        let (reach, plain) = sources::reach(reader, &mut fields, self.of.development);
        let jwks = fields.required(reader, "jwks");
        fields.close(reader);
        let keys = key_sets::Reading { document: self.document, bundle: self.of.bundle, reach, plain };
        let jwks = keys.read(reader, jwks?)?;
        let list = list?;
        let first = list.first().cloned().unwrap_or_default();
        let (issuer, rules) = rules(list, &first)?;
        let source = self.source(issuer, audience?, &rules, &jwks);
        Some((NodeTrust::Token(rules), Some((source, jwks))))
    }

    fn source(&self, issuer: String, audience: String, rules: &TokenRules, jwks: &Jwks) -> Source {
        Source {
            name: self.name.clone(),
            picked: Picked::ByName,
            proves: vec![PrincipalKind::Workload],
            issuer,
            audiences: vec![audience],
            extra_audiences: ExtraAudiences::Refused,
            algorithms: ALGORITHMS.to_vec(),
            required_claims: ["iss", "sub", "aud", "exp", "iat"].map(str::to_owned).to_vec(),
            max_age: TOKEN_AGE,
            types: vec![Some("jwt".to_owned()), None],
            identity_key: rules.identity_key(),
            display: Vec::new(),
            evidence: Vec::new(),
            keys: jwks.keys(),
            cache: CredentialCache::Off,
        }
    }

    fn x509pop(&self, reader: &mut Reader<'_>, node: &Node) -> Option<NodeTrust> {
        let mut fields = reader.fields(node, "x509pop")?;
        let authorities = fields.required(reader, "authorities");
        fields.close(reader);
        let node = authorities?;
        let certificates = self.authorities(reader, node)?;
        match NodeAuthorities::new(self.of.domain.clone(), &certificates) {
            Ok(authorities) => Some(NodeTrust::X509Pop(authorities)),
            Err(bad) => {
                reader.problem(node.at, chain(&bad));
                None
            }
        }
    }

    /// TPMs that an authority vouches for, those that are listed, or those of the list that one vouches for.
    fn tpm(&self, reader: &mut Reader<'_>, node: &Node) -> Option<NodeTrust> {
        let mut fields = reader.fields(node, "tpm")?;
        let (authorities, keys) = (fields.optional("authorities"), fields.optional("keys"));
        fields.close(reader);
        if authorities.is_none() && keys.is_none() {
            reader.problem(node.at, "tpm: expected `authorities`, `keys` or both");
        }
        let at = authorities.map_or(node.at, |node| node.at);
        let certificates = authorities.map(|node| self.authorities(reader, node));
        let keys = keys.map(|node| reader.some(node, Reader::parse::<Digest>));
        let certificates = certificates.map_or(Some(None), |read| read.map(Some))?;
        let keys = keys.map_or(Some(None), |read| read.map(Some))?;
        match TpmTrust::new(certificates.as_deref(), keys.map(|keys| keys.into_iter().collect())) {
            Ok(trust) => Some(NodeTrust::Tpm(trust)),
            Err(bad) => {
                reader.problem(at, chain(&bad));
                None
            }
        }
    }

    fn authorities(&self, reader: &mut Reader<'_>, node: &Node) -> Option<Vec<Vec<u8>>> {
        self.certificates(reader, node, ("authorities", "not certificates of authorities in PEM"))
    }

    /// `{file: NAME}`: certificates in DER. What it is called, and what it is where it holds none.
    pub(super) fn certificates(
        &self,
        reader: &mut Reader<'_>,
        node: &Node,
        (name, bad): (&'static str, &'static str),
    ) -> Option<Vec<Vec<u8>>> {
        let mut fields = reader.fields(node, name)?;
        let file = fields.required(reader, "file");
        fields.close(reader);
        let found = certificates_in(named(self.document, self.of.bundle, reader, file?)?.as_bytes());
        if found.is_err() {
            reader.problem(node.at, bad);
        }
        found.ok()
    }
}

/// `{}`, or `{nodeLabels: [topology.kubernetes.io/zone]}`.
fn node_labels(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<String>> {
    let mut fields = reader.fields(node, "tokenReview")?;
    let labels = fields.optional("nodeLabels").map(|node| reader.some(node, |r, n| r.words(n)));
    fields.close(reader);
    labels.unwrap_or_else(|| Some(Vec::new()))
}
