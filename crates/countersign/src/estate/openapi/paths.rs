//! Where an API's paths begin, and what of OpenAPI's path templates a route can say.

use super::super::problem::At;
use super::super::read::Reader;
use super::super::yaml::Node;
use super::description::Operation;
use crate::catalog::{Asks, Route};

/// The base path that a service writes; empty for `/`.
pub(super) fn base(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let text = reader.text(node)?;
    if text == "/" {
        return Some(String::new());
    }
    let sound = !text.contains('{') && Route::new(&format!("GET {text}"), Asks::Public).is_ok();
    if !sound {
        reader.problem(
            node.at,
            format!("`{text}`: expected `/`, or a path such as `/v2` without a brace and a `/` at its end"),
        );
        return None;
    }
    Some(text.to_owned())
}

/// Refuses servers that put a path before those of the file: the service has to say whether callers ask with it.
pub(super) fn check_servers(reader: &mut Reader<'_>, servers: &Node) -> Option<()> {
    for server in reader.list(servers)? {
        let mut fields = reader.fields(server, "server")?;
        let url = fields.required(reader, "url")?;
        let text = reader.text(url)?;
        check_server(reader, text, url.at)?;
    }
    Some(())
}

fn check_server(reader: &mut Reader<'_>, url: &str, at: At) -> Option<()> {
    match server_path(url) {
        Some("") => return Some(()),
        Some(path) => {
            let help = format!("write `basePath: {path}` beside `file`, or `basePath: /` if callers ask without it");
            reader.suggest(
                at,
                format!(
                    "`{url}` puts `{path}` before every path: whether callers ask with it is for the service to say"
                ),
                Some(help),
            );
        }
        None => {
            let help =
                "write beside `file` what callers ask with: `basePath: /`, or such as `basePath: /v2`".to_owned();
            reader.suggest(at, format!("`{url}` does not tell what stands before every path"), Some(help));
        }
    }
    None
}

/// The path of a server's URL without the `/` at its end; none where a variable, or the file's own place, decides it.
fn server_path(url: &str) -> Option<&str> {
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| rest.get(at..).unwrap_or_default()),
        None if url.starts_with('/') && !url.starts_with("//") => url,
        None => return None,
    };
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    (!path.contains(['{', '}'])).then_some(path)
}

/// How an operation could be written by hand whose template no route can say: a brace takes a whole segment.
pub(super) fn suggestion(operation: &Operation<'_>) -> Option<String> {
    let segments = operation.path.split('/').map(|segment| match segment.split_once('{') {
        Some((_, rest)) => {
            let name = rest.split('}').next().unwrap_or_default();
            let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
            format!("{{{}}}", name.chars().map(plain).collect::<String>())
        }
        None => segment.to_owned(),
    });
    let text = format!("{} {}", operation.method, segments.collect::<Vec<_>>().join("/"));
    if Route::new(&text, Asks::Public).is_err() || text == operation.text() {
        return None;
    }
    Some(format!("leave it unmapped, with `unmapped: refuse`, and write `{text}` under `http`"))
}
