//! `doctor`: looks for what is wrong, or will be soon, in a process's directory and by the process's own word. It changes
//! nothing, and works while nothing runs.

mod certificates;
mod disk;
mod files;
mod finding;
mod ports;
mod word;

use std::path::{Path, PathBuf};

use net::now;
use serde_json::{Value, json};

use self::finding::{Finding, Level};
use self::word::Word;
use super::reach::{Address, DIRECTORY, Reach, chosen, find};
use super::server::runtime;
use super::{Exit, Format, Stopped, output};

/// Looks at everything.
///
/// # Errors
/// [`Stopped`] with [`Exit::Failed`] where there is a problem.
pub(super) fn doctor(reach: &Reach, format: Format) -> Result<(), Stopped> {
    let directory = place(reach)?;
    let runtime = runtime()?;
    let word = runtime.block_on(word::asked(find(&Reach { dir: Some(directory.clone()), ..reach.clone() })));
    let mut findings = files::look(&directory);
    findings.extend(runtime.block_on(disk::look(&directory)));
    let at = now();
    match &word {
        Word::Given(status) => findings.extend(word::look(status, at)),
        Word::Refused(why) => findings.push(Finding::warning("process", why.clone(), "ask as the directory's owner")),
        Word::None => {
            findings.push(word::silence(&directory));
            findings.extend(ports::look(&directory));
            findings.extend(certificates::look(&directory, at));
        }
    }
    // the worst last: that is what a terminal still shows
    findings.sort_by_key(|finding| finding.level);
    let sound = findings.iter().all(|finding| finding.level != Level::Problem);
    let told: Vec<Value> = findings.iter().map(Finding::json).collect();
    output::result(&json!({"ok": sound, "findings": told}), format, |_| text(&findings));
    if sound { Ok(()) } else { Err(Stopped::silently(Exit::Failed)) }
}

/// The directory that is looked at: the one that is named, else `./.countersign`, else that of the server that verbs are for.
fn place(reach: &Reach) -> Result<PathBuf, Stopped> {
    let found = match &reach.dir {
        Some(directory) => directory.clone(),
        None if reach.server.is_none() && Path::new(DIRECTORY).exists() => PathBuf::from(DIRECTORY),
        None => match chosen(reach)?.0 {
            Address::Socket(socket) => socket.parent().unwrap_or(Path::new(DIRECTORY)).to_owned(),
            Address::Nodes(_) => {
                let why = "this looks into a process's own directory: run it there, and name it with --dir";
                return Err(Stopped::new(Exit::Usage, why));
            }
        },
    };
    if found.is_dir() {
        return Ok(found);
    }
    Err(Stopped::new(Exit::Invalid, format!("`{}` is no directory; name one with --dir", found.display())))
}

/// Every finding, and how many are bad.
fn text(findings: &[Finding]) -> String {
    let of = |level: Level| findings.iter().filter(|finding| finding.level == level).count();
    let lines: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    format!("{lines}\nproblems: {}, warnings: {}", of(Level::Problem), of(Level::Warning))
}

#[cfg(test)]
mod tests;
