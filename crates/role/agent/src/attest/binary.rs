//! What a process runs: the file behind `/proc/PID/exe`, and its digest, which is taken through one descriptor: a path could
//! come to mean another file.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{Context, SHA256};
use model::Digest;
use rustix::fs::fstatfs;
use tokio::sync::{AcquireError, Semaphore};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;

/// Most digests that are kept.
const MAX_KEPT: usize = 1024;
/// How many files are read at once: a file system may take its time.
const AT_ONCE: usize = 2;
/// How long one may wait for its turn and be read.
const WITHIN: Duration = Duration::from_secs(10);
/// A file that changed within this time may change again without showing it: file systems' clocks are coarse.
const SETTLED: Duration = Duration::from_secs(2);
/// The kind of file system whose files are what a process of some user says at the moment (statfs(2)).
const FUSE: u64 = 0x6573_5546;

/// Looks at binaries.
#[derive(Debug)]
pub(super) struct Binaries {
    /// Longest file that is hashed, in bytes; where it is 0, none is.
    most: u64,
    turns: Arc<Semaphore>,
    kept: Arc<Mutex<HashMap<State, Digest>>>,
}

/// What a process runs. Two that are equal: the same file, as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binary {
    pub(super) path: String,
    state: State,
}

/// One state of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Why it is not known what a process runs.
#[derive(Debug, thiserror::Error)]
pub enum NoBinary {
    #[error("it cannot be read: this process needs the right to look at those of other users")]
    Io(#[from] io::Error),
    #[error("its path is not UTF-8")]
    Path,
    #[error("it has {size} bytes, and `maxHashed` is {most}")]
    TooLong { size: u64, most: u64 },
    #[error("it is on a file system that a user serves, who may say anything of it")]
    Served,
    #[error("it is another one by now")]
    Changed,
    #[error("it was not read within {} s", WITHIN.as_secs())]
    Late,
    #[error("reading it was stopped")]
    Stopped(#[from] JoinError),
    #[error("nothing is read any more")]
    Closed(#[from] AcquireError),
}

impl Binaries {
    pub(super) fn new(most: u64) -> Self {
        Self { most, turns: Arc::new(Semaphore::new(AT_ONCE)), kept: Arc::default() }
    }

    /// What the process with this number runs, if that is a process still.
    ///
    /// # Errors
    /// [`NoBinary`].
    pub(super) async fn of(&self, pid: i32) -> Result<Binary, NoBinary> {
        self.take_turn(move || Ok(open(pid)?.1)).await
    }

    /// The digest of that, unless none is wanted.
    ///
    /// # Errors
    /// [`NoBinary`]; also where the process runs something else by now.
    pub(super) async fn digest(&self, pid: i32, binary: &Binary) -> Result<Option<Digest>, NoBinary> {
        if self.most == 0 {
            return Ok(None);
        }
        let (most, kept, binary) = (self.most, Arc::clone(&self.kept), binary.clone());
        let digest = move || {
            let (mut file, found) = open(pid)?;
            if found == binary { digest(&mut file, found.state, most, &kept).map(Some) } else { Err(NoBinary::Changed) }
        };
        self.take_turn(digest).await
    }

    async fn take_turn<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, NoBinary> + Send + 'static,
    ) -> Result<T, NoBinary> {
        let read = async {
            let turn = Arc::clone(&self.turns).acquire_owned().await?;
            // a read that hangs keeps its turn: there are never more of them than turns
            spawn_blocking(move || {
                let read = read();
                drop(turn);
                read
            })
            .await?
        };
        timeout(WITHIN, read).await.unwrap_or(Err(NoBinary::Late))
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

fn open(pid: i32) -> Result<(File, Binary), NoBinary> {
    let link = format!("/proc/{pid}/exe");
    let file = File::open(&link)?;
    let path = fs::read_link(&link)?.into_os_string().into_string().or(Err(NoBinary::Path))?;
    if is_served(fstatfs(&file).map_err(io::Error::from)?.f_type.cast_unsigned()) {
        return Err(NoBinary::Served);
    }
    let state = State::of(&file)?;
    // the path is that of this file, if the process runs it still
    if State::of(&File::open(&link)?)? != state {
        return Err(NoBinary::Changed);
    }
    Ok((file, Binary { path, state }))
}

/// The kernel's constant has 32 bits, whatever its field has.
pub(super) const fn is_served(kind: u64) -> bool {
    kind & 0xffff_ffff == FUSE
}

fn digest(file: &mut File, state: State, most: u64, kept: &Mutex<HashMap<State, Digest>>) -> Result<Digest, NoBinary> {
    let lock = || kept.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(digest) = lock().get(&state) {
        return Ok(*digest);
    }
    if state.size > most {
        return Err(NoBinary::TooLong { size: state.size, most });
    }
    let settled = state.is_settled(SystemTime::now());
    let mut context = Context::new(&SHA256);
    let mut file = file.take(most);
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let length = file.read(&mut chunk)?;
        let Some(read) = chunk.get(..length).filter(|read| !read.is_empty()) else { break };
        context.update(read);
    }
    if State::of(file.into_inner())? != state {
        return Err(NoBinary::Changed);
    }
    let digest = context.finish();
    let digest = Digest::new(digest.as_ref().try_into().or(Err(NoBinary::Changed))?);
    if settled {
        let mut kept = lock();
        if kept.len() >= MAX_KEPT {
            // they are soon known again
            kept.clear();
        }
        kept.insert(state, digest);
    }
    Ok(digest)
}

impl State {
    fn of(file: &File) -> io::Result<Self> {
        let of = file.metadata()?;
        Ok(Self {
            device: of.dev(),
            inode: of.ino(),
            size: of.size(),
            modified: (of.mtime(), of.mtime_nsec()),
            changed: (of.ctime(), of.ctime_nsec()),
        })
    }

    /// Whether another change would show. Whoever owns a file sets its time of modification, and not that of its change.
    fn is_settled(&self, now: SystemTime) -> bool {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let changed = u64::try_from(self.changed.0).map(Duration::from_secs);
        changed.is_ok_and(|changed| now > changed && now.saturating_sub(changed) > SETTLED)
    }
}
