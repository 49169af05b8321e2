//! A SPIFFE ID taken apart without judging it: each rule has a line of its own.

const SCHEME: &str = "spiffe://";

/// The parts of what should be a SPIFFE ID.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) has_scheme: bool,
    /// What stands between the scheme and the path; user and port, too.
    pub(crate) authority: &'a str,
    /// Behind the trust domain, with its `/`; empty without one.
    pub(crate) path: &'a str,
    pub(crate) has_query: bool,
    pub(crate) has_fragment: bool,
}

impl<'a> Parts<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        let (rest, has_scheme) = match text.strip_prefix(SCHEME) {
            Some(rest) => (rest, true),
            None => (text.split_once("://").map_or(text, |(_, rest)| rest), false),
        };
        let (rest, has_fragment) = rest.split_once('#').map_or((rest, false), |(before, _)| (before, true));
        let (rest, has_query) = rest.split_once('?').map_or((rest, false), |(before, _)| (before, true));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        Self { has_scheme, authority, path, has_query, has_fragment }
    }

    /// The trust domain without user and port.
    pub(crate) fn domain(&self) -> &'a str {
        let after = self.authority.rsplit_once('@').map_or(self.authority, |(_, host)| host);
        after.split_once(':').map_or(after, |(host, _)| host)
    }

    /// The segments of the path; none without one.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &'a str> {
        self.path.split('/').skip(1)
    }
}

/// The SPIFFE ID of the trust domain that `id` is of.
pub(crate) fn domain_id(id: &str) -> String {
    format!("{SCHEME}{}", Parts::of(id).domain())
}
