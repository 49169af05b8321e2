//! The process at the other end of a local socket, pinned by a file descriptor of its own (pidfd_open(2)): its number may
//! come to mean another process, the descriptor never does.
//!
//! From Linux 6.5 on the kernel itself says which process connected. Before that its number has to be taken for it, and what
//! began after the connection was heard of is refused. What remains there: who connected may have ended, and its number may
//! have come to another process, all before the connection was accepted, or within the same hundredth of a second. An
//! attestor that then compares users leaves only processes of the same user and group.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use credential::PeerCredentials;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerPidfd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::time::{ClockId, clock_gettime};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;

/// Where in the line of a process its start stands, counted after its name (proc_pid_stat(5): field 22).
const STARTED: usize = 19;

/// A process that lived when it connected.
#[derive(Debug)]
pub struct Process {
    credentials: PeerCredentials,
    pid: i32,
    pin: AsyncFd<OwnedFd>,
}

/// The process is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the process has ended")]
pub struct Gone;

/// Why it is not known which process connected.
#[derive(Debug, thiserror::Error)]
pub enum Unpinned {
    #[error("the kernel does not say who connected")]
    Unsaid(#[from] io::Error),
    #[error("who connected has no number here: this process has to see the PID namespace of its callers")]
    NoNumber,
    #[error(transparent)]
    Gone(#[from] Gone),
    #[error("process {pid} began after the connection: its number was another's")]
    Younger { pid: i32 },
    #[error("what the kernel says of process {pid} cannot be read")]
    Unreadable { pid: i32 },
}

impl Process {
    /// Who connected `stream`, which has to be asked as soon as it is accepted.
    ///
    /// # Errors
    /// [`Unpinned`].
    pub fn at(stream: &UnixStream) -> Result<Self, Unpinned> {
        let heard = ticks_since_boot();
        match getsockopt(stream, PeerPidfd) {
            Ok(pin) => Self::pinned(stream, pin),
            Err(nix::Error::ENOPROTOOPT) => Self::by_number(stream, heard),
            // the kernel names no process that has ended, and was waited for
            Err(nix::Error::ESRCH | nix::Error::EINVAL) => Err(Gone.into()),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    /// The process that has the number of who connected, if it had begun when the connection was heard of.
    fn by_number(stream: &UnixStream, heard: u64) -> Result<Self, Unpinned> {
        let number = stream.peer_cred()?.pid().and_then(Pid::from_raw).ok_or(Unpinned::NoNumber)?;
        let pin = pidfd_open(number, PidfdFlags::empty()).map_err(|error| match error {
            rustix::io::Errno::SRCH => Gone.into(),
            other => Unpinned::from(io::Error::from(other)),
        })?;
        let process = Self::pinned(stream, pin)?;
        let began = began(process.pid);
        // what was read is of the process that is pinned, unless that has ended
        process.still()?;
        match began {
            Some(began) if began <= heard => Ok(process),
            Some(_) => Err(Unpinned::Younger { pid: process.pid }),
            None => Err(Unpinned::Unreadable { pid: process.pid }),
        }
    }

    fn pinned(stream: &UnixStream, pin: OwnedFd) -> Result<Self, Unpinned> {
        let peer = stream.peer_cred()?;
        // the kernel writes 0 for a process of a namespace that is not seen from here
        let pid = peer.pid().filter(|pid| *pid > 0).ok_or(Unpinned::NoNumber)?;
        let credentials = PeerCredentials { uid: peer.uid(), gid: peer.gid(), pid: Some(pid) };
        Ok(Self { credentials, pid, pin: watched(pin)? })
    }

    /// The process that has this number now, as it is now: nothing is known of who it was before.
    ///
    /// # Errors
    /// [`Unpinned`]: there is none, or it is of a thread.
    pub fn numbered(pid: i32) -> Result<Self, Unpinned> {
        let number = Some(pid).filter(|pid| *pid > 0).and_then(Pid::from_raw).ok_or(Unpinned::NoNumber)?;
        let pin = pidfd_open(number, PidfdFlags::empty()).map_err(|error| match error {
            // a number of a thread is no process's
            rustix::io::Errno::SRCH | rustix::io::Errno::INVAL | rustix::io::Errno::NOENT => Gone.into(),
            other => Unpinned::from(io::Error::from(other)),
        })?;
        let pin = watched(pin)?;
        let owner = owner(pid);
        // what was read is of the process that is pinned, unless that has ended
        lives(&pin)?;
        let (uid, gid) = owner.ok_or(Unpinned::Unreadable { pid })?;
        Ok(Self { credentials: PeerCredentials { uid, gid, pid: Some(pid) }, pid, pin })
    }

    /// Whether its numbers of processes are ours: it lives in no PID namespace below.
    pub fn numbers_as_we_do(&self) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        self.still().is_ok() && namespaces(&status) == Some(1)
    }

    /// What the kernel noted when it connected, or when it was pinned by its number.
    pub const fn credentials(&self) -> PeerCredentials {
        self.credentials
    }

    /// Its number: good for reading about it as long as [`Process::still`] holds afterwards.
    pub const fn pid(&self) -> i32 {
        self.pid
    }

    /// Holds if it lives: what was read under its number until now was about it.
    ///
    /// # Errors
    /// [`Gone`].
    pub fn still(&self) -> Result<(), Gone> {
        lives(&self.pin)
    }

    /// Returns once it has ended.
    pub async fn ended(&self) {
        // an error means that it can be watched no longer: that counts as its end
        let _ = self.pin.readable().await;
    }
}

fn watched(pin: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    #[expect(
        deprecated,
        reason = "its successor is unsafe for descriptors that are closed elsewhere; this one is owned"
    )]
    AsyncFd::with_interest(pin, Interest::READABLE)
}

/// Holds while the process lives that is pinned.
fn lives(pin: &AsyncFd<OwnedFd>) -> Result<(), Gone> {
    // a descriptor of a process can be read once it has ended, a zombie among them
    let mut polled = [PollFd::new(pin.get_ref(), PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    match poll(&mut polled, Some(&now)) {
        Ok(0) => Ok(()),
        Ok(_) | Err(_) => Err(Gone),
    }
}

/// As whom a process acts: its effective user and group.
fn owner(pid: i32) -> Option<(u32, u32)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let effective = |name| line(&status, name)?.split_ascii_whitespace().nth(1)?.parse().ok();
    Some((effective("Uid:")?, effective("Gid:")?))
}

/// In how many PID namespaces a process has a number, counted from the one that we see (proc_pid_status(5): `NSpid`).
fn namespaces(status: &str) -> Option<usize> {
    Some(line(status, "NSpid:")?.split_ascii_whitespace().count())
}

/// A line of a status. The name of a process, which it chooses itself, cannot begin a line: the kernel escapes it.
fn line<'s>(status: &'s str, name: &str) -> Option<&'s str> {
    status.lines().find_map(|line| line.strip_prefix(name))
}

/// The clock that processes' starts are told by, in its ticks.
fn ticks_since_boot() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let each = clock_ticks_per_second();
    let whole = u64::try_from(now.tv_sec).unwrap_or_default().saturating_mul(each);
    let part = u64::try_from(now.tv_nsec).unwrap_or_default().saturating_mul(each) / 1_000_000_000;
    whole.saturating_add(part)
}

fn began(pid: i32) -> Option<u64> {
    started(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// When a process began, from its line; its name may have parentheses and spaces of its own.
fn started(line: &str) -> Option<u64> {
    let (_, rest) = line.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(STARTED)?.parse().ok()
}

#[cfg(test)]
mod tests;
