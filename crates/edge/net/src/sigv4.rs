//! Signatures of requests to Amazon's services: AWS Signature Version 4, by its derived key.

#[cfg(test)]
mod tests;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;

/// The algorithm, as it stands in `authorization`.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A secret access key: it does not print.
pub struct SecretKey(String);

impl SecretKey {
    pub const fn new(text: String) -> Self {
        Self(text)
    }
}

/// What a signature counts for.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// `x-amz-date`: `20270102T030405Z`.
    pub time: &'a str,
    pub region: &'a str,
    pub service: &'a str,
}

/// What of a request is signed.
#[derive(Debug, Clone)]
pub struct Canonical<'a> {
    pub method: &'a str,
    /// Percent-encoded, as it is sent.
    pub path: &'a str,
    /// Percent-encoded, its pairs in order.
    pub query: &'a str,
    /// Names in lower case, in order; values without spaces around them.
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
}

impl Scope<'_> {
    /// `DAY/REGION/SERVICE/aws4_request`.
    pub fn text(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.day(), self.region, self.service)
    }

    fn day(&self) -> &str {
        self.time.get(..8).unwrap_or_default()
    }
}

impl Canonical<'_> {
    /// Names of the headers that are signed, as they stand in `authorization`.
    pub fn signed_headers(&self) -> String {
        self.headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";")
    }

    fn text(&self) -> String {
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let body = hex(digest(&SHA256, self.body).as_ref());
        [self.method, self.path, self.query, &headers, &self.signed_headers(), &body].join("\n")
    }
}

/// The signature, in hexadecimal.
pub fn sign(secret: &SecretKey, scope: Scope<'_>, request: &Canonical<'_>) -> String {
    let of = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let request = hex(digest(&SHA256, request.text().as_bytes()).as_ref());
    let text = [ALGORITHM, scope.time, &scope.text(), &request].join("\n");
    let day = of(format!("AWS4{}", secret.0).as_bytes(), scope.day());
    let region = of(day.as_ref(), scope.region);
    let service = of(region.as_ref(), scope.service);
    let key = of(service.as_ref(), "aws4_request");
    hex(of(key.as_ref(), &text).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
