//! A clock that goes back brings nothing back: what has ended stays ended, what is old stays old, and sensitive
//! operations wait until control confirms the time.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::doors::at_gateway;
use super::{ci, with_gateway};
use crate::harness::{Installation, Mint, ci_claims, epoch_seconds, until};

/// Debian's package `faketime`: the wall clock as a file says, and time that passes as it does.
fn faketime() -> PathBuf {
    let found = fs::read_dir("/usr/lib").expect("a directory").flatten();
    let library = found.map(|entry| entry.path().join("faketime/libfaketime.so.1")).find(|path| path.exists());
    library.expect("Debian's package `faketime` is installed, as `./test` does")
}

/// Starts the gateway anew under a clock that `offset` moves.
fn under_a_clock(installation: &mut Installation, offset: &Path) {
    installation.stop("edge-1");
    let library = faketime();
    installation.start_with(
        "edge-1",
        &[
            ("LD_PRELOAD", library.to_str().expect("a plain path")),
            ("FAKETIME_TIMESTAMP_FILE", offset.to_str().expect("a plain path")),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ],
    );
    installation.until_ready("edge-1");
}

#[test]
fn a_clock_that_goes_back_widens_nothing_and_closes_what_is_sensitive_until_control_confirms_it() {
    let (_upstream, mut installation) = with_gateway("{routine: 1h, sensitive: 5m, critical: 30s}");
    let offset = installation.path("offset");
    fs::write(&offset, "+0\n").unwrap();
    under_a_clock(&mut installation, &offset);
    let reporter = installation.minted("reporter", "reporter", &[]);
    at_gateway(&installation, "edge-1", &reporter, "/export").is(200);
    // ended a moment ago, leeway and all
    let mut claims = ci_claims();
    (claims["iat"], claims["exp"]) = (json!(epoch_seconds() - 500), json!(epoch_seconds() - 70));
    claims["nbf"] = claims["iat"].clone();
    let ended = Mint::shared().ci(&claims);
    let is_refused = |installation: &Installation| {
        let answer = installation.call("edge-1", "GET", "/invoices/1", Some(&ended)).is(401);
        assert_eq!(installation.code("edge-1", &answer), "expired");
    };
    is_refused(&installation);

    for back in ["-90\n", "-3600\n"] {
        fs::write(&offset, back).unwrap();
        is_refused(&installation);
    }
    let refused = at_gateway(&installation, "edge-1", &reporter, "/export").is(503);
    assert_eq!(
        (refused.code(), installation.code("edge-1", &refused)),
        ("snapshot_stale".to_owned(), json!("snapshot_stale"))
    );
    // what is routine goes on, by the time that passed
    assert_eq!(installation.call("edge-1", "GET", "/invoices/1", Some(&ci())).status, 200);
    let of_gateway = |record: &serde_json::Value| record["door"] == "gateway";
    let record = installation.records("edge-1").into_iter().rev().find(of_gateway).expect("a record");
    let hour = |time: &str| time.get(..13).map(str::to_owned);
    let control = installation.records("server").pop().expect("a record");
    assert_eq!(hour(record["time"].as_str().unwrap()), hour(control["time"].as_str().unwrap()), "{record}");

    fs::write(&offset, "+0\n").unwrap();
    until("control has confirmed the clock", || {
        (at_gateway(&installation, "edge-1", &reporter, "/export").status == 200).then_some(())
    });
    is_refused(&installation);
}
