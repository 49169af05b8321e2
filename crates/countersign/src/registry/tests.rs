//! What is found after whatever came and went.

use super::{Registry, read, write};
use crate::estate::{Bundle, Registration, read_registrations};

fn registrations(specs: &[(&str, &str, &str)]) -> Vec<Registration> {
    let document = |(name, node, more): &(&str, &str, &str)| {
        format!(
            "apiVersion: countersign.dev/v1\nkind: Registration\nmetadata: {{name: {name}}}\nspec: {{id: \"spiffe://a.test/{name}\", \
             nodes: [\"{node}\"], selectors: [\"unix:uid:1\"]{more}}}\n"
        )
    };
    let text = specs.iter().map(document).collect::<Vec<_>>().join("---\n");
    let bundle = Bundle::new([("a.yaml".to_owned(), text)]);
    read_registrations(&bundle, &"a.test".parse().unwrap()).unwrap()
}

fn put(specs: &[(&str, &str, &str)]) -> Vec<(String, Option<Registration>)> {
    registrations(specs).into_iter().map(|one| (one.name.clone(), Some(one))).collect()
}

fn found(registry: &Registry, node: &str) -> String {
    let (_, found) = registry.of_node(&[node.parse().unwrap()].into());
    let one = |(name, registered): (&String, &std::sync::Arc<super::Registered>)| {
        format!("{name} {:?} {}", registered.origin, registered.registration.hint)
    };
    found.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[test]
fn of_one_name_the_estates_counts_and_the_other_comes_back_with_it_gone() {
    let registry = Registry::default();
    registry.take_own(put(&[("web", "a:1", ", hint: own"), ("db", "a:1", "")]));
    assert_eq!(found(&registry, "a:1"), "db Own , web Own own");
    registry.take_estate(registrations(&[("web", "a:1", ", hint: estate")]));
    assert_eq!(found(&registry, "a:1"), "db Own , web Estate estate");
    registry.take_own(vec![("db".to_owned(), None)]);
    assert_eq!(found(&registry, "a:1"), "web Estate estate");
    registry.take_estate(Vec::new());
    assert_eq!(found(&registry, "a:1"), "web Own own");
}

#[test]
fn what_changes_concerns_the_nodes_that_it_was_and_is_for_and_no_others() {
    let registry = Registry::default();
    registry.take_own(put(&[("web", "a:1", ""), ("db", "a:2", "")]));
    let (one, two, three) =
        (["a:1".parse().unwrap()].into(), ["a:2".parse().unwrap()].into(), ["a:3".parse().unwrap()].into());
    let (version, _) = registry.of_node(&one);
    assert!(!registry.concerns(version, &one));
    let mut changed = registry.changed();
    changed.mark_unchanged();
    // said again, nothing is another
    registry.take_own(put(&[("web", "a:1", "")]));
    assert!(!changed.has_changed().unwrap() && !registry.concerns(version, &one));
    // it moves from one node to another
    registry.take_own(put(&[("web", "a:3", "")]));
    assert!(changed.has_changed().unwrap());
    assert!(
        registry.concerns(version, &one) && registry.concerns(version, &three) && !registry.concerns(version, &two)
    );
    // what is not remembered may concern everybody
    for round in 0..3000 {
        registry.take_own(put(&[("db", "a:2", &format!(", hint: h{round}"))]));
    }
    assert!(registry.concerns(version, &one));
    assert!(!registry.concerns(registry.of_node(&one).0, &one));
}

#[test]
fn a_document_is_read_as_it_was_written() {
    let full = ", x509: {ttl: 90s, dnsNames: [a.test]}, jwt: {ttl: 1m}, hint: x, federatesWith: [b.test], expires: 2027-01-01T00:00:00Z";
    for one in registrations(&[("web", "a:1", full), ("db", "a:2", "")]) {
        assert_eq!(read(one.name.clone(), &write(&one)).unwrap(), one);
    }
    assert!(read("web".to_owned(), "{}").is_err());
}
