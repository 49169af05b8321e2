//! Local processes that connect a socket and then do as they are told: end, become another program or another user. And
//! processes that get the number of one that has ended.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// In a language that every Debian has: `exec` and setuid need no library there.
const SCRIPT: &str = r#"
    use IO::Socket::UNIX; $| = 1; $^F = 255;
    my $socket = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "cannot connect: $!";
    print "connected\n";
    while (<STDIN>) {
        chomp;
        exec split(" ", $1) if /^exec (.*)/;
        $< = $> = $1 if /^user (.*)/;
        print "done\n";
    }
"#;
/// How often a number is tried for: others take numbers, too.
const TRIES: usize = 500;
/// The number that was given out last (proc_sys_kernel(5)); root may say another one.
const LAST_NUMBER: &str = "/proc/sys/kernel/ns_last_pid";

/// A process that has connected, and waits to be told what to do.
pub struct Caller {
    child: Child,
    said: BufReader<ChildStdout>,
}

/// A process that sleeps.
pub struct Sleeper(Child);

impl Caller {
    /// Connects as who this process is.
    ///
    /// # Panics
    /// If it cannot be started, or does not connect.
    pub fn connect(socket: &Path) -> Self {
        Self::start(Command::new("perl"), socket)
    }

    /// Connects as somebody else: needs root.
    ///
    /// # Panics
    /// As [`Caller::connect`].
    pub fn connect_as(socket: &Path, uid: u32, gid: u32, groups: &[u32]) -> Self {
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}"));
        let groups = groups.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        match groups.as_str() {
            "" => command.arg("--clear-groups"),
            some => command.arg(format!("--groups={some}")),
        };
        command.arg("perl");
        Self::start(command, socket)
    }

    fn start(mut command: Command, socket: &Path) -> Self {
        command.args(["-e", SCRIPT]).arg(socket).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("perl and setpriv, which every Debian has");
        let said = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut caller = Self { child, said };
        caller.hears("connected\n");
        caller
    }

    /// # Panics
    /// Never: numbers of processes are positive.
    pub fn pid(&self) -> i32 {
        number(&self.child)
    }

    /// Goes on as another program; `words` has to say something on its output when it runs, which is waited for.
    ///
    /// # Panics
    /// If it does not run.
    pub fn exec(&mut self, words: &str) {
        self.tell(&format!("exec {words}"));
        let mut line = String::new();
        self.said.read_line(&mut line).expect("a pipe");
        assert!(!line.is_empty(), "`{words}` says nothing");
    }

    /// Goes on as another user.
    ///
    /// # Panics
    /// If it has ended.
    pub fn become_user(&mut self, uid: u32) {
        self.tell(&format!("user {uid}"));
        self.hears("done\n");
    }

    /// Ends, and is waited for; gives the number that is free now.
    ///
    /// # Panics
    /// If it cannot be waited for.
    pub fn leave(mut self) -> i32 {
        let pid = self.pid();
        self.child.kill().expect("a child");
        self.child.wait().expect("a child");
        pid
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().expect("a pipe"), "{line}").expect("a caller that lives");
    }

    fn hears(&mut self, expected: &str) {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("a pipe");
        assert_eq!(line, expected);
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        // it may have ended
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process with exactly this number, which has to be free. None, with a word on why, where numbers cannot be chosen.
///
/// # Panics
/// If no process gets it.
pub fn with_number(pid: i32) -> Option<Sleeper> {
    for _ in 0..TRIES {
        if let Err(error) = std::fs::write(LAST_NUMBER, (pid - 1).to_string()) {
            #[expect(clippy::print_stderr, reason = "a test says what it leaves out")]
            {
                eprintln!("skipped: choosing the numbers of processes needs root: {error}");
            }
            return None;
        }
        let sleeper = Sleeper(Command::new("sleep").arg("600").spawn().expect("sleep"));
        if sleeper.pid() == pid {
            return Some(sleeper);
        }
    }
    panic!("no process gets number {pid}")
}

impl Sleeper {
    /// # Panics
    /// Never: numbers of processes are positive.
    pub fn pid(&self) -> i32 {
        number(&self.0)
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn number(child: &Child) -> i32 {
    i32::try_from(child.id()).expect("a positive number")
}
