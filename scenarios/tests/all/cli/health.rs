//! `status --verbose` and `doctor`: what they say of a process that is well, and what of one that is not.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Dev, Installation, Ran, golden, until};
use crate::planes::with_gateway;

/// With what differs each time replaced by its name.
fn settled(text: &str, dir: &Path) -> String {
    let dir = fs::canonicalize(dir).expect("it is there");
    let text = text.replace(dir.to_str().expect("a plain path"), "<dir>");
    let word = |word: &str| {
        let bare = word.trim_end_matches([',', ';', '\n']);
        let number = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit());
        let named = match bare {
            _ if number => "<n>",
            _ if bare.starts_with("20") && bare.ends_with('Z') => "<time>",
            _ if bare.starts_with("sha256:") => "<digest>",
            _ => bare,
        };
        format!("{named}{}", &word[bare.len()..])
    };
    text.split_inclusive(' ')
        .map(|part| {
            let space = if part.ends_with(' ') { " " } else { "" };
            let lines: Vec<String> = part.trim_end_matches(' ').split('\n').map(word).collect();
            format!("{}{space}", lines.join("\n"))
        })
        .collect()
}

/// The same of a document: texts and numbers.
fn settled_json(document: &Value, dir: &Path) -> String {
    fn each(value: &mut Value, dir: &Path) {
        match value {
            Value::Number(_) => *value = Value::String("<n>".to_owned()),
            Value::String(text) => *text = settled(text, dir),
            Value::Array(items) => items.iter_mut().for_each(|item| each(item, dir)),
            Value::Object(members) => members.values_mut().for_each(|member| each(member, dir)),
            Value::Null | Value::Bool(_) => {}
        }
    }
    let mut document = document.clone();
    each(&mut document, dir);
    format!("{document:#}\n")
}

fn finding<'a>(ran: &'a Value, topic: &str) -> &'a Value {
    let findings = ran["findings"].as_array().expect("findings");
    findings.iter().rfind(|finding| finding["topic"] == topic).unwrap_or_else(|| panic!("nothing on {topic}: {ran}"))
}

fn doctor(installation: &Installation, name: &str) -> Ran {
    installation.cli_at(name, &["doctor", "--output", "json"])
}

#[test]
fn a_dev_that_is_well_says_so() {
    let dev = Dev::start();
    let dir = dev.dir();
    golden("cli/status-verbose.txt", &settled(&dev.cli(&["status", "--verbose"]).ended(0).out, &dir));
    let json = dev.cli(&["status", "--verbose", "--output", "json"]).ended(0).json();
    golden("cli/status-verbose.json", &settled_json(&json, &dir));
    let at = ["doctor", "--dir", dir.to_str().expect("a plain path")];
    golden("cli/doctor.txt", &settled(&dev.cli(&at).ended(0).out, &dir));
    let json = dev.cli(&[&at[..], &["--output", "json"]].concat()).ended(0).json();
    golden("cli/doctor.json", &settled_json(&json, &dir));
}

#[test]
fn where_a_setting_came_from_is_told() {
    let dev = Dev::start();
    let from = |args: &[&str], variables: &[(&str, &str)]| -> Vec<String> {
        let mut verb = crate::harness::command(
            &crate::harness::binary(),
            &[args, &["status", "--verbose", "--output", "json"]].concat(),
        );
        verb.envs(variables.iter().copied());
        let told = crate::harness::finish(verb, b"").ended(0).json();
        let settings = told["settings"].as_array().expect("settings").clone();
        settings.iter().map(|setting| setting["from"].as_str().expect("a text").to_owned()).collect()
    };
    let dir = dev.dir();
    let (dir, file) = (dir.to_str().expect("a plain path"), dir.join("dev.json").display().to_string());
    assert_eq!(from(&["--dir", dir], &[]), [&*file, "--dir", "--output"]);
    assert_eq!(from(&[], &[("COUNTERSIGN_DIR", dir)]), [&*file, "COUNTERSIGN_DIR", "--output"]);
    assert_eq!(
        from(&["--server", dev.control()], &[("COUNTERSIGN_SERVER", "unix:/none")]),
        ["--server", "default", "--output"]
    );
    assert_eq!(from(&[], &[("COUNTERSIGN_SERVER", dev.control())]), ["COUNTERSIGN_SERVER", "default", "--output"]);
}

#[test]
fn keys_that_others_can_use_a_cut_chain_and_a_killed_process_are_found() {
    let mut dev = Dev::start();
    let dir = dev.dir();
    let ask = |dev: &Dev| dev.cli(&["doctor", "--dir", dir.to_str().expect("a plain path"), "--output", "json"]);
    fs::set_permissions(dir.join("ledger/lock"), Permissions::from_mode(0o644)).unwrap();
    let ran = ask(&dev).ended(0).json();
    assert_eq!((&ran["ok"], &finding(&ran, "files")["level"]), (&true.into(), &"warning".into()));
    fs::set_permissions(dir.join("keys/checkpoint.key"), Permissions::from_mode(0o640)).unwrap();
    let ran = ask(&dev).ended(1).json();
    let files = finding(&ran, "files");
    assert!(
        files["what"]
            .as_str()
            .unwrap()
            .ends_with("keys/checkpoint.key` can be used by others than its owner (mode 640)"),
        "{files}"
    );
    assert!(files["advice"].as_str().unwrap().starts_with("chmod 600 "), "{files}");
    fs::set_permissions(dir.join("keys/checkpoint.key"), Permissions::from_mode(0o600)).unwrap();
    dev.kill9();
    let ran = ask(&dev).ended(0).json();
    assert!(finding(&ran, "process")["what"].as_str().unwrap().contains("was killed here"), "{ran}");
    let writer = fs::read_to_string(dir.join("ledger/current")).unwrap();
    let segment = dir.join("ledger").join(writer.trim()).join(format!("{:020}.seg", 1));
    let mut bytes = fs::read(&segment).unwrap();
    bytes[40] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let ran = ask(&dev).ended(1).json();
    assert_eq!(finding(&ran, "ledger")["level"], "problem", "{ran}");
}

#[test]
fn a_gateway_that_is_silent_or_has_no_control_is_found() {
    let (_upstream, mut installation) = with_gateway("{routine: 1h, sensitive: 3s, critical: 2s}");
    until("a gateway that is current", || {
        let planes = installation.cli(&["get", "planes"]).ended(0).out;
        planes.contains("gateway/edge-1  spiffe://prod.acme.test/countersign/gateway/edge-1  current").then_some(())
    });
    let ran = doctor(&installation, "server").ended(0).json();
    assert_eq!(finding(&ran, "planes")["what"], "gateway/edge-1 decides by what is in force");
    let status = installation.cli(&["status", "--verbose"]).ended(0).out;
    assert!(status.contains("plane         gateway/edge-1  current, epoch 1.1, heard 20"), "{status}");
    until("a gateway that is well", || (doctor(&installation, "edge-1").code == 0).then_some(()));
    installation.cli(&["revoke", "principal", "spiffe://prod.acme.test/countersign/gateway/edge-1"]).ended(0);
    let ran = doctor(&installation, "server").ended(0).json();
    assert_eq!(finding(&ran, "planes")["what"], "gateway/edge-1 is revoked, and hears nothing more");
    installation.stop("server");
    let ran =
        until("an age beyond a tier", || Some(doctor(&installation, "edge-1")).filter(|ran| ran.code == 1)).json();
    let age = finding(&ran, "age")["what"].as_str().unwrap();
    assert!(age.starts_with("control was last heard") && age.contains("critical"), "{age}");
    let ran = doctor(&installation, "server").ended(0).json();
    assert_eq!(finding(&ran, "process")["what"], "nothing runs here");
    assert!(finding(&ran, "ports")["what"].as_str().unwrap().ends_with("is free"), "{ran}");
}
