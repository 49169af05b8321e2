//! The text of a first estate. Everything that comes from outside is written as a quoted scalar, so that no value can change
//! the structure.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

use model::ResourceId;

use super::OwnApi;
use super::discovery::Keys;
use crate::estate::{Ask, Outline, Outlined};

/// The root of the resources that are named after paths.
const ROOT: &str = "api";

/// What a first estate is made of.
pub(super) struct Starter<'a> {
    pub own: &'a OwnApi,
    pub keys: &'a Keys,
    pub outline: &'a Outline,
    /// The described API, as a file of the estate.
    pub file: &'a str,
    /// Where callers reach the gateway.
    pub gateway: IpAddr,
}

impl Starter<'_> {
    pub(super) fn estate(&self) -> String {
        let plain_http = match self.keys.url.starts_with("http://") {
            true => {
                "\n    dangerouslyAllowLoopbackHttp: true       # fetches keys by plain HTTP, from this machine alone"
            }
            false => "",
        };
        let mut text = format!(
            r#"# A first estate for your own API. It proves callers by your issuer, and permits nothing until a policy says so.
# Change it, and put it in force with `countersign apply -f` on this directory; `dev --watch` applies what you save.
apiVersion: countersign.dev/v1
kind: Environment
metadata: {{name: development}}
spec: {{trustDomain: dev.test, development: true}}
---
apiVersion: countersign.dev/v1
kind: TrustSource
metadata: {{name: idp}}
spec:
  proves: [Human]                            # whose tokens these are: Human, or Workload, Job, Agent, Partner
  oidc:
    issuer: {issuer}
    jwks: {{url: {keys}}}
    audiences: [{audience}]
    algorithms: [{algorithms}]
    maxAge: 1h{plain_http}
  identityKey: [sub]
---
apiVersion: countersign.dev/v1
kind: PrincipalClass                         # whoever the issuer names is proved, and may nothing yet
metadata: {{name: people}}
spec: {{source: idp, kind: Human, id: "human:idp:{{sub}}", owner: {ROOT}-team, purpose: first steps}}
# Are these the tokens of machines? Then write `proves: [Workload]` above, take the class out, and bind each by its `sub`:
# ---
# apiVersion: countersign.dev/v1
# kind: Principal
# metadata: {{name: my-service}}
# spec:
#   kind: Workload
#   id: spiffe://dev.test/my-service
#   owner: {ROOT}-team
#   purpose: what it is for
#   bindings: [{{source: idp, key: ["the token's sub"]}}]
---
apiVersion: countersign.dev/v1
kind: ResourceTree                           # named after the paths, as a beginning: name what you protect
metadata: {{name: {ROOT}}}
spec:
  owner: {ROOT}-team
  resources:
"#,
            issuer = quoted(&self.own.issuer),
            keys = quoted(&self.keys.url),
            audience = quoted(&self.own.audience),
            algorithms = self.keys.algorithms.join(", "),
        );
        for id in self.resources() {
            let below = match id.contains('/') {
                true => "{}",
                false => "{tiers: {read: routine, write: routine, administer: critical, effect: critical}}",
            };
            let _ = writeln!(text, "    {}: {below}", quoted(&id));
        }
        self.service(&mut text);
        text
    }

    fn service(&self, text: &mut String) {
        let hosts: BTreeSet<String> = [self.gateway.to_string(), "localhost".to_owned()].into();
        let hosts: Vec<String> = hosts.iter().map(|host| quoted(host)).collect();
        let _ = write!(
            text,
            r#"---
apiVersion: countersign.dev/v1
kind: Service
metadata: {{name: {ROOT}}}
spec:
  hosts: [{hosts}]
  upstream: {{url: {upstream}}}
  openapi:
    file: {file}
{base}"#,
            hosts = hosts.join(", "),
            upstream = quoted(&self.own.upstream),
            file = self.file,
            base = noted(
                &format!("    basePath: {}", quoted(&self.outline.base)),
                "what callers ask with before every path of the file"
            ),
        );
        if self.left_out().next().is_some() {
            text.push_str(&noted("    unmapped: refuse", "these, whose paths no route can say:"));
            for operation in self.left_out() {
                let _ = writeln!(text, "    #   {}", operation.text.escape_debug());
            }
        }
        text.push_str(&self.list("    mapping:", "by method, as a beginning: say what each one asks", &Ask::Open));
        text.push_str(&self.list(
            "  http:",
            "these take requests of those too: a brace is a whole segment",
            &Ask::Shared,
        ));
    }

    /// A field with the operations of which the file says no more than `ask`; nothing if there are none.
    fn list(&self, field: &str, why: &str, ask: &Ask) -> String {
        let operations = self.outline.operations.iter().filter(|operation| operation.ask == *ask);
        let entries = operations.map(|operation| {
            let (action, resource) = (action(&operation.method), resource(&operation.path));
            format!("      - {{match: {}, action: {action}, resource: {resource}}}\n", quoted(&operation.text))
        });
        let entries: String = entries.collect();
        if entries.is_empty() { entries } else { noted(field, why) + &entries }
    }

    pub(super) fn policies(&self) -> String {
        let root = self.resources().into_iter().next().unwrap_or_else(|| ROOT.to_owned());
        format!(
            r#"// Nothing is permitted until a policy permits it. Take the slashes away from one of these, and make it yours.
//
// @id("people-read") @owner("{ROOT}-team") @purpose("first steps")
// permit (principal is Human, action in Action::"read", resource in Resource::"{root}");
//
// @id("one-person-writes") @owner("{ROOT}-team") @purpose("first steps")
// permit (principal == Human::"human:idp:the token's sub", action in Action::"write", resource in Resource::"{root}");
"#
        )
    }

    /// A request to try: the first operation that only reads.
    pub(super) fn target(&self) -> String {
        let said = |operation: &&Outlined| operation.method == "GET" && operation.ask != Ask::NoRoute;
        let Some(operation) = self.outline.operations.iter().find(said) else { return "/".to_owned() };
        let path = operation.text.trim_start_matches("GET ");
        let segment = |segment: &str| if segment.starts_with('{') { "1".to_owned() } else { segment.to_owned() };
        path.split('/').map(segment).collect::<Vec<_>>().join("/")
    }

    /// Operations that no route can say.
    pub(super) fn left_out(&self) -> impl Iterator<Item = &Outlined> {
        self.outline.operations.iter().filter(|operation| operation.ask == Ask::NoRoute)
    }

    /// Every resource that an operation asks for, and what is above it.
    fn resources(&self) -> BTreeSet<String> {
        let asked = self.outline.operations.iter().filter_map(|operation| match &operation.ask {
            Ask::Said { resource } => resource.clone(),
            Ask::Open | Ask::Shared => Some(resource(&operation.path)),
            Ask::NoRoute => None,
        });
        let ids = asked.filter_map(|text| text.parse::<ResourceId>().ok());
        let mut all: BTreeSet<String> =
            ids.flat_map(|id| id.and_ancestors().collect::<Vec<_>>()).map(|id| id.to_string()).collect();
        if all.is_empty() {
            all.insert(ROOT.to_owned());
        }
        all
    }
}

/// What a method asks, as a beginning.
fn action(method: &str) -> &'static str {
    match method {
        "GET" | "HEAD" | "OPTIONS" => "read",
        _ => "write",
    }
}

/// The literal segments of a path, below the root.
fn resource(path: &str) -> String {
    let literal = path.split('/').filter(|segment| !segment.is_empty() && !segment.starts_with('{'));
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '-' };
    let segments = literal.map(|segment| segment.chars().map(plain).collect::<String>());
    std::iter::once(ROOT.to_owned()).chain(segments).collect::<Vec<_>>().join("/")
}

/// A line, and why it stands there.
fn noted(line: &str, why: &str) -> String {
    format!("{line:<45}# {why}\n")
}

/// A double-quoted scalar: what JSON writes, YAML reads.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
