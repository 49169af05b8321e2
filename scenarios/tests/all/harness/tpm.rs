//! A TPM: `swtpm`, made by a maker of the test's own, and `tpm2-tools` as who else uses it.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use std::fs;
use tempfile::TempDir;

use super::process::{command, end};
use super::{Ran, finish, folder, until};

/// A running TPM; ended when dropped.
pub struct Tpm {
    folder: TempDir,
    child: Child,
}

impl Tpm {
    /// With a certificate of each of its endorsement keys.
    pub fn start() -> Self {
        let folder = folder();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let maker = format!(
            "statedir = {}\nsigningkey = {}\nissuercert = {}\ncertserial = {}\n",
            path(""),
            path("maker.key"),
            path("maker.pem"),
            path("serial")
        );
        fs::write(path("maker.conf"), maker).unwrap();
        let setup = format!(
            "create_certs_tool = /usr/bin/swtpm_localca\ncreate_certs_tool_config = {}\n\
             create_certs_tool_options = /etc/swtpm-localca.options\n",
            path("maker.conf")
        );
        fs::write(path("setup.conf"), setup).unwrap();
        fs::create_dir(path("state")).unwrap();
        let words = ["--tpm2", "--tpmstate", &path("state"), "--config", &path("setup.conf"), "--create-ek-cert"];
        finish(command(Path::new("swtpm_setup"), &words), b"").ended(0);
        let (socket, control) = (path("tpm.sock"), path("tpm.sock.ctrl"));
        let mut swtpm = command(Path::new("swtpm"), &["socket", "--tpm2", "--flags", "not-need-init,startup-clear"]);
        swtpm.args(["--tpmstate", &format!("dir={}", path("state"))]);
        swtpm.args([
            "--server",
            &format!("type=unixio,path={socket}"),
            "--ctrl",
            &format!("type=unixio,path={control}"),
        ]);
        let child =
            swtpm.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("swtpm starts");
        until("a TPM", || Path::new(&control).exists().then_some(()));
        Self { folder, child }
    }

    pub fn socket(&self) -> PathBuf {
        self.path("tpm.sock")
    }

    /// The root of its maker, and the authority below it by which its certificates are.
    pub fn makers(&self) -> [String; 2] {
        ["swtpm-localca-rootca-cert.pem", "maker.pem"].map(|name| fs::read_to_string(self.path(name)).unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// One of `tpm2-tools`.
    pub fn tool(&self, name: &str, args: &[&str]) -> Ran {
        let mut tool = command(Path::new(name), args);
        tool.current_dir(self.folder.path()).env("TPM2TOOLS_TCTI", format!("swtpm:path={}", self.socket().display()));
        finish(tool, b"")
    }

    /// SHA-256 of the endorsement key, as `tpm2-tools` and `openssl` have it: of an algorithm of `tpm2_createek`.
    pub fn endorsement(&self, algorithm: &str) -> String {
        self.tool("tpm2_createek", &["-G", algorithm, "-u", "ek.pem", "-f", "pem", "-c", "ek.ctx"]).ended(0);
        self.tool("tpm2_flushcontext", &["-t"]).ended(0);
        let mut openssl =
            command(Path::new("openssl"), &["pkey", "-pubin", "-in", "ek.pem", "-outform", "DER", "-out", "ek.der"]);
        openssl.current_dir(self.folder.path());
        finish(openssl, b"").ended(0);
        let mut openssl = command(Path::new("openssl"), &["dgst", "-sha256", "-r", "ek.der"]);
        openssl.current_dir(self.folder.path());
        let out = finish(openssl, b"").ended(0).out;
        out.split_whitespace().next().expect("a digest").to_owned()
    }
}

impl Drop for Tpm {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}
