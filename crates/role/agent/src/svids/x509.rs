//! X.509-SVIDs.

use bytes::{Bytes, BytesMut};
use credential::PeerCertificates;
use issuer::NewKey;
use model::{SpiffeId, Time};
use tonic::Status;
use wire::agent::{self, MintX509Request, Order, x509_answer};

use super::{Answer, Key, Profile, Tainted};
use crate::control::Client;
use crate::known::Identified;

/// An X.509-SVID with its key.
#[derive(PartialEq, Eq)]
pub(crate) struct X509Svid {
    pub id: SpiffeId,
    /// DER, leaf first, one after the other.
    pub chain: Bytes,
    /// The same, each by itself.
    pub certificates: Vec<Bytes>,
    /// PKCS #8 in DER.
    pub key: Bytes,
    expires: Time,
    /// Who signed it, as it names them.
    signed_by: Option<String>,
}

impl Profile for X509Svid {
    type Minted = agent::X509Svid;

    const NAME: &'static str = "x509";

    fn key(identified: &Identified) -> Key {
        let registration = &identified.registration;
        Key {
            registration: registration.name.clone(),
            id: identified.id.clone(),
            ttl: registration.x509_ttl,
            dns_names: registration.dns_names.clone(),
        }
    }

    async fn mint(mut client: Client, orders: Vec<Order>) -> Result<Vec<Answer<Self>>, Status> {
        let answers = client.mint_x509(MintX509Request { orders }).await?.into_inner().answers;
        let read = |answer| match answer {
            x509_answer::Answer::Svid(svid) => Ok(svid),
            x509_answer::Answer::Refusal(refusal) => Err(refusal),
        };
        Ok(answers.into_iter().map(|one| one.answer.map(read)).collect())
    }

    fn of(key: &Key, fresh: &NewKey, minted: agent::X509Svid) -> Option<Self> {
        let leaf = minted.chain.first()?;
        let peer = PeerCertificates::new(vec![leaf.to_vec()]);
        let (expires, signed_by) = (peer.ends()?, peer.signed_by().map(str::to_owned));
        let (chain, certificates) = joined(&minted.chain);
        let (id, key) = (key.id.clone(), Bytes::copy_from_slice(&fresh.pkcs8));
        Some(Self { id, chain, certificates, key, expires, signed_by })
    }

    fn expires(&self) -> Time {
        self.expires
    }

    fn is_tainted(&self, tainted: &Tainted) -> bool {
        let is_tainted = |signer: &str| tainted.authorities.iter().any(|authorities| authorities.taint(signer));
        self.signed_by.as_deref().is_some_and(is_tainted)
    }
}

/// Certificates one after the other, and each of them where it is in that.
fn joined(certificates: &[Bytes]) -> (Bytes, Vec<Bytes>) {
    let mut all = BytesMut::new();
    for certificate in certificates {
        all.extend_from_slice(certificate);
    }
    let all = all.freeze();
    let mut rest = all.clone();
    let each = certificates.iter().map(|certificate| rest.split_to(certificate.len())).collect();
    (all, each)
}
