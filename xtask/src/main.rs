//! `cargo run -p xtask -- tidy`: scans sources and pages, and fails with every place that breaks a rule.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "findings on stdout and failures on stderr are this program's face"
)]

use std::path::Path;
use std::process::ExitCode;

use xtask::tidy;

const USAGE: u8 = 64;

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if asked != ["tidy"] {
        eprintln!("usage: cargo run -p xtask -- tidy");
        return ExitCode::from(USAGE);
    }
    match tidy(&root) {
        Ok((files, findings)) if findings.is_empty() => {
            println!("tidy: {files} files, nothing to mend");
            ExitCode::SUCCESS
        }
        Ok((files, findings)) => {
            for finding in &findings {
                println!("{finding}");
            }
            eprintln!("tidy: {files} files, {} to mend", findings.len());
            ExitCode::FAILURE
        }
        Err(failed) => {
            eprintln!("tidy: {failed}");
            ExitCode::FAILURE
        }
    }
}
