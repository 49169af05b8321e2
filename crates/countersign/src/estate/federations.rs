//! Federations: trust domains whose bundles workloads may be given, where each is had, and how its server is known. Nothing of it
//! is inferred (SPIFFE_Federation.md §5, §7.2).

use std::collections::HashMap;
use std::time::Duration;

use credential::{SpiffeBundle, digest_of};
use model::{Digest, SpiffeId, TrustDomain};
use net::causes::chain;
use net::{Plain, Reach, Remote, Roots};
use yaml::{Node, Problem, Reader};

use super::bundle::Bundle;
use super::document::Document;
use super::key_sets::{named, roots};

const KIND: &str = "Federation";
/// The two profiles (§5.2).
pub(super) const WEB: &str = "https_web";
pub(super) const SPIFFE: &str = "https_spiffe";
/// Shortest and longest `refresh`.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Another trust domain, and how its bundle is had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Federation {
    pub name: String,
    pub domain: TrustDomain,
    pub remote: Remote,
    pub server: Server,
    /// How often it is asked for; as the bundle says where nothing is written.
    pub refresh: Option<Duration>,
    /// Of where it is had and from whom: what was had on other terms does not count.
    pub terms: Digest,
}

/// How the server of a bundle is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// By its name, under the roots of [`Federation::remote`].
    Web,
    /// By its SVID, under the newest bundle that is known of its trust domain; before there is one, under this.
    Spiffe { id: SpiffeId, bootstrap: Box<SpiffeBundle> },
}

/// Reads every federation of an environment whose own trust domain is `own`.
pub(super) fn read(
    documents: &[Document],
    bundle: &Bundle,
    own: &TrustDomain,
    problems: &mut Vec<Problem>,
) -> Vec<Federation> {
    let (mut federations, mut named) = (Vec::new(), HashMap::new());
    for document in documents.iter().filter(|document| document.kind == KIND) {
        let mut reader = Reader { file: &document.file, problems };
        let reading = Reading { document, bundle, own };
        let Some((federation, node)) = reading.federation(&mut reader) else { continue };
        if let Some(first) = named.insert(federation.domain.clone(), &document.name) {
            let message = format!("Federation `{first}` is with `{}` already", federation.domain);
            reader.problem(node.at, message);
        }
        federations.push(federation);
    }
    federations
}

/// What one document is read against.
struct Reading<'a> {
    document: &'a Document,
    bundle: &'a Bundle,
    own: &'a TrustDomain,
}

/// Where a bundle is had.
struct Endpoint {
    remote: Remote,
    profile: Profile,
    /// The text of the roots, where they are named.
    roots: String,
}

enum Profile {
    Web,
    Spiffe(SpiffeId),
}

impl<'a> Reading<'a> {
    fn federation(&self, reader: &mut Reader<'_>) -> Option<(Federation, &'a Node)> {
        let mut fields = reader.fields(&self.document.spec, KIND)?;
        let domain_node = fields.required(reader, "trustDomain");
        let endpoint = fields.required(reader, "endpoint");
        let bootstrap_node = fields.optional("bootstrap");
        let refresh = fields.optional("refresh").map_or(Some(None), |node| refresh(reader, node).map(Some));
        fields.close(reader);
        let domain = domain_node.and_then(|node| self.other_domain(reader, node));
        let endpoint = endpoint.and_then(|node| self.endpoint(reader, node, domain.as_ref()));
        let text = bootstrap_node.map_or(Some(None), |node| self.bootstrap(reader, node).map(Some));
        let (domain, endpoint, text) = (domain?, endpoint?, text?);
        let terms = terms(&domain, &endpoint, text.unwrap_or_default());
        let server = match (endpoint.profile, bootstrap_node, text) {
            (Profile::Web, None, _) => Server::Web,
            (Profile::Web, Some(node), _) => {
                reader.problem(
                    node.at,
                    format!("`bootstrap` is for `{SPIFFE}`: a server of `{WEB}` is known by its name"),
                );
                return None;
            }
            (Profile::Spiffe(id), Some(node), Some(text)) => {
                Server::Spiffe { id, bootstrap: Box::new(trusted(reader, node, &domain, text)?) }
            }
            (Profile::Spiffe(_), _, _) => {
                let message =
                    format!("`{SPIFFE}` needs a `bootstrap`: by it the server is known before its bundle is had");
                reader.problem(self.document.at, message);
                return None;
            }
        };
        let name = self.document.name.clone();
        let federation = Federation { name, domain, remote: endpoint.remote, server, refresh: refresh?, terms };
        Some((federation, domain_node?))
    }

    fn other_domain(&self, reader: &mut Reader<'_>, node: &Node) -> Option<TrustDomain> {
        let domain: TrustDomain = reader.parse(node)?;
        if domain == *self.own {
            reader.problem(node.at, format!("`{domain}` is this environment's own trust domain"));
            return None;
        }
        Some(domain)
    }

    fn endpoint(&self, reader: &mut Reader<'_>, node: &Node, domain: Option<&TrustDomain>) -> Option<Endpoint> {
        let mut fields = reader.fields(node, "endpoint")?;
        let url = fields.required(reader, "url");
        let profile = fields.required(reader, "profile");
        let id = fields.optional("spiffeId");
        let ca = fields.optional("ca");
        let private = fields.optional("dangerouslyAllowPrivateAddresses").and_then(|node| reader.flag(node));
        fields.close(reader);
        let profile = profile.and_then(|node| profile_of(reader, node, id, domain));
        let (url, profile) = (url?, profile?);
        if let (Profile::Spiffe(_), Some(node)) = (&profile, ca) {
            reader.problem(node.at, format!("`ca` is for `{WEB}`: a server of `{SPIFFE}` is known by its SVID"));
            return None;
        }
        let reach = if private == Some(true) { Reach::Private } else { Reach::Public };
        let (roots, text) = match ca {
            None => (Roots::Platform, ""),
            Some(node) => roots(self.document, self.bundle, reader, node)?,
        };
        let text_of_url = reader.words(url)?;
        match Remote::new(&text_of_url, reach, Plain::Refused, roots) {
            Ok(remote) => Some(Endpoint { remote, profile, roots: text.to_owned() }),
            Err(bad) => {
                reader.problem(url.at, chain(&bad));
                None
            }
        }
    }

    /// The text of the bundle by which a server is known first.
    fn bootstrap(&self, reader: &mut Reader<'_>, node: &Node) -> Option<&'a str> {
        let mut fields = reader.fields(node, "bootstrap")?;
        let file = fields.required(reader, "file");
        fields.close(reader);
        named(self.document, self.bundle, reader, file?)
    }
}

fn profile_of(
    reader: &mut Reader<'_>,
    node: &Node,
    id: Option<&Node>,
    domain: Option<&TrustDomain>,
) -> Option<Profile> {
    match (reader.text(node)?, id) {
        (WEB, None) => Some(Profile::Web),
        (WEB, Some(id)) => {
            reader.problem(id.at, format!("`spiffeId` is for `{SPIFFE}`: a server of `{WEB}` is known by its name"));
            None
        }
        (SPIFFE, Some(id_node)) => {
            let id: SpiffeId = reader.parse(id_node)?;
            // one of a third trust domain would be known by the bundle of that one, which is nobody's to say here
            if domain.is_some_and(|domain| !id.is_member_of(domain)) || id.path().is_empty() {
                reader.problem(id_node.at, format!("`{id}` is no service of the `trustDomain` whose bundle it serves"));
                return None;
            }
            Some(Profile::Spiffe(id))
        }
        (SPIFFE, None) => {
            reader.problem(node.at, format!("`{SPIFFE}` needs the `spiffeId` of the server"));
            None
        }
        (other, _) => {
            reader.problem(node.at, format!("`{other}` is no profile: expected `{WEB}` or `{SPIFFE}`"));
            None
        }
    }
}

fn trusted(reader: &mut Reader<'_>, node: &Node, domain: &TrustDomain, text: &str) -> Option<SpiffeBundle> {
    match SpiffeBundle::parse(domain, text.as_bytes()) {
        Ok(bundle) if !bundle.x509_authorities().is_empty() => Some(bundle),
        Ok(_) => {
            reader.problem(node.at, format!("the bootstrap has no authority of X.509-SVIDs of `{domain}`"));
            None
        }
        Err(bad) => {
            reader.problem(node.at, format!("not a SPIFFE bundle that can be used: {}", chain(&bad)));
            None
        }
    }
}

fn refresh(reader: &mut Reader<'_>, node: &Node) -> Option<Duration> {
    let span = reader.duration(node)?;
    if (SHORTEST..=LONGEST).contains(&span) {
        return Some(span);
    }
    reader.problem(node.at, "`refresh` lies between 1 s and 24 h");
    None
}

fn terms(domain: &TrustDomain, endpoint: &Endpoint, bootstrap: &str) -> Digest {
    let (profile, id) = match &endpoint.profile {
        Profile::Web => (WEB, String::new()),
        Profile::Spiffe(id) => (SPIFFE, id.to_string()),
    };
    let (roots, bootstrap) = (digest_of(endpoint.roots.as_bytes()), digest_of(bootstrap.as_bytes()));
    digest_of(format!("{domain}\n{}\n{profile}\n{id}\n{roots}\n{bootstrap}", endpoint.remote.url()).as_bytes())
}
