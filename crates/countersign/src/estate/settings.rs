//! `server.yaml` and `gateway.yaml`: what a process of an installation is, where it listens and what it trusts. Read like an
//! estate, with a place for every problem; paths are relative to the file.

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use credential::Operators;
use http::uri::Authority;
use issuer::pem;
use model::{OperatorName, TrustDomain};

use super::clusters::{ClusterSettings, clusters};
use super::federations::{SPIFFE, WEB};
use super::upstream::{UpstreamSettings, upstream};
use crate::issuing::Lives;
use net::causes::chain;
use yaml::{BadSettings, Common, Node, Reader, authority, incubating, settings};

/// Shortest and longest life of an authority.
const SHORTEST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
/// Most control planes below this one, one under the other: a chain of certificates has at most eight.
const MOST_BELOW: u8 = 4;
/// Longest file of an operator's certificate that is read, in bytes.
const MAX_CERTIFICATE: u64 = 64 * 1024;

/// What `server.yaml` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    pub environment: String,
    pub trust_domain: TrustDomain,
    /// Where planes come.
    pub planes: SocketAddr,
    pub admin: SocketAddr,
    /// Host names and addresses under which planes reach it.
    pub names: Vec<String>,
    /// Where ledger, keys and socket are.
    pub directory: PathBuf,
    pub state: StateSettings,
    /// Who operates it from elsewhere.
    pub operators: Operators,
    /// How long authorities and SVIDs live.
    pub lives: Lives,
    /// The token in which keys of authorities are made; none where the state keeps them.
    pub token: Option<TokenSettings>,
    /// Where other trust domains find the bundle.
    pub bundle: Option<BundleSettings>,
    /// Who signs X.509 authorities; none where they sign themselves.
    pub upstream: Option<UpstreamSettings>,
    /// API servers that are asked about tokens of their clusters.
    pub clusters: Vec<ClusterSettings>,
}

/// The bundle endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleSettings {
    pub listen: SocketAddr,
    pub server: BundleServer,
}

/// How the server of the bundle endpoint is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BundleServer {
    /// By its own SVID.
    Spiffe,
    /// By its name: a certificate and its key, in PEM.
    Web { cert: PathBuf, key: PathBuf },
}

/// A PKCS#11 token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSettings {
    pub module: PathBuf,
    pub label: String,
    /// A file with the user's PIN.
    pub pin: PathBuf,
}

/// Where the state of a control plane is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateSettings {
    /// A SQLite file.
    File(PathBuf),
    /// A file with the URL of a PostgreSQL database: it may hold a password.
    UrlFile(PathBuf),
}

/// What `gateway.yaml` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewaySettings {
    pub environment: String,
    pub trust_domain: TrustDomain,
    /// Listeners for planes of the control plane's nodes; the first that answers is heard.
    pub servers: Vec<Authority>,
    /// Certificates of the trust domain's authorities, for first contact.
    pub ca: PathBuf,
    /// Public key of what the control plane says.
    pub feed_key: PathBuf,
    pub https: SocketAddr,
    /// Without TLS, for callers on a network that is trusted.
    pub http: Option<SocketAddr>,
    pub admin: SocketAddr,
    /// Where state, ledger, keys and socket are.
    pub directory: PathBuf,
}

/// Reads `server.yaml`.
///
/// # Errors
/// [`BadSettings`] with every problem.
pub fn server_settings(path: &Path) -> Result<ServerSettings, BadSettings> {
    settings(path, |reader, node, folder| {
        let mut fields = reader.fields(node, "server")?;
        let common = Common::read(reader, &mut fields, folder);
        let listen = fields.required(reader, "listen");
        let names = fields.required(reader, "names").and_then(|node| reader.some(node, |r, n| r.words(n)));
        let state = fields.optional("state").and_then(|node| reader.words(node));
        let url = fields.optional("stateUrlFile").and_then(|node| reader.words(node));
        if let (Some(_), Some(node)) = (&state, fields.optional("stateUrlFile")) {
            reader.problem(node.at, "server: expected one of `state` and `stateUrlFile`");
        }
        let operators = fields.optional("operators").map(|node| operators(reader, node, folder));
        let lives = fields.optional("authority").map(|node| lives(reader, node));
        let token = fields.optional("signer").map(|node| token(reader, node, folder));
        let incubating = fields.optional("incubating").map(|node| incubating(reader, node, &["wit"]));
        let bundle_node = fields.optional("bundle");
        let server = bundle_node.map(|node| bundle_server(reader, node, folder));
        let upstream = fields.optional("upstream").map(|node| upstream(reader, node, folder));
        let clusters = fields.optional("clusters").map(|node| clusters(reader, node, folder));
        fields.close(reader);
        let mut listen = reader.fields(listen?, "listen")?;
        let planes = listen.required(reader, "planes").and_then(|node| reader.parse(node));
        let admin = listen.required(reader, "admin").and_then(|node| reader.parse(node));
        let published = listen.optional("bundle");
        let at = published.map(|node| reader.parse(node));
        listen.close(reader);
        let bundle = match (at, server) {
            (None, None) => None,
            (Some(listen), Some(server)) => Some(BundleSettings { listen: listen?, server: server? }),
            _ => {
                let at = published.or(bundle_node).map_or(node.at, |node| node.at);
                reader.problem(
                    at,
                    "server: `listen.bundle` says where, and `bundle` how its server is known: expected both",
                );
                None
            }
        };
        let Common { environment, trust_domain, directory } = common?;
        let state = match url {
            Some(url) => StateSettings::UrlFile(folder.join(url)),
            None => {
                StateSettings::File(state.map_or_else(|| directory.join("state/state.db"), |file| folder.join(file)))
            }
        };
        Some(ServerSettings {
            environment,
            trust_domain,
            planes: planes?,
            admin: admin?,
            names: names?,
            directory,
            state,
            operators: operators.unwrap_or_default(),
            lives: with_wit(
                lives.unwrap_or_else(|| Some(Lives::default()))?,
                &incubating.unwrap_or_else(|| Some(Vec::new()))?,
            ),
            token: token.flatten(),
            bundle,
            upstream: upstream.flatten(),
            clusters: clusters.unwrap_or_default(),
        })
    })
}

/// Reads `gateway.yaml`.
///
/// # Errors
/// [`BadSettings`] with every problem.
pub fn gateway_settings(path: &Path) -> Result<GatewaySettings, BadSettings> {
    settings(path, |reader, node, folder| {
        let mut fields = reader.fields(node, "gateway")?;
        let common = Common::read(reader, &mut fields, folder);
        let servers = fields.required(reader, "servers").and_then(|node| reader.some(node, authority));
        let ca = fields.required(reader, "ca").and_then(|node| reader.words(node));
        let feed_key = fields.required(reader, "feedKey").and_then(|node| reader.words(node));
        let listen = fields.required(reader, "listen");
        fields.close(reader);
        let mut listen = reader.fields(listen?, "listen")?;
        let https = listen.required(reader, "https").and_then(|node| reader.parse(node));
        let http = listen.optional("http").map(|node| reader.parse(node));
        let admin = listen.required(reader, "admin").and_then(|node| reader.parse(node));
        listen.close(reader);
        let Common { environment, trust_domain, directory } = common?;
        Some(GatewaySettings {
            environment,
            trust_domain,
            servers: servers?,
            ca: folder.join(ca?),
            feed_key: folder.join(feed_key?),
            https: https?,
            http: http.flatten(),
            admin: admin?,
            directory,
        })
    })
}

/// How long authorities live, and SVIDs, which no authority may cut short: the last sixth of its life is for others to sign.
fn lives(reader: &mut Reader<'_>, node: &Node) -> Option<Lives> {
    let mut fields = reader.fields(node, "authority")?;
    let known = Lives::default();
    let mut life = |name, known| fields.optional(name).map_or(Some(known), |node| reader.duration(node));
    let (x509, jwt) = (life("caTtl", known.x509), life("jwtTtl", known.jwt));
    let svid = life("svidTtl", known.svid.min(x509? / 6));
    let below = fields.optional("below").map_or(Some(known.below), |node| reader.parse(node));
    fields.close(reader);
    let lives = Lives { x509: x509?, jwt: jwt?, svid: svid?, below: below?, wit: None };
    if lives.below > MOST_BELOW {
        reader.problem(
            node.at,
            format!("authority: at most {MOST_BELOW} control planes stand `below`, one under the other"),
        );
    }
    if [lives.x509, lives.jwt].iter().any(|life| *life < SHORTEST || *life > LONGEST) {
        reader.problem(node.at, "authority: `caTtl` and `jwtTtl` are from 30s to 365d");
    }
    if lives.svid > lives.x509 / 6 || lives.svid < Duration::from_secs(1) {
        reader.problem(node.at, "authority: `svidTtl` is from 1s to a sixth of `caTtl`, which would cut it short");
    }
    Some(lives)
}

/// Keys of WIT-SVIDs, where they are signed, live as those of JWT-SVIDs do.
fn with_wit(lives: Lives, incubating: &[&str]) -> Lives {
    Lives { wit: incubating.contains(&"wit").then_some(lives.jwt), ..lives }
}

/// `{profile: https_spiffe}`, or `{profile: https_web, cert, key}`.
fn bundle_server(reader: &mut Reader<'_>, node: &Node, folder: &Path) -> Option<BundleServer> {
    let mut fields = reader.fields(node, "bundle")?;
    let profile = fields.required(reader, "profile");
    let files = ["cert", "key"].map(|name| fields.optional(name).map(|node| reader.words(node)));
    fields.close(reader);
    let profile = profile?;
    match (reader.text(profile)?, files) {
        (SPIFFE, [None, None]) => Some(BundleServer::Spiffe),
        (WEB, [Some(cert), Some(key)]) => Some(BundleServer::Web { cert: folder.join(cert?), key: folder.join(key?) }),
        (WEB, _) => {
            reader.problem(node.at, format!("bundle: `{WEB}` needs `cert` and `key`"));
            None
        }
        (SPIFFE, _) => {
            reader.problem(
                node.at,
                format!("bundle: a server of `{SPIFFE}` is known by its SVID: `cert` and `key` are for `{WEB}`"),
            );
            None
        }
        (other, _) => {
            reader.problem(profile.at, format!("`{other}` is no profile: expected `{WEB}` or `{SPIFFE}`"));
            None
        }
    }
}

/// `{pkcs11: {module, tokenLabel, pinFile}}`.
fn token(reader: &mut Reader<'_>, node: &Node, folder: &Path) -> Option<TokenSettings> {
    let mut fields = reader.fields(node, "signer")?;
    let node = fields.required(reader, "pkcs11");
    fields.close(reader);
    let mut fields = reader.fields(node?, "pkcs11")?;
    let mut text = |reader: &mut Reader<'_>, name| fields.required(reader, name).and_then(|node| reader.words(node));
    let module = text(reader, "module");
    let (label, pin) = (text(reader, "tokenLabel"), text(reader, "pinFile"));
    fields.close(reader);
    Some(TokenSettings { module: folder.join(module?), label: label?, pin: folder.join(pin?) })
}

/// Everyone who can be read: the settings count only without a problem.
fn operators(reader: &mut Reader<'_>, node: &Node, folder: &Path) -> Operators {
    let mut operators = Operators::default();
    for node in reader.list(node).unwrap_or_default() {
        let Some((name, certificate)) = operator(reader, node, folder) else { continue };
        if let Err(why) = operators.pin(name, &certificate) {
            reader.problem(node.at, chain(&why));
        }
    }
    operators
}

/// A name, and the certificate in DER that counts for it.
fn operator(reader: &mut Reader<'_>, node: &Node, folder: &Path) -> Option<(OperatorName, Vec<u8>)> {
    let mut fields = reader.fields(node, "operator")?;
    let name = fields.required(reader, "name").and_then(|node| reader.parse(node));
    let file = fields.required(reader, "certificate");
    fields.close(reader);
    let path = folder.join(reader.words(file?)?);
    let mut text = String::new();
    let read = File::open(&path).and_then(|file| file.take(MAX_CERTIFICATE).read_to_string(&mut text));
    let certificate = read.map_err(|error| format!("cannot read `{}`: {error}", path.display()));
    let certificate = certificate
        .and_then(|_| pem::decode("CERTIFICATE", &text).map_err(|error| format!("`{}`: {error}", path.display())));
    match certificate {
        Ok(certificate) => Some((name?, certificate)),
        Err(why) => {
            reader.problem(file?.at, why);
            None
        }
    }
}
