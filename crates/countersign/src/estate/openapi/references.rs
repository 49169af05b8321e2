//! `$ref` of a path item: followed within the file, and no further than a few steps (RFC 6901 in a URI fragment).

use yaml::{Node, Reader, Value};

use crate::catalog::decode;

/// Most references in a row.
const MAX_STEPS: usize = 8;

/// The path item that stands at `node`, or where its references lead.
pub(super) fn resolved<'n>(reader: &mut Reader<'_>, root: &'n Node, node: &'n Node) -> Option<&'n Node> {
    let mut found = node;
    for _ in 0..MAX_STEPS {
        let Some(reference) = found.member("$ref") else { return Some(found) };
        alone(reader, found)?;
        let text = reader.text(reference)?;
        let Some(fragment) = text.strip_prefix('#') else {
            reader.problem(reference.at, format!("`{text}`: only references within the file are followed"));
            return None;
        };
        let Some(target) = pointed(root, fragment) else {
            reader.problem(reference.at, format!("`{text}` leads nowhere in this file"));
            return None;
        };
        found = target;
    }
    reader.problem(node.at, format!("more than {MAX_STEPS} references lead from one to the next, or in a circle"));
    None
}

/// Beside a reference stands nothing that two readers could join to it in two ways.
fn alone(reader: &mut Reader<'_>, node: &Node) -> Option<()> {
    let Value::Map(entries) = &node.value else { return Some(()) };
    let other = entries.iter().find(|entry| !matches!(entry.key.as_str(), "$ref" | "summary" | "description"));
    if let Some(other) = other {
        reader.problem(other.at, format!("`{}` stands beside a `$ref`: write it where that leads", other.key));
        return None;
    }
    Some(())
}

fn pointed<'n>(root: &'n Node, fragment: &str) -> Option<&'n Node> {
    let pointer = decode(fragment)?;
    if pointer.is_empty() {
        return Some(root);
    }
    let tokens = pointer.strip_prefix('/')?.split('/');
    tokens.map(|token| token.replace("~1", "/").replace("~0", "~")).try_fold(root, |node, token| node.member(&token))
}
