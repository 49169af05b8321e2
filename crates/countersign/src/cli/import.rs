//! `import`: registrations from what another product has.

use std::fs;
use std::path::Path;

use net::files::write_whole;
use serde_json::{Value, json};

use super::args::ImportSpire;
use super::remote::read_input;
use super::{Exit, Format, Stopped, output};
use crate::estate::spire::{self, Imported, MAX_BYTES, Note, document, files, import};

/// Registrations from a SPIRE server's entries.
///
/// # Errors
/// [`Stopped`] with [`Exit::Invalid`] where the input is none.
pub(super) fn spire(asked: &ImportSpire, format: Format) -> Result<(), Stopped> {
    // one byte more than is read shows that there was more
    let json = read_input(&asked.file, MAX_BYTES as u64 + 1)?;
    let imported = import(&json, asked.trust_domain.as_ref()).map_err(|why| Stopped::because(Exit::Invalid, &why))?;
    let files = match &asked.out {
        Some(directory) => Some(write(directory, &files(&imported.registrations))?),
        None => None,
    };
    if format == Format::Text {
        imported.notes.iter().for_each(|note| output::note(&note_text(note)));
    }
    output::result(&told(&imported, files.as_deref()), format, |_| match (&asked.out, &files) {
        (Some(directory), Some(files)) => format!(
            "{} registration(s) of {} entries are in {} file(s) in `{}`\nput each of them: countersign registration put -f FILE",
            imported.registrations.len(),
            imported.entries,
            files.len(),
            directory.display()
        ),
        _ => imported.registrations.iter().map(|(registration, entry)| spire::yaml(registration, entry)).collect(),
    });
    Ok(())
}

/// Writes files into a directory where there are no others: registrations of an earlier import would be put with them.
fn write(directory: &Path, files: &[(String, String)]) -> Result<Vec<String>, Stopped> {
    let failed =
        |error: std::io::Error| Stopped::new(Exit::Failed, format!("cannot write `{}`: {error}", directory.display()));
    fs::create_dir_all(directory).map_err(failed)?;
    if fs::read_dir(directory).map_err(failed)?.next().is_some() {
        let message = format!("`{}` is not empty: name a new directory", directory.display());
        return Err(Stopped::new(Exit::Invalid, message));
    }
    let mut written = Vec::with_capacity(files.len());
    for (name, text) in files {
        write_whole(&directory.join(name), text.as_bytes(), 0o644).map_err(failed)?;
        written.push(name.clone());
    }
    Ok(written)
}

/// The same for programs: the documents themselves where no files were written.
fn told(imported: &Imported, files: Option<&[String]>) -> Value {
    let documents = || imported.registrations.iter().map(|(registration, _)| document(registration)).collect();
    json!({
        "trust_domain": imported.trust_domain.as_ref().map(ToString::to_string),
        "entries": imported.entries,
        "registrations": imported.registrations.len(),
        "files": files,
        "documents": if files.is_none() { documents() } else { Value::Null },
        "notes": imported.notes,
    })
}

fn note_text(note: &Note) -> String {
    let about = match (&note.entry, &note.spiffe_id) {
        (Some(entry), Some(id)) => format!(" `{id}` (entry `{entry}`)"),
        (Some(entry), None) => format!(" entry `{entry}`"),
        (None, Some(id)) => format!(" `{id}`"),
        (None, None) => String::new(),
    };
    yaml::printable(&format!("{}:{about}: {}", note.kind.as_str(), note.message))
}
