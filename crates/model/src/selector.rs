//! Selectors: what was attested of a node or a workload, and templates that make SPIFFE IDs of it.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::{BadSpiffeId, SpiffeId};

/// Longest selector, in bytes.
const MAX: usize = 1024;

/// One attested fact, `type:value`, such as `unix:uid:1000` or `k8s:ns:billing`. The value may have colons of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector(Arc<str>);

/// Everything that was attested of one node or workload.
pub type Selectors = BTreeSet<Selector>;

/// Why a text is no selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSelector {
    #[error("a selector is `type:value`, such as `unix:uid:1000`")]
    NoValue,
    #[error("a selector's type has only lower-case letters, digits, `_` and `-`; found `{}`", .found.escape_debug())]
    Type { found: char },
    #[error("a selector has no control characters")]
    Control,
    #[error("a selector has at most {MAX} bytes")]
    TooLong,
}

impl Selector {
    /// A selector of an attested value; none where the value cannot stand in one.
    pub fn of(kind: &str, value: &str) -> Option<Self> {
        format!("{kind}:{value}").parse().ok()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows `name:`, if this is a selector of that name: of `k8s:ns:billing`, `k8s:ns` has the value `billing`.
    fn value_of(&self, name: &str) -> Option<&str> {
        self.0.strip_prefix(name)?.strip_prefix(':')
    }
}

impl FromStr for Selector {
    type Err = BadSelector;

    fn from_str(text: &str) -> Result<Self, BadSelector> {
        if text.len() > MAX {
            return Err(BadSelector::TooLong);
        }
        let (kind, value) = text.split_once(':').ok_or(BadSelector::NoValue)?;
        if kind.is_empty() || value.is_empty() {
            return Err(BadSelector::NoValue);
        }
        if let Some(found) = kind.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '_' | '-')) {
            return Err(BadSelector::Type { found });
        }
        if value.chars().any(char::is_control) {
            return Err(BadSelector::Control);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A SPIFFE ID whose path may take values from selectors: `spiffe://example.org/ns/{k8s:ns}/sa/{k8s:sa}`. At most one value a
/// segment, so that different values give different ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdTemplate {
    text: Arc<str>,
    segments: Vec<Segment>,
}

/// `before`, and the name of a selector with what follows its value.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    before: String,
    value: Option<(String, String)>,
}

/// Why a text makes no SPIFFE IDs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadIdTemplate {
    #[error("`{text}`: a `{{` or `}}` without its pair")]
    Brace { text: String },
    #[error("two values within one segment could give one id for different workloads")]
    SharedSegment,
    #[error("a value cannot stand in the trust domain")]
    InTrustDomain,
    #[error("`{{{name}}}` names no selector: expected its type and more, such as `k8s:ns`")]
    Name { name: String },
    #[error(transparent)]
    Id(#[from] BadSpiffeId),
}

/// Why selectors make no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoId {
    #[error("no selector `{name}:…` was attested")]
    Missing { name: String },
    #[error("more than one selector `{name}:…` was attested")]
    Several { name: String },
    #[error(transparent)]
    Id(#[from] BadSpiffeId),
}

/// `spiffe:`, nothing, and the trust domain.
const FIXED: usize = 3;

impl IdTemplate {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The id itself, where no value is taken.
    pub fn fixed(&self) -> Option<SpiffeId> {
        if self.segments.iter().any(|segment| segment.value.is_some()) { None } else { self.text.parse().ok() }
    }

    /// An id that the template makes, with `x` for every value: enough to see its trust domain.
    ///
    /// # Errors
    /// Where it makes none at all.
    pub fn sample(&self) -> Result<SpiffeId, BadSpiffeId> {
        self.render(|_| Ok::<_, BadSpiffeId>("x"))?.parse()
    }

    /// The id of whoever has these selectors.
    ///
    /// # Errors
    /// [`NoId`]: a value that a path cannot have makes none, and nothing is repaired.
    pub fn expand(&self, selectors: &Selectors) -> Result<SpiffeId, NoId> {
        let text = self.render(|name| {
            let mut values = selectors.iter().filter_map(|selector| selector.value_of(name));
            match (values.next(), values.next()) {
                // a value is within one segment, or there is no id
                (Some(value), None) if value.contains('/') => Err(NoId::Id(BadSpiffeId::Path { found: '/' })),
                (Some(value), None) => Ok(value),
                (None, _) => Err(NoId::Missing { name: name.to_owned() }),
                (Some(_), Some(_)) => Err(NoId::Several { name: name.to_owned() }),
            }
        })?;
        Ok(text.parse::<SpiffeId>()?)
    }

    /// Whether its ids take the value of this selector.
    pub fn takes(&self, selector: &Selector) -> bool {
        let names = self.segments.iter().filter_map(|segment| segment.value.as_ref()).map(|(name, _)| name);
        names.into_iter().any(|name| selector.value_of(name).is_some())
    }

    fn render<'v, E>(&self, value: impl Fn(&str) -> Result<&'v str, E>) -> Result<String, E> {
        let one = |segment: &Segment| match &segment.value {
            Some((name, after)) => Ok(format!("{}{}{after}", segment.before, value(name)?)),
            None => Ok(segment.before.clone()),
        };
        Ok(self.segments.iter().map(one).collect::<Result<Vec<_>, E>>()?.join("/"))
    }
}

impl FromStr for IdTemplate {
    type Err = BadIdTemplate;

    fn from_str(text: &str) -> Result<Self, BadIdTemplate> {
        let segments = text.split('/').map(|segment| Segment::read(segment, text)).collect::<Result<Vec<_>, _>>()?;
        if segments.iter().take(FIXED).any(|segment| segment.value.is_some()) {
            return Err(BadIdTemplate::InTrustDomain);
        }
        let template = Self { text: text.into(), segments };
        template.sample()?;
        Ok(template)
    }
}

impl fmt::Display for IdTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Segment {
    fn read(text: &str, whole: &str) -> Result<Self, BadIdTemplate> {
        let brace = || BadIdTemplate::Brace { text: whole.to_owned() };
        let Some((before, rest)) = text.split_once('{') else {
            return if text.contains('}') { Err(brace()) } else { Ok(Self { before: text.to_owned(), value: None }) };
        };
        let (name, after) = rest.split_once('}').ok_or_else(brace)?;
        if after.contains('{') {
            return Err(BadIdTemplate::SharedSegment);
        }
        if before.contains('}') || after.contains('}') {
            return Err(brace());
        }
        name.parse::<Selector>().or(Err(BadIdTemplate::Name { name: name.to_owned() }))?;
        Ok(Self { before: before.to_owned(), value: Some((name.to_owned(), after.to_owned())) })
    }
}

/// Things by the selectors that each asks for: looked up by what is held, in time that does not grow with their number. One
/// that asks for none is found by nobody.
#[derive(Debug, Clone)]
pub struct SelectorIndex<T> {
    /// Each under the selector, of those that it asks for, that fewest ask for.
    by_rarest: HashMap<Selector, Vec<(Selectors, T)>>,
}

impl<T> SelectorIndex<T> {
    pub fn new(items: Vec<(Selectors, T)>) -> Self {
        let mut asked: HashMap<Selector, usize> = HashMap::new();
        for selector in items.iter().flat_map(|(selectors, _)| selectors) {
            *asked.entry(selector.clone()).or_default() += 1;
        }
        let mut by_rarest: HashMap<Selector, Vec<(Selectors, T)>> = HashMap::new();
        for (selectors, item) in items {
            let rarest = selectors.iter().min_by_key(|selector| asked.get(*selector)).cloned();
            if let Some(rarest) = rarest {
                by_rarest.entry(rarest).or_default().push((selectors, item));
            }
        }
        Self { by_rarest }
    }

    /// Whatever asks for nothing that is not held.
    pub fn matching<'a>(&'a self, held: &'a Selectors) -> impl Iterator<Item = &'a T> {
        let candidates = held.iter().filter_map(|selector| self.by_rarest.get(selector)).flatten();
        candidates.filter(|(asked, _)| asked.is_subset(held)).map(|(_, item)| item)
    }
}

impl<T> Default for SelectorIndex<T> {
    fn default() -> Self {
        Self { by_rarest: HashMap::new() }
    }
}
