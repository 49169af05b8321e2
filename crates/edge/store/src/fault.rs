//! Why a ledger cannot be used.

use std::io;
use std::path::{Path, PathBuf};

use audit::Fault;

/// Why a ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerFault {
    #[error("the ledger `{}` is in use by another process", .dir.display())]
    Locked { dir: PathBuf },
    #[error(
        "the ledger is damaged; it is left as it is, and an operator may begin a new chain (`countersign ledger new-chain`)"
    )]
    Damaged(#[from] Fault),
    #[error("`{}` holds records but `current` does not name their writer; an operator may begin a new chain (`countersign ledger new-chain`)", .dir.display())]
    NoCurrent { dir: PathBuf },
    #[error("`{}` does not name a writer", .path.display())]
    BadCurrent { path: PathBuf },
    #[error("`{}` is not a ledger: it holds no records", .dir.display())]
    NoLedger { dir: PathBuf },
    #[error("the system gave no random bytes for the name of a writer")]
    Random,
    #[error("a first record cannot be written")]
    Unencodable(#[from] audit::Unencodable),
    #[error("cannot {doing} `{}`", .path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
}

impl LedgerFault {
    /// For `map_err`: what was being done to `path`.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }
}
