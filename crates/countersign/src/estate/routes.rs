//! The operations of a service: written under `http`, imported from an OpenAPI file, or both.

use yaml::{Fields, Node, Place, Problem, Reader};

use super::asks::Said;
use super::bundle::Bundle;
use super::document::{Descriptions, Document};
use super::openapi::{self, Imported};
use super::resources::Resources;
use crate::catalog::{Pattern, Route, Routes};

/// What the operations of every service may name.
pub(super) struct Declared<'a> {
    pub resources: &'a Resources,
    pub bundle: &'a Bundle,
    pub descriptions: &'a Descriptions,
}

/// The operations of one service.
pub(super) struct Operations {
    pub routes: Routes,
    /// Where each route is written, in the order of the routes.
    pub places: Vec<Place>,
    /// What its OpenAPI file describes, and nothing maps: refused, as the service says.
    pub unmapped: Vec<(String, Place)>,
}

/// Reads `http` and `openapi`.
pub(super) fn read(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    document: &Document,
    declared: &Declared<'_>,
) -> Option<Operations> {
    let (http, openapi) = (fields.optional("http"), fields.optional("openapi"));
    if http.is_none() && openapi.is_none() {
        reader.problem(document.spec.at, "Service: expected `http`, `openapi` or both");
        return None;
    }
    let written = http.map_or(Some(Vec::new()), |node| reader.some(node, |r, n| route(r, n, declared.resources)));
    let known = written.as_deref().unwrap_or_default();
    let imported = openapi.map_or(Some(Imported::default()), |node| openapi::read(reader, node, known, declared));
    let (mut routes, imported) = (written?, imported?);
    routes.extend(imported.routes);
    let (routes, places): (Vec<Route>, Vec<Place>) = routes.into_iter().unzip();
    let unmapped: Vec<_> = imported.refused.iter().map(|one| (one.text.clone(), one.place.clone())).collect();
    let (refused, refused_places): (Vec<Pattern>, Vec<Place>) =
        imported.refused.into_iter().filter_map(|one| Some((one.pattern?, one.place))).unzip();
    match Routes::new(routes, &refused) {
        Ok(routes) => Some(Operations { routes, places, unmapped }),
        Err(clash) => {
            let place =
                |index: usize| places.iter().chain(&refused_places).nth(index).cloned().unwrap_or(document.place());
            let (place, other) = (place(clash.later), place(clash.earlier));
            let problem = Problem::new(&place.file, place.at, clash.why.to_string());
            let other = format!("the other one stands at {}:{}", other.file, other.at.line);
            reader.problems.push(problem.suggest(other));
            None
        }
    }
}

fn route(reader: &mut Reader<'_>, node: &Node, resources: &Resources) -> Option<(Route, Place)> {
    let mut fields = reader.fields(node, "http")?;
    let text = fields.required(reader, "match");
    let said = Said::of(&mut fields);
    fields.close(reader);
    let asks = said.asks(reader, node.at, resources)?;
    let text = text?;
    match Route::new(reader.text(text)?, asks) {
        Ok(route) => Some((route, Place { file: reader.file.to_owned(), at: node.at })),
        Err(error) => {
            reader.refuse(text.at, &error);
            None
        }
    }
}
