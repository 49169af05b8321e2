//! Every kind of question fits the schema, although nothing checks it when one is asked.

use std::collections::BTreeSet;

use cedar_policy::{Entities, Request};
use identity::Principal;
use model::{PrincipalKind, Risk};

use super::{CI, at, compile, evidence, principal, question, vocabulary};
use crate::case::Case;
use crate::index::Candidates;
use crate::scene::Scene;
use crate::{Facts, schema};

const RESOURCES: &[&str] =
    &["billing", "billing/invoices/export", "public/billing-api", "public/x", "countersign/keys"];

fn fits(case: &Case<'_>) {
    let schema = schema::schema(&vocabulary().actions).unwrap();
    let entities = Entities::from_entities(case.entities.iter().cloned(), Some(&schema)).unwrap();
    let request = case.request(case.evidence()).unwrap();
    let of = |uid: Option<&cedar_policy::EntityUid>| uid.unwrap().clone();
    let (principal, action, resource) = (of(request.principal()), of(request.action()), of(request.resource()));
    let context = request.context().unwrap().clone();
    Request::new(principal, action.clone(), resource, context, Some(&schema)).unwrap();
    // with the schema came its actions: what they are in is what the question says
    let above: BTreeSet<String> = entities.ancestors(&action).unwrap().map(ToString::to_string).collect();
    assert_eq!(above, case.scene.act.side.above.iter().map(ToString::to_string).collect());
}

#[test]
fn every_kind_of_question_fits_the_schema() {
    let engine = compile("").unwrap();
    let world = &engine.world;
    let mut asked = 0;
    for kind in PrincipalKind::ALL.iter().copied() {
        for tenant in [None, Some("acme".to_owned())] {
            let id = if kind == PrincipalKind::Anonymous { "anonymous" } else { CI };
            let principal = Principal { id: id.parse().unwrap(), kind, tenant, risk: Risk::High, ..principal(CI) };
            for (action, resource) in
                ["read", "effect", "refund"].iter().flat_map(|action| RESOURCES.iter().map(move |id| (action, id)))
            {
                for (params, facts) in [(vec![], &[][..]), (vec![("a".to_owned(), "1".to_owned())], &["attested"])] {
                    let question = crate::Question { params, ..question(action, resource) };
                    let facts =
                        Facts { principal: &principal, evidence: evidence(facts), question: &question, at: at() };
                    let (act, place) = (world.act(&question.action), world.place(&question.resource));
                    let scene = Scene::new(&facts, act.unwrap(), place.unwrap(), world);
                    let with_time = Candidates { read_time: true, ..Candidates::default() };
                    fits(&Case::new(scene, &facts, world, &with_time).unwrap());
                    asked += 1;
                }
            }
        }
    }
    assert_eq!(asked, 6 * 2 * 15 * 2);
}

#[test]
fn a_policy_that_reads_the_time_is_told_it() {
    let policies = [
        "permit (principal, action, resource) when { context.now > datetime(\"2026-11-24\") };",
        "permit (principal, action, resource) unless { context has now && context.depth == 0 };",
        "forbid (principal is Job, action, resource) when { context.now.toTime() < duration(\"6h\") };",
    ];
    let engine = super::engine(&policies);
    assert_eq!(super::shown(&super::decide(&engine, super::ALICE, "read", "billing", &[])), "allow, by p0");
    assert_eq!(super::shown(&super::decide(&engine, CI, "read", "billing", &[])), "deny forbidden, by p2");
}

#[test]
fn nobody_is_in_no_group() {
    let engine = super::engine(&["permit (principal in Group::\"ci\", action, resource);"]);
    let nobody = Principal { id: "anonymous".parse().unwrap(), kind: PrincipalKind::Anonymous, ..principal(CI) };
    let finding = super::decide_as(&engine, &nobody, &question("read", "billing"), &[]);
    assert_eq!(super::shown(&finding), "deny no_permit");
}
