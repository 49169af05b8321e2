//! What came with a call, by where it came from. Nothing here is believed yet.

use model::Digest;

use crate::{NodeEvidence, PeerCertificates, digest_of};

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
#[derive(Clone, Copy)]
pub enum Message<'a> {
    /// What stands after `Bearer ` (RFC 6750 §2.1).
    Bearer(Token<'a>),
    /// By what a machine proves which node it is.
    Node(&'a NodeEvidence<'a>),
}

/// A token exactly as it came, and its digest: computed once, for whoever remembers it and for the record.
#[derive(Clone, Copy)]
pub struct Token<'a> {
    bytes: &'a [u8],
    digest: Digest,
}

impl<'a> Token<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, digest: digest_of(bytes) }
    }

    pub(crate) const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) const fn digest(&self) -> Digest {
        self.digest
    }
}

impl Presented<'_> {
    pub const fn is_empty(&self) -> bool {
        self.channel.is_none() && self.message.is_none()
    }
}
