//! Where things stand in a policy file: Cedar's tokens, the statements they form, and how deep and long these may be.
//!
//! Only places and limits come from here. What a policy *means* is always Cedar's word: each statement is parsed by it
//! alone, and what this scanner takes for blank is shown to Cedar too.

/// Brackets within brackets. Cedar's parser and validator recurse: about 160 levels overflow a 2 MiB stack, which ends
/// the process.
pub(crate) const MAX_DEPTH: usize = 32;

/// Operators in one policy, for the same reason: a chain of about 700 is a tree as deep.
pub(crate) const MAX_OPERATORS: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword or an identifier.
    Word,
    /// A string literal, quotes and all.
    Text,
    /// A template's slot.
    Slot,
    /// Anything else: a number, a bracket, an operator, what Cedar will refuse.
    Mark,
}

/// One token, and its offset in the text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
    pub(crate) at: usize,
}

/// One policy of a file: its text, through its `;`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement<'a> {
    pub(crate) text: &'a str,
    /// Its offset in the file, in bytes; that of its tokens is in the file, too.
    pub(crate) at: usize,
    pub(crate) tokens: Vec<Token<'a>>,
}

/// Why a statement is not even shown to Cedar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Excess {
    Depth { at: usize },
    Operators { at: usize, found: usize },
}

/// The statements of `text`, the last of them without a `;` if something is left over; then what is blank at the end.
pub(crate) fn statements(text: &str) -> (Vec<Statement<'_>>, &str) {
    let mut statements = Vec::new();
    let mut tokens: Vec<Token<'_>> = Vec::new();
    let mut rest = text;
    while let Some(token) = next(text, text.len() - rest.len()) {
        let end = token.at + token.text.len();
        rest = text.get(end..).unwrap_or_default();
        tokens.push(token);
        if token.text == ";" {
            statements.extend(statement(text, std::mem::take(&mut tokens)));
        }
    }
    match statement(text, tokens) {
        Some(last) => {
            statements.push(last);
            (statements, "")
        }
        None => (statements, rest),
    }
}

/// Line and column of a byte offset, both from 1; the column counts characters.
pub(crate) fn place(text: &str, at: usize) -> (usize, usize) {
    let (mut line, mut column) = (1, 1);
    for (_, c) in text.char_indices().take_while(|(offset, _)| *offset < at) {
        if c == '\n' {
            (line, column) = (line + 1, 1);
        } else {
            column += 1;
        }
    }
    (line, column)
}

impl<'a> Statement<'a> {
    /// Whether Cedar can be shown the statement without danger to the stack.
    pub(crate) fn excess(&self) -> Option<Excess> {
        let (mut depth, mut operators) = (0_usize, 0_usize);
        for token in &self.tokens {
            match token.text {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                "," | ";" | ":" | "::" | "@" => {}
                "if" => operators += 1,
                _ if token.kind == Kind::Mark && !token.text.starts_with(|c: char| c.is_ascii_digit()) => {
                    operators += 1
                }
                _ => {}
            }
            if depth > MAX_DEPTH {
                return Some(Excess::Depth { at: token.at });
            }
        }
        (operators > MAX_OPERATORS).then_some(Excess::Operators { at: self.at, found: operators })
    }

    pub(crate) fn slot(&self) -> Option<Token<'a>> {
        self.tokens.iter().copied().find(|token| token.kind == Kind::Slot)
    }

    /// The offset of an annotation.
    pub(crate) fn annotation(&self, name: &str) -> Option<usize> {
        let pairs = self.tokens.iter().zip(self.tokens.iter().skip(1));
        pairs.into_iter().find(|(at, word)| at.text == "@" && word.text == name).map(|(at, _)| at.at)
    }

    /// The offset of a string literal without escapes.
    pub(crate) fn literal(&self, text: &str) -> Option<usize> {
        let quoted = |token: &&Token<'_>| token.kind == Kind::Text && token.text.trim_matches('"') == text;
        self.tokens.iter().find(quoted).map(|token| token.at)
    }

    /// The offset of `Type::"text"`, where `is` recognises type and quoted text.
    pub(crate) fn uid(&self, is: impl Fn(&str, &str) -> bool) -> Option<usize> {
        let triples = self.tokens.iter().zip(self.tokens.iter().skip(1)).zip(self.tokens.iter().skip(2));
        let found = triples.into_iter().find(|((name, colons), id)| colons.text == "::" && is(name.text, id.text));
        found.map(|((name, _), _)| name.at)
    }

    /// The offset of the last of `words`, where they follow one another with a mark between.
    pub(crate) fn path(&self, words: [&str; 2]) -> Option<usize> {
        let [first, second] = words;
        let triples = self.tokens.iter().zip(self.tokens.iter().skip(1)).zip(self.tokens.iter().skip(2));
        let found = triples
            .into_iter()
            .find(|((word, mark), field)| word.text == first && mark.kind == Kind::Mark && field.text == second);
        found.map(|((word, _), _)| word.at)
    }

    /// The offset of a word.
    pub(crate) fn word(&self, word: &str) -> Option<usize> {
        self.tokens.iter().find(|token| token.kind == Kind::Word && token.text == word).map(|token| token.at)
    }
}

fn statement<'a>(text: &'a str, tokens: Vec<Token<'a>>) -> Option<Statement<'a>> {
    let (first, last) = (tokens.first()?, tokens.last()?);
    let at = first.at;
    Some(Statement { text: text.get(at..last.at + last.text.len())?, at, tokens })
}

/// The first token at or after `from`.
fn next(text: &str, from: usize) -> Option<Token<'_>> {
    let rest = text.get(from..)?;
    let blank = blank(rest);
    let rest = rest.get(blank..)?;
    let first = rest.chars().next()?;
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let run = |skip: usize, of: &dyn Fn(char) -> bool| {
        skip + rest.chars().skip(skip).take_while(|c| of(*c)).map(char::len_utf8).sum::<usize>()
    };
    let (kind, length) = match first {
        '"' => (Kind::Text, string(rest)),
        '?' => (Kind::Slot, run(1, &word)),
        '0'..='9' => (Kind::Mark, run(0, &|c| c.is_ascii_digit())),
        'a'..='z' | 'A'..='Z' | '_' => (Kind::Word, run(0, &word)),
        _ if ["::", "==", "!=", "<=", ">=", "||", "&&"].iter().any(|two| rest.starts_with(two)) => (Kind::Mark, 2),
        other => (Kind::Mark, other.len_utf8()),
    };
    Some(Token { kind, text: rest.get(..length)?, at: from + blank })
}

/// How many bytes of white space and comments `text` begins with.
fn blank(text: &str) -> usize {
    let mut rest = text.trim_start();
    while let Some(comment) = rest.strip_prefix("//") {
        rest = comment.trim_start_matches(|c| c != '\n' && c != '\r').trim_start();
    }
    text.len() - rest.len()
}

/// The length of the string literal that `text` begins with; all of `text` where it does not end.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (offset, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return offset + 1,
            _ => {}
        }
    }
    text.len()
}
