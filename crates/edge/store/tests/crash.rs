//! What a SIGKILL and a full disk cannot do to a ledger. The writer is another process: this one again, which is told by its
//! environment to be the writer, and says on stderr what the ledger accepted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use audit::{Body, Context, Inputs, Judgement, Ledger, Outcome, OutcomeResult, Slot, Stranger, Urgency, Verdict};
use model::{Code, RecordId, Time};
use store::{FileLedger, FileSlot, Options, read, verify};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const CALLERS: usize = 64;
/// 25 kills in all, on several ledgers so that none grows long.
const LEDGERS: usize = 5;
const KILLS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(30);

/// Set in the environment of a writer.
const DIR: &str = "LEDGER_WRITER_DIR";
const MODE: &str = "LEDGER_WRITER_MODE";

/// Makes a command into one that runs this process again, as the writer of a ledger.
fn as_writer<'a>(command: &'a mut Command, dir: &Path, mode: &str) -> &'a mut Command {
    let command = command.args(["--exact", "a_writer_does_what_it_is_told", "--nocapture"]);
    command.env(DIR, dir).env(MODE, mode).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped())
}

#[test]
fn a_writer_does_what_it_is_told() {
    if let Some(dir) = std::env::var_os(DIR) {
        return be_writer(Path::new(&dir), &std::env::var(MODE).unwrap());
    }
    let dir = TempDir::new().unwrap();
    let (ledger, _) = FileLedger::start(dir.path(), Options::default()).unwrap();
    let commands = "record 1\nopen 2\nsettle 2\nsettle 3\nclose\nrecord 4\n";
    let mut answers = Vec::new();
    runtime().block_on(obey(&ledger, commands.as_bytes(), |answer| answers.push(answer)));
    assert_eq!(answers, ["ok", "ok", "ok", "no such slot", "ok", "the ledger cannot be written"]);
    assert_eq!(tell(dir.path()).judged.len(), 2);
}

fn be_writer(dir: &Path, mode: &str) {
    let options = Options { segment_bytes: 64 * 1024, ..Options::default() };
    let (ledger, started) = FileLedger::start(dir, options).unwrap();
    eprintln!("started {} {}", started.cut_bytes, started.open);
    match mode {
        "flood" => runtime().block_on(flood(ledger)),
        _ => runtime().block_on(obey(&ledger, io::stdin().lock(), |answer| eprintln!("{answer}"))),
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}

/// Ids of judgements, those that let something through, and outcomes, by what the ledger says.
#[derive(Default)]
struct Told {
    judged: BTreeSet<String>,
    allowed: BTreeSet<String>,
    settled: BTreeSet<String>,
    unknown: usize,
    counted: u64,
}

fn tell(dir: &Path) -> Told {
    let mut told = Told::default();
    for entry in read(dir).unwrap() {
        match entry.unwrap().record.body {
            Body::Judgement(judgement) => {
                if judgement.verdicts.iter().any(|verdict| verdict.decision == "allow") {
                    told.allowed.insert(judgement.id.clone());
                }
                assert!(told.judged.insert(judgement.id), "a judgement stands there twice");
            }
            Body::Outcome(outcome) => {
                told.unknown += usize::from(outcome.result == OutcomeResult::Unknown);
                assert!(told.settled.insert(outcome.of), "an outcome stands there twice");
            }
            Body::Counted(counted) => told.counted += counted.count,
            Body::Checkpoint { .. } | Body::Recovered(_) => {}
        }
    }
    told
}

#[test]
fn a_kill_loses_no_record_that_was_accepted() {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let (mut accepted, mut unknown) = (0, 0);
    for _ in 0..LEDGERS {
        let dir = TempDir::new().unwrap();
        let mut told: BTreeSet<String> = BTreeSet::new();
        for kill in 0..KILLS {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            told.extend(flood_and_kill(dir.path(), Duration::from_micros(random % 60_000)));
            let verification = verify(dir.path(), None).unwrap();
            assert!(verification.ok, "after kill {kill}: {:?}", verification.fault);
            let kept = tell(dir.path());
            let lost: Vec<_> = told.difference(&kept.judged).collect();
            assert!(lost.is_empty(), "after kill {kill}: {lost:?}");
        }
        let (ledger, _) = FileLedger::start(dir.path(), Options::default()).unwrap();
        drop(ledger);
        let kept = tell(dir.path());
        assert_eq!(kept.allowed, kept.settled, "each judgement that lets something through has one outcome");
        assert!(verify(dir.path(), None).unwrap().ok);
        accepted += told.len();
        unknown += kept.unknown;
    }
    assert!(accepted > 1000 && unknown > 0, "{accepted} records, {unknown} unknown");
}

/// Lets a writer run for a while and kills it. Gives the ids that it said were accepted.
fn flood_and_kill(dir: &Path, run: Duration) -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut child = as_writer(&mut command, dir, "flood").spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("started "));
    let killer = std::thread::spawn(move || {
        std::thread::sleep(run);
        child.kill().unwrap();
        child.wait().unwrap();
    });
    let accepted = lines.filter_map(|line| {
        // the last line may be cut
        let line = line.unwrap();
        line.strip_prefix("judged ").filter(|id| id.len() == 32).map(str::to_owned)
    });
    let accepted = accepted.collect();
    killer.join().unwrap();
    accepted
}

/// A writer that does what it is told, and cannot make a file longer than it is let.
struct Starved {
    child: Child,
    stdin: ChildStdin,
    answers: BufReader<ChildStderr>,
}

impl Starved {
    fn start(dir: &Path, bytes: u64) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", r#"trap '' XFSZ; exec prlimit --fsize="$0":unlimited "$@""#]);
        command.arg(bytes.to_string()).arg(std::env::current_exe().unwrap());
        let mut child = as_writer(&mut command, dir, "obey").spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut starved = Self { answers: BufReader::new(child.stderr.take().unwrap()), child, stdin };
        assert_eq!(starved.hear(), "started 0 0");
        starved
    }

    fn ask(&mut self, command: &str) -> String {
        writeln!(self.stdin, "{command}").unwrap();
        self.hear()
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn feed(&self) {
        let pid = self.child.id().to_string();
        let raised = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited:unlimited"]).status().unwrap();
        assert!(raised.success());
    }
}

impl Drop for Starved {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_full_disk_refuses_and_loses_no_outcome_and_recovers_by_itself() {
    let dir = TempDir::new().unwrap();
    let mut starved = Starved::start(dir.path(), 20_000);
    let id = |n: usize| format!("{n:032x}");
    for n in 0..5 {
        assert_eq!(starved.ask(&format!("open {}", id(n))), "ok");
    }
    let mut accepted = 5;
    while starved.ask(&format!("record {}", id(accepted))) == "ok" {
        accepted += 1;
        assert!(accepted < 1000, "the disk never fills");
    }
    assert_eq!(starved.ask(&format!("durable {}", id(9001))), "the ledger cannot be written");
    assert_eq!(starved.ask("checkpoint"), "the ledger cannot be written");
    for n in 0..5 {
        assert_eq!(starved.ask(&format!("settle {}", id(n))), "ok");
    }
    for _ in 0..3 {
        assert_eq!(starved.ask("count"), "07".repeat(16));
    }
    assert!(verify(dir.path(), None).unwrap().ok, "what could not be written is not there in part");
    starved.feed();
    // nobody asks for anything: the outcomes are written all the same
    let deadline = Instant::now() + PATIENCE;
    loop {
        let told = tell(dir.path());
        if told.settled.len() == 5 && told.counted == 3 {
            break;
        }
        assert!(Instant::now() < deadline, "{} outcomes, {} counted", told.settled.len(), told.counted);
        std::thread::yield_now();
    }
    assert_eq!(starved.ask(&format!("durable {}", id(9002))), "ok");
    assert_eq!(starved.ask(&format!("settle {}", id(9002))), "ok");
    assert_eq!(starved.ask("checkpoint"), "ok");
    assert_eq!(starved.ask("close"), "ok");
    let told = tell(dir.path());
    let expected: BTreeSet<_> = (0..accepted).chain([9002]).map(id).collect();
    assert_eq!(told.judged, expected, "exactly what was accepted is there");
    assert_eq!((told.settled.len(), told.unknown), (6, 0));
    assert!(verify(dir.path(), None).unwrap().ok);
}

#[test]
fn on_a_full_disk_strangers_are_refused_like_everyone_and_not_counted_in_vain() {
    let dir = TempDir::new().unwrap();
    let mut starved = Starved::start(dir.path(), 10_000);
    let id = |n: usize| format!("{n:032x}");
    let mut accepted = 0;
    while starved.ask(&format!("stranger {}", id(accepted))) == id(accepted) {
        accepted += 1;
        assert!(accepted < 500, "the disk never fills");
    }
    // within the budget they try, over it they are not even counted
    for n in 1000..2000 {
        assert_eq!(starved.ask(&format!("stranger {}", id(n))), "the ledger cannot be written");
    }
    starved.feed();
    let deadline = Instant::now() + PATIENCE;
    while starved.ask(&format!("stranger {}", id(3000))) == "the ledger cannot be written" {
        assert!(Instant::now() < deadline);
    }
    let mut answered = 1;
    for n in 4000..5000 {
        answered += u64::from(starved.ask(&format!("stranger {}", id(n))) != "the ledger cannot be written");
    }
    assert_eq!(starved.ask("close"), "ok");
    let told = tell(dir.path());
    assert_eq!(told.judged.len() as u64 + told.counted, accepted as u64 + answered);
    assert_eq!(answered, 1001);
    assert!(verify(dir.path(), None).unwrap().ok);
}

#[test]
fn a_ledger_that_closes_on_a_full_disk_gives_up_soon_and_says_unknown_later() {
    let dir = TempDir::new().unwrap();
    let mut starved = Starved::start(dir.path(), 10_000);
    let mut accepted = 0;
    while starved.ask(&format!("open {accepted:032x}")) == "ok" {
        accepted += 1;
        assert!(accepted < 1000, "the disk never fills");
    }
    for n in 0..accepted {
        assert_eq!(starved.ask(&format!("settle {n:032x}")), "ok");
    }
    let begun = Instant::now();
    assert_eq!(starved.ask("close"), "ok");
    assert!(begun.elapsed() < PATIENCE);
    drop(starved);
    let (ledger, started) = FileLedger::start(dir.path(), Options::default()).unwrap();
    drop(ledger);
    assert_eq!(tell(dir.path()).settled.len() as u64, accepted);
    assert!(started.open > 0 && started.open <= accepted, "{} of {accepted}", started.open);
}

#[test]
fn a_ledger_that_is_killed_while_the_disk_is_full_starts_again() {
    let dir = TempDir::new().unwrap();
    let mut starved = Starved::start(dir.path(), 10_000);
    let mut accepted = 0;
    while starved.ask(&format!("open {accepted:032x}")) == "ok" {
        accepted += 1;
        assert!(accepted < 1000, "the disk never fills");
    }
    drop(starved);
    let (ledger, started) = FileLedger::start(dir.path(), Options::default()).unwrap();
    drop(ledger);
    assert_eq!((started.cut_bytes, started.open), (0, accepted));
    assert!(verify(dir.path(), None).unwrap().ok);
}

/// Says `judged ID` once the ledger has accepted a judgement.
async fn flood(ledger: FileLedger) {
    let ledger = Arc::new(ledger);
    let next = Arc::new(AtomicU64::new(now().as_micros().unsigned_abs() << 8));
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let (ledger, next) = (Arc::clone(&ledger), Arc::clone(&next));
        callers.spawn(async move {
            loop {
                let id = format!("{:032x}", next.fetch_add(1, Ordering::Relaxed));
                let accepted = match caller % 4 {
                    0 => ledger.record(judgement(&id, "deny"), now()).await.is_ok(),
                    nth => {
                        let urgency = if nth == 1 { Urgency::Durable } else { Urgency::Routine };
                        let opened = ledger.open(judgement(&id, "allow"), now(), urgency).await;
                        opened.map(|slot| slot.settle(outcome(), now())).is_ok()
                    }
                };
                if accepted {
                    eprintln!("judged {id}");
                }
            }
        });
    }
    while callers.join_next().await.is_some() {}
}

/// Does what each line says, and answers each.
async fn obey(ledger: &FileLedger, commands: impl BufRead, mut answer: impl FnMut(String)) {
    let mut slots: BTreeMap<String, FileSlot> = BTreeMap::new();
    for line in commands.lines() {
        let line = line.unwrap();
        let (command, id) = line.split_once(' ').unwrap_or((&line, ""));
        let said = match command {
            "record" => in_words(ledger.record(judgement(id, "deny"), now()).await),
            "open" | "durable" => {
                let urgency = if command == "open" { Urgency::Routine } else { Urgency::Durable };
                let opened = ledger.open(judgement(id, "allow"), now(), urgency).await;
                in_words(opened.map(|slot| drop(slots.insert(id.to_owned(), slot))))
            }
            "stranger" => {
                let stranger = Stranger { source: None, code: Code::CredentialMissing };
                let refused = || judgement(id, "deny");
                let heard = ledger.record_or_count(stranger, id.parse().unwrap(), now(), refused).await;
                heard.map_or_else(|error| error.to_string(), |id| id.to_string())
            }
            "settle" => {
                let slot = slots.remove(id);
                slot.map(|slot| slot.settle(outcome(), now())).map_or("no such slot".to_owned(), |()| "ok".to_owned())
            }
            "count" => {
                ledger.count(Code::LedgerUnavailable, Some("control"), RecordId::new([7; 16]), now()).to_string()
            }
            "checkpoint" => in_words(ledger.checkpoint(now()).await.map(drop)),
            "close" => {
                ledger.close().await;
                "ok".to_owned()
            }
            _ => "no such command".to_owned(),
        };
        answer(said);
    }
}

fn in_words<E: ToString>(result: Result<(), E>) -> String {
    result.map_or_else(|error| error.to_string(), |()| "ok".to_owned())
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

fn outcome() -> Outcome {
    Outcome {
        of: String::new(),
        result: OutcomeResult::Delivered,
        status: Some(200),
        code: None,
        bytes_in: Some(0),
        bytes_out: Some(17),
        micros: Some(900),
    }
}

fn judgement(id: &str, decision: &str) -> Judgement {
    let verdict = Verdict {
        action: Some("read".to_owned()),
        resource: Some("billing/invoices".to_owned()),
        tier: Some("routine".to_owned()),
        decision: decision.to_owned(),
        layer: None,
        code: None,
        reason: None,
        policies: vec!["ci-reads".to_owned()],
        missing: Vec::new(),
        obligations: Vec::new(),
    };
    Judgement {
        id: id.to_owned(),
        trace_id: id.to_owned(),
        door: "gateway".to_owned(),
        protocol: Some("http".to_owned()),
        operation: Some("GET /invoices/{invoice}".to_owned()),
        presented: Vec::new(),
        principal: None,
        subject: None,
        actors: Vec::new(),
        verdicts: vec![verdict],
        evidence: Vec::new(),
        generation: 1,
        epoch: 1,
        revocation_seq: 0,
        inputs: Inputs { snapshot: String::new(), keys: String::new(), context: Context::default() },
        deadline: None,
    }
}
