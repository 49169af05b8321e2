//! `docker:…`: what Docker or Podman say of a container, asked at a local socket.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use model::Selectors;
use net::{FetchFailed, Terms, fetch_local};
use serde::Deserialize;

use super::container::{Container, ContainerId};
use super::select;

/// Longest answer, in bytes: an inspected container has some kilobytes.
const MAX_ANSWER: usize = 1024 * 1024;
const WITHIN: Duration = Duration::from_secs(5);
/// Stands for the number of a user in the path of a socket.
pub(super) const USER: &str = "{uid}";

/// An engine, and where it is asked.
#[derive(Debug)]
pub(super) struct Engine {
    /// Of the system's own engine.
    pub(super) socket: PathBuf,
    /// Of the engines of users, by a path with [`USER`] in it.
    pub(super) users: Option<String>,
}

/// Why an engine does not say what a container is.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    #[error(transparent)]
    Fetch(#[from] FetchFailed),
    #[error("the answer is not understood")]
    Form(#[from] serde_json::Error),
    #[error("the answer is about another container")]
    Another,
    #[error("it is of the engine of user {user}, and engines of users are not asked")]
    User { user: u32 },
}

impl Engine {
    /// # Errors
    /// [`NoAnswer`].
    pub(super) async fn attest(&self, container: &Container) -> Result<Selectors, NoAnswer> {
        let terms = Terms { most: MAX_ANSWER, within: WITHIN, ..Terms::public() };
        let target = format!("/containers/{}/json", container.id);
        let fetched = match container.user {
            None => fetch_local(&self.socket, None, &target, &terms).await?,
            Some(user) => {
                let path = self.users.as_ref().ok_or(NoAnswer::User { user })?;
                let socket = PathBuf::from(path.replace(USER, &user.to_string()));
                // or the engine of one user could stand at another's place
                fetch_local(&socket, Some(user), &target, &terms).await?
            }
        };
        selectors(&fetched.document, &container.id)
    }
}

/// What is used of an inspected container.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    /// The id of the image that it was made of, whatever the image's name means by now.
    image: String,
    config: Config,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(default)]
    image: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    env: Option<Vec<String>>,
}

/// # Errors
/// [`NoAnswer`].
pub(super) fn selectors(answer: &[u8], asked: &ContainerId) -> Result<Selectors, NoAnswer> {
    let Inspected { id, image, config } = serde_json::from_slice(answer)?;
    // a name could be 64 hex digits, too
    if id != asked.as_str() {
        return Err(NoAnswer::Another);
    }
    let mut selectors = Selectors::new();
    for (key, value) in config.labels.iter().flatten() {
        // `a:b` with `c` would be the selector of `a` with `b:c`, which somebody else may have set
        if !key.contains(':') {
            select(&mut selectors, "docker:label", &format!("{key}:{value}"));
        }
    }
    for variable in config.env.iter().flatten() {
        select(&mut selectors, "docker:env", variable);
    }
    select(&mut selectors, "docker:image_id", &config.image);
    // Podman may leave the algorithm out
    let digest = image.strip_prefix("sha256:").unwrap_or(&image);
    if ContainerId::read(digest).is_some() {
        select(&mut selectors, "docker:image_config_digest", &format!("sha256:{digest}"));
    }
    Ok(selectors)
}
