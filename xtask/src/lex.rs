//! Rust text as words, signs and comments, each with its line. Literals are kept only as places: no rule reads inside one.
//!
//! This is no parser of Rust. It is total: any text gives tokens, and an unclosed literal or comment runs to the end.

/// One word, sign or literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub kind: Kind<'a>,
    pub line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    /// An identifier or keyword.
    Word(&'a str),
    Sign(char),
    /// A string, character, number or lifetime.
    Literal,
}

impl<'a> Token<'a> {
    pub(crate) fn word(self) -> Option<&'a str> {
        match self.kind {
            Kind::Word(word) => Some(word),
            Kind::Sign(_) | Kind::Literal => None,
        }
    }

    pub(crate) fn is_word(self, word: &str) -> bool {
        self.kind == Kind::Word(word)
    }

    pub(crate) fn is_sign(self, sign: char) -> bool {
        self.kind == Kind::Sign(sign)
    }
}

/// A comment, with its slashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Comment<'a> {
    pub text: &'a str,
    pub line: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Lexed<'a> {
    pub tokens: Vec<Token<'a>>,
    pub comments: Vec<Comment<'a>>,
}

/// Takes `text` apart.
pub(crate) fn lex(text: &str) -> Lexed<'_> {
    let mut lexer = Lexer { rest: text, line: 1, out: Lexed::default() };
    while let Some(next) = lexer.rest.chars().next() {
        lexer.step(next);
    }
    lexer.out
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    out: Lexed<'a>,
}

impl<'a> Lexer<'a> {
    fn step(&mut self, next: char) {
        let line = self.line;
        if self.rest.starts_with("//") {
            let length = self.rest.find('\n').unwrap_or(self.rest.len());
            self.comment(length);
        } else if self.rest.starts_with("/*") {
            self.comment(block_comment(self.rest));
        } else if next == '"' {
            self.literal(quoted(self.rest));
        } else if next == '\'' {
            self.literal(character_or_lifetime(self.rest));
        } else if is_word_start(next) {
            self.word_or_prefixed();
        } else if next.is_ascii_digit() {
            self.literal(word_length(self.rest));
        } else {
            self.take(next.len_utf8());
            if !next.is_whitespace() {
                self.out.tokens.push(Token { kind: Kind::Sign(next), line });
            }
        }
    }

    /// A word, or a literal that begins with one: `r"…"`, `br#"…"#`, `b'…'`, `c"…"`.
    fn word_or_prefixed(&mut self) {
        let line = self.line;
        let word = self.take(word_length(self.rest));
        match word {
            "r" | "br" | "cr" => {
                if let Some(length) = raw(self.rest) {
                    return self.literal(length);
                }
            }
            "b" | "c" if self.rest.starts_with('"') => return self.literal(quoted(self.rest)),
            "b" if self.rest.starts_with('\'') => return self.literal(character_or_lifetime(self.rest)),
            _ => {}
        }
        self.out.tokens.push(Token { kind: Kind::Word(word), line });
    }

    fn literal(&mut self, length: usize) {
        let line = self.line;
        self.take(length);
        self.out.tokens.push(Token { kind: Kind::Literal, line });
    }

    fn comment(&mut self, length: usize) {
        let line = self.line;
        let text = self.take(length);
        self.out.comments.push(Comment { text, line });
    }

    /// Moves over `length` bytes, or to the end.
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }
}

fn is_word_start(next: char) -> bool {
    next == '_' || next.is_alphabetic()
}

fn word_length(text: &str) -> usize {
    text.find(|next: char| next != '_' && !next.is_alphanumeric()).unwrap_or(text.len())
}

/// The length of a block comment, which may hold others.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let Some(next) = rest.chars().next() else { break };
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += next.len_utf8();
        }
    }
    text.len()
}

/// The length of a literal that opens and closes with the first character, where a backslash hides the next one.
fn quoted(text: &str) -> usize {
    let quote = text.chars().next();
    let mut hidden = false;
    for (at, next) in text.char_indices().skip(1) {
        if hidden {
            hidden = false;
        } else if next == '\\' {
            hidden = true;
        } else if Some(next) == quote {
            return at + next.len_utf8();
        }
    }
    text.len()
}

/// The length of a raw string after its prefix letters, or nothing for a raw identifier.
fn raw(text: &str) -> Option<usize> {
    let hashes = text.find(|next| next != '#').unwrap_or(text.len());
    let body = text.get(hashes..)?.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(body.find(&end).map_or(text.len(), |at| hashes + 1 + at + end.len()))
}

/// `'x'` and `'\n'` are characters; `'static` is a lifetime.
fn character_or_lifetime(text: &str) -> usize {
    let mut after = text.chars().skip(1);
    let (first, second) = (after.next(), after.next());
    if first == Some('\\') || second == Some('\'') {
        return quoted(text);
    }
    1 + text.get(1..).map_or(0, word_length)
}
