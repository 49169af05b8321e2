//! The JSON of each kind of frame: one object, its fields in one order, every byte of it fixed.
//!
//! INVARIANT: a record has exactly one text. What is read must be, byte for byte, what would be written: unknown,
//! missing, repeated and reordered fields are refused, and so is white space.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::record::{Body, Counted, Inputs, Judgement, Outcome, OutcomeResult, Presented, Principal};
use crate::record::{Record, Recovered, Stamp, Verdict};

/// Why a frame's JSON is not a record.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("the record is not the JSON of any kind of record")]
    Json(#[from] serde_json::Error),
    #[error("the record is not written as records are written")]
    NotCanonical,
}

impl Record {
    /// The exact bytes of the record.
    ///
    /// # Errors
    /// None is known: every field is text, a number or a list of them.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut json = Vec::new();
        write_json(&self.stamp, &self.body, &mut json)?;
        Ok(json)
    }

    /// Reads what [`Record::to_json`] writes, and nothing else.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn from_json(json: &[u8]) -> Result<Self, Unreadable> {
        let record = parse(json)?;
        if record.to_json()? != json {
            return Err(Unreadable::NotCanonical);
        }
        Ok(record)
    }
}

/// Appends the exact bytes of a record made of `stamp` and `body`.
pub(crate) fn write_json(stamp: &Stamp, body: &Body, into: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    match body {
        Body::Judgement(judgement) => serde_json::to_writer(into, &JudgementLine::of(stamp, judgement)),
        Body::Outcome(outcome) => serde_json::to_writer(into, &OutcomeLine::of(stamp, outcome)),
        Body::Checkpoint { head } => serde_json::to_writer(into, &CheckpointLine::of(stamp, head)),
        Body::Counted(counted) => serde_json::to_writer(into, &CountedLine::of(stamp, counted)),
        Body::Recovered(recovered) => serde_json::to_writer(into, &RecoveredLine::of(stamp, recovered)),
    }
}

fn parse(json: &[u8]) -> Result<Record, Unreadable> {
    let begins = |kind: &str| json.starts_with(kind.as_bytes());
    Ok(if begins(r#"{"kind":"judgement","#) {
        serde_json::from_slice::<JudgementLine<'_>>(json)?.into()
    } else if begins(r#"{"kind":"outcome","#) {
        serde_json::from_slice::<OutcomeLine<'_>>(json)?.into()
    } else if begins(r#"{"kind":"checkpoint","#) {
        serde_json::from_slice::<CheckpointLine<'_>>(json)?.into()
    } else if begins(r#"{"kind":"counted","#) {
        serde_json::from_slice::<CountedLine<'_>>(json)?.into()
    } else {
        serde_json::from_slice::<RecoveredLine<'_>>(json)?.into()
    })
}

type Text<'a> = Cow<'a, str>;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Judgement,
    Outcome,
    Checkpoint,
    Counted,
    Recovered,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JudgementLine<'a> {
    kind: Kind,
    id: Text<'a>,
    writer: Text<'a>,
    seq: u64,
    prev: Text<'a>,
    time: Text<'a>,
    trace_id: Text<'a>,
    door: Text<'a>,
    protocol: Option<Text<'a>>,
    operation: Option<Text<'a>>,
    presented: Cow<'a, [Presented]>,
    principal: Option<Cow<'a, Principal>>,
    subject: Option<Cow<'a, Principal>>,
    actors: Cow<'a, [Principal]>,
    verdicts: Cow<'a, [Verdict]>,
    evidence: Cow<'a, [String]>,
    generation: u64,
    epoch: u64,
    revocation_seq: u64,
    inputs: Cow<'a, Inputs>,
    deadline: Option<Text<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutcomeLine<'a> {
    kind: Kind,
    of: Text<'a>,
    writer: Text<'a>,
    seq: u64,
    prev: Text<'a>,
    time: Text<'a>,
    result: OutcomeResult,
    status: Option<u16>,
    code: Option<Text<'a>>,
    bytes_in: Option<u64>,
    bytes_out: Option<u64>,
    micros: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointLine<'a> {
    kind: Kind,
    writer: Text<'a>,
    seq: u64,
    prev: Text<'a>,
    time: Text<'a>,
    head: Text<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CountedLine<'a> {
    kind: Kind,
    id: Text<'a>,
    writer: Text<'a>,
    seq: u64,
    prev: Text<'a>,
    time: Text<'a>,
    source: Option<Text<'a>>,
    code: Text<'a>,
    first: Text<'a>,
    last: Text<'a>,
    count: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecoveredLine<'a> {
    kind: Kind,
    writer: Text<'a>,
    seq: u64,
    prev: Text<'a>,
    time: Text<'a>,
    cut_bytes: u64,
    open: u64,
    follows: Option<Text<'a>>,
}

impl<'a> JudgementLine<'a> {
    fn of(stamp: &'a Stamp, body: &'a Judgement) -> Self {
        Self {
            kind: Kind::Judgement,
            id: Cow::Borrowed(&body.id),
            writer: Cow::Borrowed(&stamp.writer),
            seq: stamp.seq,
            prev: Cow::Borrowed(&stamp.prev),
            time: Cow::Borrowed(&stamp.time),
            trace_id: Cow::Borrowed(&body.trace_id),
            door: Cow::Borrowed(&body.door),
            protocol: text(&body.protocol),
            operation: text(&body.operation),
            presented: Cow::Borrowed(&body.presented),
            principal: body.principal.as_ref().map(Cow::Borrowed),
            subject: body.subject.as_ref().map(Cow::Borrowed),
            actors: Cow::Borrowed(&body.actors),
            verdicts: Cow::Borrowed(&body.verdicts),
            evidence: Cow::Borrowed(&body.evidence),
            generation: body.generation,
            epoch: body.epoch,
            revocation_seq: body.revocation_seq,
            inputs: Cow::Borrowed(&body.inputs),
            deadline: text(&body.deadline),
        }
    }
}

impl<'a> OutcomeLine<'a> {
    fn of(stamp: &'a Stamp, body: &'a Outcome) -> Self {
        Self {
            kind: Kind::Outcome,
            of: Cow::Borrowed(&body.of),
            writer: Cow::Borrowed(&stamp.writer),
            seq: stamp.seq,
            prev: Cow::Borrowed(&stamp.prev),
            time: Cow::Borrowed(&stamp.time),
            result: body.result,
            status: body.status,
            code: text(&body.code),
            bytes_in: body.bytes_in,
            bytes_out: body.bytes_out,
            micros: body.micros,
        }
    }
}

impl<'a> CheckpointLine<'a> {
    fn of(stamp: &'a Stamp, head: &'a str) -> Self {
        Self {
            kind: Kind::Checkpoint,
            writer: Cow::Borrowed(&stamp.writer),
            seq: stamp.seq,
            prev: Cow::Borrowed(&stamp.prev),
            time: Cow::Borrowed(&stamp.time),
            head: Cow::Borrowed(head),
        }
    }
}

impl<'a> CountedLine<'a> {
    fn of(stamp: &'a Stamp, body: &'a Counted) -> Self {
        Self {
            kind: Kind::Counted,
            id: Cow::Borrowed(&body.id),
            writer: Cow::Borrowed(&stamp.writer),
            seq: stamp.seq,
            prev: Cow::Borrowed(&stamp.prev),
            time: Cow::Borrowed(&stamp.time),
            source: text(&body.source),
            code: Cow::Borrowed(&body.code),
            first: Cow::Borrowed(&body.first),
            last: Cow::Borrowed(&body.last),
            count: body.count,
        }
    }
}

impl<'a> RecoveredLine<'a> {
    fn of(stamp: &'a Stamp, body: &'a Recovered) -> Self {
        Self {
            kind: Kind::Recovered,
            writer: Cow::Borrowed(&stamp.writer),
            seq: stamp.seq,
            prev: Cow::Borrowed(&stamp.prev),
            time: Cow::Borrowed(&stamp.time),
            cut_bytes: body.cut_bytes,
            open: body.open,
            follows: text(&body.follows),
        }
    }
}

impl From<JudgementLine<'_>> for Record {
    fn from(line: JudgementLine<'_>) -> Self {
        let judgement = Judgement {
            id: line.id.into_owned(),
            trace_id: line.trace_id.into_owned(),
            door: line.door.into_owned(),
            protocol: line.protocol.map(Cow::into_owned),
            operation: line.operation.map(Cow::into_owned),
            presented: line.presented.into_owned(),
            principal: line.principal.map(Cow::into_owned),
            subject: line.subject.map(Cow::into_owned),
            actors: line.actors.into_owned(),
            verdicts: line.verdicts.into_owned(),
            evidence: line.evidence.into_owned(),
            generation: line.generation,
            epoch: line.epoch,
            revocation_seq: line.revocation_seq,
            inputs: line.inputs.into_owned(),
            deadline: line.deadline.map(Cow::into_owned),
        };
        let stamp = stamp(line.writer, line.seq, line.prev, line.time);
        Self { stamp, body: Body::Judgement(Box::new(judgement)) }
    }
}

impl From<OutcomeLine<'_>> for Record {
    fn from(line: OutcomeLine<'_>) -> Self {
        let outcome = Outcome {
            of: line.of.into_owned(),
            result: line.result,
            status: line.status,
            code: line.code.map(Cow::into_owned),
            bytes_in: line.bytes_in,
            bytes_out: line.bytes_out,
            micros: line.micros,
        };
        Self { stamp: stamp(line.writer, line.seq, line.prev, line.time), body: Body::Outcome(outcome) }
    }
}

impl From<CheckpointLine<'_>> for Record {
    fn from(line: CheckpointLine<'_>) -> Self {
        let body = Body::Checkpoint { head: line.head.into_owned() };
        Self { stamp: stamp(line.writer, line.seq, line.prev, line.time), body }
    }
}

impl From<CountedLine<'_>> for Record {
    fn from(line: CountedLine<'_>) -> Self {
        let counted = Counted {
            id: line.id.into_owned(),
            source: line.source.map(Cow::into_owned),
            code: line.code.into_owned(),
            first: line.first.into_owned(),
            last: line.last.into_owned(),
            count: line.count,
        };
        Self { stamp: stamp(line.writer, line.seq, line.prev, line.time), body: Body::Counted(counted) }
    }
}

impl From<RecoveredLine<'_>> for Record {
    fn from(line: RecoveredLine<'_>) -> Self {
        let recovered =
            Recovered { cut_bytes: line.cut_bytes, open: line.open, follows: line.follows.map(Cow::into_owned) };
        Self { stamp: stamp(line.writer, line.seq, line.prev, line.time), body: Body::Recovered(recovered) }
    }
}

fn text(value: &Option<String>) -> Option<Text<'_>> {
    value.as_deref().map(Cow::Borrowed)
}

fn stamp(writer: Text<'_>, seq: u64, prev: Text<'_>, time: Text<'_>) -> Stamp {
    Stamp { writer: writer.into_owned(), seq, prev: prev.into_owned(), time: time.into_owned() }
}
