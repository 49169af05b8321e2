//! The command line's own settings: what each is, and where it came from.

use std::path::Path;

use clap::ArgMatches;
use clap::parser::ValueSource;
use serde_json::{Value, json};

use super::reach::{self, Origin, Reach};
use super::{Format, Stopped};

/// A setting that a flag or a variable may give.
struct Given {
    id: &'static str,
    flag: &'static str,
    variable: &'static str,
}

const SERVER: Given = Given { id: "server", flag: "--server", variable: "COUNTERSIGN_SERVER" };
const DIR: Given = Given { id: "dir", flag: "--dir", variable: "COUNTERSIGN_DIR" };
const OPERATOR_CERT: Given =
    Given { id: "operator_cert", flag: "--operator-cert", variable: "COUNTERSIGN_OPERATOR_CERT" };
const OPERATOR_KEY: Given = Given { id: "operator_key", flag: "--operator-key", variable: "COUNTERSIGN_OPERATOR_KEY" };
const CA: Given = Given { id: "ca", flag: "--ca", variable: "COUNTERSIGN_CA" };
const OUTPUT: Given = Given { id: "output", flag: "--output", variable: "COUNTERSIGN_OUTPUT" };

/// Every setting of a verb that asks a server, as `{name, value, from}`.
///
/// # Errors
/// [`Stopped`] if no server is named and none runs here.
pub(super) fn settings(matches: &ArgMatches, reach: &Reach, output: Format) -> Result<Value, Stopped> {
    let (address, origin) = reach::chosen(reach)?;
    let from = match origin {
        Origin::Named => SERVER.from(matches).to_owned(),
        Origin::File(path) => path.display().to_string(),
    };
    let directory = reach.dir.as_deref().unwrap_or(Path::new(reach::DIRECTORY));
    let mut settings = vec![
        json!({"name": SERVER.id, "value": address.to_string(), "from": from}),
        json!({"name": DIR.id, "value": directory, "from": DIR.from(matches)}),
        json!({"name": OUTPUT.id, "value": output.name(), "from": OUTPUT.from(matches)}),
    ];
    let files = [(OPERATOR_CERT, &reach.operator_cert), (OPERATOR_KEY, &reach.operator_key), (CA, &reach.ca)];
    let named = files.into_iter().filter_map(|(given, file)| Some((given, file.as_ref()?)));
    settings.extend(named.map(|(given, file)| json!({"name": given.id, "value": file, "from": given.from(matches)})));
    Ok(settings.into())
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
