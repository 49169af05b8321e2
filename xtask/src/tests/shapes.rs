//! The shape of files.

use super::{check_passes, check_refused, found};
use crate::{Source, check_sources};

const PATH: &str = "crates/countersign/src/estate/mod.rs";

#[test]
fn a_file_opens_by_saying_what_it_owns() {
    for text in ["", "\n//! Late.\n", "use std::fmt;\n", "//!\n", "//! \n", "// Not a module's documentation.\n"] {
        let source = Source { path: PATH.to_owned(), text: text.to_owned() };
        let rules: Vec<_> = check_sources(&[source]).into_iter().map(|it| (it.rule, it.line)).collect();
        assert_eq!(rules, [("opening", 1)], "{text:?}");
    }
    check_passes("opening", PATH, "use std::fmt;");
}

#[test]
fn nothing_unfinished_is_left_behind() {
    for word in [concat!("TO", "DO"), concat!("FIX", "ME")] {
        check_refused("left-behind", PATH, &format!("// {word}: later"), word);
        check_refused("left-behind", "scenarios/tests/all.rs", &format!("fn f() {{ panic!(\"{word}\") }}"), word);
    }
    check_refused("left-behind", PATH, "fn f() { todo!() }", "`todo!`");
    check_refused("left-behind", PATH, "fn f() { unimplemented!() }", "`unimplemented!`");
    check_refused("left-behind", "crates/model/src/tests.rs", "#[ignore]\nfn f() {}", "`#[ignore]`");
    check_refused("left-behind", "crates/model/src/tests.rs", "#[ignore = \"slow\"]\nfn f() {}", "`#[ignore]`");
    check_passes("left-behind", PATH, "fn f(todo: u8) -> u8 { todo }");
}

#[test]
fn a_file_has_at_most_600_lines() {
    check_passes("length", PATH, &"\n".repeat(599));
    check_refused("length", PATH, &"\n".repeat(600), "601 lines, at most 600");
}

#[test]
fn a_function_has_at_most_90_lines() {
    let function = |lines: usize| format!("fn f(a: [u8; 2]) {{\n{}}}\nfn g() {{}}", "    x();\n".repeat(lines - 2));
    check_passes("length", PATH, &function(90));
    check_refused("length", PATH, &function(91), "2: `f` has 91 lines, at most 90");
    let declared = format!("trait T {{\n    fn f(&self);\n{}\n}}", "// a line\n".repeat(100));
    check_passes("length", PATH, &declared);
}

#[test]
fn test_code_hangs_under_cfg_test() {
    check_passes("tests", PATH, "#[cfg(test)]\nmod tests;");
    check_refused("tests", PATH, "mod tests;", "without `#[cfg(test)]`");
    check_refused("tests", PATH, "#[test]\nfn f() {}", "a test outside `#[cfg(test)]`");
    check_passes("tests", "crates/model/src/tests/names.rs", "#[test]\nfn f() {}");
}

#[test]
fn any_text_can_be_read() {
    for text in
        ["\"open", "r#\"open", "/* open", "'", "b'", "'\\", "fn", "use a::{b, {c", "use", "é'é", "::", "#[cfg(test)]"]
    {
        let whole = format!("{text}\u{e9}");
        for path in [PATH, "crates/flow/guard/src/admit.rs"] {
            assert!(found("none of that name", path, &whole).is_empty());
        }
    }
}
