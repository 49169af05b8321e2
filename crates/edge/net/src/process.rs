//! The process at the other end of a local socket, pinned by a file descriptor of its own (pidfd_open(2)): its number may
//! come to mean another process, the descriptor never does.

use std::io;
use std::os::fd::OwnedFd;

use credential::PeerCredentials;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerPidfd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;

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

impl Process {
    /// Who connected `stream`. From Linux 6.5 on the kernel itself says which process that was; before, the one that has its
    /// number now, if it is as old as the connection allows: see [`Process::still`].
    ///
    /// # Errors
    /// If the kernel does not say who connected, or whoever did has ended.
    pub(crate) fn at(stream: &UnixStream) -> io::Result<Self> {
        let peer = stream.peer_cred()?;
        let pid = peer.pid().ok_or_else(|| io::Error::other("the kernel does not name the process"))?;
        let credentials = PeerCredentials { uid: peer.uid(), gid: peer.gid(), pid: Some(pid) };
        let pin = match getsockopt(stream, PeerPidfd) {
            Ok(pin) => pin,
            Err(nix::Error::ENOPROTOOPT) => {
                let number =
                    Pid::from_raw(pid).ok_or_else(|| io::Error::other("the kernel does not name the process"))?;
                pidfd_open(number, PidfdFlags::empty())?
            }
            Err(error) => return Err(error.into()),
        };
        #[expect(
            deprecated,
            reason = "its successor is unsafe for descriptors that are closed elsewhere; this one is owned"
        )]
        let pin = AsyncFd::with_interest(pin, Interest::READABLE)?;
        Ok(Self { credentials, pid, pin })
    }

    /// What the kernel noted when it connected.
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
        // a descriptor of a process can be read once it has ended, a zombie among them
        let mut polled = [PollFd::new(self.pin.get_ref(), PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut polled, Some(&now)) {
            Ok(0) => Ok(()),
            Ok(_) | Err(_) => Err(Gone),
        }
    }

    /// Returns once it has ended.
    pub async fn ended(&self) {
        // an error means that it can be watched no longer: that counts as its end
        let _ = self.pin.readable().await;
    }
}
