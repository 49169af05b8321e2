//! Iteration over hash maps and sets.

use super::{check_passes, check_refused};

const DIRECTORY: &str = "crates/flow/identity/src/directory.rs";

#[test]
fn the_flow_iterates_over_no_hash_map() {
    for text in [
        "struct D { classes: HashMap<K, V> } impl D { fn f(&self) { self.classes.values().next() } }",
        "struct D { bound: std::collections::HashMap<K, V> } fn f(d: D) { d.bound.into_iter() }",
        "struct D { shared: Arc<HashMap<K, V>> } fn f(d: &D) { d.shared.keys() }",
        "fn f() { let mut seen = HashSet::new(); seen.drain() }",
        "fn f(seen: &mut HashSet<u8>) { seen.retain(keep) }",
        "fn f(seen: &HashSet<u8>) { for one in seen { use_it(one) } }",
        "struct D { by: HashMap<K, V> } fn f(d: &D) { for (k, v) in &d.by { use_it(k, v) } }",
    ] {
        check_refused("hash-order", DIRECTORY, text, "is a hash map or set");
    }
}

#[test]
fn look_up_and_ordered_maps_are_free() {
    for text in [
        "struct D { classes: HashMap<K, V> } fn f(d: &D) { d.classes.get(k); d.classes.len(); d.classes.insert(k, v) }",
        "struct D { classes: BTreeMap<K, V> } fn f(d: &D) { d.classes.values() }",
        "struct D { a: HashMap<K, V>, list: Vec<u8> } fn f(d: &D) { for one in &d.list { d.a.get(one); } }",
        "struct D { classes: HashMap<K, V> } fn f(classes: Vec<C>) { classes.iter() }",
        "fn f(at: usize) { match map { Kind::A => HashMap::new(), _ => a.iter() } }",
    ] {
        check_passes("hash-order", DIRECTORY, text);
    }
    let text = "struct D { classes: HashMap<K, V> } fn f(d: &D) { d.classes.values() }";
    check_passes("hash-order", "crates/countersign/src/live.rs", text);
}

#[test]
fn an_argued_iteration_is_marked_on_the_line_above() {
    let declared = "struct D { classes: HashMap<K, V> }\nfn f(d: &D) {\n";
    let marker = "// tidy: order cannot matter: at most one class can make an id\n";
    check_passes("hash-order", DIRECTORY, &format!("{declared}{marker}d.classes.values();\n}}"));
    check_passes("hash-order", DIRECTORY, &format!("{declared}{marker}d.classes\n.values();\n}}"));
    let late = format!("{declared}{marker}\nd.classes.values();\n}}");
    check_refused("hash-order", DIRECTORY, &late, "6: `classes`");
    let other = format!("{declared}// the order cannot matter\nd.classes.values();\n}}");
    check_refused("hash-order", DIRECTORY, &other, "order cannot matter");
}
