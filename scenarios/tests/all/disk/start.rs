//! A start that cannot write what it has to says what that was, and leaves nothing that stops the next one.

use std::path::Path;

use crate::harness::{Dev, Ran, binary, command, finish};

/// Starts `dev` where no file can grow beyond `bytes`.
fn starved(dev: &Dev, bytes: u32) -> Ran {
    let (limit, binary, dir) = (format!("--fsize={bytes}:unlimited"), binary(), dev.dir());
    let (binary, dir) = (binary.to_str().expect("a plain path"), dir.to_str().expect("a plain path"));
    finish(command(Path::new("prlimit"), &[&limit, binary, "dev", "--dir", dir, "--listen", "127.0.0.1:0"]), b"")
}

#[test]
fn a_start_that_the_disk_refuses_names_the_file_and_the_next_one_serves() {
    for (bytes, file) in [
        (1, "/lock`"),
        (24, "/ports.json`"),
        (60, "/ports.json`"),
        (110, "/keys/checkpoint.key`"),
        (300, "/keys/github.p8`"),
        (1500, "/estate`"),
    ] {
        let mut dev = Dev::idle(None, &[]);
        let ran = starved(&dev, bytes).ended(1);
        assert!(ran.err.contains(&format!("{file}: File too large")), "{bytes}: {ran:?}");
        dev.again();
        dev.get("/invoices/1", &dev.token("ci-main")).is(200);
    }
}

#[test]
fn a_first_estate_that_cannot_be_kept_ends_the_start_and_serves_at_the_next() {
    let mut dev = Dev::idle(None, &[]);
    dev.again();
    assert_eq!(dev.stop(), 0);
    // all is there but what was applied
    std::fs::remove_dir_all(dev.dir().join("state")).unwrap();
    let ran = starved(&dev, 5000).ended(1);
    assert!(ran.err.contains("/state/state.db` cannot be written; is its disk full?"), "{ran:?}");
    dev.again();
    dev.get("/invoices/1", &dev.token("ci-main")).is(200);
    dev.verify().ended(0);
}

#[test]
fn a_restart_without_room_announces_nothing() {
    let mut dev = Dev::start();
    assert_eq!(dev.stop(), 0);
    let ran = starved(&dev, 120).ended(1);
    assert!(ran.err.contains("/state/state.db` cannot be written; is its disk full?"), "{ran:?}");
    assert!(!dev.dir().join("dev.json").exists());
    dev.again();
    dev.get("/invoices/1", &dev.token("ci-main")).is(200);
}
