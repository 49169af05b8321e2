//! Names of users and groups: the files of this machine, and no name service behind them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::proc::{Unread, bounded};

/// Names by number.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<u32, String>);

impl Names {
    /// Those of a file such as passwd(5) or group(5). Without the file there are none.
    ///
    /// # Errors
    /// [`Unread`].
    pub(super) fn of(file: &Path) -> Result<Self, Unread> {
        match bounded(file) {
            Ok(text) => Ok(Self::read(&text)),
            Err(Unread::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(unread) => Err(unread),
        }
    }

    /// The number is the third field in both files; the first line with a number names it, as in every look-up.
    pub(super) fn read(text: &str) -> Self {
        let mut names = BTreeMap::new();
        for line in text.lines() {
            let mut fields = line.split(':');
            let (Some(name), Some(_), Some(number)) = (fields.next(), fields.next(), fields.next()) else { continue };
            // lines of NIS name nobody by themselves
            let sound = !name.is_empty() && !name.starts_with(['+', '-', '#']);
            if let Some(number) = number.parse().ok().filter(|_| sound) {
                names.entry(number).or_insert_with(|| name.to_owned());
            }
        }
        Self(names)
    }

    pub(super) fn name(&self, number: u32) -> Option<&str> {
        self.0.get(&number).map(String::as_str)
    }
}
