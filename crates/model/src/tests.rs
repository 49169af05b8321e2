//! The words, at their edges.

use std::str::FromStr;

use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

use crate::{
    ActionName, BadSpiffeId, BaseAction, Code, Digest, Fact, GroupName, HumanId, IdTemplate, Layer, PolicyId,
    PrincipalId, PrincipalKind, ResourceId, Selector, SelectorIndex, Selectors, SpiffeId, Tier, Time, TrustDomain,
};

fn spiffe(text: &str) -> Result<SpiffeId, BadSpiffeId> {
    text.parse()
}

/// SPIFFE-ID.md §2, requirement lines 1 to 12.
#[test]
fn a_spiffe_id_is_exactly_right_or_refused() {
    let long_domain = "a".repeat(255);
    for text in [
        "spiffe://prod.acme.test".to_owned(),
        "spiffe://prod.acme.test/ci/billing".to_owned(),
        "spiffe://127.0.0.1/x".to_owned(),
        "spiffe://a_b-c.d/A.B-C_1/...".to_owned(),
        format!("spiffe://{long_domain}/x"),
        format!("spiffe://td/{}", "x".repeat(2048 - 12)),
    ] {
        let id = spiffe(&text).unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(format!("spiffe://{}{}", id.trust_domain(), id.path()), text);
        assert!(id.is_member_of(&id.trust_domain()));
    }
    for text in [
        "",
        "spiffe:/td/x",
        "SPIFFE://td/x",
        "https://td/x",
        "spiffe:///x",
        "spiffe://td/",
        "spiffe://td/a/",
        "spiffe://td//a",
        "spiffe://td/./a",
        "spiffe://td/a/..",
        "spiffe://TD/x",
        "spiffe://td:443/x",
        "spiffe://user@td/x",
        "spiffe://t%64/x",
        "spiffe://[::1]/x",
        "spiffe://td/a%20b",
        "spiffe://td/a b",
        "spiffe://td/a?b",
        "spiffe://td/a#b",
        "spiffe://td?b",
        "spiffe://td#b",
        "spiffe://td/\u{0430}",
        "spiffe://t\u{0430}/a",
        "spiffe://xn--td\u{0}/a",
        "spiffe://td/a\u{0}",
        " spiffe://td/a",
        "spiffe://td/a\n",
    ] {
        assert!(spiffe(text).is_err(), "{text:?}");
    }
    assert_eq!(spiffe(&format!("spiffe://td/{}", "x".repeat(2049 - 12))), Err(BadSpiffeId::TooLong));
    assert_eq!(spiffe(&format!("spiffe://{}/x", "a".repeat(256))), Err(BadSpiffeId::TooLong));
}

#[test]
fn a_spiffe_id_is_refused_in_exact_words() {
    for (text, expected) in [
        ("https://td/x", "a SPIFFE ID starts with `spiffe://`"),
        ("spiffe:///x", "the trust domain is empty"),
        ("spiffe://tD/x", "a trust domain has only lower-case letters, digits, `.`, `-` and `_`; found `D`"),
        ("spiffe://td/a\u{0}", "a path segment has only letters, digits, `.`, `-` and `_`; found `\\0`"),
        ("spiffe://td/", "a path segment cannot be empty, `.` or `..`, and a path does not end in `/`"),
    ] {
        assert_eq!(spiffe(text).unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_trust_domain_alone_is_no_member_path() {
    let domain: TrustDomain = "td".parse().unwrap();
    assert!(!spiffe("spiffe://td.evil/x").unwrap().is_member_of(&domain));
    assert!(!spiffe("spiffe://evil/td").unwrap().is_member_of(&domain));
}

#[test]
fn every_code_reads_back_and_has_one_layer_and_one_sentence() {
    for code in Code::ALL {
        assert_eq!(Code::from_str(code.as_str()), Ok(*code));
        assert!(!code.title().is_empty() && !code.title().ends_with('.'));
    }
    let in_layer = |layer| Code::ALL.iter().filter(|code| code.layer() == layer).count();
    let layers = [Layer::Identity, Layer::Access, Layer::Protocol, Layer::System].map(in_layer);
    assert_eq!(layers, [19, 6, 4, 5]);
    let error = Code::from_str("nope").unwrap_err();
    assert!(error.to_string().starts_with("`nope` is not one of credential_missing, "));
}

#[test]
fn tiers_are_ordered_by_strictness() {
    assert!(Tier::Routine < Tier::Sensitive && Tier::Sensitive < Tier::Critical);
}

#[test]
fn names_are_checked_when_they_are_made() {
    assert!("ci-billing".parse::<GroupName>().is_ok());
    for text in ["", "-a", "a-", "A", "a_b", "a b", "a\u{0}", "é"] {
        assert!(text.parse::<GroupName>().is_err(), "{text:?}");
    }
    assert!("Reads invoices, v2".parse::<PolicyId>().is_ok());
    assert!("a\nb".parse::<PolicyId>().is_err());
    assert!("protected_ref".parse::<Fact>().is_ok());
    assert!("Protected".parse::<Fact>().is_err());
    assert!(Fact::BUILT_IN.iter().all(|name| name.parse::<Fact>().unwrap().is_built_in()));
    for text in ["billing", "billing/invoices/export", "a.b-c_D"] {
        assert!(text.parse::<ResourceId>().is_ok(), "{text:?}");
    }
    for text in ["", "/a", "a/", "a//b", "a/../b", "a b", "a%2fb"] {
        assert!(text.parse::<ResourceId>().is_err(), "{text:?}");
    }
}

#[test]
fn a_resource_knows_its_ancestors() {
    let resource: ResourceId = "a/b/c".parse().unwrap();
    let line: Vec<_> = resource.and_ancestors().map(|resource| resource.to_string()).collect();
    assert_eq!(line, ["a/b/c", "a/b", "a"]);
}

#[test]
fn an_action_is_a_base_action_or_a_declared_member() {
    assert_eq!("read".parse::<ActionName>().unwrap().base(), Some(BaseAction::Read));
    assert_eq!("refund".parse::<ActionName>().unwrap().base(), None);
    assert!("Refund".parse::<ActionName>().is_err());
}

#[test]
fn a_principal_id_has_one_spelling() {
    for text in ["spiffe://td/a", "human:people:alice", "human:local:0", "human:p:a%2Fb:c", "anonymous"] {
        assert_eq!(text.parse::<PrincipalId>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "alice",
        "human:",
        "human:people",
        "human::alice",
        "human:people:",
        "human:people:a b",
        "human:people:%61",
        "human:people:%2f",
        "human:people:%",
        "human:people:%4",
        "spiffe://td/",
        "Anonymous",
    ] {
        assert!(text.parse::<PrincipalId>().is_err(), "{text:?}");
    }
    assert_eq!(HumanId::encode("a/b ü"), "a%2Fb%20%C3%BC");
    assert_eq!("Job".parse(), Ok(PrincipalKind::Job));
}

#[test]
fn a_time_is_written_in_utc_with_microseconds() {
    let time: Time = "2027-11-01T02:00:00.5+02:00".parse().unwrap();
    assert_eq!(time.to_string(), "2027-11-01T00:00:00.500000Z");
    assert_eq!(time.plus(std::time::Duration::from_secs(1)).to_string(), "2027-11-01T00:00:01.500000Z");
    assert_eq!(Time::from_unix_seconds(i64::MAX), Time::MAX);
    assert_eq!(Time::MAX.to_string(), "9999-12-31T23:59:59.999999Z");
    assert_eq!(Time::from_unix_seconds(i64::MIN).to_string(), "0000-01-01T00:00:00.000000Z");
    assert!("2027-11-01".parse::<Time>().is_err());
    assert_eq!(
        "tomorrow".parse::<Time>().unwrap_err().to_string(),
        "`tomorrow` is not an RFC 3339 time such as 2027-11-01T00:00:00Z"
    );
}

#[test]
fn hex_has_one_spelling() {
    let digest = Digest::new([0xab; 32]);
    assert_eq!(digest.to_string().parse(), Ok(digest));
    assert!("AB".repeat(32).parse::<Digest>().is_err());
    assert_eq!("ab".parse::<Digest>().unwrap_err().to_string(), "expected 64 lower-case hex digits");
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic_and_what_parses_reads_back(text in any::<String>()) {
        if let Ok(id) = SpiffeId::from_str(&text) {
            prop_assert_eq!(id.as_str(), &text);
        }
        if let Ok(id) = PrincipalId::from_str(&text) {
            prop_assert_eq!(id.as_str(), &text);
        }
        if let Ok(resource) = ResourceId::from_str(&text) {
            prop_assert_eq!(resource.as_str(), &text);
        }
    }

    #[test]
    fn a_sound_spiffe_id_is_accepted(domain in "[a-z0-9._-]{1,40}", path in "(/[a-zA-Z0-9_-]{1,12}){0,6}") {
        let text = format!("spiffe://{domain}{path}");
        prop_assert_eq!(SpiffeId::from_str(&text).unwrap().to_string(), text);
    }

    #[test]
    fn every_human_key_gives_an_id_of_its_own(one in any::<String>(), other in any::<String>()) {
        let id = |key: &str| format!("human:people:{}", HumanId::encode(key));
        if !one.is_empty() {
            prop_assert!(id(&one).parse::<PrincipalId>().is_ok());
        }
        prop_assert_eq!(one == other, id(&one) == id(&other));
    }

    #[test]
    fn a_time_reads_back(micros in (Time::MIN.as_micros()..=Time::MAX.as_micros()).boxed()) {
        let time = Time::from_micros(micros);
        prop_assert_eq!(time.to_string().parse::<Time>().unwrap(), time);
    }
}

#[test]
fn a_selector_is_a_type_and_a_value() {
    let bad = |text: &str| text.parse::<Selector>().unwrap_err().to_string();
    assert_eq!("unix:uid:1000".parse::<Selector>().unwrap().to_string(), "unix:uid:1000");
    assert_eq!(bad("unix"), "a selector is `type:value`, such as `unix:uid:1000`");
    assert_eq!(bad("unix:"), bad("unix"));
    assert_eq!(bad("Unix:uid:0"), "a selector's type has only lower-case letters, digits, `_` and `-`; found `U`");
    assert_eq!(bad("unix:path:/a\nb"), "a selector has no control characters");
    assert_eq!(bad(&format!("a:{}", "x".repeat(1024))), "a selector has at most 1024 bytes");
}

#[test]
fn a_template_makes_an_id_of_attested_values_and_repairs_none() {
    let template: IdTemplate = "spiffe://a.test/ns/{k8s:ns}/sa-{k8s:sa}".parse().unwrap();
    let expand = |selectors: &[&str]| {
        let selectors: Selectors = selectors.iter().map(|selector| selector.parse().unwrap()).collect();
        template.expand(&selectors).map(|id| id.to_string()).map_err(|why| why.to_string())
    };
    assert_eq!(expand(&["k8s:ns:billing", "k8s:sa:web", "unix:uid:0"]).unwrap(), "spiffe://a.test/ns/billing/sa-web");
    assert_eq!(expand(&["k8s:ns:billing"]).unwrap_err(), "no selector `k8s:sa:…` was attested");
    assert_eq!(
        expand(&["k8s:ns:a", "k8s:ns:b", "k8s:sa:web"]).unwrap_err(),
        "more than one selector `k8s:ns:…` was attested"
    );
    assert_eq!(
        expand(&["k8s:ns:a/../b", "k8s:sa:web"]).unwrap_err(),
        "a path segment has only letters, digits, `.`, `-` and `_`; found `/`"
    );
    assert!(expand(&["k8s:ns:..", "k8s:sa:web"]).is_err());
    assert!(expand(&["k8s:ns:ü", "k8s:sa:web"]).is_err());
}

#[test]
fn what_makes_no_ids_is_no_template() {
    let bad = |text: &str| text.parse::<IdTemplate>().unwrap_err().to_string();
    assert_eq!(bad("spiffe://{k8s:ns}/a"), "a value cannot stand in the trust domain");
    assert_eq!(
        bad("spiffe://a/{k8s:ns}{k8s:sa}"),
        "two values within one segment could give one id for different workloads"
    );
    assert_eq!(bad("spiffe://a/{k8s}"), "`{k8s}` names no selector: expected its type and more, such as `k8s:ns`");
    assert_eq!(bad("spiffe://a/{k8s:ns"), "`spiffe://a/{k8s:ns`: a `{` or `}` without its pair");
    assert_eq!(bad("https://a/b"), "a SPIFFE ID starts with `spiffe://`");
    assert_eq!("spiffe://a/b".parse::<IdTemplate>().unwrap().fixed().unwrap().as_str(), "spiffe://a/b");
}

#[test]
fn an_index_finds_whatever_asks_for_nothing_that_is_not_held() {
    let selectors = |text: &str| text.split_whitespace().map(|one| one.parse().unwrap()).collect::<Selectors>();
    let index = SelectorIndex::new(vec![
        (selectors("a:1"), "one"),
        (selectors("a:1 b:2"), "both"),
        (selectors("a:1 c:3"), "other"),
        (selectors(""), "nothing"),
    ]);
    let found = |held: &str| {
        let held = selectors(held);
        let mut found: Vec<_> = index.matching(&held).copied().collect();
        found.sort_unstable();
        found
    };
    assert_eq!(found("a:1 b:2"), ["both", "one"]);
    assert_eq!(found("a:1 b:3"), ["one"]);
    assert!(found("b:2 c:3").is_empty() && found("").is_empty());
}

proptest! {
    /// However things come and go, what is found is what a look at each of them finds.
    #[test]
    fn an_index_that_changes_finds_what_a_look_at_each_finds(
        steps in proptest::collection::vec((any::<bool>(), 0_u8..6, proptest::collection::btree_set(0_u8..5, 0..4)), 0..40),
        held in proptest::collection::btree_set(0_u8..5, 0..5),
    ) {
        let selectors = |numbers: &std::collections::BTreeSet<u8>| -> Selectors {
            numbers.iter().map(|number| format!("a:{number}").parse().unwrap()).collect()
        };
        let (mut index, mut all) = (SelectorIndex::default(), std::collections::BTreeMap::<u8, Selectors>::new());
        for (comes, name, asked) in steps {
            if let Some(before) = all.remove(&name) {
                let before: Vec<Selector> = before.into_iter().collect();
                index.remove(&before, |other| *other == name);
            }
            if comes {
                let asked = selectors(&asked);
                index.insert(asked.iter().cloned().collect(), name);
                all.insert(name, asked);
            }
        }
        let held = selectors(&held);
        let mut found: Vec<u8> = index.matching(&held).copied().collect();
        found.sort_unstable();
        let expected: Vec<u8> =
            all.iter().filter(|(_, asked)| !asked.is_empty() && asked.is_subset(&held)).map(|(name, _)| *name).collect();
        prop_assert_eq!(found, expected);
    }
}
