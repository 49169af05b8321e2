//! Processes: each is started here, bounded, and ended by its own id.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long a verb may take.
const BOUND: Duration = Duration::from_secs(60);

/// A process that ended.
pub struct Ran {
    /// Exit code; -1 if a signal ended it.
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Most of an output that a failing test shows, in bytes.
const SHOWN: usize = 4000;

/// Shown by tests that fail: what a program printed can be very long.
impl std::fmt::Debug for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {}\nout: {}\nerr: {}", self.code, cut(&self.out), cut(&self.err))
    }
}

fn cut(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

impl Ran {
    /// What it printed, as one JSON document.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// What it printed, one JSON document a line.
    pub fn lines(&self) -> Vec<serde_json::Value> {
        self.out.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    }

    /// It ended so.
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

/// The binary under test.
pub fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("COUNTERSIGN_BIN") {
        return PathBuf::from(named);
    }
    let test = std::env::current_exe().expect("this test has a path");
    let binary = test.parent().and_then(Path::parent).expect("target/…/deps/").join("countersign");
    assert!(binary.exists(), "`{}` is not built: run `cargo build -p countersign`, or `./test`", binary.display());
    binary
}

/// The node agent under test: the lean binary.
pub fn agent_binary() -> PathBuf {
    let agent = binary().with_file_name("countersign-agent");
    assert!(agent.exists(), "`{}` is not built: run `cargo build -p agent`, or `./test`", agent.display());
    agent
}

/// A command without anything of the caller's that would change what it does.
pub fn command(program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("COUNTERSIGN_") {
            command.env_remove(name);
        }
    }
    command.args(args).env("NO_COLOR", "1").env("RUST_BACKTRACE", "0");
    command
}

/// Runs the binary to its end.
pub fn run(args: &[&str], stdin: &[u8]) -> Ran {
    finish(command(&binary(), args), stdin)
}

/// Runs a command to its end, within a bound.
pub fn finish(mut command: Command, stdin: &[u8]) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    // a program that reads no input closes this end
    let _ = child.stdin.take().expect("piped").write_all(stdin);
    let (out, err) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let ended = until_within(BOUND, || child.try_wait().expect("its own child"));
    if ended.is_none() {
        end(&mut child);
    }
    let (out, err) = (out.join().expect("a reader"), err.join().expect("a reader"));
    let ended = ended.unwrap_or_else(|| panic!("{command:?} did not end within {BOUND:?}: {}{}", cut(&out), cut(&err)));
    Ran { code: ended.code().unwrap_or(-1), out, err }
}

fn reader(from: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    let mut from = from.expect("piped");
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // what came before an error is what there is
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Ends a child and waits for it.
pub fn end(child: &mut Child) {
    // it may have ended by itself
    let _ = child.kill();
    let _ = child.wait();
}

/// Sends a signal to a process that was started here.
pub fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
    // it may have ended by itself
    let _ = kill_process(pid, signal);
}

/// Asks again and again until there is an answer, for ten seconds at most.
#[track_caller]
pub fn until<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    until_within(Duration::from_secs(10), ask).unwrap_or_else(|| panic!("{what}: not within ten seconds"))
}

/// The same for what is renewed because an authority is tainted: within ten seconds, each at a moment of its own, and then made.
#[track_caller]
pub fn until_renewed<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    until_within(Duration::from_secs(30), ask).unwrap_or_else(|| panic!("{what}: not within thirty seconds"))
}

pub fn until_within<T>(bound: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if begun.elapsed() > bound {
            return None;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// A folder that goes with the test.
pub fn folder() -> TempDir {
    tempfile::Builder::new().prefix("cs-").tempdir().expect("a temporary folder")
}

/// A peer's place, as `./test` sets it; without it the scenario fails, for a scenario that is skipped shows nothing.
pub fn peer(variable: &str, what: &str) -> PathBuf {
    let Some(value) = std::env::var_os(variable) else {
        panic!("{variable} is not set: it names {what}; `./test` installs it and runs these scenarios");
    };
    let path = PathBuf::from(value);
    assert!(path.exists(), "{variable} names `{}`, which is not there: run `./test`", path.display());
    path
}
