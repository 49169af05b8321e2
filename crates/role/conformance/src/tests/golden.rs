//! What is printed, as it was promised: of a server with one fault. `UPDATE=1` writes it anew.

use std::fs;
use std::path::Path;

use testkit::workload_api::{Fault, WorkloadApi};

use super::options;
use crate::run;

fn golden(name: &str, text: &str, replaced: &[(&str, &str)]) {
    let text = replaced.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&path).unwrap(), "differs from {}; UPDATE=1 writes it anew", path.display());
}

#[tokio::test]
async fn reports_are_as_promised() {
    let server = WorkloadApi::with(Fault::OnlyServerAuth).await;
    let options = options(&server);
    let report = run(&options).await.unwrap();
    let (socket, url) = (options.socket.display().to_string(), server.bundle_url());
    let replaced = [(socket.as_str(), "/run/api.sock"), (url.as_str(), "http://127.0.0.1:8080/bundle")];
    golden("report.txt", &report.text(), &replaced);
    golden("report.json", &sizes(&format!("{:#}\n", report.json())), &replaced);
    golden("report.xml", &report.junit(), &replaced);
}

/// How long a document is differs with the length of its signatures.
fn sizes(text: &str) -> String {
    let lines = text.lines().map(|line| match line.split_once(" bytes of JSON") {
        Some((before, after)) => {
            let start = before.trim_end_matches(|letter: char| letter.is_ascii_digit());
            format!("{start}<n> bytes of JSON{after}")
        }
        None => line.to_owned(),
    });
    lines.map(|line| line + "\n").collect()
}
