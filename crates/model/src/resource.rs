//! What is asked: an action on a resource, both named apart from any protocol.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::name::{BadName, check_word};
use crate::words;

/// Longest resource id, in bytes.
const MAX_RESOURCE: usize = 1024;

words! {
    /// The four base actions; every action of an estate is a member of exactly one.
    pub enum BaseAction {
        Read = "read",
        Write = "write",
        Administer = "administer",
        /// A side effect outside: pay, mail, deploy.
        Effect = "effect",
    }
}

/// Why a text does not name an action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the name of an action")]
pub struct BadAction(#[from] BadName);

/// An action: one of the four base actions, or a member that an estate declares, such as `refund`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActionName(Arc<str>);

/// Why a text does not name a resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadResource {
    #[error("a resource id has at most {MAX_RESOURCE} bytes")]
    TooLong,
    #[error("`{text}`: a resource id is segments of letters, digits, `.`, `-` and `_`, with one `/` between")]
    Segment { text: String },
}

/// A resource in a tree that its owners name, such as `billing/invoices/export`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(Arc<str>);

impl ActionName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The base action of this name, unless it is a declared member.
    pub fn base(&self) -> Option<BaseAction> {
        self.0.parse().ok()
    }
}

impl From<BaseAction> for ActionName {
    fn from(base: BaseAction) -> Self {
        Self(base.as_str().into())
    }
}

impl ResourceId {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The resource above, or `None` for the root of a tree.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(above, _)| Self(above.into()))
    }

    /// This resource, then the one above it, up to the root.
    pub fn and_ancestors(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self.clone()), Self::parent)
    }
}

impl fmt::Display for ActionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ActionName {
    type Err = BadAction;

    fn from_str(text: &str) -> Result<Self, BadAction> {
        check_word(text)?;
        Ok(Self(text.into()))
    }
}

impl FromStr for ResourceId {
    type Err = BadResource;

    fn from_str(text: &str) -> Result<Self, BadResource> {
        if text.len() > MAX_RESOURCE {
            return Err(BadResource::TooLong);
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        let sound = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(plain);
        if !text.split('/').all(sound) {
            return Err(BadResource::Segment { text: text.escape_debug().to_string() });
        }
        Ok(Self(text.into()))
    }
}
