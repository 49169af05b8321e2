//! The exchange with a node that has a TPM: something is sealed to its keys, and what they sign has to show that they opened it.

use credential::{Challenge, EndorsementKey, NodeProof, Statement, TpmProof, TpmQuote, tpm_name};
use futures_util::{StreamExt, stream};
use net::{Peer, challenge};
use tonic::{Status, Streaming};
use wire::Message as _;
use wire::agent::{AgentSvid, AttestRequest, AttestResponse, Evidence, TpmCredential, TpmKeys};

use super::attest::{answer, asking, last, nonce};
use super::sealed::seal;
use super::service::{Agents, Streamed};

impl Agents {
    pub(super) async fn by_tpm(
        &self,
        peer: Peer,
        said: Streaming<AttestRequest>,
        evidence: Evidence,
    ) -> Result<Streamed<AttestResponse>, Status> {
        let keys = TpmKeys::decode(evidence.payload.clone())
            .map_err(|why| Status::invalid_argument(format!("the evidence is no keys of a TPM: {why}")))?;
        let what = challenge();
        let (endorsement, name) = (EndorsementKey::read(&keys.endorsement), tpm_name(&keys.attestation));
        let sealed = endorsement.zip(name).and_then(|(key, name)| seal(&key, &name, &what).ok());
        let Some(sealed) = sealed else {
            // no answer could prove anything: what is wrong is for the record
            let svid = self.judged(&peer, &evidence, &keys, None).await?;
            return Ok(stream::iter([Ok(last(svid))]).boxed());
        };
        let asked = TpmCredential { credential: sealed.credential.into(), secret: sealed.secret.into() };
        let asked = asking(&asked.encode_to_vec());
        let agents = self.clone();
        let answered = async move { agents.quoted(&peer, said, &evidence, &keys, &what).await.map(last) };
        Ok(asked.chain(stream::once(answered)).boxed())
    }

    /// What answers it: a quote over what was sealed.
    async fn quoted(
        &self,
        peer: &Peer,
        mut said: Streaming<AttestRequest>,
        evidence: &Evidence,
        keys: &TpmKeys,
        what: &Challenge,
    ) -> Result<AgentSvid, Status> {
        let answer = wire::agent::TpmQuote::decode(answer(&mut said).await?)
            .map_err(|why| Status::invalid_argument(format!("the answer is no quote of a TPM: {why}")))?;
        let nonce = nonce(&answer.nonce)?;
        let domain = self.own_domain()?;
        let source = evidence.source.as_str();
        let statement = Statement { domain: &domain, source, challenge: what, nonce, request: &evidence.csr };
        let quote = TpmQuote { statement, quoted: &answer.quoted, signature: &answer.signature };
        self.judged(peer, evidence, keys, Some(quote)).await
    }

    async fn judged(
        &self,
        peer: &Peer,
        evidence: &Evidence,
        keys: &TpmKeys,
        quote: Option<TpmQuote<'_>>,
    ) -> Result<AgentSvid, Status> {
        let certificates: Vec<Vec<u8>> = keys.certificates.iter().map(|der| der.to_vec()).collect();
        let (endorsement, attestation) = (keys.endorsement.as_ref(), keys.attestation.as_ref());
        let proof = NodeProof::Tpm(TpmProof { certificates: &certificates, endorsement, attestation, quote });
        self.prove(peer, proof, evidence).await
    }
}
