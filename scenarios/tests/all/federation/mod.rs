//! Two installations of different trust domains, whose workloads know each other as long as both say so.

mod keeping;
mod profiles;
mod watching;

use std::fs;
use std::time::Duration;

use crate::agents::{own_uid, registration};
use crate::harness::{Estate, Installation, Sockets, call, issue, until, until_within};

/// One of the two: its installation, with a node that has joined.
struct World {
    domain: &'static str,
    installation: Installation,
    sockets: Sockets,
}

impl World {
    /// Its bundle is served as these settings say, under files of this installation's own.
    fn serving(domain: &'static str, bundle: &str) -> Self {
        let mut installation = Installation::laid_out("production", domain);
        fs::create_dir(installation.path("web")).expect("a folder");
        issue(&installation.path("web"));
        installation
            .edit("server.yaml", &[("listen:\n", &format!("bundle: {bundle}\nlisten:\n  bundle: 127.0.0.1:0\n"))]);
        installation.start_with("server", &[("COUNTERSIGN_LOG", "info")]);
        let world = Self { domain, installation, sockets: Sockets::new() };
        world.apply("");
        world
    }

    /// Has a node that joins.
    fn joined(mut self) -> Self {
        self.installation.join(&self.sockets, "node-1");
        self
    }

    /// The workload of this test, which federates with the other world, and these documents.
    fn estate(&self, documents: &str) -> Estate {
        let web = registration("web", own_uid(), "").replace(ACME, self.domain);
        let estate = Estate::empty().document(&format!("{web}  federatesWith: [{}]", self.other()));
        let estate = estate.replacing("trustDomain: prod.acme.test", &format!("trustDomain: {}", self.domain));
        if documents.is_empty() { estate } else { estate.document(documents) }
    }

    fn other(&self) -> &'static str {
        if self.domain == ACME { PARTNER } else { ACME }
    }

    fn apply(&self, documents: &str) {
        self.installation.apply(&self.estate(documents), &[]).ended(0);
    }

    fn id(&self) -> String {
        format!("spiffe://{}/web", self.domain)
    }

    fn endpoint(&self) -> String {
        self.installation.word("server", "/bundle").replace("127.0.0.1", "localhost") + "/"
    }

    /// The bundle as it is published now.
    fn bundle(&self) -> String {
        let admin = self.installation.word("server", "/admin");
        let body = call(admin.trim_start_matches("http://"), "GET", "/bundle", None, &[]).body;
        String::from_utf8(body).expect("text")
    }

    /// What its workload is given.
    fn given(&self) -> String {
        self.sockets.go("node-1", &["x509"]).out
    }

    fn until_trusting(&self, other: &str) {
        let trusting = until_within(PATIENCE, || self.given().contains(&format!("bundle {other} ")).then_some(()));
        assert!(trusting.is_some(), "{}\n{}", self.given(), self.installation.log("server"));
    }

    fn until_trusting_no(&self, other: &str) {
        until("no bundle", || {
            let given = self.given();
            (given.contains("svid ") && !given.contains(&format!("bundle {other} "))).then_some(())
        });
    }

    /// Under which the name of its server is believed.
    fn web_root(&self) -> String {
        fs::read_to_string(self.installation.path("web/ca.pem")).expect("roots")
    }
}

/// How long a bundle may be on its way.
const PATIENCE: Duration = Duration::from_secs(20);
const ACME: &str = "prod.acme.test";
const PARTNER: &str = "partner.test";

/// A federation by name.
fn web(with: &str, url: &str) -> String {
    format!(
        "kind: Federation\nmetadata: {{name: other}}\nspec:\n  trustDomain: {with}\n  refresh: 1s\n  endpoint:\n    \
         url: {url}\n    profile: https_web\n    ca: keys/web-ca.pem\n    dangerouslyAllowPrivateAddresses: true\n"
    )
}

/// A federation by SVID.
fn spiffe(with: &str, url: &str, id: &str) -> String {
    format!(
        "kind: Federation\nmetadata: {{name: other}}\nspec:\n  trustDomain: {with}\n  refresh: 1s\n  bootstrap: {{file: keys/other.json}}\n  \
         endpoint:\n    url: {url}\n    profile: https_spiffe\n    spiffeId: {id}\n    dangerouslyAllowPrivateAddresses: true\n"
    )
}
