//! What came with a call, by where it came from. Nothing here is believed yet.

use crate::PeerCertificates;

/// What a caller presented: on the connection, and in the message.
#[derive(Default)]
pub struct Presented<'a> {
    pub channel: Option<Channel<'a>>,
    pub message: Option<Message<'a>>,
}

/// Proof that belongs to the connection itself.
pub enum Channel<'a> {
    /// The certificates with which the peer authenticated its TLS connection.
    Tls(&'a PeerCertificates),
    /// What the kernel says of the process at the other end of a local socket (`SO_PEERCRED`).
    Kernel(PeerCredentials),
}

/// Credentials of a local peer, as the kernel gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerCredentials {
    pub uid: u32,
    pub gid: u32,
    pub pid: Option<i32>,
}

/// Proof that travels in the message.
pub enum Message<'a> {
    /// The bytes after `Bearer ` (RFC 6750 §2.1), exactly as they came.
    Bearer(&'a [u8]),
}

impl Presented<'_> {
    pub const fn is_empty(&self) -> bool {
        self.channel.is_none() && self.message.is_none()
    }
}
