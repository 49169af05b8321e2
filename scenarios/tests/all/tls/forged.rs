//! Certificates as an insider signs them: with the authority's own key, and whatever one likes in them. By `openssl ca`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Identity, epoch_seconds, finish};

/// What a certificate says.
#[derive(Clone)]
pub struct Shape {
    /// Subject alternative names, as openssl writes them.
    pub names: String,
    pub usage: &'static str,
    pub extended: &'static str,
    pub constraints: &'static str,
    /// Any other extension, a line each.
    pub more: &'static str,
    pub subject: &'static str,
    /// `-algorithm`, and one `-pkeyopt`.
    pub key: (&'static str, &'static str),
    pub digest: &'static str,
    /// In seconds from now.
    pub valid: (i64, i64),
}

const CONFIG: &str = "\
[ca]
default_ca = us
[us]
database = index
serial = serial
new_certs_dir = .
unique_subject = no
email_in_dn = no
default_days = 1
policy = any
[any]
organizationName = optional
commonName = optional
";

/// A sound leaf of this id.
pub fn leaf(id: &str) -> Shape {
    Shape {
        names: format!("URI:{id}"),
        usage: "critical,digitalSignature",
        extended: "serverAuth,clientAuth",
        constraints: "critical,CA:FALSE",
        more: "",
        subject: "/O=an insider",
        key: ("EC", "ec_paramgen_curve:P-256"),
        digest: "sha256",
        valid: (-3600, 3600),
    }
}

/// A sound authority below another.
pub fn authority(id: &str) -> Shape {
    Shape {
        usage: "critical,keyCertSign,cRLSign",
        extended: "",
        constraints: "critical,CA:TRUE",
        subject: "/O=an insider/CN=below",
        ..leaf(id)
    }
}

/// Signs with `by`, into `folder`. Without it, the certificate signs itself.
pub fn forge(folder: &Path, name: &str, by: Option<&Identity>, shape: &Shape) -> Identity {
    let place = folder.join(name);
    fs::create_dir_all(&place).expect("a folder");
    let write = |file: &str, text: &str| fs::write(place.join(file), text).expect("it can be written");
    write("ca.cnf", CONFIG);
    write("index", "");
    write("serial", &format!("40{:030x}", epoch_seconds()));
    let lines = [
        ("subjectAltName", shape.names.as_str()),
        ("keyUsage", shape.usage),
        ("extendedKeyUsage", shape.extended),
        ("basicConstraints", shape.constraints),
    ];
    let lines = lines.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name} = {value}\n"));
    write("extensions", &format!("{}{}", lines.collect::<String>(), shape.more));
    let openssl = |args: &[&str]| {
        let mut openssl = Command::new("openssl");
        openssl.current_dir(&place).args(args);
        finish(openssl, b"").ended(0)
    };
    openssl(&["genpkey", "-algorithm", shape.key.0, "-pkeyopt", shape.key.1, "-out", "leaf.key"]);
    openssl(&["req", "-new", "-key", "leaf.key", "-subj", shape.subject, "-out", "request"]);
    let (from, to) = (date(shape.valid.0), date(shape.valid.1));
    let mut args = vec!["ca", "-batch", "-notext", "-config", "ca.cnf", "-in", "request", "-out", "leaf.pem"];
    args.extend(["-extfile", "extensions", "-md", shape.digest, "-startdate", &from, "-enddate", &to]);
    let text = |path: &PathBuf| path.to_str().expect("a plain path").to_owned();
    let signer = by.map(|by| (text(&by.cert), text(&by.key)));
    match &signer {
        Some((cert, key)) => args.extend(["-cert", cert, "-keyfile", key]),
        None => args.extend(["-selfsign", "-keyfile", "leaf.key"]),
    }
    openssl(&args);
    Identity { cert: place.join("leaf.pem"), key: place.join("leaf.key") }
}

/// The certificates of those above a leaf, in one file.
pub fn above(folder: &Path, name: &str, above: &[&Identity]) -> PathBuf {
    let chain = above.iter().map(|identity| fs::read_to_string(&identity.cert).expect("a certificate"));
    let file = folder.join(format!("{name}.pem"));
    fs::write(&file, chain.collect::<String>()).expect("it can be written");
    file
}

/// So many seconds from now, as `openssl ca` reads it.
fn date(seconds: i64) -> String {
    let mut date = Command::new("date");
    date.args(["-u", "-d", &format!("@{}", epoch_seconds() + seconds), "+%Y%m%d%H%M%SZ"]);
    finish(date, b"").ended(0).out.trim().to_owned()
}
