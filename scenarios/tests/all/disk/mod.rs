//! A disk that is full, at each who writes: what fails says so, nothing half-written counts, and all recovers by itself.

mod estate;
mod ledger;
mod start;

use std::path::Path;

use crate::harness::{command, finish};

/// Sets the most bytes that a file of that process may grow to.
fn limit(pid: u32, bytes: &str) {
    let args = ["--pid", &pid.to_string(), &format!("--fsize={bytes}")];
    let ran = finish(command(Path::new("prlimit"), &args), b"");
    assert_eq!(ran.code, 0, "prlimit (util-linux; `./test` says how to install it): {ran:?}");
}
