//! Names that owners give to things in an estate.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest name, in bytes.
const MAX: usize = 253;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    #[error("a name cannot be empty")]
    Empty,
    #[error("a name has at most {MAX} bytes")]
    TooLong,
    #[error("`{text}`: expected lower-case letters, digits, `-` and `.`, starting and ending with a letter or digit")]
    Name { text: String },
    #[error("`{text}`: expected lower-case letters, digits and `_`, starting with a letter")]
    Word { text: String },
    #[error("`{text}` has a control character")]
    Control { text: String },
}

macro_rules! name {
    ($(#[$meta:meta])* $name:ident, $check:path) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                $check(text)?;
                Ok(Self(text.into()))
            }
        }
    };
}

name!(
    /// An environment: a world of its own.
    EnvironmentName, check_name
);
name!(
    /// A trust source of an estate.
    SourceName, check_name
);
name!(
    /// A group of principals.
    GroupName, check_name
);
name!(
    /// A service behind a gateway.
    ServiceName, check_name
);
name!(
    /// A person with a certificate to operate an installation.
    OperatorName, check_name
);
name!(
    /// A policy, by its `@id` annotation.
    PolicyId, check_text
);
name!(
    /// The team that answers for a principal, a resource or a policy.
    Owner, check_text
);

fn check_name(text: &str) -> Result<(), BadName> {
    check_text(text)?;
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = bytes.first().is_some_and(|b| alphanumeric(*b)) && bytes.last().is_some_and(|b| alphanumeric(*b));
    if ends && bytes.iter().all(|b| alphanumeric(*b) || matches!(b, b'-' | b'.')) {
        return Ok(());
    }
    Err(BadName::Name { text: text.to_owned() })
}

/// A word as facts and actions use it: `[a-z][a-z0-9_]*`.
pub(crate) fn check_word(text: &str) -> Result<(), BadName> {
    check_text(text)?;
    let starts = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    if starts && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
        return Ok(());
    }
    Err(BadName::Word { text: text.to_owned() })
}

fn check_text(text: &str) -> Result<(), BadName> {
    if text.is_empty() {
        return Err(BadName::Empty);
    }
    if text.len() > MAX {
        return Err(BadName::TooLong);
    }
    if text.chars().any(char::is_control) {
        return Err(BadName::Control { text: text.escape_debug().to_string() });
    }
    Ok(())
}
