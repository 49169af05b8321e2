//! `catalog`: what an estate's operations ask, and what of it deserves a look.

use model::Risk;
use net::now;
use serde_json::{Value, json};

use super::args::{Catalog, CatalogVerb};
use super::offline::{does_not_load, loaded};
use super::{Exit, Format, Stopped, output};
use crate::catalog::Asks;
use crate::estate::{Bundle, Estate, Finding, Problem, Severity, Vars, lint, load};

/// Runs a verb of `catalog`.
///
/// # Errors
/// [`Stopped`].
pub(super) fn catalog(catalog: &Catalog, format: Format) -> Result<(), Stopped> {
    let (CatalogVerb::Lint { file, environment } | CatalogVerb::List { file, environment }) = &catalog.verb;
    let bundle = Bundle::read(file).map_err(|error| Stopped::because(Exit::Invalid, &error))?;
    match &catalog.verb {
        CatalogVerb::Lint { .. } => {
            let findings = match loaded(&bundle, environment.as_deref()) {
                Ok(estates) => lint(&estates, &bundle),
                Err(problems) => {
                    let error = |problem| Finding { severity: Severity::Error, problem };
                    problems.into_iter().map(error).collect()
                }
            };
            print_findings(&findings, format)
        }
        CatalogVerb::List { .. } => {
            let estate = load(&bundle, &Vars::Noted, &[], environment.as_deref(), now());
            let estate = estate.map_err(|problems| does_not_load(&problems))?;
            print_operations(&estate, format);
            Ok(())
        }
    }
}

fn print_findings(findings: &[Finding], format: Format) -> Result<(), Stopped> {
    let weightiest = findings.first().map(|finding| finding.severity);
    let ok = weightiest.is_none_or(|severity| severity == Severity::Note);
    let document = json!({"ok": ok, "findings": findings});
    output::result(&document, format, |_| {
        let mut lines: Vec<String> = findings.iter().map(finding_text).collect();
        lines.push(counted(findings));
        lines.join("\n")
    });
    match weightiest {
        None | Some(Severity::Note) => Ok(()),
        Some(Severity::Warning) => Err(Stopped::silently(Exit::Failed)),
        Some(Severity::Error) => Err(Stopped::silently(Exit::Invalid)),
    }
}

fn finding_text(finding: &Finding) -> String {
    let problem = &finding.problem;
    let message = format!("{}: {}", finding.severity.as_str(), problem.message);
    Problem { message, ..problem.clone() }.to_string()
}

fn counted(findings: &[Finding]) -> String {
    let count = |severity| match findings.iter().filter(|finding| finding.severity == severity).count() {
        0 => None,
        1 => Some(format!("1 {}", severity.as_str())),
        many => Some(format!("{many} {}s", severity.as_str())),
    };
    let counts: Vec<String> =
        [Severity::Error, Severity::Warning, Severity::Note].into_iter().filter_map(count).collect();
    if counts.is_empty() { "nothing to look at".to_owned() } else { counts.join(", ") }
}

fn print_operations(estate: &Estate, format: Format) {
    let mut operations = Vec::new();
    for service in &estate.services {
        for (route, place) in service.routes.iter().zip(&service.places) {
            let (access, asked) = match &route.asks {
                Asks::Public => (Some("public"), None),
                Asks::Action { action, resource } => (None, Some((action, resource))),
            };
            let tier = asked.and_then(|(action, resource)| estate.engine.tier(Risk::Low, action, resource));
            operations.push(json!({
                "service": service.name.as_str(), "operation": route.text(), "access": access,
                "action": asked.map(|(action, _)| action.as_str()), "resource": asked.map(|(_, resource)| resource.as_str()),
                "tier": tier.map(|tier| tier.as_str()), "file": place.file, "line": place.at.line,
            }));
        }
        for (text, place) in &service.unmapped {
            operations.push(json!({
                "service": service.name.as_str(), "operation": text, "access": "refused", "action": null,
                "resource": null, "tier": null, "file": place.file, "line": place.at.line,
            }));
        }
    }
    output::result(&json!({"operations": operations}), format, |_| table(&operations));
}

/// Columns as wide as their longest word.
fn table(operations: &[Value]) -> String {
    let word = |operation: &Value, name: &str| output::word(operation, name).unwrap_or("-").to_owned();
    let mut rows = vec![["SERVICE", "OPERATION", "ASKS", "RESOURCE", "TIER"].map(str::to_owned)];
    rows.extend(operations.iter().map(|operation| {
        let asks =
            word(operation, if operation.get("action").is_some_and(Value::is_null) { "/access" } else { "/action" });
        let [service, text] = ["/service", "/operation"].map(|name| word(operation, name));
        let [resource, tier] = ["/resource", "/tier"].map(|name| word(operation, name));
        [service, text, asks, resource, tier]
    }));
    let mut widths = [0; 5];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; 5]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
