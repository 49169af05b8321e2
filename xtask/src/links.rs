//! Links of the project's pages: what a page points to inside the repository is there, heading and all.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::Finding;
use crate::source::Source;

/// Every link of `pages` to a file that is not among `files`, or to a heading that its page does not have. Links to other
/// places are not followed: nothing here asks the network.
pub(crate) fn check(pages: &[Source], files: &BTreeSet<String>) -> Vec<Finding> {
    let headings: BTreeMap<&str, BTreeSet<String>> =
        pages.iter().map(|page| (page.path.as_str(), anchors(&page.text))).collect();
    let mut findings = Vec::new();
    for page in pages {
        for (line, target) in links(&page.text) {
            if let Some(why) = broken(&page.path, target, files, &headings) {
                findings.push(Finding::new(&page.path, line, "link", format!("`{target}`: {why}")));
            }
        }
    }
    findings
}

fn broken(
    page: &str,
    target: &str,
    files: &BTreeSet<String>,
    headings: &BTreeMap<&str, BTreeSet<String>>,
) -> Option<&'static str> {
    let (path, heading) = target.split_once('#').map_or((target, None), |(path, heading)| (path, Some(heading)));
    let Some(file) = (if path.is_empty() { Some(page.to_owned()) } else { beside(page, path) }) else {
        return Some("leads out of the repository");
    };
    let folder = format!("{}/", file.trim_end_matches('/'));
    if !files.contains(&file) && !files.iter().any(|known| known.starts_with(&folder)) {
        return Some("there is no such file");
    }
    match (heading, headings.get(file.as_str())) {
        (Some(heading), Some(known)) if !known.contains(heading) => Some("the page has no such heading"),
        _ => None,
    }
}

/// Where a path that is written in `page` leads, from the workspace's root.
fn beside(page: &str, path: &str) -> Option<String> {
    let mut segments: Vec<&str> = page.split('/').collect();
    segments.pop();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => _ = segments.pop()?,
            name => segments.push(name),
        }
    }
    Some(segments.join("/"))
}

/// The targets of inline links outside code, with their lines, without those that have a scheme.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (line, prose) in prose(text) {
        // code spans stand at odd places between backticks
        for plain in prose.split('`').step_by(2) {
            for after in plain.split("](").skip(1) {
                let target = after.split([')', ' ']).next().unwrap_or_default();
                if !target.contains("://") && !target.starts_with("mailto:") {
                    found.push((line, target));
                }
            }
        }
    }
    found
}

/// The anchors of a page's headings, as they are commonly made.
fn anchors(text: &str) -> BTreeSet<String> {
    let heading = |(_, line): (usize, &str)| {
        let text = line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?;
        let kept = text.trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        Some(kept.map(|c| if c == ' ' { '-' } else { c }).collect())
    };
    prose(text).filter_map(heading).collect()
}

/// The lines outside fenced code, counted from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((at + 1, line))
    })
}
