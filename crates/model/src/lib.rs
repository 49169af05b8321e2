//! The words of Countersign: identifiers, times and closed answer codes, each parsed once and valid ever after.
//!
//! This crate knows no format, no clock, no configuration and no I/O. It never serialises: whoever writes a record or an
//! answer converts these words at its own edge.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod code;
mod digest;
mod evidence;
mod name;
mod principal;
mod resource;
mod selector;
mod spiffe;
mod time;

pub use code::{Code, Layer};
pub use digest::{BadHex, Digest, Epoch, Generation, RecordId, TraceId};
pub use evidence::{Binding, Decision, Fact, Risk, Tier};
pub use name::{BadName, EnvironmentName, GroupName, OperatorName, Owner, PolicyId, ServiceName, SourceName};
pub use principal::{BadPrincipalId, HumanId, PrincipalId, PrincipalKind};
pub use resource::{ActionName, BadAction, BadResource, BaseAction, ResourceId};
pub use selector::{BadIdTemplate, BadSelector, IdTemplate, NoId, Selector, SelectorIndex, Selectors};
pub use spiffe::{BadSpiffeId, SpiffeId, TrustDomain};
pub use time::{BadTime, Time};

/// A word outside a closed list, with the list that it should have come from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not one of {}", .expected.join(", "))]
pub struct Unlisted {
    pub found: String,
    pub expected: Vec<&'static str>,
}

/// A closed list of words: an enum, the text of each variant, and the way back.
macro_rules! words {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name { $($(#[$vmeta])* $variant),+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The word as it is written in files, records and answers.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::Unlisted;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or_else(|| $crate::Unlisted {
                    found: text.to_owned(),
                    expected: Self::ALL.iter().map(|word| word.as_str()).collect(),
                })
            }
        }
    };
}
pub(crate) use words;

#[cfg(test)]
mod tests;
