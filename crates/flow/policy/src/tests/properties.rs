//! What holds for any policies and any question.

use model::Fact;
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::sample::{select, subsequence};
use proptest::{collection, prop_assert, prop_assert_eq, proptest};

use super::{ALICE, CI, DUNNING, OPERATOR, QUICKSTART, REPORTER, annotated, compile, decide};
use crate::Engine;
use crate::scan;

const IDS: &[&str] = &[CI, REPORTER, DUNNING, ALICE, OPERATOR, "anonymous"];
const ACTIONS: &[&str] = &["read", "write", "refund", "nothing"];
const RESOURCES: &[&str] =
    &["billing", "billing/invoices", "billing/invoices/export", "public/billing-api", "countersign/ledger", "nowhere"];
const FACTS: &[&str] = &["protected_ref", "sender_bound", "task_capability", "attested"];

fn scope() -> impl Strategy<Value = String> {
    let principal = select(vec![
        "principal",
        "principal is Job",
        "principal in Group::\"machines\"",
        "principal is Job in Group::\"ci\"",
        "principal == Agent::\"spiffe://prod.acme.test/agents/dunning\"",
    ]);
    let action = select(vec![
        "action",
        "action in Action::\"read\"",
        "action == Action::\"refund\"",
        "action in [Action::\"write\", Action::\"effect\"]",
    ]);
    let resource = select(vec![
        "resource",
        "resource in Resource::\"billing\"",
        "resource == Resource::\"billing/invoices\"",
        "resource is Resource in Resource::\"billing/invoices\"",
        "resource in Resource::\"public\"",
    ]);
    (principal, action, resource)
        .prop_map(|(principal, action, resource)| format!("({principal}, {action}, {resource})"))
}

fn condition() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        6 => select(FACTS.to_vec()).prop_map(|fact| format!("context.evidence.contains(\"{fact}\")")),
        2 => Just("context.depth == 0".to_owned()),
        1 => Just("9223372036854775807 + (context.depth + 1) > 0".to_owned()),
    ];
    let joined =
        (collection::vec(atom, 1..3), select(vec![" && ", " || "])).prop_map(|(atoms, operator)| atoms.join(operator));
    (select(vec!["when", "unless"]), joined).prop_map(|(word, body)| format!("{word} {{ {body} }}"))
}

fn policy(effect: &'static [&'static str]) -> impl Strategy<Value = String> {
    let conditions = collection::vec(condition(), 0..2);
    (select(effect), scope(), conditions)
        .prop_map(|(effect, scope, conditions)| format!("{effect} {scope} {};", conditions.join(" ")))
}

fn asked() -> impl Strategy<Value = (&'static str, &'static str, &'static str, Vec<&'static str>)> {
    (select(IDS), select(ACTIONS), select(RESOURCES), subsequence(FACTS.to_vec(), 0..=FACTS.len()))
}

fn of(policies: &[String]) -> Option<Engine> {
    // a policy that can apply to nothing is refused, and says nothing here
    compile(&annotated(&policies.iter().map(String::as_str).collect::<Vec<_>>())).ok()
}

fn config() -> proptest::test_runner::Config {
    proptest::test_runner::Config { cases: 96, failure_persistence: None, ..Default::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_forbid_more_never_turns_a_denial_into_leave(
        policies in collection::vec(policy(&["permit", "forbid"]), 0..6),
        more in policy(&["forbid"]),
        questions in collection::vec(asked(), 12),
    ) {
        let mut with = policies.clone();
        with.push(more);
        let (Some(without), Some(with)) = (of(&policies), of(&with)) else { return Ok(()) };
        for (id, action, resource, facts) in questions {
            let (before, after) =
                (decide(&without, id, action, resource, &facts), decide(&with, id, action, resource, &facts));
            prop_assert!(before.code.is_none() || after.code.is_some(), "{before:?}\n{after:?}");
        }
    }

    #[test]
    fn what_is_named_as_missing_would_have_helped(
        policies in collection::vec(policy(&["permit", "permit", "forbid"]), 1..5),
        questions in collection::vec(asked(), 12),
    ) {
        let Some(engine) = of(&policies) else { return Ok(()) };
        for (id, action, resource, facts) in questions {
            let before = decide(&engine, id, action, resource, &facts);
            let by_policy = matches!(before.code, Some(model::Code::NoPermit | model::Code::Forbidden));
            if !by_policy || before.missing.is_empty() {
                continue;
            }
            let mut more = facts.clone();
            more.extend(before.missing.iter().map(Fact::as_str));
            let after = decide(&engine, id, action, resource, &more);
            let tier = [None, Some(model::Code::EvidenceMissing), Some(model::Code::ApprovalRequired)];
            prop_assert!(tier.contains(&after.code), "{before:?}\n{after:?}");
        }
    }

    #[test]
    fn a_scope_is_read_as_cedar_reads_it(policy in scope(), questions in collection::vec(asked(), 12)) {
        // a permit that fails on its condition is named exactly if its scope is taken to fit
        let never = format!("permit {policy} when {{ context.depth == 1 }};");
        let Some((engine, always)) = of(&[never]).zip(of(&[format!("permit {policy};")])) else { return Ok(()) };
        for (id, action, resource, facts) in questions {
            let (failing, applying) =
                (decide(&engine, id, action, resource, &facts), decide(&always, id, action, resource, &facts));
            if failing.code != Some(model::Code::NoPermit) {
                continue;
            }
            let applies = applying.code != Some(model::Code::NoPermit);
            prop_assert_eq!(failing.reason.contains("`p0` would, but"), applies, "{}", failing.reason);
        }
    }

    #[test]
    fn whatever_a_file_holds_is_answered(text in "[ -~\\n\"@;(){}é]{0,200}") {
        let _ = compile(&text);
    }

    #[test]
    fn whatever_a_file_holds_its_statements_and_blank_are_all_of_it(text in "[a;/\"\\\\ \\n?=é]{0,60}") {
        let (statements, blank) = scan::statements(&text);
        let mut from = 0;
        for statement in &statements {
            prop_assert!(statement.at >= from);
            prop_assert_eq!(&text[statement.at..statement.at + statement.text.len()], statement.text);
            from = statement.at + statement.text.len();
        }
        // without a last statement that does not end, what is left is what Cedar takes for nothing
        if statements.last().is_none_or(|last| last.text.ends_with(';') && !blank.is_empty()) {
            prop_assert_eq!(&text[from..], blank);
            prop_assert!(blank.parse::<cedar_policy::PolicySet>().is_ok_and(|set| set.is_empty()));
        }
    }
}

#[test]
fn the_quickstart_with_any_byte_changed_is_answered() {
    let mut state = 0x9e37_79b9_u32;
    let mut random = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from(state >> 8).unwrap() % below
    };
    for _ in 0..400 {
        let mut bytes = QUICKSTART.as_bytes().to_vec();
        for _ in 0..=random(3) {
            let at = random(bytes.len());
            match random(3) {
                0 => bytes[at] = b" \"();@{}=?\\/ap0"[random(15)],
                1 => drop(bytes.remove(at)),
                _ => bytes.truncate(at.max(1)),
            }
        }
        if let Ok(text) = String::from_utf8(bytes)
            && let Ok(engine) = compile(&text)
        {
            decide(&engine, CI, "read", "billing/invoices", &[]);
        }
    }
}
