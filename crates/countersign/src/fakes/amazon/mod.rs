//! Amazon: an instance, its metadata service in the second version, and STS of its region.

mod document;
mod metadata;
mod signature;
mod sts;

use std::path::Path;

use serde_json::{Value, json};

use self::document::Region;
use self::metadata::Sessions;
use super::NoClouds;
use super::keys::{Signing, SigningKey, base64url};
use super::reply::{Asked, Reply};

const ACCOUNT: &str = "123456789012";
const REGION: &str = "eu-central-2";
const INSTANCE: &str = "i-0b22a22eec53b9321";
const ROLE: &str = "agents";
const ROLE_ID: &str = "AROACLKWSDQRAOEXAMPLE";
/// Whose tokens these are: an account has an issuer of its own.
const ISSUER: &str = "https://0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0.tokens.sts.global.api.aws";

pub(super) struct Amazon {
    region: Region,
    es384: SigningKey,
    rs256: SigningKey,
    /// Of the instance's role.
    keys: SessionKeys,
    sessions: Sessions,
}

/// Keys of a session, new for each process.
struct SessionKeys {
    access_key: &'static str,
    secret: String,
    token: String,
}

impl Amazon {
    pub(super) fn open(directory: &Path) -> Result<Self, NoClouds> {
        let secret = || base64url(net::challenge());
        Ok(Self {
            region: Region::open(directory)?,
            es384: SigningKey::named(directory, "aws-es384", Signing::Es384)?,
            rs256: SigningKey::named(directory, "aws-rs256", Signing::Rs256)?,
            keys: SessionKeys { access_key: "ASIASAMPLEOFADEVRUN0", secret: secret(), token: secret() },
            sessions: Sessions::default(),
        })
    }

    /// Of the region, in PEM.
    pub(super) fn certificate(&self) -> String {
        self.region.certificate().to_owned()
    }

    /// Of the account's issuer.
    pub(super) fn key_set(&self) -> Value {
        json!({"keys": [self.es384.jwk(), self.rs256.jwk()]})
    }

    pub(super) fn metadata(&self, asked: &Asked) -> Reply {
        metadata::reply(self, asked)
    }

    pub(super) fn sts(&self, asked: &Asked) -> Reply {
        sts::reply(self, asked)
    }
}
