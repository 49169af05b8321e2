//! Cores, descriptors, and processes with what they cost. Each process is started here and ended by its own id.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// How long a process may take until it serves.
const READY: Duration = Duration::from_secs(120);
/// Ticks of the clock in `/proc/PID/stat`, a second.
const TICKS: f64 = 100.0;

/// Two cores: one for what is measured, the other for all that loads it.
#[derive(Debug, Clone, Copy)]
pub struct Cores {
    pub measured: usize,
    pub load: usize,
}

/// A process under measurement; killed when dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
}

/// The first two cores that this process may use.
pub fn cores() -> Cores {
    let ours = sched_getaffinity(None).expect("the system says where a process may run");
    let mut cores = (0..CpuSet::MAX_CPU).filter(|core| ours.is_set(*core));
    let measured = cores.next().expect("a core");
    let load = cores.next().expect("a second core: what loads the gateway must not share its own");
    Cores { measured, load }
}

/// Keeps this thread, and the threads and processes that it starts, on one core.
pub fn stay_on(core: usize) {
    let mut only = CpuSet::new();
    only.set(core);
    sched_setaffinity(None, &only).expect("a core of ours");
}

/// As many descriptors as the system allows, for this process and those that it starts.
pub fn raise_descriptors() -> u64 {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).expect("up to the hard limit");
    most.unwrap_or(u64::MAX)
}

impl Process {
    /// Starts a command on one core, with its output in a file beside `folder`'s others.
    pub fn start(mut command: Command, core: usize, cores: Cores, folder: &Path) -> Self {
        let log = folder.join("log");
        let output = fs::File::create(&log).expect("a log");
        command.stdin(Stdio::null()).stdout(output.try_clone().expect("a second handle")).stderr(output);
        stay_on(core);
        let child = command.spawn();
        stay_on(cores.load);
        Self { child: child.unwrap_or_else(|error| panic!("{command:?} does not start: {error}")), log }
    }

    /// Starts a command on whichever core, with its output in this file.
    pub fn anywhere(mut command: Command, log: &Path) -> Self {
        let output = fs::File::create(log).expect("a log");
        command.stdin(Stdio::null()).stdout(output.try_clone().expect("a second handle")).stderr(output);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        Self { child, log: log.to_owned() }
    }

    /// Waits until there is something: what it waits for, in words, is for whoever reads why it never came.
    pub fn until<T>(&mut self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            let ended = self.child.try_wait().expect("its own child");
            if ended.is_some() || begun.elapsed() > READY {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                panic!("{what}: not after {:?} ({ended:?})\n{log}", begun.elapsed());
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        // it may have ended by itself
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Seconds of a core that it used, in its own code and in the system's.
    pub fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(self.proc("stat")).expect("a process that runs");
        // the name of the program stands in parentheses and may hold anything
        let after = stat.rsplit_once(") ").expect("a name").1;
        let ticks = |field: usize| after.split(' ').nth(field).and_then(|n| n.parse::<f64>().ok()).expect("a number");
        (ticks(11) + ticks(12)) / TICKS
    }

    /// Memory that it holds, in MiB.
    pub fn resident(&self) -> f64 {
        self.memory("VmRSS:")
    }

    /// Most memory that it held at any time, in MiB.
    pub fn most_resident(&self) -> f64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, of: &str) -> f64 {
        let status = fs::read_to_string(self.proc("status")).expect("a process that runs");
        let line = status.lines().find_map(|line| line.strip_prefix(of)).expect("memory");
        line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
    }

    fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.child.id()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
