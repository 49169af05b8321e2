//! `countersign dev` in a directory of its own.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::process::{command, end, until_within};
use super::{Answer, Estate, Ran, binary, call, folder, run, signal};

/// How long a start may take.
const READY: Duration = Duration::from_secs(30);

/// A dev server; ended when dropped.
pub struct Dev {
    folder: TempDir,
    args: Vec<String>,
    child: Option<Child>,
    /// What `dev.json` says.
    pub info: Value,
}

impl Dev {
    /// With its own quickstart.
    pub fn start() -> Self {
        Self::with(None, &[])
    }

    /// With this estate.
    pub fn serving(estate: &Estate) -> Self {
        Self::with(Some(estate), &[])
    }

    pub fn with(estate: Option<&Estate>, args: &[&str]) -> Self {
        let mut dev = Self::idle(estate, args);
        dev.again();
        dev
    }

    /// Not started yet.
    pub fn idle(estate: Option<&Estate>, args: &[&str]) -> Self {
        let folder = folder();
        let dev = Self { folder, args: args.iter().map(ToString::to_string).collect(), child: None, info: Value::Null };
        if let Some(estate) = estate {
            fs::create_dir(dev.path("d")).expect("a fresh folder");
            estate.write(&dev.path("d/estate"));
        }
        dev
    }

    /// Starts with these flags from now on.
    pub fn flags(&mut self, args: &[&str]) {
        self.args = args.iter().map(ToString::to_string).collect();
    }

    /// Starts once more on the same directory, and waits until all is ready.
    pub fn again(&mut self) {
        self.launch();
        let ready = self.dir().join("dev.json");
        let child = self.child.as_mut().expect("launched");
        let seen = until_within(READY, || (ready.exists() || child.try_wait().ok()?.is_some()).then_some(()));
        if seen.is_none() || !ready.exists() {
            self.kill9();
            panic!("dev is not ready:\n{}", self.log());
        }
        self.info = serde_json::from_slice(&fs::read(ready).expect("dev.json")).expect("dev.json is JSON");
    }

    /// Starts once more on the same directory.
    pub fn launch(&mut self) {
        assert!(self.child.is_none(), "still running");
        let log = File::options().create(true).append(true).open(self.path("log")).expect("a log");
        let dir = self.dir();
        let mut args = vec!["dev", "--dir", dir.to_str().expect("a plain path"), "--listen", "127.0.0.1:0"];
        args.extend(self.args.iter().map(String::as_str));
        let mut dev = command(&binary(), &args);
        dev.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
        // a killed server leaves it; the next one removes it first, but not before somebody looks
        let _ = fs::remove_file(dir.join("dev.json"));
        self.child = Some(dev.spawn().expect("the binary starts"));
    }

    pub fn dir(&self) -> PathBuf {
        self.path("d")
    }

    /// A path beside the server's directory, for what a test keeps.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("running").id()
    }

    /// Ctrl-C: drains and ends; gives the exit code.
    pub fn stop(&mut self) -> i32 {
        let mut child = self.child.take().expect("running");
        signal(child.id(), Signal::INT);
        let ended = until_within(Duration::from_secs(10), || child.try_wait().expect("its own child"));
        if ended.is_none() {
            end(&mut child);
        }
        ended.unwrap_or_else(|| panic!("dev did not drain:\n{}", self.log())).code().unwrap_or(-1)
    }

    pub fn kill9(&mut self) {
        end(&mut self.child.take().expect("running"));
    }

    pub(super) fn word(&self, pointer: &str) -> &str {
        self.info.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("dev.json has no {pointer}"))
    }

    /// `host:port` of the gateway.
    pub fn gateway(&self) -> &str {
        self.word("/gateway/http").trim_start_matches("http://")
    }

    pub fn control(&self) -> &str {
        self.word("/control")
    }

    pub fn ledger(&self) -> &Path {
        Path::new(self.word("/ledger"))
    }

    pub fn estate(&self) -> &Path {
        Path::new(self.word("/estate"))
    }

    /// Runs a verb against this server.
    pub fn cli(&self, args: &[&str]) -> Ran {
        self.cli_with(args, b"")
    }

    pub fn cli_with(&self, args: &[&str], stdin: &[u8]) -> Ran {
        let mut all = args.to_vec();
        all.extend(["--server", self.control()]);
        run(&all, stdin)
    }

    pub fn token(&self, name: &str) -> String {
        self.cli(&["dev", "token", name]).ended(0).out.trim().to_owned()
    }

    /// One request on a connection of its own.
    pub fn call(&self, method: &str, target: &str, token: Option<&str>) -> Answer {
        call(self.gateway(), method, target, token, &[])
    }

    pub fn get(&self, target: &str, token: &str) -> Answer {
        self.call("GET", target, Some(token))
    }

    /// Puts an estate in force, from where `dev` keeps its own.
    pub fn apply(&self, estate: &Estate) {
        estate.write(self.estate());
        self.cli(&["apply", "--yes", "-f", self.estate().to_str().expect("a plain path")]).ended(0);
    }

    pub fn record(&self, id: &str) -> Value {
        self.cli(&["explain", id, "--output", "json"]).ended(0).json()
    }

    /// Every record, in order.
    pub fn records(&self) -> Vec<Value> {
        self.cli(&["ledger", "tail", "--output", "json"]).ended(0).lines()
    }

    /// Every judgement, by its id.
    pub fn judgements(&self) -> BTreeMap<String, Value> {
        let id = |record: &Value| record["id"].as_str().expect("a judgement has an id").to_owned();
        self.records().into_iter().filter(|r| r["kind"] == "judgement").map(|r| (id(&r), r)).collect()
    }

    /// The outcome of a judgement, as soon as it stands in the ledger.
    pub fn outcome(&self, of: &str) -> Value {
        let found = || self.records().into_iter().find(|record| record["of"] == of);
        until_within(Duration::from_secs(10), found).unwrap_or_else(|| panic!("no outcome of {of}:\n{}", self.log()))
    }

    /// What reached the sample API.
    pub fn reached(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.dir().join("upstream.jsonl")).expect("the sample API's log");
        log.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    }

    pub fn verify(&self) -> Ran {
        run(&["ledger", "verify", self.ledger().to_str().expect("a plain path"), "--output", "json"], b"")
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            end(&mut child);
        }
    }
}
