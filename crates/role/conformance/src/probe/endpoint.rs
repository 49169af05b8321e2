//! Requests that are wrong by themselves: security headers, RPCs that do not exist, fields that have to be given.

use tonic::codegen::http::uri::PathAndQuery;
use tonic_prost::ProstCodec;
use wire::workload::{
    JwtBundlesRequest, JwtsvidRequest, JwtsvidResponse, ValidateJwtsvidRequest, X509BundlesRequest, X509svidRequest,
};

use super::Asking;
use super::asked::{request, streamed, unary, with_header};
use super::first_token;
use crate::seen::{Answer, HeaderTry};

/// Wrong security headers: how they are called, and what is sent.
const HEADERS: &[(&str, Option<&str>)] =
    &[("none", None), ("`True`", Some("True")), ("`TRUE`", Some("TRUE")), ("`false`", Some("false"))];

impl Asking<'_> {
    /// `token` is a genuine one, where there is one: any other is refused whatever the header.
    pub(super) async fn headers(&self, audiences: &[String], token: Option<&str>) -> Vec<HeaderTry> {
        let mut tries = Vec::new();
        for (header, value) in HEADERS.iter().copied() {
            let answers = [
                ("FetchX509SVID", self.x509_with(value).await),
                ("FetchX509Bundles", self.x509_bundles_with(value).await),
                ("FetchJWTSVID", self.jwt_with(value, audiences).await),
                ("FetchJWTBundles", self.jwt_bundles_with(value).await),
                ("ValidateJWTSVID", self.validate_with(value, audiences, token).await),
            ];
            tries.extend(answers.map(|(rpc, answer)| HeaderTry { rpc, header, answer }));
        }
        tries
    }

    async fn x509_with(&self, value: Option<&'static str>) -> Answer<()> {
        let mut client = self.connection.client();
        let ask = async move || client.fetch_x509svid(with_header(X509svidRequest {}, value)).await;
        streamed(self.options, ask).await.map(drop)
    }

    async fn x509_bundles_with(&self, value: Option<&'static str>) -> Answer<()> {
        let mut client = self.connection.client();
        let ask = async move || client.fetch_x509_bundles(with_header(X509BundlesRequest {}, value)).await;
        streamed(self.options, ask).await.map(drop)
    }

    async fn jwt_bundles_with(&self, value: Option<&'static str>) -> Answer<()> {
        let mut client = self.connection.client();
        let ask = async move || client.fetch_jwt_bundles(with_header(JwtBundlesRequest {}, value)).await;
        streamed(self.options, ask).await.map(drop)
    }

    async fn jwt_with(&self, value: Option<&'static str>, audiences: &[String]) -> Answer<()> {
        let message = JwtsvidRequest { audience: audiences.to_vec(), spiffe_id: String::new() };
        unary(self.options, self.connection.client().fetch_jwtsvid(with_header(message, value))).await.map(drop)
    }

    async fn validate_with(
        &self,
        value: Option<&'static str>,
        audiences: &[String],
        token: Option<&str>,
    ) -> Answer<()> {
        let message = ValidateJwtsvidRequest {
            audience: audiences.first().cloned().unwrap_or_default(),
            svid: token.unwrap_or("x.x.x").to_owned(),
        };
        unary(self.options, self.connection.client().validate_jwtsvid(with_header(message, value))).await.map(drop)
    }

    pub(super) async fn unknown_rpc(&self) -> Answer<()> {
        let mut grpc = self.connection.grpc();
        if grpc.ready().await.is_err() {
            return Answer::NotAsked("the connection broke");
        }
        let path = PathAndQuery::from_static("/SpiffeWorkloadAPI/FetchWhatNobodyDefined");
        let codec = ProstCodec::<X509svidRequest, X509svidRequest>::default();
        unary(self.options, grpc.unary(request(X509svidRequest {}), path, codec)).await.map(drop)
    }

    /// Each with one mandatory field at its default.
    pub(super) async fn defaults(
        &self,
        jwt: &Answer<JwtsvidResponse>,
        audiences: &[String; 2],
    ) -> Vec<(&'static str, Answer<()>)> {
        if !matches!(jwt, Answer::Said(_)) {
            return Vec::new();
        }
        let [audience, _] = audiences;
        let svid = first_token(jwt).unwrap_or_default();
        let mut answers = vec![
            ("FetchJWTSVID without audience", self.jwt(&[], "").await.map(drop)),
            ("ValidateJWTSVID without a token", self.validate(audience, "").await.map(drop)),
        ];
        if !svid.is_empty() {
            answers.push(("ValidateJWTSVID without audience", self.validate("", &svid).await.map(drop)));
        }
        answers
    }
}
