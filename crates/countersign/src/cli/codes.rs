//! What a code means to an operator, in the words of the user's book, which ships within the program: there is no second text
//! that could differ.

use model::Code;

const PAGE: &str = include_str!("../../../../docs/codes.md");

/// What the book says of a code: what whoever is refused gets, what it means, what it often comes from, and what to do.
const PARTS: [&str; 4] = ["answer", "means", "often", "do"];

/// One part of what the book says of a code, in the lines of its page.
pub(super) struct Part {
    pub name: &'static str,
    pub lines: Vec<&'static str>,
}

/// What the book says of a code. Each has every part: a test reads them all.
pub(super) fn parts(code: Code) -> Vec<Part> {
    let Some(section) = section(code) else { return Vec::new() };
    PARTS.into_iter().filter_map(|name| Some(Part { name, lines: lines(section, name)? })).collect()
}

/// The section of a code, without its heading.
fn section(code: Code) -> Option<&'static str> {
    let (_, from) = PAGE.split_once(&format!("\n### {code}\n\n"))?;
    from.split("\n#").next()
}

/// The lines of one list item, without what marks them.
fn lines(section: &'static str, name: &str) -> Option<Vec<&'static str>> {
    let (_, from) = section.split_once(&format!("\n- **{name}**: "))?;
    let mut lines = from.lines();
    let first = lines.next()?;
    Some(std::iter::once(first).chain(lines.map_while(|line| line.strip_prefix("  "))).collect())
}

#[cfg(test)]
mod tests;
