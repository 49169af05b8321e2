//! What an Envoy asks for: names of secrets, and how it can check certificates.

use std::collections::BTreeSet;

use prost_types::value::Kind;
use tonic::Status;
use wire::envoy::config::core::v3::Node;
use wire::envoy::service::discovery::v3::DiscoveryRequest;

use super::resource::SECRET;

/// SPIRE's names for the first SVID, for the own trust domain's bundle, and for all bundles.
pub(super) const DEFAULT_SVID: &str = "default";
pub(super) const DEFAULT_BUNDLE: &str = "ROOTCA";
pub(super) const ALL_BUNDLES: &str = "ALL";

/// In an Envoy's metadata: it checks certificates without knowing of trust domains.
const WITHOUT_VALIDATOR: &str = "disable_spiffe_cert_validation";
/// Most names of one request, and the longest of them, in bytes.
const MOST_NAMES: usize = 256;
const LONGEST_NAME: usize = 2_048;

/// How an Envoy checks certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Validation {
    /// By its SPIFFE validator: with the authorities of the certificate's own trust domain.
    Spiffe,
    /// With the authorities that it is given.
    Authorities,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// Empty for everything.
    pub names: BTreeSet<String>,
    pub validation: Validation,
}

impl Asked {
    /// Reads a request; an Envoy says only in its first who it is.
    ///
    /// # Errors
    /// [`Status`] that says what is wrong with it.
    pub(super) fn read(request: DiscoveryRequest, before: Option<&Self>) -> Result<Self, Status> {
        if !request.type_url.is_empty() && request.type_url != SECRET {
            return Err(Status::invalid_argument(format!("only resources of type `{SECRET}` are served")));
        }
        let names = &request.resource_names;
        if names.len() > MOST_NAMES || names.iter().any(|name| name.len() > LONGEST_NAME) {
            let most =
                format!("at most {MOST_NAMES} resources can be asked for at once, by names of {LONGEST_NAME} bytes");
            return Err(Status::invalid_argument(most));
        }
        let validation = match (&request.node, before) {
            (None, Some(before)) => before.validation,
            (node, _) => node.as_ref().map_or(Validation::Spiffe, validation),
        };
        let names = request.resource_names.into_iter().filter(|name| !name.is_empty()).collect();
        Ok(Self { names, validation })
    }

    /// Whether what has this name is asked for by it, or by asking for everything.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.contains(name)
    }
}

/// Anything but a clear word leaves the validator, which is the stricter of the two.
fn validation(node: &Node) -> Validation {
    let said = node.metadata.as_ref().and_then(|metadata| metadata.fields.get(WITHOUT_VALIDATOR));
    match said.and_then(|value| value.kind.as_ref()) {
        Some(Kind::BoolValue(true)) => Validation::Authorities,
        Some(Kind::StringValue(text)) if matches!(text.as_str(), "1" | "t" | "T" | "true" | "True" | "TRUE") => {
            Validation::Authorities
        }
        Some(
            Kind::BoolValue(false)
            | Kind::StringValue(_)
            | Kind::NullValue(_)
            | Kind::NumberValue(_)
            | Kind::StructValue(_)
            | Kind::ListValue(_),
        )
        | None => Validation::Spiffe,
    }
}
