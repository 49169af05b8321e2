//! The hash chain: each frame counts one further than the frame before it and names its SHA-256.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use model::{Digest, Time};
use serde::Serialize;

use crate::frame::{self, Oversized, Unframed};
use crate::line;
use crate::record::{Body, Record, Stamp};

/// Where a writer's chain stands. Before the first frame: `seq` 0, and a head of zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    writer: String,
    seq: u64,
    head: Digest,
}

/// Damage: where it shows, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("segment `{segment}`, record {seq}: {}", .kind.title())]
pub struct Fault {
    /// File name, relative to the ledger's directory.
    pub segment: String,
    /// The record that should stand where the damage is.
    pub seq: u64,
    pub kind: FaultKind,
}

/// What is wrong with a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    Crc,
    Length,
    Json,
    Seq,
    Prev,
    Writer,
    Truncated,
    Checkpoint,
    Signature,
    Compression,
    MissingSegment,
}

/// A record that cannot be appended.
#[derive(Debug, thiserror::Error)]
pub enum Unencodable {
    #[error("the record cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Oversized(#[from] Oversized),
}

impl Chain {
    /// The chain of a writer that has written nothing.
    pub fn begin(writer: &str) -> Self {
        Self { writer: writer.to_owned(), seq: 0, head: Digest::new([0; 32]) }
    }

    /// The chain that ends in `record`, whose exact bytes are `json`.
    pub fn ending_in(record: &Record, json: &[u8]) -> Self {
        Self { writer: record.stamp.writer.clone(), seq: record.stamp.seq, head: sha256(json) }
    }

    pub fn writer(&self) -> &str {
        &self.writer
    }

    /// Number of the last frame.
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Number that the next frame has.
    pub const fn next_seq(&self) -> u64 {
        self.seq.saturating_add(1)
    }

    /// SHA-256 of the last frame's JSON.
    pub const fn head(&self) -> Digest {
        self.head
    }

    /// Appends `body` as the next frame to `into`.
    ///
    /// # Errors
    /// [`Unencodable`]; then neither the chain nor `into` has changed.
    pub fn append(&mut self, body: &Body, at: Time, into: &mut Vec<u8>) -> Result<(), Unencodable> {
        let stamp = Stamp {
            writer: self.writer.clone(),
            seq: self.next_seq(),
            prev: self.head.to_string(),
            time: at.to_string(),
        };
        let start = frame::begin(into);
        line::write_json(&stamp, body, into).inspect_err(|_| into.truncate(start))?;
        self.advance(frame::end(start, into)?);
        Ok(())
    }

    /// Reads the next frame's JSON and checks that it continues the chain.
    ///
    /// # Errors
    /// [`FaultKind`]; then the chain has not moved.
    pub fn follow(&mut self, json: &[u8]) -> Result<Record, FaultKind> {
        let record = Record::from_json(json).or(Err(FaultKind::Json))?;
        if record.stamp.writer != self.writer {
            return Err(FaultKind::Writer);
        }
        if record.stamp.seq != self.next_seq() {
            return Err(FaultKind::Seq);
        }
        let head = self.head.to_string();
        if record.stamp.prev != head {
            return Err(FaultKind::Prev);
        }
        if matches!(&record.body, Body::Checkpoint { head: marked } if *marked != head) {
            return Err(FaultKind::Checkpoint);
        }
        self.advance(json);
        Ok(record)
    }

    fn advance(&mut self, json: &[u8]) {
        self.seq = self.next_seq();
        self.head = sha256(json);
    }
}

impl FaultKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Crc => "crc",
            Self::Length => "length",
            Self::Json => "json",
            Self::Seq => "seq",
            Self::Prev => "prev",
            Self::Writer => "writer",
            Self::Truncated => "truncated",
            Self::Checkpoint => "checkpoint",
            Self::Signature => "signature",
            Self::Compression => "compression",
            Self::MissingSegment => "missing_segment",
        }
    }

    /// One sentence for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Crc => "the checksum does not hold",
            Self::Length => "the length is not that of a record",
            Self::Json => "the record cannot be read",
            Self::Seq => "the number is not the next one",
            Self::Prev => "the record before it is not the one that it names",
            Self::Writer => "the record belongs to another writer",
            Self::Truncated => "the records end here, too early",
            Self::Checkpoint => "the record is not the one of the checkpoint",
            Self::Signature => "the checkpoint cannot be read, or was not signed by this key",
            Self::Compression => "the compressed segment cannot be read",
            Self::MissingSegment => "the segment that begins here is missing",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Unframed> for FaultKind {
    fn from(unframed: Unframed) -> Self {
        match unframed {
            Unframed::Short => Self::Truncated,
            Unframed::Length { .. } => Self::Length,
            Unframed::Crc => Self::Crc,
        }
    }
}

fn sha256(bytes: &[u8]) -> Digest {
    let digest = digest(&SHA256, bytes);
    let mut head = [0; 32];
    for (to, from) in head.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    Digest::new(head)
}
