//! Asks a server everything that the lines are judged by, in one pass.

mod asked;
mod attacks;
mod endpoint;
mod published;

use wire::workload::{
    JwtBundlesRequest, JwtBundlesResponse, Jwtsvid, JwtsvidRequest, JwtsvidResponse, ValidateJwtsvidRequest,
    ValidateJwtsvidResponse, WitBundlesRequest, WitsvidRequest, X509BundlesRequest, X509BundlesResponse, X509svid,
    X509svidRequest, X509svidResponse,
};

use self::asked::{request, streamed, unary};
use crate::Options;
use crate::channel::{Connection, NotReached};
use crate::read::certificate::sequence;
use crate::read::id::{Parts, domain_id};
use crate::read::jwk::{self, Jwk};
use crate::read::token::Token;
use crate::seen::{Answer, Attack, JwtSvid, Seen, Svid, Watched, Wit};

/// Most SVIDs of an answer that are looked at.
const MAX_SVIDS: usize = 64;
/// The path of a SPIFFE ID that no workload has.
const NOBODY: &str = "/conformance/nobody-has-this-id";

/// A server, and how it is asked.
struct Asking<'a> {
    options: &'a Options,
    connection: Connection,
}

/// # Errors
/// [`NotReached`].
pub(crate) async fn probe(options: &Options) -> Result<Seen, NotReached> {
    let connection = Connection::open(&options.socket, options.within).await?;
    let asking = Asking { options, connection };
    let x509 = asking.x509().await;
    let x509_bundles = asking.x509_bundles().await;
    let jwt_bundles = asking.jwt_bundles().await;
    let svids = read_svids(&x509.first);
    let audiences = [options.audience.clone(), format!("{}.second", options.audience)];
    let jwt = asking.jwt(&audiences, "").await;
    let tokens = read_tokens(&jwt);
    let id = svids.first().map(|svid| svid.spiffe_id.clone());
    let id = id.or_else(|| tokens.first().map(|svid| svid.spiffe_id.clone())).unwrap_or_default();
    let jwt_keys = read_jwt_keys(&jwt_bundles, &id);
    let material = attacks::Material::of(&audiences, &tokens, &svids, &jwt_keys);
    Ok(Seen {
        at: net::now(),
        jwt_named: asking.named(&audiences, &id).await,
        jwt_foreign: asking.foreign(&audiences, &id).await,
        jwt_recased: asking.recased(&audiences, &id).await,
        validated: asking.validated(&jwt, &audiences).await,
        attacks: asking.attacked(material.as_ref()).await,
        headers: asking.headers(&audiences, first_token(&jwt).as_deref()).await,
        unknown_rpc: asking.unknown_rpc().await,
        defaults: asking.defaults(&jwt, &audiences).await,
        wit: asking.wit().await,
        published: match &options.bundle {
            Some(url) => Some(published::fetch(url).await),
            None => None,
        },
        audiences,
        x509,
        x509_bundles,
        jwt_bundles,
        jwt,
        svids,
        tokens,
        jwt_keys,
    })
}

impl Asking<'_> {
    async fn x509(&self) -> Watched<X509svidResponse> {
        let ask = async || {
            let mut client = self.connection.client();
            streamed(self.options, async move || client.fetch_x509svid(request(X509svidRequest {})).await).await
        };
        Watched { first: ask().await, again: ask().await }
    }

    async fn x509_bundles(&self) -> Watched<X509BundlesResponse> {
        let ask = async || {
            let mut client = self.connection.client();
            streamed(self.options, async move || client.fetch_x509_bundles(request(X509BundlesRequest {})).await).await
        };
        Watched { first: ask().await, again: ask().await }
    }

    async fn jwt_bundles(&self) -> Watched<JwtBundlesResponse> {
        let ask = async || {
            let mut client = self.connection.client();
            streamed(self.options, async move || client.fetch_jwt_bundles(request(JwtBundlesRequest {})).await).await
        };
        Watched { first: ask().await, again: ask().await }
    }

    async fn jwt(&self, audiences: &[String], id: &str) -> Answer<JwtsvidResponse> {
        let message = JwtsvidRequest { audience: audiences.to_vec(), spiffe_id: id.to_owned() };
        let mut client = self.connection.client();
        unary(self.options, client.fetch_jwtsvid(request(message))).await
    }

    async fn named(&self, audiences: &[String], id: &str) -> Answer<JwtsvidResponse> {
        if id.is_empty() {
            return Answer::NotAsked("the caller's SPIFFE ID is not known");
        }
        self.jwt(audiences, id).await
    }

    async fn foreign(&self, audiences: &[String], id: &str) -> Answer<JwtsvidResponse> {
        if id.is_empty() {
            return Answer::NotAsked("the caller's SPIFFE ID is not known");
        }
        self.jwt(audiences, &format!("{}{NOBODY}", domain_id(id))).await
    }

    async fn recased(&self, audiences: &[String], id: &str) -> Answer<JwtsvidResponse> {
        let path = Parts::of(id).path;
        let other: String = path.chars().map(other_case).collect();
        if other == path {
            return Answer::NotAsked("the caller's SPIFFE ID has no letters in its path");
        }
        self.jwt(audiences, &format!("{}{other}", domain_id(id))).await
    }

    async fn validated(
        &self,
        jwt: &Answer<JwtsvidResponse>,
        audiences: &[String; 2],
    ) -> Answer<ValidateJwtsvidResponse> {
        let [audience, _] = audiences;
        let Some(svid) = first_token(jwt) else { return Answer::NotAsked("there is no JWT-SVID to validate") };
        self.validate(audience, &svid).await
    }

    async fn validate(&self, audience: &str, svid: &str) -> Answer<ValidateJwtsvidResponse> {
        let message = ValidateJwtsvidRequest { audience: audience.to_owned(), svid: svid.to_owned() };
        let mut client = self.connection.client();
        unary(self.options, client.validate_jwtsvid(request(message))).await
    }

    async fn attacked(
        &self,
        material: Option<&attacks::Material<'_>>,
    ) -> Vec<(Attack, Answer<ValidateJwtsvidResponse>)> {
        let Some(material) = material else { return Vec::new() };
        let mut answers = Vec::new();
        for (attack, audience, token) in material.tokens() {
            answers.push((attack, self.validate(&audience, &token).await));
        }
        answers
    }

    async fn wit(&self) -> Wit {
        if !self.options.selection.is_incubating() {
            let why = "not asked for: incubating lines need --incubating";
            return Wit { svids: Answer::NotAsked(why), bundles: Answer::NotAsked(why) };
        }
        let (mut svids, mut bundles) = (self.connection.client(), self.connection.client());
        let all = WitsvidRequest { spiffe_id: String::new() };
        Wit {
            svids: streamed(self.options, async move || svids.fetch_witsvid(request(all)).await).await,
            bundles: streamed(self.options, async move || {
                bundles.fetch_wit_bundles(request(WitBundlesRequest {})).await
            })
            .await,
        }
    }
}

fn other_case(letter: char) -> char {
    if letter.is_ascii_lowercase() { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
}

fn first_token(jwt: &Answer<JwtsvidResponse>) -> Option<String> {
    if let Answer::Said(response) = jwt { response.svids.first().map(|svid| svid.svid.clone()) } else { None }
}

/// SVIDs of the first message, which is the whole state.
fn read_svids(answer: &Answer<Vec<X509svidResponse>>) -> Vec<Svid> {
    let Answer::Said(messages) = answer else { return Vec::new() };
    let svids = messages.first().map(|message| message.svids.as_slice()).unwrap_or_default();
    let read = |svid: &X509svid| Svid {
        spiffe_id: svid.spiffe_id.clone(),
        chain: sequence(&svid.x509_svid),
        key: svid.x509_svid_key.to_vec(),
        bundle: sequence(&svid.bundle),
    };
    svids.iter().take(MAX_SVIDS).map(read).collect()
}

fn read_tokens(jwt: &Answer<JwtsvidResponse>) -> Vec<JwtSvid> {
    let Answer::Said(response) = jwt else { return Vec::new() };
    let read = |svid: &Jwtsvid| JwtSvid { spiffe_id: svid.spiffe_id.clone(), token: Token::read(&svid.svid) };
    response.svids.iter().take(MAX_SVIDS).map(read).collect()
}

fn read_jwt_keys(bundles: &Watched<JwtBundlesResponse>, id: &str) -> Vec<Jwk> {
    let Answer::Said(messages) = &bundles.first else { return Vec::new() };
    let own = messages.first().and_then(|message| message.bundles.get(&domain_id(id)));
    own.and_then(|document| jwk::keys(document).ok()).unwrap_or_default()
}
