//! Compresses segments that are closed, off the path of those who wait for a record.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use crate::files::{PRIVATE, sync_parent, temporary};
use crate::layout::{Form, Segment};

/// Most segments that wait; one that does not fit is compressed after the next start.
const WAITING: usize = 64;
const LEVEL: i32 = 1;
const CHUNK: usize = 256 * 1024;
/// How far the thread stands back behind those that answer callers: where a core is busy, it gets a tenth of it.
const NICE: i32 = 10;

/// Where closed segments are handed in. The thread ends when it is dropped.
pub(crate) struct Compressor {
    segments: SyncSender<Segment>,
    stop: Arc<AtomicBool>,
}

/// Compression was given up because the ledger is being closed.
#[derive(Debug, thiserror::Error)]
#[error("the ledger is being closed")]
struct Stopped;

impl Compressor {
    /// Starts the thread. Whoever holds the handle joins it once the compressor is dropped.
    pub(crate) fn start(dir: &Path) -> io::Result<(Self, JoinHandle<()>)> {
        let (segments, closed) = sync_channel(WAITING);
        let stop = Arc::new(AtomicBool::new(false));
        let (dir, stopped) = (dir.to_owned(), Arc::clone(&stop));
        let thread = thread::Builder::new().name("ledger-compress".to_owned());
        let thread = thread.spawn(move || run(&dir, &closed, &stopped))?;
        Ok((Self { segments, stop }, thread))
    }

    /// Hands in a closed segment.
    pub(crate) fn compress(&self, segment: Segment) {
        if let Err(TrySendError::Full(segment) | TrySendError::Disconnected(segment)) = self.segments.try_send(segment)
        {
            tracing::warn!(%segment, "stays uncompressed until the next start");
        }
    }
}

impl Drop for Compressor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn run(dir: &Path, closed: &Receiver<Segment>, stop: &AtomicBool) {
    // of this thread alone, on Linux; where it is not allowed, callers wait for their turn a little longer
    let _ = rustix::process::nice(NICE);
    for segment in closed {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = compress(dir, &segment, stop) {
            tracing::warn!(%segment, %error, "stays uncompressed until the next start");
        }
    }
}

/// Replaces a raw segment by its compressed form. The raw one goes only when the other is whole, read back and synced.
fn compress(dir: &Path, segment: &Segment, stop: &AtomicBool) -> io::Result<()> {
    let raw = segment.path(dir);
    let whole = segment.as_form(Form::Compressed).path(dir);
    let partial = temporary(&whole);
    let written = write(&raw, &partial, stop).and_then(|()| {
        std::fs::rename(&partial, &whole)?;
        sync_parent(&whole)?;
        std::fs::remove_file(&raw)?;
        sync_parent(&raw)
    });
    if written.is_err() {
        // what is left of it would be overwritten by the next attempt anyway
        let _ = std::fs::remove_file(&partial);
    }
    written
}

fn write(raw: &Path, partial: &PathBuf, stop: &AtomicBool) -> io::Result<()> {
    let mut source = File::open(raw)?;
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(PRIVATE).open(partial)?;
    let mut encoder = zstd::Encoder::new(file, LEVEL)?;
    encoder.include_checksum(true)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(io::Error::other(Stopped));
        }
        let read = source.read(&mut chunk)?;
        match chunk.get(..read) {
            Some([]) | None => break,
            Some(bytes) => encoder.write_all(bytes)?,
        }
    }
    encoder.finish()?.sync_all()?;
    read_back(raw, partial)
}

fn read_back(raw: &Path, compressed: &Path) -> io::Result<()> {
    let mut one = BufReader::with_capacity(CHUNK, File::open(raw)?);
    let mut other = BufReader::with_capacity(CHUNK, zstd::Decoder::new(File::open(compressed)?)?);
    let (mut expected, mut found) = (vec![0; CHUNK], vec![0; CHUNK]);
    loop {
        let read = one.read(&mut expected)?;
        let (Some(expected), Some(found)) = (expected.get(..read), found.get_mut(..read)) else { break };
        if read == 0 {
            break;
        }
        other.read_exact(found)?;
        if expected != found {
            return Err(io::Error::other("the compressed segment differs from what was compressed"));
        }
    }
    if other.read(&mut [0])? > 0 {
        return Err(io::Error::other("the compressed segment is longer than what was compressed"));
    }
    Ok(())
}
