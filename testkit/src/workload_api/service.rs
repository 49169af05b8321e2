//! The RPCs: what a sound server answers, but for its fault.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use prost_types::value::Kind;
use serde_json::Value;
use tonic::codegen::tokio_stream::{Stream, StreamExt, iter, pending};
use tonic::{Request, Response, Status, async_trait};
use wire::workload::spiffe_workload_api_server::SpiffeWorkloadApi;
use wire::workload::{
    JwtBundlesRequest, JwtBundlesResponse, Jwtsvid, JwtsvidRequest, JwtsvidResponse, ValidateJwtsvidRequest,
    ValidateJwtsvidResponse, WitBundlesRequest, WitBundlesResponse, WitsvidRequest, WitsvidResponse,
    X509BundlesRequest, X509BundlesResponse, X509svid, X509svidRequest, X509svidResponse,
};

use super::fault::Fault;
use super::material::{DOMAIN, Material, OTHER_DOMAIN, WORKLOAD, pem};

/// A server's answers.
#[derive(Clone)]
pub(super) struct Service(pub(super) Arc<Material>);

type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A stream that says this and stays open.
fn open<T: Send + 'static>(messages: Vec<T>) -> Result<Response<Messages<T>>, Status> {
    let stream = iter(messages.into_iter().map(Ok)).chain(pending());
    Ok(Response::new(Box::pin(stream)))
}

impl Service {
    fn fault(&self) -> Option<Fault> {
        self.0.fault
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault() == Some(fault)
    }

    /// What callers hear who are nobody to this server.
    fn known(&self) -> Result<(), Status> {
        match self.fault() {
            Some(Fault::NobodyRegistered) => Err(Status::permission_denied("no identity issued")),
            Some(Fault::NotReady) => Err(Status::unavailable("not ready")),
            Some(Fault::StrangerRefusedOtherwise) => Err(Status::not_found("no identity issued")),
            Some(Fault::CredentialsAsked) => Err(Status::unauthenticated("who is there")),
            _ => Ok(()),
        }
    }

    fn jwt_profile(&self) -> Result<(), Status> {
        self.known()?;
        if self.is(Fault::JwtProfileMissing) { Err(Status::unimplemented("no JWT-SVIDs here")) } else { Ok(()) }
    }

    /// Without a mandatory field.
    fn missing<T>(&self, field: &str) -> Result<T, Status> {
        let text = format!("{field} must be given");
        Err(if self.is(Fault::DefaultsRefusedOtherwise) {
            Status::internal(text)
        } else {
            Status::invalid_argument(text)
        })
    }

    fn is_served(&self, id: &str) -> bool {
        let recased = self.is(Fault::IdsWithoutCase) && id.eq_ignore_ascii_case(WORKLOAD);
        id.is_empty() || id == WORKLOAD || recased || self.is(Fault::AnyIdGiven)
    }
}

#[async_trait]
impl SpiffeWorkloadApi for Service {
    type FetchX509SVIDStream = Messages<X509svidResponse>;
    type FetchX509BundlesStream = Messages<X509BundlesResponse>;
    type FetchJWTBundlesStream = Messages<JwtBundlesResponse>;
    type FetchWITSVIDStream = Messages<WitsvidResponse>;
    type FetchWITBundlesStream = Messages<WitBundlesResponse>;

    async fn fetch_x509svid(&self, _: Request<X509svidRequest>) -> Result<Response<Self::FetchX509SVIDStream>, Status> {
        self.known()?;
        let svids = self.0.svids.iter().map(|svid| X509svid {
            spiffe_id: svid.id.clone(),
            x509_svid: svid.chain.clone().into(),
            x509_svid_key: svid.key.clone().into(),
            bundle: svid.bundle.clone().into(),
            hint: svid.hint.clone(),
        });
        let (name, bundle) = self.0.federated();
        let federated_bundles = [(name, bundle.into())].into();
        open(vec![X509svidResponse { svids: svids.collect(), crl: Vec::new(), federated_bundles }])
    }

    async fn fetch_x509_bundles(
        &self,
        _: Request<X509BundlesRequest>,
    ) -> Result<Response<Self::FetchX509BundlesStream>, Status> {
        self.known()?;
        let der = self.0.authority.certificate();
        let own = match self.fault() {
            Some(Fault::BundlesInPem) => pem("CERTIFICATE", &der),
            Some(Fault::BundlesPooled) => [der, self.0.other.certificate()].concat(),
            _ => der,
        };
        let own_name = if self.is(Fault::BundlesByName) { "example.test" } else { DOMAIN };
        let own = (own_name.to_owned(), own.into());
        let other = (OTHER_DOMAIN.to_owned(), self.0.federated_bundle().into());
        let message = |bundles| X509BundlesResponse { crl: Vec::new(), bundles };
        open(match self.fault() {
            Some(Fault::FirstMessageLate) => Vec::new(),
            Some(Fault::PartialState) => vec![message([own].into()), message([other].into())],
            Some(Fault::BundlesWithoutOwn) => vec![message([other].into())],
            _ => vec![message([own, other].into())],
        })
    }

    async fn fetch_jwtsvid(&self, request: Request<JwtsvidRequest>) -> Result<Response<JwtsvidResponse>, Status> {
        self.jwt_profile()?;
        let JwtsvidRequest { audience, spiffe_id } = request.into_inner();
        if audience.is_empty() && !self.is(Fault::AudienceNotMandatory) {
            return self.missing("audience");
        }
        if !self.is_served(&spiffe_id) {
            let text = "no identity issued";
            return Err(match self.fault() {
                Some(Fault::ForeignIdRefusedOtherwise) => Status::invalid_argument(text),
                _ => Status::permission_denied(text),
            });
        }
        let svid =
            Jwtsvid { spiffe_id: WORKLOAD.to_owned(), svid: self.0.token(&audience, now()), hint: String::new() };
        Ok(Response::new(JwtsvidResponse { svids: vec![svid] }))
    }

    async fn fetch_jwt_bundles(
        &self,
        _: Request<JwtBundlesRequest>,
    ) -> Result<Response<Self::FetchJWTBundlesStream>, Status> {
        self.jwt_profile()?;
        let mut bundles = std::collections::HashMap::new();
        bundles.insert(OTHER_DOMAIN.to_owned(), r#"{"keys":[]}"#.into());
        if !self.is(Fault::JwtBundlesWithoutOwn) {
            bundles.insert(DOMAIN.to_owned(), self.0.jwt_keys().to_string().into());
        }
        open(vec![JwtBundlesResponse { bundles }])
    }

    async fn validate_jwtsvid(
        &self,
        request: Request<ValidateJwtsvidRequest>,
    ) -> Result<Response<ValidateJwtsvidResponse>, Status> {
        self.jwt_profile()?;
        let ValidateJwtsvidRequest { audience, svid } = request.into_inner();
        if audience.is_empty() || svid.is_empty() {
            return self.missing("audience and token");
        }
        let (spiffe_id, claims) = self.0.validate(&svid, &audience, now())?;
        let text = |(name, value): (String, Value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (name, prost_types::Value { kind: Some(Kind::StringValue(text)) })
        };
        let fields = claims.into_iter().map(text).collect();
        let claims = (!self.is(Fault::ClaimsMissing)).then_some(prost_types::Struct { fields });
        Ok(Response::new(ValidateJwtsvidResponse { spiffe_id, claims }))
    }

    async fn fetch_witsvid(&self, _: Request<WitsvidRequest>) -> Result<Response<Self::FetchWITSVIDStream>, Status> {
        if self.0.serves_wit() {
            return open(vec![self.0.wit_svid(now())]);
        }
        Err(Status::unimplemented("no WIT-SVIDs here"))
    }

    async fn fetch_wit_bundles(
        &self,
        _: Request<WitBundlesRequest>,
    ) -> Result<Response<Self::FetchWITBundlesStream>, Status> {
        if self.0.serves_wit() || self.is(Fault::HalfOfWit) {
            return open(vec![self.0.wit_bundles()]);
        }
        Err(Status::unimplemented("no WIT-SVIDs here"))
    }
}

pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_secs()).expect("a clock of this era")
}
