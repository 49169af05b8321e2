//! A server with a certificate of a name, under an authority of the test's own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use super::{command, end, finish};

/// `openssl s_server`, which serves files as they are.
pub struct FileServer {
    child: Child,
    folder: PathBuf,
    pub port: String,
}

impl FileServer {
    /// Under a new authority, `ca.pem` in `folder`.
    pub fn start(folder: &Path) -> Self {
        issue(folder);
        let words = ["s_server", "-accept", "127.0.0.1:0", "-cert", "leaf.pem", "-key", "leaf.key", "-HTTP"];
        let mut openssl = command(Path::new("openssl"), &words);
        openssl.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = openssl.spawn().expect("openssl starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let accepts = lines.find_map(|line| line.ok()?.strip_prefix("ACCEPT ").map(str::to_owned));
        // what it says of each connection has to be read
        std::thread::spawn(move || lines.for_each(drop));
        let port = accepts.and_then(|place| place.rsplit_once(':').map(|(_, port)| port.to_owned()));
        Self { child, folder: folder.to_owned(), port: port.expect("its place") }
    }

    /// What it answers from now on where it is asked for `name`.
    pub fn says(&self, name: &str, body: &str) {
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        // whole or not at all: it may be asked at any moment
        fs::write(self.folder.join("new"), answer).expect("it can be written");
        fs::rename(self.folder.join("new"), self.folder.join(name)).expect("it can be moved");
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn openssl(folder: &Path, words: &str) {
    let words: Vec<&str> = words.split(' ').collect();
    let mut openssl = command(Path::new("openssl"), &words);
    openssl.current_dir(folder);
    finish(openssl, b"").ended(0);
}

/// An authority, and a certificate for `localhost` under it.
pub fn issue(folder: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(folder, &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=issuer-ca"));
    openssl(folder, &format!("req {key} -keyout leaf.key -out leaf.csr -subj /CN=issuer"));
    fs::write(folder.join("ext"), "subjectAltName=DNS:localhost\n").expect("it can be written");
    let words = "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out leaf.pem";
    openssl(folder, words);
}
