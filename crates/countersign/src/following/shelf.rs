//! The last that was heard, on disk, as it was signed: what a plane decides by while control is away when it starts.

use std::io;
use std::path::{Path, PathBuf};

use net::files::write_whole;

use crate::epochs::Publication;
use crate::feed::{Heartbeat, Says, Voice};

const SNAPSHOT: &str = "snapshot.feed";
const HEARTBEAT: &str = "heartbeat.feed";
/// For its owner alone: an estate tells much of what it protects.
const PRIVATE: u32 = 0o600;

/// The files of one plane.
pub struct Shelf {
    directory: PathBuf,
    voice: Voice,
}

impl Shelf {
    pub fn new(directory: &Path, voice: Voice) -> Self {
        Self { directory: directory.to_owned(), voice }
    }

    pub const fn voice(&self) -> &Voice {
        &self.voice
    }

    /// The snapshot that was in force last; none if there is none that control has signed.
    pub fn snapshot(&self) -> Option<Publication> {
        match self.read(SNAPSHOT)? {
            Says::Snapshot(publication) => Some(*publication),
            Says::Revocations(_) | Says::Heartbeat(_) => None,
        }
    }

    /// The heartbeat that was heard last.
    pub fn heartbeat(&self) -> Option<Heartbeat> {
        match self.read(HEARTBEAT)? {
            Says::Heartbeat(heartbeat) => Some(heartbeat),
            Says::Revocations(_) | Says::Snapshot(_) => None,
        }
    }

    /// # Errors
    /// If it cannot be written.
    pub fn keep_snapshot(&self, line: &[u8]) -> io::Result<()> {
        write_whole(&self.directory.join(SNAPSHOT), line, PRIVATE)
    }

    /// # Errors
    /// If it cannot be written.
    pub fn keep_heartbeat(&self, line: &[u8]) -> io::Result<()> {
        write_whole(&self.directory.join(HEARTBEAT), line, PRIVATE)
    }

    /// What is on the shelf. What is damaged is as good as nothing: control will say it again.
    fn read(&self, name: &str) -> Option<Says> {
        let path = self.directory.join(name);
        let line = match std::fs::read(&path) {
            Ok(line) => line,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "what was heard last cannot be read");
                return None;
            }
        };
        match self.voice.hear(&line) {
            Ok(says) => Some(says),
            Err(error) => {
                let error = net::causes::chain(&error);
                tracing::error!(path = %path.display(), error, "what was heard last is not what control signed");
                None
            }
        }
    }
}
