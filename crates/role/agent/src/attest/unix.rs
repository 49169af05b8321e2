//! `unix:…`: whose a process is, and what it runs.

use std::path::PathBuf;

use super::NotAttested;
use super::binary::{Binaries, Binary};
use super::names::Names;
use super::proc::Sighting;
use super::settings::UnixSettings;
use super::{Look, select};
use model::Selectors;

/// The attestor.
#[derive(Debug)]
pub(super) struct Unix {
    users: PathBuf,
    groups: PathBuf,
    binaries: Option<Binaries>,
}

impl Unix {
    pub(super) fn new(settings: &UnixSettings) -> Self {
        Self {
            users: "/etc/passwd".into(),
            groups: "/etc/group".into(),
            binaries: settings.discover_path.then(|| Binaries::new(settings.max_hashed)),
        }
    }

    /// What a process runs, where that is to be known.
    ///
    /// # Errors
    /// [`NotAttested::Binary`].
    pub(super) async fn binary(&self, pid: i32) -> Result<Option<Binary>, NotAttested> {
        let Some(binaries) = &self.binaries else { return Ok(None) };
        binaries.of(pid).await.map(Some).map_err(|source| NotAttested::Binary { pid, source })
    }

    /// # Errors
    /// [`NotAttested`].
    pub(super) async fn attest(&self, pid: i32, seen: &Look) -> Result<Selectors, NotAttested> {
        let mut selectors = self.owner(&seen.sighting)?;
        if let (Some(binaries), Some(binary)) = (&self.binaries, &seen.binary) {
            let digest = binaries.digest(pid, binary).await.map_err(|source| NotAttested::Binary { pid, source })?;
            select(&mut selectors, "unix:path", &binary.path);
            if let Some(digest) = digest {
                select(&mut selectors, "unix:sha256", &digest.to_string());
            }
        }
        Ok(selectors)
    }

    fn owner(&self, seen: &Sighting) -> Result<Selectors, NotAttested> {
        let (users, groups) = (Names::of(&self.users), Names::of(&self.groups));
        let (users, groups) = (users.map_err(NotAttested::Names)?, groups.map_err(NotAttested::Names)?);
        let mut selectors = Selectors::new();
        let mut both = |number: u32, by_number: &str, by_name: &str, names: &Names| {
            select(&mut selectors, by_number, &number.to_string());
            if let Some(name) = names.name(number) {
                select(&mut selectors, by_name, name);
            }
        };
        both(seen.owner.uid, "unix:uid", "unix:user", &users);
        both(seen.owner.gid, "unix:gid", "unix:group", &groups);
        for group in &seen.owner.supplementary {
            both(*group, "unix:supplementary_gid", "unix:supplementary_group", &groups);
        }
        Ok(selectors)
    }
}
