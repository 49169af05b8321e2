//! The schema for editors says what the loader says: the same fields, the same needs, the same words.

use std::collections::{BTreeMap, BTreeSet};

use credential::Algorithm;
use model::{PrincipalKind, Risk, Tier};
use serde_json::Value;

use super::{QUICKSTART, and, loaded};

const SCHEMA: &str = include_str!("../../../../../api/estate.schema.json");

/// A field that is near to none, so that the loader lists those that it knows.
const UNKNOWN: &str = "zzzzzzzzzzzzzzzzzzzzzzzz";

/// Specs in which every mapping that has fields stands once with a field that it does not know.
const SPECS: &[(&str, &str)] = &[
    ("TrustSource", "{UNKNOWN: 1}"),
    ("TrustSource", "{proves: [Job], identityKey: [sub], oidc: {UNKNOWN: 1}}"),
    ("TrustSource", "{proves: [Job], identityKey: [sub], oidc: {jwks: {UNKNOWN: 1}}}"),
    ("TrustSource", "{proves: [Workload], x509pop: {UNKNOWN: 1}}"),
    ("TrustSource", "{proves: [Workload], x509pop: {authorities: {UNKNOWN: 1}}}"),
    ("TrustSource", "{proves: [Workload], kubernetes: {UNKNOWN: 1}}"),
    ("TrustSource", "{proves: [Workload], google: {UNKNOWN: 1}}"),
    ("TrustSource", "{proves: [Workload], azure: {UNKNOWN: 1}}"),
    ("TrustSource", "{proves: [Workload], tpm: {UNKNOWN: 1}}"),
    ("TrustSource", "{proves: [Workload], awsInstance: {UNKNOWN: 1}}"),
    ("TrustSource", "{proves: [Workload], awsInstance: {regions: {eu-central-2: {UNKNOWN: 1}}}}"),
    ("TrustSource", "{proves: [Workload], awsInstance: {regions: {eu-central-2: {certificates: {UNKNOWN: 1}}}}}"),
    ("TrustSource", "{proves: [Workload], awsCaller: {UNKNOWN: 1}}"),
    ("TrustSource", "{proves: [Workload], awsToken: {UNKNOWN: 1}}"),
    ("Principal", "{UNKNOWN: 1}"),
    ("Principal", "{kind: Job, id: spiffe://prod.acme.test/a, owner: a, purpose: a, bindings: [{UNKNOWN: 1}]}"),
    ("PrincipalClass", "{UNKNOWN: 1}"),
    ("Group", "{UNKNOWN: 1}"),
    ("Action", "{UNKNOWN: 1}"),
    ("ResourceTree", "{UNKNOWN: 1}"),
    ("ResourceTree", "{owner: a, resources: {a: {UNKNOWN: 1}, b: {tiers: {UNKNOWN: 1}}}}"),
    (
        "Service",
        "{UNKNOWN: 1, upstream: {UNKNOWN: 1}, http: [{UNKNOWN: 1}], limits: {UNKNOWN: 1}, timeouts: {UNKNOWN: 1}}",
    ),
    ("Service", "{limits: {}}"),
    ("Service", "{openapi: {UNKNOWN: 1, mapping: [{UNKNOWN: 1}]}}"),
    ("Registration", "{UNKNOWN: 1, x509: {UNKNOWN: 1}, jwt: {UNKNOWN: 1}}"),
    ("Federation", "{trustDomain: other.test}"),
    ("Federation", "{UNKNOWN: 1, endpoint: {UNKNOWN: 1}, bootstrap: {UNKNOWN: 1}}"),
];

type Fields = BTreeMap<String, BTreeSet<String>>;

/// What the loader says of an estate: the fields that it knows and those that it misses, by mapping.
#[derive(Default)]
struct Said {
    known: Fields,
    required: Fields,
}

impl Said {
    fn of(&mut self, yaml: &str) {
        for problem in loaded(yaml).err().unwrap() {
            let Some((what, message)) = problem.message.split_once(": ") else { continue };
            if let Some(name) = message.strip_suffix("` is missing").and_then(|rest| rest.strip_prefix('`')) {
                self.required.entry(what.to_owned()).or_default().insert(name.to_owned());
            }
            if message == format!("unknown field `{UNKNOWN}`") {
                let list = problem.suggestion.unwrap();
                let names = list.strip_prefix("expected one of ").unwrap().split(", ").map(str::to_owned);
                self.known.insert(what.to_owned(), names.collect());
            }
        }
    }
}

fn said() -> Said {
    let mut said = Said::default();
    said.of(&and(&format!("{UNKNOWN}: 1\n")));
    said.of(&and(&format!("apiVersion: countersign.dev/v1\nkind: Group\nmetadata: {{{UNKNOWN}: 1}}\nspec: {{}}\n")));
    let environment = |spec: &str| QUICKSTART.replacen("  trustDomain: prod.acme.test\n", spec, 1);
    said.of(&environment(&format!("  {UNKNOWN}: 1\n")));
    said.of(&environment(&format!("  trustDomain: prod.acme.test\n  policy: {{{UNKNOWN}: 1}}\n")));
    for inner in ["staleness: {", "riskFloor: {"] {
        let unknown = format!("{inner}{UNKNOWN}: 1, ");
        said.of(&QUICKSTART.replacen(inner, &unknown, 1));
    }
    let documents = SPECS.iter().enumerate().map(|(index, (kind, spec))| {
        let spec = spec.replace("UNKNOWN", UNKNOWN);
        format!("---\napiVersion: countersign.dev/v1\nkind: {kind}\nmetadata: {{name: z{index}}}\nspec: {spec}\n")
    });
    said.of(&format!("{QUICKSTART}{}", documents.collect::<String>()));
    said
}

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

fn words(value: &Value) -> BTreeSet<String> {
    value.as_array().into_iter().flatten().map(|word| word.as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_mapping_has_the_fields_that_the_loader_reads() {
    let (said, schema) = (said(), schema());
    let mappings = schema["$defs"].as_object().unwrap().iter().filter(|(_, def)| def.get("properties").is_some());
    let (mut known, mut required) = (Fields::new(), Fields::new());
    for (what, def) in mappings {
        assert_eq!(def["additionalProperties"], Value::Bool(false), "{what}");
        known.insert(what.clone(), def["properties"].as_object().unwrap().keys().cloned().collect());
        if let Some(names) = def.get("required") {
            required.insert(what.clone(), words(names));
        }
    }
    assert_eq!(known, said.known);
    assert_eq!(required, said.required);
}

#[test]
fn every_closed_list_is_the_one_of_the_loader() {
    let defs = &schema()["$defs"];
    let all = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    let kinds = PrincipalKind::ALL.iter().filter(|kind| **kind != PrincipalKind::Anonymous);
    assert_eq!(words(&defs["principalKind"]["enum"]), all(kinds.map(|kind| kind.as_str()).collect()));
    assert_eq!(words(&defs["tier"]["enum"]), all(Tier::ALL.iter().map(|tier| tier.as_str()).collect()));
    let risks = &defs["Principal"]["properties"]["risk"]["enum"];
    assert_eq!(words(risks), all(Risk::ALL.iter().map(|risk| risk.as_str()).collect()));
    let algorithms = &defs["oidc"]["properties"]["algorithms"]["items"]["enum"];
    assert_eq!(words(algorithms), all(Algorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect()));
    let kinds = loaded(&QUICKSTART.replacen("kind: Environment", &format!("kind: {UNKNOWN}"), 1)).err().unwrap();
    let listed = kinds[0].suggestion.as_deref().unwrap().strip_prefix("expected one of ").unwrap();
    assert_eq!(words(&defs["document"]["properties"]["kind"]["enum"]), all(listed.split(", ").collect()));
}
