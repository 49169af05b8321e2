//! Which lines are judged.

use std::collections::BTreeSet;

use crate::line::{Line, Stability};
use crate::standard::lines;

/// Most ranges that one list may have.
const MAX_RANGES: usize = 200;

/// Which lines are judged: all that are stable, unless something else is said.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    only: Option<BTreeSet<u16>>,
    without: BTreeSet<u16>,
    incubating: bool,
}

/// Why a list of lines is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSelection {
    #[error("`{text}`: expected the number of a line, or a range such as 16-29")]
    Range { text: String },
    #[error("there is no line {number}; the last is {last}")]
    NoSuchLine { number: u16, last: u16 },
}

impl Selection {
    /// `include` and `skip` are numbers of lines, or ranges of them; without `include`, every line.
    ///
    /// # Errors
    /// [`BadSelection`].
    pub fn new(include: &[String], skip: &[String], incubating: bool) -> Result<Self, BadSelection> {
        let only = if include.is_empty() { None } else { Some(numbers(include)?) };
        Ok(Self { only, without: numbers(skip)?, incubating })
    }

    pub const fn is_incubating(&self) -> bool {
        self.incubating
    }

    /// Why a line is not judged; none where it is.
    pub(crate) fn leaves_out(&self, line: &Line) -> Option<&'static str> {
        if line.stability == Stability::Incubating && !self.incubating {
            return Some("not asked for: incubating lines need --incubating");
        }
        if self.without.contains(&line.number) {
            return Some("not asked for: --skip names it");
        }
        self.only.as_ref().filter(|only| !only.contains(&line.number)).map(|_| "not asked for: --include names others")
    }
}

fn numbers(ranges: &[String]) -> Result<BTreeSet<u16>, BadSelection> {
    let last = lines().map(|line| line.number).max().unwrap_or_default();
    let mut numbers = BTreeSet::new();
    for text in ranges.iter().take(MAX_RANGES) {
        let (from, to) = range(text).ok_or_else(|| BadSelection::Range { text: text.clone() })?;
        if let Some(number) = [from, to].into_iter().find(|number| !(1..=last).contains(number)) {
            return Err(BadSelection::NoSuchLine { number, last });
        }
        numbers.extend(from..=to);
    }
    Ok(numbers)
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (from.parse().ok()?, to.parse().ok()?);
    (from <= to).then_some((from, to))
}
