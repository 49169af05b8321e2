//! Which module of the binary may name which.

use super::{check_passes, check_refused, found};
use crate::Source;
use crate::roles::{ALLOWED, unused_allowances};

const GATEWAY: &str = "crates/countersign/src/gateway/head.rs";
const CONTROL: &str = "crates/countersign/src/control/mod.rs";

#[test]
fn the_roles_never_name_each_other() {
    check_refused("roles", GATEWAY, "use crate::control::Control;", "`gateway` must not know `control`");
    check_refused("roles", CONTROL, "use crate::gateway::Gateway;", "`control` must not know `gateway`");
    check_refused("roles", GATEWAY, "fn f() { crate::control::apply() }", "`crate::control::apply`");
    check_refused("roles", GATEWAY, "use crate::{live::Live, control};", "`crate::control`");
    check_refused("roles", GATEWAY, "use super::super::control::Control;", "`crate::control::Control`");
    check_refused("roles", CONTROL, "fn f(x: super::gateway::Gateway) {}", "`crate::gateway::Gateway`");
    check_passes("roles", GATEWAY, "use crate::gateway::answer;\nuse super::body;\nuse crate::live::Live;");
    check_passes("roles", GATEWAY, "use other::control::Control;");
}

#[test]
fn the_rule_holds_in_a_role_s_tests_too() {
    let text = "#[cfg(test)]\nmod tests { use crate::control::Control; }";
    check_refused("roles", GATEWAY, text, "`gateway` must not know `control`");
}

#[test]
fn shared_modules_name_no_role() {
    for module in ["catalog/route", "epochs/compile", "estate/mod", "live"] {
        let path = format!("crates/countersign/src/{module}.rs");
        for other in ["gateway", "control", "dev", "cli"] {
            check_refused("roles", &path, &format!("use crate::{other}::X;"), &format!("must not know `{other}`"));
        }
        check_passes("roles", &path, "use crate::live::Live;\nuse crate::estate::Estate;");
    }
}

#[test]
fn only_the_command_line_knows_dev() {
    check_refused("roles", GATEWAY, "use crate::dev::DevJson;", "must not know `dev`");
    check_refused("roles", CONTROL, "use crate::dev::Running;", "must not know `dev`");
    check_refused("roles", "crates/countersign/src/dev/run.rs", "use crate::cli::main;", "must not know `cli`");
    check_passes("roles", "crates/countersign/src/cli/server.rs", "use crate::dev::DevJson;");
    check_passes("roles", "crates/countersign/src/dev/run.rs", "use crate::{control::Control, gateway::Gateway};");
}

#[test]
fn an_allowance_covers_its_file_and_its_path_only() {
    for allowed in ALLOWED {
        let text = format!("use {};", allowed.path.join("::"));
        check_passes("roles", allowed.file, &text);
        check_refused("roles", GATEWAY, &text, &format!("must not know `{}`", allowed.path[1]));
        let other = format!("use crate::{}::Other;", allowed.path[1]);
        check_refused("roles", allowed.file, &other, &format!("must not know `{}`", allowed.path[1]));
    }
}

#[test]
fn an_allowance_that_nothing_needs_is_a_finding() {
    // all that the table allows, in one text, as if it stood in each file that the table names
    let text: String = ALLOWED.iter().map(|it| format!("use {};\n", it.path.join("::"))).collect();
    let sources: Vec<Source> =
        ALLOWED.iter().map(|it| Source { path: it.file.to_owned(), text: text.clone() }).collect();
    let all: Vec<_> = sources.iter().map(Source::parse).collect();
    assert_eq!(unused_allowances(&all), []);
    for allowed in ALLOWED {
        let without = text.replace(&format!("use {};", allowed.path.join("::")), "");
        let sources = [Source { path: allowed.file.to_owned(), text: without }];
        let unused = unused_allowances(&[sources[0].parse()]);
        let words = format!("nothing names `{}` any more", allowed.path.join("::"));
        let named = unused.iter().find(|it| it.file == allowed.file && it.text.starts_with(&words));
        assert!(named.is_some(), "{unused:?}");
    }
}

#[test]
fn a_new_module_must_be_put_into_the_table() {
    let found = found("roles", "crates/countersign/src/agent/mod.rs", "fn f() {}");
    assert_eq!(found, ["1: module `agent` is in no table: say in `REFUSED` what it must not name"]);
}
