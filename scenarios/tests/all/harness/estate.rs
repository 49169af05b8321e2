//! Estates: the shipped quickstart, changed where a story needs it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::Mint;

pub const HOST: &str = "billing.acme.test";
pub const AUDIENCE: &str = "https://billing.acme.test";
pub const CI: &str = "spiffe://prod.acme.test/ci/billing";
pub const DUNNING: &str = "spiffe://prod.acme.test/agents/dunning";
pub const REPORTER: &str = "spiffe://prod.acme.test/billing/reporter";

const YAML: &str = include_str!("../../../../examples/quickstart/estate.yaml");
const CEDAR: &str = include_str!("../../../../examples/quickstart/billing.cedar");

/// An estate to be written to a folder.
#[derive(Clone)]
pub struct Estate {
    pub yaml: String,
    pub cedar: String,
    files: Vec<(String, String)>,
}

impl Estate {
    /// The quickstart, with keys that this test holds behind its three sources.
    pub fn ours() -> Self {
        let mint = Mint::shared();
        let mut estate = Self { yaml: YAML.to_owned(), cedar: CEDAR.to_owned(), files: Vec::new() };
        for (source, issuer, key) in [
            ("github", "${DEV_ISSUER}/github", "github"),
            ("people", "${DEV_ISSUER}/people", "people"),
            ("platform", "workload-identity-issuer", "platform"),
        ] {
            let ours = match source {
                "platform" => issuer.to_owned(),
                _ => format!("https://issuer.acme.test/{source}"),
            };
            estate = match source {
                "github" => estate.replacing(&format!("issuer: {issuer} "), &format!("issuer: {ours} ")),
                "people" => estate.replacing(&format!("issuer: \"{issuer}\""), &format!("issuer: \"{ours}\"")),
                _ => estate,
            };
            let file = format!("keys/{source}.jwks.json");
            if source != "platform" {
                estate = estate.replacing(
                    &format!("jwks: {{url: \"${{DEV_ISSUER}}/{source}/jwks\"}}"),
                    &format!("jwks: {{file: {file}}}"),
                );
            }
            estate.files.push((file, json!({"keys": [mint.key(key)]}).to_string()));
        }
        estate
    }

    /// An environment, and nothing in it.
    pub fn empty() -> Self {
        let yaml = "apiVersion: countersign.dev/v1\nkind: Environment\nmetadata: {name: production}\nspec: {trustDomain: prod.acme.test}\n";
        Self { yaml: yaml.to_owned(), cedar: String::new(), files: Vec::new() }
    }

    /// With `old`, which has to be there, written as `new`.
    #[must_use]
    #[track_caller]
    pub fn replacing(mut self, old: &str, new: &str) -> Self {
        if self.yaml.contains(old) {
            self.yaml = self.yaml.replacen(old, new, 1);
        } else {
            assert!(self.cedar.contains(old), "the estate has no `{old}`");
            self.cedar = self.cedar.replacen(old, new, 1);
        }
        self
    }

    #[must_use]
    pub fn document(mut self, text: &str) -> Self {
        self.yaml.push_str("---\napiVersion: countersign.dev/v1\n");
        self.yaml.push_str(text);
        self.yaml.push('\n');
        self
    }

    #[must_use]
    pub fn policy(mut self, id: &str, body: &str) -> Self {
        self.cedar.push_str(&format!("\n@id(\"{id}\") @owner(\"scenarios\") @purpose(\"a scenario\")\n{body}\n"));
        self
    }

    #[must_use]
    pub fn upstream(self, url: &str) -> Self {
        self.replacing("${DEV_UPSTREAM}", url)
    }

    /// A field of the service, such as `limits: {inFlight: 1}`.
    #[must_use]
    pub fn service(self, field: &str) -> Self {
        self.replacing("  http:\n", &format!("  {field}\n  http:\n"))
    }

    #[must_use]
    pub fn route(self, entry: &str) -> Self {
        self.replacing("  http:\n", &format!("  http:\n    - {entry}\n"))
    }

    /// One more source, of `Workload`s by `sub`.
    #[must_use]
    pub fn source(self, name: &str, issuer: &str, algorithms: &str, keys: &[Value], oidc: &str) -> Self {
        let set = json!({ "keys": keys });
        self.document(&format!(
            "kind: TrustSource\nmetadata: {{name: {name}}}\nspec:\n  proves: [Workload]\n  oidc:\n    issuer: {issuer}\n    \
             jwks: {{inline: {set}}}\n    audiences: [{AUDIENCE}]\n    algorithms: [{algorithms}]\n    \
             requiredClaims: [iss, sub, aud, exp, iat]\n    maxAge: 10m\n{oidc}  identityKey: [sub]"
        ))
    }

    /// One more source, of `Workload`s by `sub`, whose keys lie where `jwks` says.
    #[must_use]
    pub fn fetched(self, name: &str, jwks: &str, oidc: &str) -> Self {
        self.document(&format!(
            "kind: TrustSource\nmetadata: {{name: {name}}}\nspec:\n  proves: [Workload]\n  oidc:\n    \
             issuer: https://issuer.acme.test/{name}\n    jwks: {{{jwks}}}\n    audiences: [{AUDIENCE}]\n    \
             algorithms: [ES256]\n    requiredClaims: [iss, sub, aud, exp, iat]\n    maxAge: 10m\n{oidc}  identityKey: [sub]"
        ))
    }

    /// One more file.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    #[must_use]
    pub fn principal(self, name: &str, kind: &str, bound: &str, more: &str) -> Self {
        self.document(&format!(
            "kind: Principal\nmetadata: {{name: {name}}}\nspec: {{kind: {kind}, id: spiffe://prod.acme.test/scenario/{name}, \
             owner: team-billing, purpose: a scenario, expires: 2027-11-01T00:00:00Z, bindings: [{bound}]{more}}}"
        ))
    }

    /// The same for another environment of another trust domain.
    #[must_use]
    pub fn of_environment(mut self, name: &str, domain: &str) -> Self {
        for text in [&mut self.yaml, &mut self.cedar] {
            *text = text.replace("prod.acme.test", domain).replace("name: production", &format!("name: {name}"));
        }
        self
    }

    pub fn write(&self, folder: &Path) {
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
            fs::write(path, text).expect("it can be written");
        };
        write("billing.cedar", &self.cedar);
        for (name, text) in &self.files {
            write(name, text);
        }
        write("estate.yaml", &self.yaml);
    }
}
