//! What does not load, and the exact words that say why.

use super::{annotated, compile, directory, vocabulary};
use crate::scan::{MAX_DEPTH, MAX_OPERATORS};
use crate::{Engine, PolicyFile, PolicyProblem};

/// Compiles a file, and compares what is wrong with it.
fn check(text: &str, expected: &[&str]) {
    let problems = compile(text).err().unwrap_or_default();
    let told = |p: &PolicyProblem| {
        let help = p.suggestion.as_ref().map(|help| format!(" | {help}")).unwrap_or_default();
        format!("{}:{}:{}: {}{help}", p.file, p.line, p.column, p.message)
    };
    assert_eq!(problems.iter().map(told).collect::<Vec<_>>(), expected, "{text}");
}

/// As [`check`] for one policy, whose text begins at line 2.
fn check_one(policy: &str, expected: &[&str]) {
    check(&annotated(&[policy]), expected);
}

#[test]
fn a_policy_says_what_it_is_called_whose_it_is_and_what_for() {
    check(
        "permit (principal, action, resource);",
        &[
            "billing.cedar:1:1: the policy has no `@id(\"…\")` | every policy has an `@id`, an `@owner` and a `@purpose`, \
             before `permit` or `forbid`",
            "billing.cedar:1:1: the policy has no `@owner(\"…\")` | every policy has an `@id`, an `@owner` and a \
             `@purpose`, before `permit` or `forbid`",
            "billing.cedar:1:1: the policy has no `@purpose(\"…\")` | every policy has an `@id`, an `@owner` and a \
             `@purpose`, before `permit` or `forbid`",
        ],
    );
    check(
        "// whose?\n@id(\"a\") @owner(\" \")\n  @purpose\npermit (principal, action, resource);",
        &["billing.cedar:2:10: `@owner` is empty", "billing.cedar:3:3: `@purpose` is empty"],
    );
}

#[test]
fn an_unknown_annotation_does_not_load() {
    check(
        "@id(\"a\") @owner(\"o\") @purpose(\"p\") @enviroment(\"prod\") @zzz\npermit (principal, action, resource);",
        &[
            "billing.cedar:1:36: unknown annotation `@enviroment` | did you mean `@environment`?",
            "billing.cedar:1:56: unknown annotation `@zzz`",
        ],
    );
    let sound =
        "@id(\"a\") @owner(\"o\") @purpose(\"p\") @environment(\"production\") permit (principal, action, resource);";
    check(sound, &[]);
}

#[test]
fn an_id_is_plain_and_not_a_shipped_ones() {
    let with = |id: &str, owner: &str| {
        format!("@id(\"{id}\") @owner(\"{owner}\") @purpose(\"p\")\npermit (principal, action, resource);")
    };
    let characters = "a policy id has only letters, digits, `.`, `_`, `-`, `/` and `:`";
    check(&with("b\u{456}lling", "o"), &[&format!("billing.cedar:1:1: `b\u{456}lling`: {characters}")]);
    check(&with("a b", "o"), &[&format!("billing.cedar:1:1: `a b`: {characters}")]);
    check(
        &with("countersign/operators", "o"),
        &[
            "billing.cedar:1:1: `countersign/operators`: ids that start with `countersign/` belong to the shipped policies",
        ],
    );
    check(&with(&"a".repeat(254), "o"), &["billing.cedar:1:1: `@id` cannot be read: a name has at most 253 bytes"]);
    check(&with("a", "o\\u{7}"), &["billing.cedar:1:10: `@owner` cannot be read: `o\\u{7}` has a control character"]);
}

#[test]
fn an_id_belongs_to_one_policy() {
    let one = "@id(\"a\") @owner(\"o\") @purpose(\"p\")\npermit (principal, action, resource);\n";
    check(
        &format!("{one}\n{}", one.replace("permit", "forbid")),
        &["billing.cedar:4:1: `a` is the id of another policy, in billing.cedar, line 1"],
    );
    let file = |name: &str| PolicyFile { name: name.to_owned(), text: format!("\n{one}") };
    let problems = Engine::compile(&[file("x.cedar"), file("y.cedar")], &vocabulary(), &directory()).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].file, "y.cedar");
    assert_eq!(problems[0].message, "`a` is the id of another policy, in x.cedar, line 2");
}

#[test]
fn what_cedar_cannot_read_is_told_where_it_stands() {
    check_one(
        "permit (principal action, resource);",
        &["billing.cedar:2:19: unexpected token `action` | expected `!=`, `)`, `,`, `:`, `<`, `<=`, `==`, `>`, `>=`, \
           `in`, or `is`"],
    );
    // columns count characters, not bytes
    check(
        "/* no such comment */ permit (principal, action, resource);",
        &["billing.cedar:1:1: unexpected token `/` | expected `@` or identifier"],
    );
    check(
        "// ünï\n@purpose(\"ünï\") permit (principal, action, resource) when { tru };",
        &[
            "billing.cedar:2:61: invalid variable: tru | the valid Cedar variables are `principal`, `action`, `resource`, \
           and `context`; did you mean to enclose `tru` in quotes to make a string?",
        ],
    );
    check(
        "permit (principal, action, resource)",
        &["billing.cedar:1:37: unexpected end of input | expected `;` or identifier"],
    );
    check(
        "permit (principal, action, resource) when { context.service == \"a; };",
        &["billing.cedar:1:64: invalid token | try checking that all strings are closed properly"],
    );
    check(";", &["billing.cedar:1:1: unexpected token `;` | expected `@` or identifier"]);
}

#[test]
fn a_template_does_not_load() {
    check_one(
        "permit (principal in ?principal, action, resource);",
        &["billing.cedar:2:22: `?principal`: templates are not supported | name the principal or resource, or write \
           `in Group::\"…\"`"],
    );
}

#[test]
fn what_the_estate_does_not_declare_cannot_be_named() {
    check_one(
        "permit (principal in Group::\"ci-biling\", action, resource);",
        &["billing.cedar:2:22: the estate declares no `Group::\"ci-biling\"` | did you mean `Group::\"ci-billing\"`?"],
    );
    check_one(
        "permit (principal, action in Action::\"refunds\", resource in Resource::\"billing/invoice\");",
        &[
            "billing.cedar:2:30: the estate declares no `Action::\"refunds\"` | did you mean `Action::\"refund\"`?",
            "billing.cedar:2:61: the estate declares no `Resource::\"billing/invoice\"` | did you mean \
             `Resource::\"billing/invoices\"`?",
        ],
    );
    check_one(
        "permit (principal == Workload::\"spiffe://prod.acme.test/nobody\", action, resource);",
        &["billing.cedar:2:22: the estate declares no `Workload::\"spiffe://prod.acme.test/nobody\"`"],
    );
    check_one(
        "permit (principal == Agent::\"spiffe://prod.acme.test/billing/reporter\", action, resource);",
        &[
            "billing.cedar:2:22: the estate declares no `Agent::\"spiffe://prod.acme.test/billing/reporter\"` | did you \
           mean `Workload::\"spiffe://prod.acme.test/billing/reporter\"`?",
        ],
    );
    check_one(
        "permit (principal, action, resource) when { principal == Anonymous::\"anyone\" };",
        &["billing.cedar:2:58: the estate declares no `Anonymous::\"anyone\"`"],
    );
    check_one(
        "permit (principal, action, resource) when { context.params == Params::\"request\" };",
        &["billing.cedar:2:63: `Params::\"request\"`: parameters have no name of their own | read \
           `context.params.getTag(\"…\")`"],
    );
    check_one(
        "permit (principal, action, resource == Resource::\"public/shop\");",
        &["billing.cedar:2:40: the estate declares no `Resource::\"public/shop\"`"],
    );
    check_one("permit (principal, action, resource == Resource::\"public/billing-api\");", &[]);
    check_one("permit (principal == Anonymous::\"anonymous\", action, resource in Resource::\"public\");", &[]);
}

#[test]
fn a_look_alike_of_a_declared_name_does_not_load() {
    // Cyrillic `о` in `reporter`
    check_one(
        "permit (principal == Workload::\"spiffe://prod.acme.test/billing/rep\u{43e}rter\", action, resource);",
        &["billing.cedar:2:22: the estate declares no `Workload::\"spiffe://prod.acme.test/billing/rep\u{43e}rter\"`"],
    );
    // what Cedar only warns of
    check_one(
        "permit (principal, action, resource) when { context.service == \"b\u{456}lling-api\" };",
        &["billing.cedar:2:64: string `\"b\u{456}lling-api\"` contains mixed scripts"],
    );
    check_one(
        "permit (principal, action, resource) when { context.service == \"a\u{202e}b\" };",
        &["billing.cedar:2:64: string `\"a\u{202e}b\"` contains BIDI control characters"],
    );
}

#[test]
fn a_fact_that_nobody_establishes_does_not_load() {
    check_one(
        "forbid (principal, action, resource) unless { context.evidence.contains(\"protected_reff\") };",
        &["billing.cedar:2:73: no trust source of the estate establishes the fact `protected_reff` | did you mean \
           `protected_ref`?"],
    );
    check_one(
        "forbid (principal, action, resource) when { context.evidence.containsAny([\"attested\", \"zzz\"]) };",
        &["billing.cedar:2:87: no trust source of the estate establishes the fact `zzz`"],
    );
}

#[test]
fn a_protocol_can_only_narrow() {
    let words =
        "`context.protocol` can only narrow, so a permit cannot depend on it | put the condition into a `forbid`";
    let permit = |condition: &str| format!("permit (principal, action, resource) when {{ {condition} }};");
    check_one(&permit("context.protocol == \"http\""), &[&format!("billing.cedar:2:45: {words}")]);
    check_one(&permit("context[\"protocol\"] like \"h*\""), &[&format!("billing.cedar:1:1: {words}")]);
    check_one(&permit("context.protocol == \"http\"").replace("permit", "forbid"), &[]);
    // nor by a detour
    let whole = "`context` can only be read field by field | write `context.evidence`, `context.params`, …";
    check_one(&permit("{a: context}.a.protocol == \"http\""), &[&format!("billing.cedar:2:49: {whole}")]);
    check_one(
        &permit("(if context.depth == 0 then context else context).protocol == \"http\""),
        &[&format!("billing.cedar:2:49: {whole}")],
    );
}

#[test]
fn a_base_action_is_compared_by_in() {
    let words = "`==` on the base action `read` leaves out the declared actions that are in it | write `action in \
                 Action::\"read\"`";
    check_one("permit (principal, action == Action::\"read\", resource);", &[&format!("billing.cedar:2:30: {words}")]);
    check_one(
        "permit (principal, action, resource) when { action == Action::\"read\" };",
        &[&format!("billing.cedar:2:55: {words}")],
    );
    check_one(
        "forbid (principal, action, resource) unless { [Action::\"read\"].contains(action) };",
        &[&format!("billing.cedar:2:48: {words}")],
    );
    check_one("permit (principal, action == Action::\"refund\", resource);", &[]);
    check_one("permit (principal, action in [Action::\"read\", Action::\"write\"], resource);", &[]);
    check_one("permit (principal, action, resource) when { action in [Action::\"read\"] };", &[]);
}

#[test]
fn what_strict_validation_finds_does_not_load() {
    check_one(
        "permit (principal, action, resource) when { principal.owner == \"o\" };",
        &["billing.cedar:2:45: attribute `owner` on entity type `Anonymous` not found"],
    );
    check_one(
        "permit (principal is Job, action, resource) when { principal.tenant == \"t\" };",
        &[
            "billing.cedar:2:52: unable to guarantee safety of access to optional attribute `tenant` on entity type `Job` \
           | try testing for the attribute's presence with `e has tenant && ..`",
        ],
    );
    check_one(
        "permit (principal is Jb, action, resource);",
        &["billing.cedar:2:22: unrecognized entity type `Jb` | did you mean `Job`?"],
    );
    check_one(
        "permit (principal, action, resource) when { false };",
        &["billing.cedar:1:1: policy is impossible: the policy expression evaluates to false for all valid requests"],
    );
    // beyond what a decision has at hand
    check_one(
        "permit (principal, action, resource) when { Resource::\"billing\".owner == \"o\" };",
        &["billing.cedar:2:45: entity literals cannot be dereferenced at any level"],
    );
}

#[test]
fn what_would_overflow_the_stack_is_not_read() {
    let nested = |levels: usize| {
        let (open, close) = ("(".repeat(levels), ")".repeat(levels));
        format!("permit (principal, action, resource) when {{ {open}true{close} }};")
    };
    // the braces are a level, too
    check_one(&nested(MAX_DEPTH - 1), &[]);
    check_one(
        &nested(50_000),
        &["billing.cedar:2:76: brackets are nested deeper than 32 | split it into several policies"],
    );
    let chain = |links: usize| {
        let chain = "context.depth == 0 && ".repeat(links);
        format!("permit (principal, action, resource) when {{ {chain}true }};")
    };
    check_one(&chain(MAX_OPERATORS / 3), &[]);
    check_one(
        &chain(10_000),
        &["billing.cedar:1:1: a policy has at most 256 operators, this one has 30000 | split it into several policies"],
    );
    let members: Vec<String> = (0..5000).map(|n| format!("\"service-{n}\"")).collect();
    let set =
        format!("permit (principal, action, resource) when {{ [{}].contains(context.service) }};", members.join(","));
    check_one(&set, &[]);
}

#[test]
fn the_deepest_and_longest_policy_that_is_read_fits_the_stack() {
    let (open, close) = ("[if true then [] else ".repeat(MAX_DEPTH / 2 - 1), "]".repeat(MAX_DEPTH / 2 - 1));
    let chain = "context.depth + ".repeat(MAX_OPERATORS / 2 - MAX_DEPTH);
    let text = annotated(&[&format!("permit (principal, action, resource) when {{ {open}{chain}1 == 1{close} }};")]);
    // it does not type check; that it is told so is the point
    assert!(!compile(&text).unwrap_err().is_empty());
}

#[test]
fn a_file_and_a_list_of_problems_are_bounded() {
    let text = " ".repeat((1 << 20) + 1);
    check(&text, &["billing.cedar:1:1: a policy file has at most 1048576 bytes, this one has 1048577"]);
    assert_eq!(compile(&";".repeat(1 << 20)).unwrap_err().len(), 100);
}

#[test]
fn every_problem_is_told_in_order() {
    check(
        &format!(
            "{}{}",
            annotated(&["permit (principal in Group::\"x\", action, resource);"]),
            "@id(\"b\") @owner(\"o\")\nforbid (principal is Nobody, action, resource);"
        ),
        &[
            "billing.cedar:2:22: the estate declares no `Group::\"x\"`",
            "billing.cedar:3:1: the policy has no `@purpose(\"…\")` | every policy has an `@id`, an `@owner` and a \
             `@purpose`, before `permit` or `forbid`",
        ],
    );
}
