//! Where an API's paths begin, and what of OpenAPI's path templates a route can say.

use yaml::{At, Node, Reader, Value};

use super::description::Operation;
use crate::catalog::Pattern;

/// A whole segment of a pattern's shape that takes anything.
const BRACE: &str = "{}";

/// The base path that a service writes; empty for `/`.
pub(super) fn base(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let text = reader.text(node)?;
    if text == "/" {
        return Some(String::new());
    }
    let sound = !text.contains('{') && Pattern::new(&format!("GET {text}")).is_ok();
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

/// The path that the first server with a path that can be told puts before those of the file.
pub(super) fn first_base(root: &Node) -> &str {
    let servers = match root.member("servers").map(|node| &node.value) {
        Some(Value::List(servers)) => servers.as_slice(),
        Some(Value::Scalar(..) | Value::Map(_)) | None => &[],
    };
    let urls = servers.iter().filter_map(|server| server.member("url")?.text());
    urls.filter_map(server_path).find(|path| !path.is_empty()).unwrap_or_default()
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
pub(super) fn by_hand(operation: &Operation<'_>) -> Option<Pattern> {
    let segments = operation.path.split('/').map(|segment| match segment.split_once('{') {
        Some((_, rest)) => {
            let name = rest.split('}').next().unwrap_or_default();
            let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
            format!("{{{}}}", name.chars().map(plain).collect::<String>())
        }
        None => segment.to_owned(),
    });
    Pattern::new(&format!("{} {}", operation.method, segments.collect::<Vec<_>>().join("/"))).ok()
}

/// Whether a route takes some request that is an operation's by its template, whatever stands around its braces.
pub(super) fn takes(route: &Pattern, operation: &Operation<'_>) -> bool {
    if route.method() != operation.method {
        return false;
    }
    let shape = route.shape();
    let fits = |(taken, segment): (&str, &str)| match (segment.split_once('{'), segment.rsplit_once('}')) {
        _ if taken == BRACE => !segment.is_empty(),
        (Some((before, _)), Some((_, after))) => {
            taken.len() > before.len() + after.len() && taken.starts_with(before) && taken.ends_with(after)
        }
        _ => taken == segment,
    };
    shape.split('/').count() == operation.path.split('/').count()
        && shape.split('/').zip(operation.path.split('/')).skip(1).all(fits)
}
