//! The keys that sign SVIDs, over their lives: prepared, active, tainted and revoked, by command and by themselves, at every node and
//! gateway; kept so that a database alone is of no use.

mod commands;
mod nested;
mod nodes;
mod taken_over;
mod token;
mod upstream;

use serde_json::Value;

use crate::harness::{Estate, Installation, Upstream};

/// An installation with one gateway, where authorities live for so long.
fn living(ca: &str, svid: &str) -> (Upstream, Installation) {
    let upstream = Upstream::start();
    let mut installation = Installation::laid_out("production", "prod.acme.test");
    live(&installation, ca, svid);
    installation.start("server");
    installation.apply(&estate(&upstream), &[]).ended(0);
    installation.enrol("edge-1");
    (upstream, installation)
}

fn live(installation: &Installation, ca: &str, svid: &str) {
    let lives = format!("authority: {{caTtl: {ca}, jwtTtl: {ca}, svidTtl: {svid}}}\nstate: state/state.db");
    installation.edit("server.yaml", &[("state: state/state.db", &lives)]);
}

fn estate(upstream: &Upstream) -> Estate {
    let development = "  trustDomain: prod.acme.test\n  development: true\n";
    Estate::ours().upstream(&upstream.url).replacing("  trustDomain: prod.acme.test\n", development)
}

/// Ids of the authorities of X.509-SVIDs in this standing, oldest first.
fn standing(installation: &Installation, standing: &str) -> Vec<String> {
    let shown = installation.cli(&["authority", "show", "--kind", "x509", "--output", "json"]).ended(0).json();
    let items = shown["items"].as_array().expect("items").iter();
    items.filter(|item| item["standing"] == standing).map(|item| text(&item["id"])).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}
