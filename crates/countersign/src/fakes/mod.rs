//! Outside parties, so that what speaks to them can be tried with no account anywhere: Amazon's STS and metadata service,
//! Google's and Azure's metadata services. They speak the real wire format and are as strict as the real ones; what they say is of
//! one machine that does not exist. `dev` serves them when asked to. Nothing here is for production.

mod amazon;
mod azure;
mod google;
mod keys;
mod reply;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use net::files::write_whole;
use net::{Door, Peer, now};

use self::amazon::Amazon;
use self::azure::Azure;
use self::google::Google;
pub use self::keys::{BadKey, Signing, SigningKey};
use self::reply::{Asked, Reply};

/// Longest body of a request, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// All of them, behind one listener: the real metadata services share an address, too.
pub struct Clouds {
    amazon: Amazon,
    google: Google,
    azure: Azure,
}

/// Why they are not there.
#[derive(Debug, thiserror::Error)]
pub enum NoClouds {
    #[error(transparent)]
    Key(#[from] BadKey),
    #[error("no certificate can be made of the key")]
    Certificate(#[from] rcgen::Error),
    #[error("cannot write `{}`", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl Clouds {
    /// With keys that lie under `directory`, made if need be; what estates trust is written beside them.
    ///
    /// # Errors
    /// [`NoClouds`].
    pub fn open(directory: &Path) -> Result<Self, NoClouds> {
        let io = |path: &Path, source| NoClouds::Io { path: path.to_owned(), source };
        std::fs::create_dir_all(directory).map_err(|source| io(directory, source))?;
        let clouds =
            Self { amazon: Amazon::open(directory)?, google: Google::open(directory)?, azure: Azure::open(directory)? };
        for (name, text) in clouds.trusted() {
            let path = directory.join(name);
            write_whole(&path, text.as_bytes(), 0o644).map_err(|source| io(&path, source))?;
        }
        Ok(clouds)
    }

    /// What an estate trusts of them, by name of its file.
    fn trusted(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("aws-eu-central-2.pem", self.amazon.certificate()),
            ("aws.jwks.json", self.amazon.key_set().to_string()),
            ("google.jwks.json", self.google.key_set().to_string()),
            ("azure.jwks.json", self.azure.key_set().to_string()),
        ])
    }

    fn reply(&self, asked: &Asked) -> Reply {
        let path = asked.path();
        if path.starts_with("/computeMetadata/") || (path == "/" && asked.header("metadata-flavor").is_some()) {
            return self.google.metadata(asked);
        }
        if path.starts_with("/metadata/") {
            return self.azure.metadata(asked);
        }
        if path.starts_with("/latest/") {
            return self.amazon.metadata(asked);
        }
        match path {
            "/" => self.amazon.sts(asked),
            "/.well-known/jwks.json" => Reply::json(&self.amazon.key_set()),
            "/oauth2/v3/certs" => Reply::json(&self.google.key_set()),
            "/discovery/keys" => Reply::json(&self.azure.key_set()),
            _ => Reply::not_found(),
        }
    }
}

impl Door for Clouds {
    type Body = Full<Bytes>;

    async fn answer(&self, request: Request<Incoming>, _peer: Peer) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
            return Reply::bad_request("the body cannot be read").into_response();
        };
        self.reply(&Asked { parts, body: body.to_bytes(), at: now() }).into_response()
    }
}

#[cfg(test)]
mod tests;
