//! Reads a segment frame by frame, raw or compressed, holding one frame at a time.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use audit::{Fault, FaultKind, HEADER, Header, MAX_FRAME, Unframed, holds_frame};

use crate::fault::LedgerFault;
use crate::layout::{Form, Segment};

const BUFFER: usize = 256 * 1024;

/// The frames of one segment.
pub(crate) struct Frames {
    source: Source,
    json: Vec<u8>,
    offset: u64,
}

enum Source {
    Raw(BufReader<File>),
    Compressed(Box<BufReader<zstd::Decoder<'static, BufReader<File>>>>),
}

/// Why there is no further frame.
#[derive(Debug)]
pub(crate) enum Stop {
    Unframed(Unframed),
    /// The compressed form cannot be read.
    Compression,
    Io(io::Error),
}

impl Source {
    /// Goes on to `offset`. `false` if there are fewer bytes.
    fn skip(&mut self, offset: u64) -> io::Result<bool> {
        match self {
            Self::Raw(file) => {
                file.seek(SeekFrom::Start(offset))?;
                Ok(file.get_ref().metadata()?.len() >= offset)
            }
            Self::Compressed(decoder) => Ok(io::copy(&mut decoder.by_ref().take(offset), &mut io::sink())? == offset),
        }
    }
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Raw(file) => file.read(into),
            Self::Compressed(decoder) => decoder.read(into),
        }
    }
}

impl Stop {
    /// What is wrong with the segment, unless it could not be read at all.
    pub(crate) fn kind(self) -> io::Result<FaultKind> {
        match self {
            Self::Unframed(unframed) => Ok(unframed.into()),
            Self::Compression => Ok(FaultKind::Compression),
            Self::Io(error) => Err(error),
        }
    }

    /// What is wrong with `segment`, where record `seq` should stand.
    pub(crate) fn fault(self, dir: &Path, segment: &Segment, seq: u64) -> LedgerFault {
        match self.kind() {
            Ok(kind) => Fault { segment: segment.to_string(), seq, kind }.into(),
            Err(error) => LedgerFault::io("read", &segment.path(dir))(error),
        }
    }
}

/// What stands behind the last whole frame of a writer's last segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Part of one frame, or zeros that a power cut left.
    Short,
    /// A whole frame whose checksum does not hold.
    WrongCrc,
    Damaged(FaultKind),
}

impl Frames {
    /// Opens `segment` in the form that is there: it may be compressed while it is being looked for.
    pub(crate) fn open(dir: &Path, segment: &Segment) -> io::Result<Self> {
        let not_there = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        match Self::open_as(dir, segment) {
            Err(error) if not_there(&error) && segment.form == Form::Raw => {
                Self::open_as(dir, &segment.as_form(Form::Compressed))
            }
            opened => opened,
        }
    }

    /// The same, at the frame that begins at `offset`. `None` if the segment is shorter than that.
    pub(crate) fn open_at(dir: &Path, segment: &Segment, offset: u64) -> Result<Option<Self>, Stop> {
        let mut frames = Self::open(dir, segment).map_err(Stop::Io)?;
        let skipped = frames.source.skip(offset).map_err(stop)?;
        frames.offset = offset;
        Ok(skipped.then_some(frames))
    }

    fn open_as(dir: &Path, segment: &Segment) -> io::Result<Self> {
        let file = File::open(segment.path(dir))?;
        let source = match segment.form {
            Form::Raw => Source::Raw(BufReader::with_capacity(BUFFER, file)),
            Form::Compressed => {
                Source::Compressed(Box::new(BufReader::with_capacity(BUFFER, zstd::Decoder::new(file)?)))
            }
        };
        Ok(Self { source, json: Vec::new(), offset: 0 })
    }

    /// Reads the next frame. `false` at the end.
    pub(crate) fn advance(&mut self) -> Result<bool, Stop> {
        let mut header = [0; HEADER];
        match self.fill_header(&mut header)? {
            0 => return Ok(false),
            HEADER => {}
            _ => return Err(Stop::Unframed(Unframed::Short)),
        }
        let header = Header::parse(header).map_err(Stop::Unframed)?;
        self.json.clear();
        self.source.by_ref().take(header.length as u64).read_to_end(&mut self.json).map_err(stop)?;
        let frame = header.check(&self.json).map_err(Stop::Unframed)?;
        self.offset += frame.size() as u64;
        Ok(true)
    }

    /// JSON of the frame that was read last; it stays when the end is reached.
    pub(crate) fn json(&self) -> &[u8] {
        &self.json
    }

    /// Where the next frame begins, in bytes of the raw form.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    fn fill_header(&mut self, header: &mut [u8; HEADER]) -> Result<usize, Stop> {
        let mut filled = 0;
        while let Some(rest) = header.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.source.read(rest) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(stop(error)),
            }
        }
        Ok(filled)
    }
}

/// Tells a torn tail from damage: what no crash of ours leaves behind is damage, and so is whatever stands before a
/// whole frame. `offset` is where the last whole frame ends in the raw file `path`. Gives the bytes behind it, too.
pub(crate) fn tail(path: &Path, offset: u64, unframed: Unframed) -> io::Result<(Tail, u64)> {
    let mut file = File::open(path)?;
    let behind = file.metadata()?.len().saturating_sub(offset);
    file.seek(SeekFrom::Start(offset))?;
    let mut rest = Vec::new();
    let bound = (HEADER + MAX_FRAME) as u64;
    file.by_ref().take(bound).read_to_end(&mut rest)?;
    let hides_frame = holds_frame(rest.get(1..).unwrap_or_default());
    let tail = match unframed {
        Unframed::Short if hides_frame => Tail::Damaged(FaultKind::Length),
        Unframed::Short => Tail::Short,
        Unframed::Crc if !hides_frame && ends_with_frame(&rest) => Tail::WrongCrc,
        Unframed::Crc => Tail::Damaged(FaultKind::Crc),
        Unframed::Length { length: 0 } if is_zero(&rest) && is_zero_to_end(file)? => Tail::Short,
        Unframed::Length { .. } => Tail::Damaged(FaultKind::Length),
    };
    Ok((tail, behind))
}

fn ends_with_frame(rest: &[u8]) -> bool {
    let header = rest.first_chunk::<HEADER>().copied();
    header.and_then(|header| Header::parse(header).ok()).is_some_and(|header| HEADER + header.length == rest.len())
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

fn is_zero_to_end(mut file: File) -> io::Result<bool> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = file.read(&mut buffer)?;
        match buffer.get(..read) {
            Some([]) | None => return Ok(true),
            Some(bytes) if !is_zero(bytes) => return Ok(false),
            Some(_) => {}
        }
    }
}

/// A system error has a number; what the decompressor says has none.
fn stop(error: io::Error) -> Stop {
    if error.raw_os_error().is_some() { Stop::Io(error) } else { Stop::Compression }
}
