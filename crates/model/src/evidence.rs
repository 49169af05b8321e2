//! What is known about a call besides who makes it: facts, how a credential is bound, how much proof is asked.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::name::{BadName, check_word};
use crate::words;

words! {
    /// Proof that an operation demands, weakest first: `max` of two tiers is the stricter one.
    pub enum Tier {
        Routine = "routine",
        Sensitive = "sensitive",
        Critical = "critical",
    }
}

words! {
    /// How much harm a principal could do; a floor under the tier of whatever it asks.
    pub enum Risk {
        Low = "low",
        Medium = "medium",
        High = "high",
    }
}

words! {
    /// What ties a credential to whoever presents it.
    pub enum Binding {
        /// Nothing: whoever holds the bytes can use them.
        Bearer = "bearer",
        /// The client certificate of the connection (RFC 8705).
        Mtls = "mtls",
        /// A DPoP key (RFC 9449).
        Dpop = "dpop",
        /// A proof token.
        Proof = "proof",
        /// An HTTP message signature (RFC 9421).
        Signature = "signature",
        /// The kernel's word for who is at the other end of a local socket.
        Kernel = "kernel",
    }
}

words! {
    /// The answer to one question.
    pub enum Decision {
        Allow = "allow",
        Deny = "deny",
    }
}

impl Binding {
    /// Whether a stolen copy of the credential is useless to the thief.
    pub const fn is_sender_bound(self) -> bool {
        match self {
            Self::Bearer => false,
            Self::Mtls | Self::Dpop | Self::Proof | Self::Signature | Self::Kernel => true,
        }
    }
}

/// A named fact that was proved about a call, such as `protected_ref`: lower-case letters, digits and `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fact(Arc<str>);

impl Fact {
    /// Facts that Countersign itself establishes; an estate cannot declare one.
    pub const BUILT_IN: &'static [&'static str] =
        &["sender_bound", "attested", "provenance", "approved", "task_capability", "in_schedule"];

    pub fn sender_bound() -> Self {
        Self("sender_bound".into())
    }

    pub fn attested() -> Self {
        Self("attested".into())
    }

    pub fn provenance() -> Self {
        Self("provenance".into())
    }

    pub fn approved() -> Self {
        Self("approved".into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_built_in(&self) -> bool {
        Self::BUILT_IN.contains(&self.as_str())
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Fact {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        check_word(text)?;
        Ok(Self(text.into()))
    }
}
