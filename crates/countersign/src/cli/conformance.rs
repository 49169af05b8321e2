//! `conformance`: a SPIFFE Workload API, looked at from outside.

use std::time::Duration;

use conformance::{Options, Report, Selection};
use yaml::read_duration;

use super::args::Conformance;
use super::server::runtime;
use super::{Exit, Format, Stopped, output};

/// How long a stream may be silent until its state counts as told.
const SETTLED: Duration = Duration::from_millis(300);

/// Looks, and prints what was seen of every line.
///
/// # Errors
/// [`Stopped`] with [`Exit::Unreachable`] where nothing answers, and with [`Exit::Failed`] where a line is broken or most
/// could not be looked at.
pub(super) fn conformance(asked: Conformance, format: Format) -> Result<(), Stopped> {
    let options = options(asked)?;
    let report = runtime()?.block_on(conformance::run(&options));
    let report = report.map_err(|error| Stopped::because(Exit::Unreachable, &error))?;
    print(&report, format);
    if report.is_ok() { Ok(()) } else { Err(Stopped::silently(Exit::Failed)) }
}

fn options(asked: Conformance) -> Result<Options, Stopped> {
    let selection = Selection::new(&asked.include, &asked.skip, asked.incubating);
    let selection = selection.map_err(|error| Stopped::because(Exit::Invalid, &error))?;
    let within = read_duration(&asked.timeout).filter(|within| !within.is_zero()).ok_or_else(|| {
        Stopped::new(Exit::Invalid, format!("`{}` is no duration such as 5s", asked.timeout.escape_debug()))
    })?;
    let Conformance { socket, bundle, audience, .. } = asked;
    Ok(Options { socket, bundle, audience, within, settled: SETTLED, selection })
}

fn print(report: &Report, format: Format) {
    match format {
        Format::Text => output::line(report.text().trim_end()),
        Format::Json => output::line(&report.json().to_string()),
        Format::Junit => output::line(report.junit().trim_end()),
    }
}
