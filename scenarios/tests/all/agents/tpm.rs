//! Nodes that are the machines of their TPMs, with `swtpm` as the TPM and its own maker's certificates.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use serde_json::{Value, json};

use super::own_uid;
use super::registration;
use crate::harness::{Estate, Installation, Sockets, Tpm};

fn source(more: &str) -> String {
    format!("kind: TrustSource\nmetadata: {{name: machines}}\nspec:\n  proves: [Workload]\n  tpm: {{{more}}}")
}

fn attesting(installation: &Installation, sockets: &Sockets, name: &str, tpm: &Tpm) {
    let (device, between) = (tpm.socket(), tpm.path("maker.pem"));
    let means = format!("tpm: {{device: {}, certificates: {}}}", device.display(), between.display());
    installation.attesting(sockets, name, &format!("{{source: machines, {means}}}"));
}

fn agents(installation: &Installation) -> Vec<Value> {
    let listed = installation.cli(&["get", "agents", "--output", "json"]).ended(0).json();
    listed["items"].as_array().expect("a list").clone()
}

fn last_attestation(installation: &Installation) -> Value {
    let records = installation.records("server");
    records.into_iter().rfind(|record| record["operation"] == "attest").expect("an attestation")
}

#[test]
fn a_machine_is_the_node_of_its_tpm_each_time_and_of_what_it_booted() {
    let tpm = Tpm::start();
    let key = tpm.endorsement("rsa");
    let [root, _] = tpm.makers();
    let registered = registration("web", own_uid(), "").replace("node:name:node-1", &format!("tpm:pub_hash:{key}"));
    let estate =
        Estate::empty().document(&source("authorities: {file: tpm.pem}")).file("tpm.pem", &root).document(&registered);
    let mut installation = Installation::serving(&estate);
    let sockets = Sockets::new();
    attesting(&installation, &sockets, "node-1", &tpm);
    installation.start_attested("node-1");
    let [agent] = agents(&installation).try_into().unwrap();
    assert_eq!(agent["id"], json!(format!("spiffe://prod.acme.test/countersign/agent/tpm/machines/{key}")));
    assert_eq!(agent["method"], "tpm");
    let selectors = |agent: &Value| agent["selectors"].as_array().unwrap().clone();
    assert!(selectors(&agent).contains(&json!(format!("tpm:pub_hash:{key}"))), "{agent}");
    let pcrs = |agent: &Value| selectors(agent).into_iter().find(|one| one.as_str().unwrap().starts_with("tpm:pcrs:"));
    let booted = pcrs(&agent).expect("what it booted");
    let record = last_attestation(&installation);
    let presented = &record["presented"][0];
    assert_eq!((&presented["kind"], &presented["binding"]), (&json!("tpm"), &json!("proof")));
    assert_eq!(installation.cli(&["replay", record["id"].as_str().unwrap()]).code, 0);
    // its workload has its SVID by this registration
    sockets.go("node-1", &["x509"]);
    // something else is booted, and the agent's SVID is lost
    assert_eq!(installation.stop("node-1"), 0);
    let extended = format!("7:sha256={}", "11".repeat(32));
    tpm.tool("tpm2_pcrextend", &[&extended]).ended(0);
    fs::remove_dir_all(installation.home("node-1").join("svid")).unwrap();
    installation.start_attested("node-1");
    let [again] = agents(&installation).try_into().unwrap();
    assert_eq!(again["id"], agent["id"]);
    assert_ne!(pcrs(&again).expect("what it booted"), booted);
    // nothing is left in the TPM
    assert_eq!(installation.stop("node-1"), 0);
    assert_eq!(tpm.tool("tpm2_getcap", &["handles-transient"]).ended(0).out.trim(), "");
    assert_eq!(tpm.tool("tpm2_getcap", &["handles-loaded-session"]).ended(0).out.trim(), "");
}

#[test]
fn a_tpm_with_a_key_of_a_curve_is_known_too() {
    let tpm = Tpm::start();
    // the maker's certificate of the RSA key is gone
    tpm.tool("tpm2_nvundefine", &["-C", "p", "0x1c00002"]).ended(0);
    let [root, _] = tpm.makers();
    let estate = Estate::empty().document(&source("authorities: {file: tpm.pem}")).file("tpm.pem", &root);
    let mut installation = Installation::serving(&estate);
    let sockets = Sockets::new();
    attesting(&installation, &sockets, "node-1", &tpm);
    installation.start_attested("node-1");
    let [agent] = agents(&installation).try_into().unwrap();
    // of its certificate, as `openssl` has it
    tpm.tool("tpm2_nvread", &["0x1c00016", "-C", "o", "-o", "cert.der"]).ended(0);
    let pipe = "openssl x509 -inform DER -in cert.der -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 -r";
    let key = tpm.tool("sh", &["-c", pipe]).ended(0).out;
    let key = key.split_whitespace().next().unwrap();
    assert_eq!(agent["id"], json!(format!("spiffe://prod.acme.test/countersign/agent/tpm/machines/{key}")));
}

#[test]
fn a_tpm_of_another_maker_or_of_nobodys_list_is_no_node() {
    let (tpm, other) = (Tpm::start(), Tpm::start());
    let [root, _] = tpm.makers();
    let listed = tpm.endorsement("rsa");
    let both = format!("authorities: {{file: tpm.pem}}, keys: [{listed}]");
    let estate = Estate::empty().document(&source(&both)).file("tpm.pem", &root);
    let mut installation = Installation::serving(&estate);
    let sockets = Sockets::new();
    attesting(&installation, &sockets, "node-1", &tpm);
    installation.start_attested("node-1");
    let refused = |name: &str, code: &str, why: &str| {
        let ended = installation.attempt_attested(name);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.err.contains("control says: who asks is not proved (record "), "{ended:?}");
        let record = last_attestation(&installation);
        assert_eq!(record["verdicts"][0]["code"], code, "{record}");
        assert!(record.to_string().contains(why), "{record}");
    };
    attesting(&installation, &sockets, "node-2", &other);
    refused("node-2", "principal_unknown", "is not among those whose nodes this source vouches for");
    let others = other.endorsement("rsa");
    let estate = Estate::empty()
        .document(&source(&format!("authorities: {{file: tpm.pem}}, keys: [{listed}, {others}]")))
        .file("tpm.pem", &root);
    installation.apply(&estate, &[]).ended(0);
    refused("node-2", "chain_invalid", "the certificate chain does not verify");
    // a list alone is an operator's own word
    let estate = Estate::empty().document(&source(&format!("keys: [{others}]")));
    installation.apply(&estate, &[]).ended(0);
    installation.start_attested("node-2");
    assert!(agents(&installation).iter().any(|agent| agent["id"].as_str().unwrap().ends_with(&others)));
}

#[test]
fn what_is_no_tpm_is_said_so() {
    let estate = Estate::empty().document(&source(&format!("keys: [{}]", "00".repeat(32))));
    let installation = Installation::serving(&estate);
    let sockets = Sockets::new();
    let device = installation.path("no-tpm");
    fs::write(&device, "").unwrap();
    let means = format!("{{source: machines, tpm: {{device: {}}}}}", device.display());
    installation.attesting(&sockets, "node-1", &means);
    let ended = installation.attempt_attested("node-1");
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.err.contains("does not give its certificate: its answer cannot be read"), "{ended:?}");
    fs::remove_file(&device).unwrap();
    let ended = installation.attempt_attested("node-1");
    assert!(ended.err.contains("cannot use the TPM at `"), "{ended:?}");
}

/// Which of two TPMs is to open what is sealed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opens {
    /// The one whose endorsement key is shown.
    Shown,
    Own,
}

/// A TPM that is none: it has the machine's own attestation key, and shows the endorsement key of another machine's TPM. Both hear every
/// command, so that both have keys under the same handles.
fn mixed(folder: &Path, own: &Tpm, shown: &Tpm, opens: Opens) -> PathBuf {
    let socket = folder.join(if opens == Opens::Own { "own.sock" } else { "shown.sock" });
    let listener = UnixListener::bind(&socket).unwrap();
    let [own, shown] = [own, shown].map(|tpm| tpm.socket());
    thread::spawn(move || {
        for agent in listener.incoming() {
            let (Ok(mut agent), Ok(own), Ok(shown)) = (agent, UnixStream::connect(&own), UnixStream::connect(&shown))
            else {
                return;
            };
            let mut tpms = [own, shown];
            while let Some(command) = part(&mut agent) {
                let answers = tpms.each_mut().map(|tpm| {
                    tpm.write_all(&command).unwrap();
                    part(tpm).unwrap()
                });
                let [of_own, of_shown] = answers;
                let code = u32::from_be_bytes(command[6..10].try_into().unwrap());
                // TPM2_CreatePrimary of an RSA key, TPM2_NV_ReadPublic and TPM2_NV_Read; TPM2_ActivateCredential
                let is_shown = match code {
                    0x131 => command[35..37] == [0, 1],
                    0x169 | 0x14e => true,
                    0x147 => opens == Opens::Shown,
                    _ => false,
                };
                if agent.write_all(if is_shown { &of_shown } else { &of_own }).is_err() {
                    return;
                }
            }
        }
    });
    socket
}

/// One command or answer.
fn part(from: &mut UnixStream) -> Option<Vec<u8>> {
    let mut head = [0; 10];
    from.read_exact(&mut head).ok()?;
    let length = usize::try_from(u32::from_be_bytes(head[2..6].try_into().unwrap())).unwrap();
    let mut whole = head.to_vec();
    whole.resize(length, 0);
    from.read_exact(&mut whole[10..]).ok()?;
    Some(whole)
}

#[test]
fn a_machine_that_shows_the_key_of_another_tpm_opens_nothing() {
    let (own, shown) = (Tpm::start(), Tpm::start());
    let [root, _] = shown.makers();
    let estate = Estate::empty().document(&source("authorities: {file: tpm.pem}")).file("tpm.pem", &root);
    let installation = Installation::serving(&estate);
    let sockets = Sockets::new();
    // TPM_RC_INTEGRITY: it was sealed for an attestation key of another name. What the one's key encrypts the other's cannot decrypt
    for (name, opens, code) in [("node-1", Opens::Shown, "0x1df"), ("node-2", Opens::Own, "0x")] {
        let device = mixed(&installation.path(""), &own, &shown, opens);
        let between = shown.path("maker.pem");
        let means = format!("tpm: {{device: {}, certificates: {}}}", device.display(), between.display());
        installation.attesting(&sockets, name, &format!("{{source: machines, {means}}}"));
        let ended = installation.attempt_attested(name);
        assert_eq!(ended.code, 1, "{ended:?}");
        let why = format!("does not open what control sealed: it refuses with code {code}");
        assert!(ended.err.contains(&why), "{ended:?}");
    }
    assert!(agents(&installation).is_empty());
}
