//! The segment that is being written: frames are appended whole, or the file is cut back to where it was.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::files::{PRIVATE, sync_parent};
use crate::layout::Segment;

/// A raw segment, open for writing.
pub(crate) struct Active {
    file: Arc<File>,
    path: PathBuf,
    segment: Segment,
    /// Bytes of whole frames.
    length: u64,
    /// Whether bytes may stand behind them that could not be cut off.
    dirty: bool,
}

impl Active {
    /// Makes an empty segment whose name survives a power cut.
    pub(crate) fn create(dir: &Path, segment: Segment) -> io::Result<Self> {
        let active = Self::resume(dir, segment, 0)?;
        sync_parent(&active.path)?;
        Ok(active)
    }

    /// Opens a segment to write on behind its first `length` bytes; what stands behind them is cut off.
    pub(crate) fn resume(dir: &Path, segment: Segment, length: u64) -> io::Result<Self> {
        let path = segment.path(dir);
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(PRIVATE).open(&path)?;
        if file.metadata()?.len() != length {
            file.set_len(length)?;
            file.sync_all()?;
        }
        Ok(Self { file: Arc::new(file), path, segment, length, dirty: false })
    }

    /// Hands `frames` to the kernel. On an error none of them stays.
    pub(crate) fn append(&mut self, frames: &[u8]) -> io::Result<()> {
        self.cut()?;
        // until it is known that all went well, something may stand there
        self.dirty = true;
        if let Err(error) = self.file.write_all_at(frames, self.length) {
            // a failed cut is tried again before the next frames
            let _ = self.cut();
            return Err(error);
        }
        self.dirty = false;
        self.length += frames.len() as u64;
        Ok(())
    }

    /// Waits until everything that was appended is on the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// What is to be synced, for whoever does that elsewhere.
    pub(crate) const fn file(&self) -> &Arc<File> {
        &self.file
    }

    pub(crate) const fn length(&self) -> u64 {
        self.length
    }

    pub(crate) const fn segment(&self) -> &Segment {
        &self.segment
    }

    fn cut(&mut self) -> io::Result<()> {
        if self.dirty {
            self.file.set_len(self.length)?;
            self.dirty = false;
        }
        Ok(())
    }
}
