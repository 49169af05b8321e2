//! What a catalog does beside what its authors may have meant: told before it is in force, and never an obstacle to it.

use std::collections::{BTreeMap, BTreeSet};

use model::{ActionName, BaseAction, ResourceId, Risk, Tier};
use serde::{Serialize, Serializer};
use yaml::{At, Place, Problem};

use super::{Bundle, Estate, Service};
use crate::catalog::{Asks, Route};

/// How much a finding matters, most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The estate does not load.
    Error,
    /// Probably not what is meant.
    Warning,
    /// Worth knowing.
    Note,
}

/// Something to look at, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    pub severity: Severity,
    #[serde(flatten)]
    pub problem: Problem,
}

/// Every finding in environments that load, the weightiest first.
pub fn lint(estates: &[Estate], bundle: &Bundle) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, estate) in estates.iter().enumerate() {
        let mut lint = Lint { estate, findings };
        for service in &estate.services {
            lint.service(service);
        }
        lint.resources();
        lint.policies(bundle);
        for other in estates.iter().take(index) {
            lint.shared_tokens(other);
        }
        findings = lint.findings;
    }
    // a file may be named in two environments
    findings.sort();
    findings.dedup();
    findings
}

impl Severity {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl Serialize for Severity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

struct Lint<'a> {
    estate: &'a Estate,
    findings: Vec<Finding>,
}

impl Lint<'_> {
    fn add(&mut self, severity: Severity, place: &Place, message: String, suggestion: Option<&str>) {
        let problem = Problem::new(&place.file, place.at, message);
        let problem = Problem { suggestion: suggestion.map(str::to_owned), ..problem };
        self.findings.push(Finding { severity, problem });
    }

    fn service(&mut self, service: &Service) {
        for (text, place) in &service.unmapped {
            let message = format!("`{text}` is not mapped: callers are refused, as `unmapped: refuse` says");
            self.add(Severity::Note, place, message, None);
        }
        for (route, place) in service.routes.iter().zip(&service.places) {
            match &route.asks {
                Asks::Public => self.changing(route, place),
                Asks::Action { action, resource } => {
                    self.permits(route, place, action, resource);
                    self.tier(route, place, action, resource);
                    if action.base() == Some(BaseAction::Read) {
                        self.changing(route, place);
                    }
                }
            }
        }
        self.all_public(service);
        self.beside_get(service);
    }

    fn permits(&mut self, route: &Route, place: &Place, action: &ActionName, resource: &ResourceId) {
        if !self.estate.engine.could_permit(action, resource) {
            let message = format!("`{}` asks `{action}` on `{resource}`, which no policy ever permits", route.text());
            self.add(Severity::Warning, place, message, Some("write a permit whose scope has both"));
        }
    }

    fn tier(&mut self, route: &Route, place: &Place, action: &ActionName, resource: &ResourceId) {
        if self.estate.engine.tier(Risk::Low, action, resource) == Some(Tier::Critical) {
            let message = format!("`{}` asks `{action}` on `{resource}`, whose tier is critical", route.text());
            let help = "it is answered `approval_required` until approvals exist";
            self.add(Severity::Note, place, message, Some(help));
        }
    }

    /// A method by which callers change things, for what asks no more than `read`.
    fn changing(&mut self, route: &Route, place: &Place) {
        let severity = match route.pattern.method() {
            "DELETE" | "PUT" | "PATCH" => Severity::Warning,
            // a search can be one
            "POST" => Severity::Note,
            _ => return,
        };
        let message = format!("`{}` asks `read`, though its method changes things", route.text());
        self.add(severity, place, message, Some("ask `write` or `effect`, unless nothing changes"));
    }

    fn all_public(&mut self, service: &Service) {
        let mut gets = service.routes.iter().filter(|route| route.pattern.method() == "GET").peekable();
        if gets.peek().is_some() && gets.all(|route| route.asks == Asks::Public) {
            let message = format!("every GET of `{}` is public", service.name);
            let help = "`access: public` is for what strangers may see";
            self.add(Severity::Warning, &service.place, message, Some(help));
        }
    }

    fn beside_get(&mut self, service: &Service) {
        let mut methods: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for route in service.routes.iter() {
            methods.entry(route.pattern.shape()).or_default().insert(route.pattern.method());
        }
        for (route, place) in
            service.routes.iter().zip(&service.places).filter(|(route, _)| route.pattern.method() == "GET")
        {
            let there = methods.get(&route.pattern.shape());
            let absent = ["HEAD", "OPTIONS"].into_iter().filter(|method| there.is_none_or(|all| !all.contains(method)));
            let absent: Vec<String> = absent.map(|method| format!("`{method}`")).collect();
            if !absent.is_empty() {
                let verb = if absent.len() == 1 { "is" } else { "are" };
                let message = format!("`{}` is mapped, {} {verb} not", route.text(), absent.join(" and "));
                self.add(Severity::Note, place, message, Some("GET does not imply them: map them if callers use them"));
            }
        }
    }

    /// Resources that are neither asked for nor named, and with nothing below them that is.
    fn resources(&mut self) {
        let mut mentioned = self.estate.engine.named_resources();
        let routes = self.estate.services.iter().flat_map(|service| service.routes.iter());
        mentioned.extend(routes.filter_map(|route| asked(route)).map(|(_, resource)| resource.clone()));
        let mentioned: BTreeSet<ResourceId> = mentioned.iter().flat_map(ResourceId::and_ancestors).collect();
        for (id, place) in &self.estate.resources {
            if !mentioned.contains(id) {
                let message = format!("no operation asks for `{id}`, and no policy names it");
                self.add(Severity::Warning, place, message, Some("take it out, or map what it is for"));
            }
        }
    }

    /// A token that is a credential in two environments lets whoever holds it cross between them.
    fn shared_tokens(&mut self, other: &Estate) {
        let [own, beside] = [self.estate, other].map(|estate| &estate.environment.name);
        for (source, _) in &self.estate.sources {
            let same = other.sources.iter().map(|(there, _)| there).find(|there| there.issuer == source.issuer);
            let there = same.map(|there| there.audiences.as_slice()).unwrap_or_default();
            for audience in source.audiences.iter().filter(|audience| there.contains(audience)) {
                let issuer = &source.issuer;
                let message = format!(
                    "a token of issuer `{issuer}` for `{audience}` is a credential in `{own}` and in `{beside}`"
                );
                if let Some(place) = self.estate.source_places.get(&source.name) {
                    self.add(Severity::Warning, place, message, Some("give each environment an audience of its own"));
                }
            }
        }
    }

    fn policies(&mut self, bundle: &Bundle) {
        let routes = self.estate.services.iter().flat_map(|service| service.routes.iter());
        let asked: BTreeSet<_> = routes.filter_map(asked).collect();
        for policy in self.estate.engine.idle(asked) {
            let at = At::of(bundle.file(policy.file).unwrap_or_default(), policy.at);
            let place = Place { file: policy.file.to_owned(), at };
            let message = format!("no operation asks for what `{}` speaks of", policy.id);
            self.add(Severity::Note, &place, message, None);
        }
    }
}

fn asked(route: &Route) -> Option<(&ActionName, &ResourceId)> {
    match &route.asks {
        Asks::Public => None,
        Asks::Action { action, resource } => Some((action, resource)),
    }
}
