//! The directory of a dev server: who holds it, what lies where, and what it leaves for programs.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use model::PrincipalId;
use serde::{Deserialize, Serialize};

use crate::files::write_whole;

/// First line of the lock file: shows that a directory is ours to empty.
const MARK: &str = "countersign dev";
/// Where epochs were files.
const OLDER_STATE: &str = "state/epochs";
/// Longest path of a socket that is used as it is, in bytes (`sun_path` has 108).
const MAX_SOCKET_PATH: usize = 100;

/// `dev.json`: where everything is. Written once all listeners accept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DevJson {
    pub pid: u32,
    pub gateway: Addresses,
    pub control: String,
    pub admin: String,
    pub issuer: String,
    pub upstream: String,
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
    #[error("`{}` is held by another `countersign dev`, process {holder}; stop it, or name another --dir", .path.display())]
    Held { path: PathBuf, holder: String },
    #[error("`{}` is not empty and was not made by `countersign dev`; --fresh will not empty it", .path.display())]
    NotOurs { path: PathBuf },
    #[error("`{}` was made by an older `countersign dev`, whose state is not read any more; --fresh empties it", .path.display())]
    Older { path: PathBuf },
    #[error("cannot use `{}`", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// A dev server's directory, held until dropped.
pub struct Directory {
    root: PathBuf,
    _lock: File,
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
}

impl DevJson {
    /// What `${DEV_…}` stands for in this server's estate.
    pub fn vars(&self) -> BTreeMap<String, String> {
        let pair = |name: &str, value: &String| (name.to_owned(), value.clone());
        BTreeMap::from([pair("DEV_ISSUER", &self.issuer), pair("DEV_UPSTREAM", &self.upstream)])
    }
}

impl Directory {
    /// Takes the directory, making it if need be (mode 0700), and removes what the last server left for programs.
    ///
    /// # Errors
    /// [`BadDirectory`].
    pub fn take(root: &Path, fresh: Fresh) -> Result<Self, BadDirectory> {
        let io = |source| BadDirectory::Io { path: root.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(io)?;
        let root = root.canonicalize().map_err(io)?;
        let marked = fs::read_to_string(root.join("lock")).is_ok_and(|text| text.starts_with(MARK));
        if fresh == Fresh::Emptied && !marked && fs::read_dir(&root).map_err(io)?.next().is_some() {
            return Err(BadDirectory::NotOurs { path: root });
        }
        fs::set_permissions(&root, Permissions::from_mode(0o700)).map_err(io)?;
        let lock = lock(&root)?;
        if fresh == Fresh::Emptied {
            empty(&root).map_err(io)?;
        }
        if root.join(OLDER_STATE).exists() {
            return Err(BadDirectory::Older { path: root });
        }
        let directory = Self { root, _lock: lock };
        for gone in [directory.dev_json(), directory.root.join("control.sock")] {
            match fs::remove_file(gone) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
                _ => {}
            }
        }
        DirBuilder::new().recursive(true).mode(0o700).create(directory.root.join("keys")).map_err(io)?;
        Ok(directory)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub fn state(&self) -> PathBuf {
        state_beside(&self.path("ledger"))
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn dev_json(&self) -> PathBuf {
        self.root.join("dev.json")
    }

    /// Where the control socket goes: here, unless the path would be too long for one.
    ///
    /// # Errors
    /// If the runtime directory cannot be made.
    pub fn socket(&self) -> io::Result<PathBuf> {
        let here = self.root.join("control.sock");
        if here.as_os_str().len() <= MAX_SOCKET_PATH {
            return Ok(here);
        }
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let digest = credential::digest_of(here.as_os_str().as_encoded_bytes()).to_string();
        let folder = runtime.join(format!("countersign-{}", digest.get(..16).unwrap_or_default()));
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let found = fs::symlink_metadata(&folder)?;
        if !found.is_dir() || found.uid() != fs::metadata(&self.root)?.uid() || found.mode() & 0o077 != 0 {
            let why = format!("`{}` belongs to somebody else, or others can write to it", folder.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        let socket = folder.join("control.sock");
        match fs::remove_file(&socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(socket),
        }
    }

    /// The directory's owner: who may operate what runs in it.
    ///
    /// # Errors
    /// If the directory is gone.
    pub fn owner(&self) -> io::Result<u32> {
        Ok(fs::metadata(&self.root)?.uid())
    }

    pub fn ports(&self) -> Ports {
        let text = fs::read(self.root.join("ports.json")).unwrap_or_default();
        // a file that cannot be read costs only the memory of ports
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// # Errors
    /// [`BadDirectory::Io`].
    pub fn remember(&self, ports: Ports) -> Result<(), BadDirectory> {
        let path = self.root.join("ports.json");
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

/// The state that a dev server keeps, by the ledger that it keeps.
pub fn state_beside(ledger: &Path) -> PathBuf {
    ledger.with_file_name("state").join("state.db")
}

/// Whether a directory starts empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fresh {
    Reused,
    Emptied,
}

/// The local operator with that user id.
///
/// # Panics
/// Never: digits are always part of an id.
pub fn operator(uid: u32) -> PrincipalId {
    #[expect(clippy::expect_used, reason = "`human:local:` and digits are a principal's id; a test reads one")]
    format!("human:local:{uid}").parse().expect("a human's id")
}

fn lock(root: &Path) -> Result<File, BadDirectory> {
    let path = root.join("lock");
    let io = |source| BadDirectory::Io { path: path.clone(), source };
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(io)?;
    if let Err(error) = file.try_lock() {
        return match error {
            fs::TryLockError::WouldBlock => {
                let mut text = String::new();
                // whose it is only helps the reader: a lock that cannot be read is still held
                let _ = file.read_to_string(&mut text);
                let holder = text.lines().nth(1).unwrap_or("unknown").to_owned();
                Err(BadDirectory::Held { path: root.to_owned(), holder })
            }
            fs::TryLockError::Error(source) => Err(io(source)),
        };
    }
    file.set_len(0).map_err(io)?;
    file.rewind().map_err(io)?;
    writeln!(file, "{MARK}\n{}", std::process::id()).map_err(io)?;
    Ok(file)
}

fn empty(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_name() == "lock" {
            continue;
        }
        if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
    }
    Ok(())
}
