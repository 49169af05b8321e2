//! `dev` before the user's own API and behind the user's own issuer: a first estate for them, laid out once. It proves
//! callers and permits nothing; what it may not yet say, its author says next.

mod discovery;
mod starter;

use std::fs::{self, File};
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use model::PrincipalId;
use net::files::write_whole;
use net::now;

use self::starter::Starter;
use crate::estate::{Bundle, Problem, Vars, load, outline};

pub use discovery::DiscoveryFailed;

/// Longest OpenAPI file, in bytes: what an estate's reader takes.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// The user's API and issuer, as they were given.
#[derive(Debug, Clone)]
pub struct OwnApi {
    pub upstream: String,
    pub openapi: PathBuf,
    pub issuer: String,
    pub audience: String,
    /// Where the issuer's keys are; else its discovery document says.
    pub jwks_url: Option<String>,
}

/// Why no first estate is laid out. Nothing is written then.
#[derive(Debug, thiserror::Error)]
pub enum OwnApiFailed {
    #[error("`{}` is there already, and --upstream lays out a first one: edit it and start without these flags, name another --dir, or add --fresh", .estate.display())]
    AlreadyThere { estate: PathBuf },
    #[error("cannot read `{}`", .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("`{}` is longer than {MAX_FILE} bytes", .path.display())]
    TooLong { path: PathBuf },
    #[error("the operations of `{}` cannot be read{}", .path.display(), lines(.problems))]
    Described { path: PathBuf, problems: Vec<Problem> },
    #[error("a first estate of these would not load{}", lines(.0))]
    Estate(Vec<Problem>),
    #[error(transparent)]
    Discovery(#[from] DiscoveryFailed),
    #[error("cannot write `{}`", .path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// What to look at next in an estate that was just laid out.
#[derive(Debug)]
pub struct LaidOut {
    /// A request to try.
    pub target: String,
    /// Operations that no route can say.
    pub left_out: usize,
}

/// Lays out `estate` for the user's API, unless one is there.
///
/// # Errors
/// [`OwnApiFailed`].
pub async fn lay_out(
    estate: &Path,
    own: &OwnApi,
    gateway: IpAddr,
    vars: &Vars,
    operators: &[PrincipalId],
) -> Result<LaidOut, OwnApiFailed> {
    if estate.exists() {
        return Err(OwnApiFailed::AlreadyThere { estate: estate.to_owned() });
    }
    let description = read(&own.openapi)?;
    let file = if own.openapi.extension().is_some_and(|ending| ending == "json") {
        "api.openapi.json"
    } else {
        "api.openapi.yaml"
    };
    let outline = outline(file, &description)
        .map_err(|problems| OwnApiFailed::Described { path: own.openapi.clone(), problems })?;
    let keys = discovery::keys(own).await?;
    let starter = Starter { own, keys: &keys, outline: &outline, file, gateway };
    // last: an estate is there once this file is
    let files = [(file, description), ("api.cedar", starter.policies()), ("estate.yaml", starter.estate())];
    let bundle = Bundle::new(files.iter().map(|(name, text)| ((*name).to_owned(), text.clone())));
    load(&bundle, vars, operators, None, now()).map_err(OwnApiFailed::Estate)?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| OwnApiFailed::Write { path, source }
    };
    fs::create_dir_all(estate).map_err(failed(estate))?;
    for (name, text) in &files {
        let path = estate.join(name);
        write_whole(&path, text.as_bytes(), 0o644).map_err(failed(&path))?;
    }
    let left_out = starter.left_out().count();
    Ok(LaidOut { target: starter.target(), left_out })
}

fn read(path: &Path) -> Result<String, OwnApiFailed> {
    let failed = |source| OwnApiFailed::File { path: path.to_owned(), source };
    let mut text = String::new();
    // one byte more than may be shows that there was more
    File::open(path).map_err(failed)?.take(MAX_FILE + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_FILE {
        return Err(OwnApiFailed::TooLong { path: path.to_owned() });
    }
    Ok(text)
}

/// Each problem on a line of its own.
fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n{problem}")).collect()
}

#[cfg(test)]
mod tests;
