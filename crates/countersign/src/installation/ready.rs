//! What a process leaves for programs once it accepts, and what tells verbs which installation they are for.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use net::files::write_whole;

/// Name of the file in a process's directory.
pub const READY: &str = "ready.json";

/// Where a process is: written once all its listeners accept, and removed when it ends.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Ready {
    pub role: String,
    pub pid: u32,
    pub environment: String,
    /// `unix:PATH`: where operators of this machine come.
    pub control: String,
    pub admin: String,
    /// Where planes come; none at a gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planes: Option<String>,
    /// Where other trust domains find the bundle; none where that is not configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<String>,
    /// Where callers come; none at a control plane.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<ReadyGateway>,
    pub ledger: PathBuf,
    /// The authorities of the trust domain, in PEM.
    pub ca: PathBuf,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReadyGateway {
    /// None where no plain listener is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    pub https: String,
}

/// The installation that verbs are for, unless another is named. Paths are relative to the file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// `unix:PATH`, on the installation's own machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// `https://HOST:PORT` of each node, from elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<String>,
    /// Its own trust domain, where the authorities' certificates do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_domain: Option<String>,
    /// The authorities of its trust domain, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<OperatorFiles>,
}

/// An operator's certificate and its key, in PEM.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Ready {
    /// # Errors
    /// If it cannot be written.
    pub fn announce(&self, directory: &Path) -> io::Result<()> {
        write_whole(&directory.join(READY), &serde_json::to_vec_pretty(self)?, 0o600)
    }
}

/// Where the context file is: `$COUNTERSIGN_CONTEXT`, else under the user's configuration.
pub fn context_file() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("COUNTERSIGN_CONTEXT").or_else(|| {
        let config = variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")))?;
        Some(config.join("countersign/context.json"))
    })
}
