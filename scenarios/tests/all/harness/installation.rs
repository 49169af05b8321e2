//! A real installation: a control plane and gateways, each a process and a directory of its own.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::process::{command, end, until_within};
use super::{Answer, Estate, Identity, Ran, agent_binary, binary, call, folder, run, signal, until};

/// How long a start may take.
const READY: Duration = Duration::from_secs(30);

/// Processes of one installation; ended when dropped.
pub struct Installation {
    folder: TempDir,
    running: BTreeMap<String, Child>,
}

impl Installation {
    /// Laid out, its control plane running, with this estate in force.
    pub fn serving(estate: &Estate) -> Self {
        let mut installation = Self::laid_out("production", "prod.acme.test");
        installation.start("server");
        installation.apply(estate, &[]).ended(0);
        installation
    }

    /// Laid out on ports that are free.
    pub fn laid_out(environment: &str, domain: &str) -> Self {
        let installation = Self { folder: folder(), running: BTreeMap::new() };
        let dir = installation.dir();
        let args = ["init", "--operator", "admin", "--environment", environment, "--trust-domain", domain, "--dir"];
        let mut init = command(&binary(), &[&args[..], &[text(&dir)]].concat());
        init.env("COUNTERSIGN_CONTEXT", installation.path("context.json"));
        super::finish(init, b"").ended(0);
        installation.edit("server.yaml", &[("127.0.0.1:8444", "127.0.0.1:0"), ("127.0.0.1:8445", "127.0.0.1:0")]);
        installation
    }

    /// Another node of the same control plane: its settings and keys, in a directory of its own.
    pub fn twin(first: &Self) -> Self {
        let twin = Self { folder: folder(), running: BTreeMap::new() };
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(first.dir()).arg(twin.dir());
        super::finish(copy, b"").ended(0);
        twin
    }

    /// Gateways that are laid out from here on know another node of the control plane, at this address.
    pub fn also_at(&self, planes: &str) {
        self.edit("gateway.yaml", &[("[https://127.0.0.1:8444]", &format!("[https://127.0.0.1:8444, {planes}]"))]);
    }

    pub fn dir(&self) -> PathBuf {
        self.path("d")
    }

    /// A path beside the installation's directory, for what a test keeps.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a settings file anew.
    pub fn edit(&self, file: &str, changes: &[(&str, &str)]) {
        let path = self.dir().join(file);
        let mut text = fs::read_to_string(&path).expect("a settings file");
        for (old, new) in changes {
            assert!(text.contains(old), "{file} has no `{old}`");
            text = text.replace(old, new);
        }
        fs::write(path, text).expect("it can be written");
    }

    /// The settings of a gateway of this name, in a directory of its own.
    fn gateway_settings(&self, name: &str) -> PathBuf {
        let file = format!("{name}.yaml");
        let planes = self.ready("server")["planes"].as_str().expect("where planes come").to_owned();
        fs::copy(self.dir().join("gateway.yaml"), self.dir().join(&file)).expect("it can be copied");
        self.edit(
            &file,
            &[
                ("https://127.0.0.1:8444", &planes),
                ("directory: gateway ", &format!("directory: {name} ")),
                ("  https: 127.0.0.1:8443", "  http: 127.0.0.1:0\n  https: 127.0.0.1:0"),
                ("127.0.0.1:8446", "127.0.0.1:0"),
            ],
        );
        self.dir().join(file)
    }

    /// A token for a gateway of this name, in a file.
    pub fn token(&self, name: &str) -> PathBuf {
        self.token_for("gateway", name)
    }

    pub fn token_for(&self, role: &str, name: &str) -> PathBuf {
        let token = self.cli(&["enroll", "token", "--role", role, "--name", name]).ended(0).out;
        let path = self.path(&format!("{name}.token"));
        fs::write(&path, token).expect("it can be written");
        path
    }

    /// Enrols a gateway of this name, and waits until it decides by what is in force.
    pub fn enrol(&mut self, name: &str) {
        let token = self.token(name);
        self.gateway_settings(name);
        self.launch(name, &["--enroll-token-file", text(&token)], &[]);
        self.wait(name);
        self.until_ready(name);
    }

    /// A gateway that is started with this token; not waited for.
    pub fn attempt(&self, name: &str, token: &Path) -> Ran {
        let settings = self.gateway_settings(name);
        run(&["gateway", "--config", text(&settings), "--enroll-token-file", text(token)], b"")
    }

    /// A gateway that is started again listens where it listens now.
    pub fn fix_ports(&self, name: &str) {
        let ready = self.ready(name);
        let file = format!("{name}.yaml");
        for (field, pointer) in [("http", "/gateway/http"), ("https", "/gateway/https"), ("admin", "/admin")] {
            let url = ready.pointer(pointer).and_then(Value::as_str).expect("an address");
            let address = url.rsplit('/').next().expect("host and port");
            self.edit(&file, &[(&format!("  {field}: 127.0.0.1:0"), &format!("  {field}: {address}"))]);
        }
    }

    /// Starts the control plane, or a gateway that is enrolled, and waits until it accepts.
    pub fn start(&mut self, name: &str) {
        self.start_with(name, &[]);
    }

    /// Likewise, under these variables.
    pub fn start_with(&mut self, name: &str, variables: &[(&str, &str)]) {
        self.launch(name, &[], variables);
        self.wait(name);
        if name == "server" {
            // gateways know it by its address
            let ready = self.ready(name);
            for what in ["planes", "admin", "bundle"] {
                let Some(url) = ready[what].as_str() else { continue };
                let address = url.rsplit('/').next().expect("host and port");
                let line = format!("  {what}: 127.0.0.1:0");
                let text = fs::read_to_string(self.dir().join("server.yaml")).expect("settings");
                if text.contains(&line) {
                    self.edit("server.yaml", &[(&line, &format!("  {what}: {address}"))]);
                }
            }
        }
    }

    pub fn launch(&mut self, name: &str, more: &[&str], variables: &[(&str, &str)]) {
        assert!(!self.running.contains_key(name), "`{name}` is still running");
        let log = File::options().create(true).append(true).open(self.path(&format!("{name}.log"))).expect("a log");
        let settings = self.dir().join(format!("{name}.yaml"));
        let (program, role): (_, &[&str]) = match name {
            "server" => (binary(), &["server"]),
            node if node.starts_with("node") => (agent_binary(), &[]),
            _ => (binary(), &["gateway"]),
        };
        let args = [role, &["--config", text(&settings)], more].concat();
        let mut process: Command = command(&program, &args);
        process.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
        process.envs(variables.iter().copied());
        // a killed process leaves it
        let _ = fs::remove_file(self.home(name).join("ready.json"));
        self.running.insert(name.to_owned(), process.spawn().expect("the binary starts"));
    }

    pub(super) fn wait(&mut self, name: &str) {
        let ready = self.home(name).join("ready.json");
        let child = self.running.get_mut(name).expect("launched");
        let seen = until_within(READY, || (ready.exists() || child.try_wait().ok()?.is_some()).then_some(()));
        assert!(seen.is_some() && ready.exists(), "{name} is not ready:\n{}", self.log(name));
    }

    /// Waits until a gateway has something in force, and has heard lately that it is.
    pub fn until_ready(&self, name: &str) {
        let admin = self.word(name, "/admin");
        let admin = admin.trim_start_matches("http://");
        until("readiness", || (call(admin, "GET", "/readyz", None, &[]).status == 200).then_some(()));
    }

    /// The directory of a process.
    pub fn home(&self, name: &str) -> PathBuf {
        if name == "server" { self.dir() } else { self.dir().join(name) }
    }

    pub fn ready(&self, name: &str) -> Value {
        let bytes = fs::read(self.home(name).join("ready.json")).expect("ready.json");
        serde_json::from_slice(&bytes).expect("ready.json is JSON")
    }

    pub fn word(&self, name: &str, pointer: &str) -> String {
        let ready = self.ready(name);
        ready.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer}: {ready}")).to_owned()
    }

    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default()
    }

    /// Ctrl-C: drains and ends; gives the exit code.
    pub fn stop(&mut self, name: &str) -> i32 {
        let mut child = self.running.remove(name).expect("running");
        signal(child.id(), Signal::INT);
        let ended = until_within(Duration::from_secs(15), || child.try_wait().expect("its own child"));
        if ended.is_none() {
            end(&mut child);
        }
        ended.unwrap_or_else(|| panic!("{name} did not drain:\n{}", self.log(name))).code().unwrap_or(-1)
    }

    pub fn pid(&self, name: &str) -> u32 {
        self.running.get(name).expect("running").id()
    }

    pub fn kill9(&mut self, name: &str) {
        end(&mut self.running.remove(name).expect("running"));
    }

    /// Runs a verb against the control plane.
    pub fn cli(&self, args: &[&str]) -> Ran {
        self.cli_at("server", args)
    }

    /// Runs a verb against a process.
    pub fn cli_at(&self, name: &str, args: &[&str]) -> Ran {
        run(&[args, &["--dir", text(&self.home(name))]].concat(), b"")
    }

    /// Runs a verb as the operator from another machine: with nothing but the folder that `init` made to be carried there.
    pub fn cli_elsewhere(&self, args: &[&str]) -> Ran {
        super::finish(self.elsewhere(args), b"")
    }

    /// Likewise, not run yet.
    pub fn elsewhere(&self, args: &[&str]) -> Command {
        let folder = self.carried();
        let mut command = command(&binary(), args);
        command.current_dir(&folder).env("COUNTERSIGN_CONTEXT", "context.json");
        command
    }

    /// The operator's folder as it lies on another machine, with the address at which the control plane is now.
    pub fn carried(&self) -> PathBuf {
        let folder = self.path("elsewhere");
        let here = self.dir().join("operator");
        fs::create_dir_all(&folder).expect("a folder");
        for entry in fs::read_dir(here).expect("the operator's folder") {
            let name = entry.expect("an entry").file_name();
            fs::copy(self.dir().join("operator").join(&name), folder.join(&name)).expect("it can be copied");
        }
        let context = fs::read_to_string(folder.join("context.json")).expect("the context");
        let context = context.replace("https://127.0.0.1:8444", &self.word("server", "/planes"));
        fs::write(folder.join("context.json"), context).expect("it can be written");
        folder
    }

    /// Certificate and key of the operator.
    pub fn operator(&self) -> Identity {
        let folder = self.dir().join("operator");
        Identity { cert: folder.join("operator.pem"), key: folder.join("operator.key") }
    }

    pub fn apply(&self, estate: &Estate, more: &[&str]) -> Ran {
        let folder = self.path("estate");
        estate.write(&folder);
        self.cli(&[&["apply", "--yes", "-f", text(&folder)], more].concat())
    }

    /// One request over plain HTTP at a gateway, on a connection of its own.
    pub fn call(&self, name: &str, method: &str, target: &str, token: Option<&str>) -> Answer {
        let address = self.word(name, "/gateway/http");
        call(address.trim_start_matches("http://"), method, target, token, &[])
    }

    /// The ledger code of a judgement at a gateway.
    pub fn code(&self, name: &str, answer: &Answer) -> Value {
        let record = self.cli_at(name, &["explain", answer.record(), "--output", "json"]).ended(0).json();
        record["verdicts"][0]["code"].clone()
    }

    /// Every record of a process, in order.
    pub fn records(&self, name: &str) -> Vec<Value> {
        self.cli_at(name, &["ledger", "tail", "--output", "json"]).ended(0).lines()
    }

    /// Generation and epoch that a process decides by.
    pub fn position(&self, name: &str) -> (u64, u64) {
        let status = self.cli_at(name, &["status", "--output", "json"]).ended(0).json();
        let number = |field: &str| status[field].as_u64().expect("a number");
        (number("generation"), number("epoch"))
    }

    /// Has an SVID minted into a folder of that name.
    pub fn minted(&self, id: &str, folder: &str, more: &[&str]) -> Identity {
        let folder = self.path(folder);
        self.cli(&[&["svid", "mint", id, "--out", text(&folder)], more].concat()).ended(0);
        Identity::under(&folder)
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            end(child);
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}
