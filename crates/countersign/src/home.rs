//! The directory of a process: who holds it, where its socket is, and who may operate what runs in it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use model::PrincipalId;
use tokio::net::UnixListener;

/// Longest path of a socket that is used as it is, in bytes (`sun_path` has 108).
const MAX_SOCKET_PATH: usize = 100;
const SOCKET: &str = "control.sock";
const LOCK: &str = "lock";

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadHome {
    #[error("`{}` is held by another {holder}; stop it, or name another directory", .path.display())]
    Held { path: PathBuf, holder: String },
    #[error("cannot use `{}`", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// A process's directory, held until dropped.
pub struct Home {
    root: PathBuf,
    _lock: File,
}

impl Home {
    /// Takes the directory, making it if need be (mode 0700), and removes the socket of whoever held it last. `mark` is the
    /// first line of its lock file: what runs here.
    ///
    /// # Errors
    /// [`BadHome`].
    pub fn take(root: &Path, mark: &str) -> Result<Self, BadHome> {
        let io = |source| BadHome::Io { path: root.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(io)?;
        let root = root.canonicalize().map_err(io)?;
        fs::set_permissions(&root, Permissions::from_mode(0o700)).map_err(io)?;
        let lock = lock(&root, mark)?;
        let home = Self { root, _lock: lock };
        home.remove(SOCKET).map_err(io)?;
        DirBuilder::new().recursive(true).mode(0o700).create(home.path("keys")).map_err(io)?;
        Ok(home)
    }

    /// Whether the directory was last held by who leaves this mark.
    pub fn is_marked(root: &Path, mark: &str) -> bool {
        fs::read_to_string(root.join(LOCK)).is_ok_and(|text| text.starts_with(mark))
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// If it is there and cannot be removed.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.root.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes everything but what holds the directory.
    ///
    /// # Errors
    /// For the first file that cannot be removed.
    pub fn empty(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            if entry.file_name() == LOCK {
                continue;
            }
            if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
        }
        DirBuilder::new().recursive(true).mode(0o700).create(self.path("keys"))
    }

    /// Listens where operators of this machine come: for the owner alone.
    ///
    /// # Errors
    /// If the socket cannot be made.
    pub fn listen(&self) -> io::Result<(UnixListener, PathBuf)> {
        let path = self.socket()?;
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok((listener, path))
    }

    /// Where the control socket goes: here, unless the path would be too long for one.
    ///
    /// # Errors
    /// If the runtime directory cannot be made.
    fn socket(&self) -> io::Result<PathBuf> {
        let here = self.root.join(SOCKET);
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
        let socket = folder.join(SOCKET);
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
}

/// The state of a process, by the ledger that it keeps.
pub fn state_beside(ledger: &Path) -> PathBuf {
    ledger.with_file_name("state").join("state.db")
}

/// The local operator with that user id.
///
/// # Panics
/// Never: digits are always part of an id.
pub fn operator(uid: u32) -> PrincipalId {
    #[expect(clippy::expect_used, reason = "`human:local:` and digits are a principal's id; a test reads one")]
    format!("human:local:{uid}").parse().expect("a human's id")
}

fn lock(root: &Path, mark: &str) -> Result<File, BadHome> {
    let path = root.join(LOCK);
    let io = |source| BadHome::Io { path: path.clone(), source };
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(io)?;
    if let Err(error) = file.try_lock() {
        return match error {
            fs::TryLockError::WouldBlock => {
                let mut text = String::new();
                // whose it is only helps the reader: a lock that cannot be read is still held
                let _ = file.read_to_string(&mut text);
                let mut lines = text.lines();
                let (what, pid) = (lines.next().unwrap_or("process"), lines.next().unwrap_or("unknown"));
                let holder = format!("`{what}`, process {pid}");
                Err(BadHome::Held { path: root.to_owned(), holder })
            }
            fs::TryLockError::Error(source) => Err(io(source)),
        };
    }
    file.set_len(0).map_err(io)?;
    file.rewind().map_err(io)?;
    writeln!(file, "{mark}\n{}", std::process::id()).map_err(io)?;
    Ok(file)
}
