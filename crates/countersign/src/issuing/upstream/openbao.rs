//! An outer authority in the PKI secrets engine of OpenBao or HashiCorp Vault: `POST /v1/<mount>/root/sign-intermediate`.

use bytes::Bytes;
use http::HeaderValue;
use issuer::{Term, key_id, pem};
use model::TrustDomain;
use net::{Plain, Reach, Remote, Roots, Terms, fetch_on};
use serde::Deserialize;
use serde_json::json;

use super::{UpstreamFailed, text};
use crate::estate::OpenBaoUpstream;
use crate::issuing::CERTIFICATE;

/// The part of an answer that counts. Who signed is in the chain too.
#[derive(Deserialize)]
struct Answer {
    data: Signed,
}

#[derive(Deserialize)]
struct Signed {
    certificate: String,
    #[serde(default)]
    ca_chain: Vec<String>,
}

/// The certificate that was asked for, and what is above it.
pub(super) async fn sign(
    OpenBaoUpstream { url, mount, token, ca, .. }: &OpenBaoUpstream,
    domain: &TrustDomain,
    (request, point): (&[u8], &[u8]),
    term: Term,
) -> Result<Vec<Vec<u8>>, UpstreamFailed> {
    let roots = match ca {
        Some(path) => {
            Roots::only(&text(path)?).map_err(|source| UpstreamFailed::Roots { path: path.clone(), source })?
        }
        None => Roots::Platform,
    };
    let url = format!("{}/v1/{mount}/root/sign-intermediate", url.trim_end_matches('/'));
    let remote = Remote::new(&url, Reach::Private, Plain::OnLoopback, roots)?;
    let bearer = format!("Bearer {}", text(token)?.trim());
    let bearer = HeaderValue::try_from(bearer).or(Err(UpstreamFailed::Token { path: token.clone() }));
    let mut bearer = bearer?;
    bearer.set_sensitive(true);
    let name = key_id(point);
    // what is asked for is written by us, and not taken from the request: names, and the flags of an authority
    let order = json!({
        "csr": pem::encode("CERTIFICATE REQUEST", request),
        "use_csr_values": false,
        "common_name": domain.as_str(),
        "exclude_cn_from_sans": true,
        "organization": "Countersign",
        "serial_number": name,
        "uri_sans": format!("spiffe://{domain}"),
        "max_path_length": term.below,
        "skid": name,
        "ttl": format!("{}s", term.life.as_secs()),
        "format": "pem",
    });
    let terms = Terms { authorization: Some(bearer), post: Some(Bytes::from(order.to_string())), ..Terms::public() };
    let answer = fetch_on(&remote, &terms).await?.document;
    let Answer { data: Signed { certificate, ca_chain } } =
        serde_json::from_slice(&answer).map_err(UpstreamFailed::Answer)?;
    let texts = std::iter::once(certificate).chain(ca_chain);
    let blocks = texts.map(|text| pem::decode_all(CERTIFICATE, &text)).collect::<Result<Vec<_>, _>>();
    Ok(blocks.map_err(UpstreamFailed::NoCertificates)?.concat())
}
