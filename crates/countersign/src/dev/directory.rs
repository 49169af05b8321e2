//! The directory of a dev server: who holds it, what lies where, and what it leaves for programs.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use net::files::write_whole;
use serde::{Deserialize, Serialize};

use crate::home::{BadHome, Home};

/// First line of the lock file: shows that a directory is ours to empty.
const MARK: &str = "countersign dev";
/// Where epochs were files.
const OLDER_STATE: &str = "state/epochs";
/// What is left for programs.
const DEV_JSON: &str = "dev.json";

/// `dev.json`: where everything is. Written once all listeners accept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DevJson {
    pub pid: u32,
    pub gateway: Addresses,
    pub control: String,
    pub admin: String,
    pub issuer: String,
    pub upstream: String,
    /// Fakes of clouds; none unless they were asked for.
    #[serde(default)]
    pub clouds: Option<String>,
    /// The authorities of the trust domain, in PEM.
    pub ca: PathBuf,
    pub ledger: PathBuf,
    pub estate: PathBuf,
    /// Of the sample workloads that the estate knows.
    pub svids: BTreeMap<String, SvidFiles>,
    pub tokens: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Addresses {
    pub http: String,
    pub https: String,
}

/// Where a workload's SVID is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SvidFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl SvidFiles {
    pub fn under(directory: &Directory, workload: &str) -> Self {
        let folder = directory.path("svids").join(workload);
        Self { cert: folder.join("svid.pem"), key: folder.join("svid.key") }
    }
}

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadDirectory {
    #[error(transparent)]
    Home(#[from] BadHome),
    #[error("`{}` is not empty and was not made by `countersign dev`; --fresh will not empty it", .path.display())]
    NotOurs { path: PathBuf },
    #[error("`{}` was made by an older `countersign dev`, whose state is not read any more; --fresh empties it", .path.display())]
    Older { path: PathBuf },
    #[error("cannot use `{}`", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// A dev server's directory, held until dropped.
pub struct Directory(Home);

impl Deref for Directory {
    type Target = Home;

    fn deref(&self) -> &Home {
        &self.0
    }
}

/// Ports that were used last, tried first: what was applied keeps its addresses over a restart.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
#[serde(default)]
pub struct Ports {
    pub gateway: u16,
    pub secure: u16,
    pub admin: u16,
    pub issuer: u16,
    pub upstream: u16,
    pub clouds: u16,
}

impl DevJson {
    /// What `${DEV_…}` stands for in this server's estate.
    pub fn vars(&self) -> BTreeMap<String, String> {
        let pair = |name: &str, value: &String| (name.to_owned(), value.clone());
        let clouds = self.clouds.as_ref().map(|url| pair("DEV_CLOUDS", url));
        [pair("DEV_ISSUER", &self.issuer), pair("DEV_UPSTREAM", &self.upstream)].into_iter().chain(clouds).collect()
    }
}

impl Directory {
    /// Takes the directory, making it if need be (mode 0700), and removes what the last server left for programs.
    ///
    /// # Errors
    /// [`BadDirectory`].
    pub fn take(root: &Path, fresh: Fresh) -> Result<Self, BadDirectory> {
        let io = |source| BadDirectory::Io { path: root.to_owned(), source };
        let empty = fs::read_dir(root).map_or(true, |mut entries| entries.next().is_none());
        if fresh == Fresh::Emptied && !empty && !Home::is_marked(root, MARK) {
            return Err(BadDirectory::NotOurs { path: root.to_owned() });
        }
        let directory = Self(Home::take(root, MARK)?);
        if fresh == Fresh::Emptied {
            directory.0.empty().map_err(io)?;
        }
        if directory.path(OLDER_STATE).exists() {
            return Err(BadDirectory::Older { path: directory.root().to_owned() });
        }
        directory.0.remove(DEV_JSON).map_err(io)?;
        Ok(directory)
    }

    pub fn dev_json(&self) -> PathBuf {
        self.path(DEV_JSON)
    }

    pub fn ports(&self) -> Ports {
        let text = fs::read(self.path("ports.json")).unwrap_or_default();
        // a file that cannot be read costs only the memory of ports
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// # Errors
    /// [`BadDirectory::Io`].
    pub fn remember(&self, ports: Ports) -> Result<(), BadDirectory> {
        let path = self.path("ports.json");
        let bytes = serde_json::to_vec(&ports).map_err(io::Error::from);
        bytes.and_then(|bytes| write_whole(&path, &bytes, 0o600)).map_err(|source| BadDirectory::Io { path, source })
    }

    /// # Errors
    /// [`BadDirectory::Io`].
    pub fn announce(&self, dev: &DevJson) -> Result<(), BadDirectory> {
        let path = self.dev_json();
        let bytes = serde_json::to_vec_pretty(dev).map_err(io::Error::from);
        bytes.and_then(|bytes| write_whole(&path, &bytes, 0o600)).map_err(|source| BadDirectory::Io { path, source })
    }
}

/// Whether a directory starts empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fresh {
    Reused,
    Emptied,
}
