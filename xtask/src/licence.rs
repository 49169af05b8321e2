//! Licence expressions (SPDX, and the older slash for "or") against the list that we can ship under.

use std::fmt;

/// What we may ship, as SPDX spells it; exceptions are spelled out with their licence.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// A licence expression that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLicence {
    pub expression: String,
    /// The word where reading stopped, or nothing at the end.
    pub at: Option<String>,
}

impl fmt::Display for BadLicence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Some(word) => write!(f, "licence expression `{}` makes no sense at `{word}`", self.expression),
            None => write!(f, "licence expression `{}` ends too early", self.expression),
        }
    }
}

impl std::error::Error for BadLicence {}

/// Whether `expression` can be satisfied from the list alone.
///
/// # Errors
/// Where the expression is not one; nobody may guess a licence.
pub fn is_allowed(expression: &str) -> Result<bool, BadLicence> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: words.as_slice() };
    let answer = reader.any().filter(|_| reader.words.is_empty());
    answer.ok_or_else(|| BadLicence {
        expression: expression.to_owned(),
        at: reader.words.first().map(|word| (*word).to_owned()),
    })
}

struct Reader<'a> {
    words: &'a [&'a str],
}

impl<'a> Reader<'a> {
    fn any(&mut self) -> Option<bool> {
        let mut answer = self.all()?;
        while self.next_if("OR") {
            // both sides are read, whatever the first one says
            answer |= self.all()?;
        }
        Some(answer)
    }

    fn all(&mut self) -> Option<bool> {
        let mut answer = self.one()?;
        while self.next_if("AND") {
            answer &= self.one()?;
        }
        Some(answer)
    }

    fn one(&mut self) -> Option<bool> {
        if self.next_if("(") {
            let answer = self.any()?;
            return self.next_if(")").then_some(answer);
        }
        let licence = self.name()?;
        if self.next_if("WITH") {
            let exception = self.name()?;
            return Some(ALLOWED.contains(&format!("{licence} WITH {exception}").as_str()));
        }
        Some(ALLOWED.contains(&licence))
    }

    fn name(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        if matches!(*first, "AND" | "OR" | "WITH" | "(" | ")") {
            return None;
        }
        self.words = rest;
        Some(first)
    }

    fn next_if(&mut self, word: &str) -> bool {
        match self.words.split_first() {
            Some((first, rest)) if *first == word => {
                self.words = rest;
                true
            }
            Some(_) | None => false,
        }
    }
}
