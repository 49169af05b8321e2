//! Selectors: what was attested of a node or a workload, and templates that make SPIFFE IDs of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
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
    /// INVARIANT: every segment of it can be read. Kept as text, for there may be a million of them.
    text: Arc<str>,
}

/// `before`, and the name of a selector with what follows its value.
struct Segment<'a> {
    before: &'a str,
    value: Option<(&'a str, &'a str)>,
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
        if self.segments().any(|segment| segment.value.is_some()) { None } else { self.text.parse().ok() }
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
        let mut names = self.segments().filter_map(|segment| segment.value);
        names.any(|(name, _)| selector.value_of(name).is_some())
    }

    fn render<'v, E>(&self, value: impl Fn(&str) -> Result<&'v str, E>) -> Result<String, E> {
        let mut text = String::new();
        for (nth, segment) in self.segments().enumerate() {
            if nth > 0 {
                text.push('/');
            }
            text.push_str(segment.before);
            if let Some((name, after)) = segment.value {
                text.push_str(value(name)?);
                text.push_str(after);
            }
        }
        Ok(text)
    }

    fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        self.text.split('/').filter_map(|segment| Segment::read(segment, &self.text).ok())
    }
}

impl FromStr for IdTemplate {
    type Err = BadIdTemplate;

    fn from_str(text: &str) -> Result<Self, BadIdTemplate> {
        let segments = text.split('/').map(|segment| Segment::read(segment, text)).collect::<Result<Vec<_>, _>>()?;
        if segments.iter().take(FIXED).any(|segment| segment.value.is_some()) {
            return Err(BadIdTemplate::InTrustDomain);
        }
        let template = Self { text: text.into() };
        template.sample()?;
        Ok(template)
    }
}

impl fmt::Display for IdTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'a> Segment<'a> {
    fn read(text: &'a str, whole: &str) -> Result<Self, BadIdTemplate> {
        let brace = || BadIdTemplate::Brace { text: whole.to_owned() };
        let Some((before, rest)) = text.split_once('{') else {
            return if text.contains('}') { Err(brace()) } else { Ok(Self { before: text, value: None }) };
        };
        let (name, after) = rest.split_once('}').ok_or_else(brace)?;
        if after.contains('{') {
            return Err(BadIdTemplate::SharedSegment);
        }
        if before.contains('}') || after.contains('}') {
            return Err(brace());
        }
        name.parse::<Selector>().or(Err(BadIdTemplate::Name { name: name.to_owned() }))?;
        Ok(Self { before, value: Some((name, after)) })
    }
}

/// Things by the selectors that each asks for: looked up by what is held, in time that does not grow with their number. One
/// that asks for none is found by nobody.
#[derive(Debug, Clone)]
pub struct SelectorIndex<T> {
    /// Each under one of the selectors that it asks for: the one that fewest asked for when it came.
    shelves: HashMap<Selector, Vec<Shelved<T>>>,
}

/// What asks for these selectors.
type Shelved<T> = (Box<[Selector]>, T);

impl<T> SelectorIndex<T> {
    /// An index of these, each under the selector that fewest of them ask for.
    pub fn new(items: Vec<(Selectors, T)>) -> Self {
        let mut asked: BTreeMap<&Selector, usize> = BTreeMap::new();
        for selector in items.iter().flat_map(|(selectors, _)| selectors) {
            *asked.entry(selector).or_default() += 1;
        }
        let rarest = |selectors: &Selectors| selectors.iter().min_by_key(|selector| asked.get(*selector)).cloned();
        let rarest: Vec<Option<Selector>> = items.iter().map(|(selectors, _)| rarest(selectors)).collect();
        let mut index = Self::default();
        for ((selectors, item), rarest) in items.into_iter().zip(rarest) {
            if let Some(rarest) = rarest {
                index.shelve(rarest, selectors.into_iter().collect(), item);
            }
        }
        index
    }

    /// One more, that asks for these selectors.
    pub fn insert(&mut self, selectors: Box<[Selector]>, item: T) {
        let on_shelf = |selector: &&Selector| self.shelves.get(*selector).map_or(0, Vec::len);
        if let Some(rarest) = selectors.iter().min_by_key(on_shelf).cloned() {
            self.shelve(rarest, selectors, item);
        }
    }

    /// Takes out whatever asks for these selectors and is meant.
    pub fn remove(&mut self, selectors: &[Selector], is_meant: impl Fn(&T) -> bool) {
        for selector in selectors {
            let Some(shelf) = self.shelves.get_mut(selector) else { continue };
            shelf.retain(|(_, item)| !is_meant(item));
            if shelf.is_empty() {
                self.shelves.remove(selector);
            }
        }
    }

    /// Whatever asks for nothing that is not held.
    pub fn matching<'a>(&'a self, held: &'a Selectors) -> impl Iterator<Item = &'a T> {
        let candidates = held.iter().filter_map(|selector| self.shelves.get(selector)).flatten();
        candidates.filter(|(asked, _)| asked.iter().all(|selector| held.contains(selector))).map(|(_, item)| item)
    }

    fn shelve(&mut self, under: Selector, selectors: Box<[Selector]>, item: T) {
        self.shelves.entry(under).or_default().push((selectors, item));
    }
}

impl<T> Default for SelectorIndex<T> {
    fn default() -> Self {
        Self { shelves: HashMap::new() }
    }
}
