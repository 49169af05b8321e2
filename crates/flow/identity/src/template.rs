//! Injective templates: different keys always give different ids.

use std::str::FromStr;

use model::{BadPrincipalId, HumanId, PrincipalId};

/// Why a text cannot be the template of a class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    #[error("`{text}`: a `{{` or `}}` without its pair")]
    Brace { text: String },
    #[error("`{{{claim}}}` is not one of the source's `identityKey` claims")]
    NotInKey { claim: String },
    #[error("`{{{claim}}}` has to stand in the template exactly once, so that different keys give different ids")]
    NotInjective { claim: String },
    #[error("two claims within one segment could give one id for different keys")]
    SharedSegment,
    #[error("a claim cannot stand in the trust domain")]
    InTrustDomain,
    #[error("the template does not make ids")]
    Id { source: BadPrincipalId },
}

/// A template such as `human:people:{sub}`: literal text and claims, at most one claim between two separators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    segments: Vec<Segment>,
    style: Style,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `/` between segments; values are taken as they are, or not at all.
    Spiffe,
    /// `:` between segments; values are percent-encoded.
    Human,
}

/// `before` + a value + `after`, or only `before`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    before: String,
    /// Index into the key, and the literal text that follows.
    value: Option<(usize, String)>,
}

impl Template {
    /// Reads a template over the claims of `identity_key`, in whose order values come to [`Template::fill`].
    ///
    /// # Errors
    /// [`BadTemplate`] if the text makes no principal ids, or could make one id from two keys.
    pub fn new(text: &str, identity_key: &[&str]) -> Result<Self, BadTemplate> {
        let style = if text.starts_with("human:") { Style::Human } else { Style::Spiffe };
        let segments = text
            .split(style.separator())
            .map(|segment| Segment::read(segment, text, identity_key))
            .collect::<Result<Vec<_>, _>>()?;
        let template = Self { segments, style };
        for (index, claim) in identity_key.iter().enumerate() {
            let uses = template.segments.iter().filter(|s| s.value.as_ref().is_some_and(|(i, _)| *i == index)).count();
            if uses != 1 {
                return Err(BadTemplate::NotInjective { claim: (*claim).to_owned() });
            }
        }
        // `spiffe:`, ``, trust domain: the environment's own, so never a caller's word
        let fixed = if style == Style::Spiffe { 3 } else { 2 };
        if template.segments.iter().take(fixed).any(|segment| segment.value.is_some()) {
            return Err(BadTemplate::InTrustDomain);
        }
        template.render(|_| "x".to_owned()).parse::<PrincipalId>().map_err(|source| BadTemplate::Id { source })?;
        Ok(template)
    }

    /// An id that the template makes, with `x` for every value: enough to see its kind, trust domain or source.
    pub fn sample(&self) -> Option<PrincipalId> {
        self.fill(&vec!["x".to_owned(); self.segments.len()])
    }

    /// The id that `key` names; `None` where a value has a byte that such an id cannot have.
    pub fn fill(&self, key: &[String]) -> Option<PrincipalId> {
        let used = self.segments.iter().filter_map(|s| s.value.as_ref()).map(|(index, _)| key.get(*index));
        if used.clone().any(|value| value.is_none_or(String::is_empty)) {
            return None;
        }
        let encode = |index: usize| {
            let value = key.get(index).map_or("", String::as_str);
            match self.style {
                Style::Spiffe if value.bytes().all(is_plain) => value.to_owned(),
                // refused by the parser below: a SPIFFE ID has no percent triplets
                Style::Spiffe => "%".to_owned(),
                Style::Human => HumanId::encode(value),
            }
        };
        PrincipalId::from_str(&self.render(encode)).ok()
    }

    /// Whether some key gives `id`.
    pub fn could_make(&self, id: &PrincipalId) -> bool {
        let mut parts = id.as_str().split(self.style.separator());
        self.segments.iter().all(|segment| parts.next().is_some_and(|part| segment.matches(part)))
            && parts.next().is_none()
    }

    /// Whether some id could come from both templates. Errs towards yes.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.style == other.style
            && self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(|(a, b)| a.overlaps(b))
    }

    fn render(&self, value: impl Fn(usize) -> String) -> String {
        let one = |segment: &Segment| match &segment.value {
            Some((index, after)) => format!("{}{}{after}", segment.before, value(*index)),
            None => segment.before.clone(),
        };
        self.segments.iter().map(one).collect::<Vec<_>>().join(self.style.separator())
    }
}

impl Style {
    const fn separator(self) -> &'static str {
        match self {
            Self::Spiffe => "/",
            Self::Human => ":",
        }
    }
}

impl Segment {
    fn read(text: &str, whole: &str, identity_key: &[&str]) -> Result<Self, BadTemplate> {
        let brace = || BadTemplate::Brace { text: whole.to_owned() };
        let Some((before, rest)) = text.split_once('{') else {
            return if text.contains('}') { Err(brace()) } else { Ok(Self { before: text.to_owned(), value: None }) };
        };
        let (claim, after) = rest.split_once('}').ok_or_else(brace)?;
        if after.contains('{') {
            return Err(BadTemplate::SharedSegment);
        }
        if before.contains('}') || after.contains('}') {
            return Err(brace());
        }
        let index = identity_key
            .iter()
            .position(|name| *name == claim)
            .ok_or_else(|| BadTemplate::NotInKey { claim: claim.to_owned() })?;
        Ok(Self { before: before.to_owned(), value: Some((index, after.to_owned())) })
    }

    fn matches(&self, part: &str) -> bool {
        match &self.value {
            None => part == self.before,
            Some((_, after)) => {
                part.len() > self.before.len() + after.len() && part.starts_with(&self.before) && part.ends_with(after)
            }
        }
    }

    fn overlaps(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (None, None) => self.before == other.before,
            (None, Some(_)) => other.matches(&self.before),
            (Some(_), None) => self.matches(&other.before),
            (Some((_, a)), Some((_, b))) => {
                (self.before.starts_with(&other.before) || other.before.starts_with(&self.before))
                    && (a.ends_with(b.as_str()) || b.ends_with(a.as_str()))
            }
        }
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}
