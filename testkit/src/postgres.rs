//! A private PostgreSQL server, from Debian's package, on a free port of the loopback. It ends when its last user drops it,
//! or when the process ends, however that happens: the shell that started it ends it when its standard input closes.

use std::fs::{self, Permissions};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// What an `expect` says: a test that cannot be set up stops.
const WORKS: &str = "PostgreSQL can be set up and asked";
const PATIENCE: Duration = Duration::from_secs(30);
const USER: &str = "test";
const PASSWORD: &str = "a secret of the tests";
const PASSWORD_IN_URL: &str = "a%20secret%20of%20the%20tests";

/// Ends the server when standard input closes, and itself when the server has ended.
const KEEPER: &str = r#"exec 3<&0
"$@" </dev/null 3<&- & server=$!
{ read -r never <&3; kill -INT $server; } 2>/dev/null & reader=$!
exec 3<&-
wait $server
kill $reader 2>/dev/null"#;

/// The server.
pub struct Postgres {
    programs: PathBuf,
    dir: TempDir,
    port: u16,
    shell: Mutex<Child>,
}

impl Postgres {
    /// A server that tests use together, each with a database of its own.
    pub fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Some(server);
        }
        let server = Arc::new(Self::alone()?);
        *shared = Arc::downgrade(&server);
        Some(server)
    }

    /// A server for one test. `None` on a machine without PostgreSQL, which is said; in CI that fails.
    pub fn alone() -> Option<Self> {
        let Some(programs) = programs() else {
            assert!(std::env::var_os("CI").is_none(), "Debian's package `postgresql` is not installed");
            // not by a macro: what those print is shown of tests that fail, and this one passes
            let _ =
                writeln!(std::io::stderr(), "SKIPPED on PostgreSQL: Debian's package `postgresql` is not installed");
            return None;
        };
        let dir = TempDir::new().expect(WORKS);
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect(WORKS);
        let port = TcpListener::bind("127.0.0.1:0").expect(WORKS).local_addr().expect(WORKS).port();
        fs::create_dir(dir.path().join("pg")).expect(WORKS);
        fs::write(dir.path().join("pg/password"), PASSWORD).expect(WORKS);
        certify(&dir.path().join("pg"));
        if is_root() {
            done(Command::new("chown").args(["-R", "postgres"]).arg(dir.path().join("pg")));
        }
        let path = |name: &str| dir.path().join("pg").join(name).to_str().expect(WORKS).to_owned();
        let (data, password) = (path("data"), format!("--pwfile={}", path("password")));
        let initdb = ["-D", &data, "-U", USER, "-A", "scram-sha-256", &password, "-E", "UTF8", "--locale=C"];
        done(as_postgres(&programs.join("initdb")).args(initdb).arg("--no-sync"));
        let shell = Mutex::new(start(&programs, dir.path(), port));
        let server = Self { programs, dir, port, shell };
        server.wait_until_ready();
        Some(server)
    }

    /// Where it listens on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD_IN_URL}@127.0.0.1:{}/{database}", self.port)
    }

    /// The certificate that its TLS certificate follows from: itself.
    pub fn certificate(&self) -> String {
        self.dir.path().join("pg/server.crt").to_str().expect(WORKS).to_owned()
    }

    /// Makes a database.
    pub fn make_database(&self, name: &str) {
        let port = self.port.to_string();
        let args = ["-h", "127.0.0.1", "-p", &port, "-U", USER, name];
        done(Command::new(self.programs.join("createdb")).args(args).env("PGPASSWORD", PASSWORD));
    }

    /// SIGKILL to the postmaster, and a wait until its port is closed.
    pub fn kill(&self) {
        kill_process(self.postmaster(), Signal::KILL).expect(WORKS);
        self.shell.lock().expect(WORKS).wait().expect(WORKS);
        until("its port is closed", || std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err());
    }

    /// Starts it again, on the same port and data. What is left of the killed one may be in the way for a moment.
    pub fn start_again(&self) {
        until("it starts again", || {
            let mut shell = self.shell.lock().expect(WORKS);
            *shell = start(&self.programs, self.dir.path(), self.port);
            drop(shell);
            let began = Instant::now();
            while self.shell.lock().expect(WORKS).try_wait().expect(WORKS).is_none() {
                if self.is_ready() {
                    return true;
                }
                assert!(began.elapsed() < PATIENCE, "it neither starts nor ends");
                pause();
            }
            false
        });
    }

    fn wait_until_ready(&self) {
        until("PostgreSQL is ready", || {
            let ended = self.shell.lock().expect(WORKS).try_wait().expect(WORKS);
            assert!(ended.is_none(), "PostgreSQL ended: {ended:?}\n{}", self.log());
            self.is_ready()
        });
    }

    fn is_ready(&self) -> bool {
        let port = self.port.to_string();
        let asked =
            Command::new(self.programs.join("pg_isready")).args(["-q", "-h", "127.0.0.1", "-p", &port]).status();
        asked.expect(WORKS).success()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("pg.log")).unwrap_or_default()
    }

    fn postmaster(&self) -> Pid {
        let file = fs::read_to_string(self.dir.path().join("pg/data/postmaster.pid")).expect(WORKS);
        Pid::from_raw(file.lines().next().expect(WORKS).parse().expect(WORKS)).expect(WORKS)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let shell = self.shell.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        drop(shell.stdin.take());
        let _ = shell.wait();
    }
}

fn start(programs: &Path, dir: &Path, port: u16) -> Child {
    let mut command = as_postgres(Path::new("sh"));
    command.args(["-c", KEEPER, "sh"]).arg(programs.join("postgres"));
    command.arg("-D").arg(dir.join("pg/data")).arg("-k").arg(dir.join("pg")).args(["-p", &port.to_string()]);
    command.args(["-c", "listen_addresses=127.0.0.1", "-c", "ssl=on"]);
    for (setting, file) in [("ssl_cert_file", "server.crt"), ("ssl_key_file", "server.key")] {
        command.arg("-c").arg(format!("{setting}={}", dir.join("pg").join(file).display()));
    }
    let log = fs::File::options().create(true).append(true).open(dir.join("pg.log")).expect(WORKS);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).spawn().expect(WORKS)
}

/// A certificate for 127.0.0.1, and its key.
pub fn certify(dir: &Path) {
    let path = |name: &str| dir.join(name).to_str().expect(WORKS).to_owned();
    let (key, certificate) = (path("server.key"), path("server.crt"));
    let name =
        ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"];
    let kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    done(Command::new("openssl").args(kind).args(name).args(["-keyout", &key, "-out", &certificate]));
    fs::set_permissions(&certificate, Permissions::from_mode(0o644)).expect(WORKS);
}

/// PostgreSQL refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Where Debian puts the programs of its newest version.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let programs = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
    programs.filter(|programs| programs.join("postgres").exists()).max()
}

fn done(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Asks again and again until it is so.
///
/// # Panics
/// If it never is.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        pause();
    }
}

fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}
