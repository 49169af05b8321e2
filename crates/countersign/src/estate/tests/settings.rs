//! `server.yaml`: who operates an installation from elsewhere, what no settings may say of them, and how long authorities live.

use std::fs;

use issuer::{OwnCertificate, pem};
use model::OperatorName;
use rcgen::{BasicConstraints, IsCa};
use tempfile::TempDir;
use testkit::{key, operators_certificate, uri};

use super::now;
use crate::estate::{BadSettings, ServerSettings, UpstreamSettings, server_settings};

const SETTINGS: &str = "environment: production
trustDomain: prod.acme.test
listen: {planes: 127.0.0.1:0, admin: 127.0.0.1:0}
names: [localhost]
operators:
";

/// Settings with these operators, beside certificates of all sorts.
fn read(operators: &str) -> Result<ServerSettings, String> {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let certificate = |name: &str, der: &[u8]| write(name, &pem::encode("CERTIFICATE", der));
    let sound = |name: &str| operators_certificate(&key(), name, now(), |_| {});
    certificate("admin.pem", &sound("admin"));
    certificate("ada.pem", &sound("admin"));
    let authority = |params: &mut rcgen::CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    certificate("authority.pem", &operators_certificate(&key(), "admin", now(), authority));
    let named = |params: &mut rcgen::CertificateParams| {
        params.subject_alt_names = vec![uri("spiffe://prod.acme.test/countersign/server")];
    };
    certificate("service.pem", &operators_certificate(&key(), "admin", now(), named));
    write("two.pem", &pem::encode("CERTIFICATE", &sound("admin")).repeat(2));
    write("server.yaml", &format!("{SETTINGS}{operators}"));
    server_settings(&folder.path().join("server.yaml")).map_err(|bad| {
        let BadSettings::Problems(problems) = bad else { panic!("another cause") };
        let root = folder.path().canonicalize().unwrap();
        let text = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        text.replace(&format!("{}/", root.display()), "")
    })
}

#[track_caller]
fn assert_refused(operators: &str, expected: &str) {
    assert_eq!(read(operators).unwrap_err(), expected);
}

#[test]
fn operators_are_a_name_and_a_certificate_each() {
    let two = "  - {name: admin, certificate: admin.pem}\n  - {name: ada, certificate: ada.pem}\n";
    assert_ne!(read(two).unwrap().operators, read("  - {name: admin, certificate: admin.pem}\n").unwrap().operators);
    assert_eq!(read("  []\n").unwrap().operators, credential::Operators::default());
}

#[test]
fn what_init_makes_is_taken() {
    let name: OperatorName = "admin".parse().unwrap();
    let life = std::time::Duration::from_secs(3600);
    let made = OwnCertificate::make(&name, [0xff; 16], now(), life).unwrap();
    let mut operators = credential::Operators::default();
    operators.pin(name, &made.certificate).unwrap();
}

#[test]
fn what_is_no_operators_certificate_is_refused_at_its_place() {
    assert_refused(
        "  - {name: admin, certificate: service.pem}\n",
        "server.yaml:6:5: it is no operator's certificate: it has a URI name, as no operator's certificate may: an operator is no service and has no SPIFFE ID",
    );
    assert_refused(
        "  - {name: admin, certificate: authority.pem}\n",
        "server.yaml:6:5: it is no operator's certificate: it is a CA",
    );
    assert_refused(
        "  - {name: admin, certificate: two.pem}\n",
        "server.yaml:6:32: `two.pem`: expected one PEM block `CERTIFICATE`",
    );
    assert_refused(
        "  - {name: admin, certificate: server.yaml}\n",
        "server.yaml:6:32: `server.yaml`: expected one PEM block `CERTIFICATE`",
    );
    assert_refused(
        "  - {name: admin, certificate: absent.pem}\n",
        "server.yaml:6:32: cannot read `absent.pem`: No such file or directory (os error 2)",
    );
}

#[test]
fn two_operators_share_neither_name_nor_certificate() {
    assert_refused(
        "  - {name: admin, certificate: admin.pem}\n  - {name: ada, certificate: admin.pem}\n",
        "server.yaml:7:5: its key is that of operator `admin`, and a key is one person's",
    );
    assert_refused(
        "  - {name: admin, certificate: admin.pem}\n  - {name: admin, certificate: ada.pem}\n",
        "server.yaml:7:5: operator `admin` has another certificate already",
    );
}

#[test]
fn operators_are_named_plainly() {
    assert_refused(
        "  - {name: Ada L, certificate: ada.pem}\n",
        "server.yaml:6:12: `Ada L`: expected lower-case letters, digits, `-` and `.`, starting and ending with a letter or digit",
    );
    assert_refused("  - {name: ada}\n", "server.yaml:6:5: operator: `certificate` is missing");
}

#[test]
fn authorities_live_as_long_as_is_said_and_cut_no_svid_short() {
    let read = |lives: &str| read(&format!("  []\n{lives}"));
    let seconds = |text: &str| {
        let lives = read(text).unwrap().lives;
        [lives.x509, lives.jwt, lives.svid].map(|life| life.as_secs())
    };
    assert_eq!(seconds(""), [86_400, 86_400, 3600]);
    assert_eq!(seconds("authority: {caTtl: 7d, jwtTtl: 12h, svidTtl: 1d}\n"), [604_800, 43_200, 86_400]);
    assert_eq!(seconds("authority: {caTtl: 1m}\n"), [60, 86_400, 10], "an SVID is no longer than fits");
    let refused = |text: &str| read(text).unwrap_err();
    assert_eq!(
        refused("authority: {caTtl: 24h, svidTtl: 5h}\n"),
        "server.yaml:7:12: authority: `svidTtl` is from 1s to a sixth of `caTtl`, which would cut it short"
    );
    assert_eq!(
        refused("authority: {jwtTtl: 1s}\n"),
        "server.yaml:7:12: authority: `caTtl` and `jwtTtl` are from 30s to 365d"
    );
    assert_eq!(read("").unwrap().token, None);
    let token = "signer: {pkcs11: {module: /usr/lib/m.so, tokenLabel: ca, pinFile: pin}}\n";
    assert_eq!(read(token).unwrap().token.unwrap().label, "ca");
    assert_eq!(
        refused("signer: {pkcs11: {module: m, tokenLabel: ca}}\n"),
        "server.yaml:7:18: pkcs11: `pinFile` is missing"
    );
}

#[test]
fn what_is_incubating_is_off_unless_it_is_named() {
    let wit = |text: &str| read(&format!("  []\n{text}")).map(|settings| settings.lives.wit.map(|life| life.as_secs()));
    assert_eq!(wit("").unwrap(), None);
    assert_eq!(wit("incubating: [wit]\nauthority: {jwtTtl: 12h}\n").unwrap(), Some(43_200));
    assert_eq!(wit("incubating: [WIT]\n").unwrap_err(), "server.yaml:7:14: `WIT`: expected `wit`");
    assert_eq!(wit("incubating: []\n").unwrap_err(), "server.yaml:7:13: expected at least one");
}

#[test]
fn the_bundle_endpoint_has_a_place_and_a_server_that_is_known() {
    let served = |bundle: &str| read(&format!("  []\n{bundle}")).map(|settings| settings.bundle);
    assert_eq!(served(""), Ok(None));
    for (bundle, words) in [
        (
            "bundle: {profile: https_spiffe}\n",
            "server.yaml:7:9: server: `listen.bundle` says where, and `bundle` how its server is known: expected both",
        ),
        ("bundle: {profile: https_web, cert: a.pem}\n", "bundle: `https_web` needs `cert` and `key`"),
        (
            "bundle: {profile: https_spiffe, cert: a.pem}\n",
            "bundle: a server of `https_spiffe` is known by its SVID: `cert` and `key` are for `https_web`",
        ),
        ("bundle: {profile: https}\n", "`https` is no profile: expected `https_web` or `https_spiffe`"),
        ("bundle: {}\n", "bundle: `profile` is missing"),
    ] {
        let refused = served(bundle).unwrap_err();
        assert!(refused.contains(words), "{refused}");
    }
}

#[test]
fn an_outer_authority_is_on_disk_in_openbao_or_a_control_plane() {
    let at_all = |line: &str| read(&format!("  []\n{line}\n"));
    let read = |upstream: &str| read(&format!("  []\nupstream: {upstream}\n"));
    let refused = |upstream: &str, expected: &str| assert_eq!(read(upstream).unwrap_err(), expected);
    let disk = read("{disk: {certificate: c.pem, key: c.key, bundle: root.pem}}").unwrap().upstream.unwrap();
    assert!(matches!(disk, UpstreamSettings::Disk(disk) if disk.bundle.ends_with("root.pem")));
    let bao = read("{openbao: {url: https://bao.acme.test, tokenFile: token, bundle: root.pem}}").unwrap();
    let UpstreamSettings::OpenBao(bao) = bao.upstream.unwrap() else { panic!("another kind") };
    assert_eq!((bao.mount.as_str(), bao.ca), ("pki", None));
    refused("{}", "server.yaml:7:11: upstream: expected one of `disk`, `openbao` and `spiffe`");
    let outer =
        read("{spiffe: {socket: outer.sock, servers: [https://outer:8444], id: spiffe://prod.acme.test/inner}}");
    let UpstreamSettings::Spiffe(outer) = outer.unwrap().upstream.unwrap() else { panic!("another kind") };
    assert!(outer.socket.ends_with("outer.sock") && outer.id.unwrap().path() == "/inner");
    refused("{spiffe: {socket: outer.sock}}", "server.yaml:7:20: spiffe: `servers` is missing");
    let below = |below: &str| at_all(&format!("authority: {{below: {below}}}"));
    assert_eq!(below("1").unwrap().lives.below, 1);
    assert!(below("5").unwrap_err().contains("authority: at most 4 control planes stand `below`, one under the other"));
    refused("{disk: {certificate: c.pem, key: c.key}}", "server.yaml:7:18: disk: `bundle` is missing");
    refused(
        "{openbao: {url: http://bao.acme.test, tokenFile: t, bundle: r}}",
        "server.yaml:7:21: openbao: `http://bao.acme.test`: expected `https://`",
    );
    refused(
        "{openbao: {url: https://bao.acme.test, mount: ../sys, tokenFile: t, bundle: r}}",
        "server.yaml:7:21: openbao: `mount` is names of letters, digits, `-` and `_` between slashes",
    );
}

#[test]
fn a_cluster_has_one_api_server_that_can_be_reached() {
    let read = |clusters: &str| read(&format!("  []\nclusters:\n{clusters}"));
    let sound = "  - {source: prod-eu, server: \"https://10.0.0.1:6443/\", ca: a.pem, tokenFile: a.token}\n";
    let found = read(sound).unwrap().clusters;
    assert_eq!((found[0].server.as_str(), found[0].source.as_str()), ("https://10.0.0.1:6443", "prod-eu"));
    for (clusters, expected) in [
        (sound.repeat(2), "server.yaml:9:5: clusters: source `prod-eu` has an API server already"),
        (sound.replace("https", "http"), "server.yaml:8:5: clusters: `http://10.0.0.1:6443`: expected `https://`"),
        (
            sound.replace("10.0.0.1", "169.254.169.254"),
            "server.yaml:8:5: clusters: `https://169.254.169.254:6443`: 169.254.169.254 is a link-local address, from which nothing is fetched",
        ),
        (sound.replace("6443/", "6443/?a=b"), "server.yaml:8:5: clusters: `server` is a URL without a query"),
    ] {
        assert_eq!(read(&clusters).unwrap_err(), expected);
    }
}
