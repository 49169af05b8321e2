//! The command line's own settings: what each is, and where it came from.

use std::path::Path;

use clap::ArgMatches;
use clap::parser::ValueSource;
use serde_json::{Value, json};

use super::server::{self, Origin};
use super::{Format, Stopped};

/// A setting that a flag or a variable may give.
struct Given {
    id: &'static str,
    flag: &'static str,
    variable: &'static str,
}

const SERVER: Given = Given { id: "server", flag: "--server", variable: "COUNTERSIGN_SERVER" };
const DIR: Given = Given { id: "dir", flag: "--dir", variable: "COUNTERSIGN_DIR" };
const OUTPUT: Given = Given { id: "output", flag: "--output", variable: "COUNTERSIGN_OUTPUT" };

/// Every setting of a verb that asks a server, as `{name, value, from}`.
///
/// # Errors
/// [`Stopped`] if no server is named and none runs here.
pub(super) fn settings(
    matches: &ArgMatches,
    server: Option<&str>,
    directory: Option<&Path>,
    output: Format,
) -> Result<Value, Stopped> {
    let (address, origin) = server::chosen(server, directory)?;
    let from = match origin {
        Origin::Named => SERVER.from(matches).to_owned(),
        Origin::File(path) => path.display().to_string(),
    };
    let directory = directory.unwrap_or(Path::new(server::DIRECTORY));
    Ok(json!([
        {"name": SERVER.id, "value": address, "from": from},
        {"name": DIR.id, "value": directory, "from": DIR.from(matches)},
        {"name": OUTPUT.id, "value": output.name(), "from": OUTPUT.from(matches)},
    ]))
}

impl Given {
    fn from(&self, matches: &ArgMatches) -> &'static str {
        match matches.value_source(self.id) {
            Some(ValueSource::CommandLine) => self.flag,
            Some(ValueSource::EnvVariable) => self.variable,
            _ => "default",
        }
    }
}
