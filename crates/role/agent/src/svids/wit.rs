//! WIT-SVIDs.

use issuer::NewKey;
use model::{SpiffeId, Time};
use tonic::Status;
use wire::agent::{self, MintWitRequest, Order, wit_answer};

use super::x509::X509Svid;
use super::{Answer, Key, Profile, Tainted};
use crate::control::Client;
use crate::known::Identified;

/// A WIT-SVID with its key.
pub(crate) struct WitSvid {
    pub id: SpiffeId,
    /// JWS compact serialization.
    pub token: String,
    /// The private key as a JWK.
    pub key: String,
    expires: Time,
    /// Digest of the key that signed it.
    signed_by: [u8; 32],
}

impl Profile for WitSvid {
    type Minted = agent::WitSvid;

    const NAME: &'static str = "wit";

    /// It lives as long as an X.509-SVID, and has no names of hosts.
    fn key(identified: &Identified) -> Key {
        Key { dns_names: Vec::new(), ..X509Svid::key(identified) }
    }

    async fn mint(mut client: Client, orders: Vec<Order>) -> Result<Vec<Answer<Self>>, Status> {
        let answers = client.mint_wit(MintWitRequest { orders }).await?.into_inner().answers;
        let read = |answer| match answer {
            wit_answer::Answer::Svid(svid) => Ok(svid),
            wit_answer::Answer::Refusal(refusal) => Err(refusal),
        };
        Ok(answers.into_iter().map(|one| one.answer.map(read)).collect())
    }

    fn of(key: &Key, fresh: &NewKey, minted: agent::WitSvid) -> Option<Self> {
        let expires = Time::from_unix_seconds(minted.expires);
        let signed_by = minted.signed_by.as_ref().try_into().ok()?;
        Some(Self { id: key.id.clone(), token: minted.token, key: fresh.private_jwk()?, expires, signed_by })
    }

    fn expires(&self) -> Time {
        self.expires
    }

    fn is_tainted(&self, tainted: &Tainted) -> bool {
        tainted.digests.contains(&self.signed_by)
    }
}
