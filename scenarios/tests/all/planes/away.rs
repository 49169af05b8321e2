//! While control is away: each tier is decided for as long as its budget says, by what was heard last, and by nothing older.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{ci, estate, until_at, with_gateway};
use crate::harness::{Installation, until};

/// What `GET /invoices/1` (routine) and `GET /export` (sensitive) answer.
fn answers(installation: &Installation, svid: &crate::harness::Identity) -> (u16, u16) {
    let routine = installation.call("edge-1", "GET", "/invoices/1", Some(&ci())).status;
    (routine, super::doors::at_gateway(installation, "edge-1", svid, "/export").status)
}

#[test]
fn each_tier_is_refused_once_its_budget_is_over_and_decided_again_once_control_is_heard() {
    let (_upstream, mut installation) = with_gateway("{routine: 9s, sensitive: 4s, critical: 1s}");
    let reporter = installation.minted("reporter", "reporter", &[]);
    assert_eq!(answers(&installation, &reporter), (200, 200));
    installation.kill9("server");
    let killed = Instant::now();
    assert_eq!(answers(&installation, &reporter), (200, 200), "within every budget");
    let mut seen = Vec::new();
    // the last heartbeat was at most a second old
    while killed.elapsed() < Duration::from_secs(14) {
        let before = killed.elapsed();
        let now = answers(&installation, &reporter);
        let after = killed.elapsed();
        if before > Duration::from_secs(5) {
            assert_eq!(now.1, 503, "sensitive after {before:?}");
        }
        if before > Duration::from_secs(10) {
            assert_eq!(now.0, 503, "routine after {before:?}");
        }
        if after < Duration::from_secs(3) {
            assert_eq!(now, (200, 200), "within both budgets, after {after:?}");
        }
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        sleep(Duration::from_millis(100));
    }
    assert_eq!(seen, [(200, 200), (200, 503), (503, 503)]);
    let refused = installation.call("edge-1", "GET", "/invoices/1", Some(&ci())).is(503);
    assert_eq!(
        (refused.code(), installation.code("edge-1", &refused)),
        ("snapshot_stale".to_owned(), json!("snapshot_stale"))
    );
    let admin = installation.word("edge-1", "/admin");
    let failing = crate::harness::call(admin.trim_start_matches("http://"), "GET", "/readyz", None, &[]).is(503);
    assert!(failing.text().contains(r#""failing":"control""#), "{}", failing.text());
    installation.start("server");
    until("both again", || (answers(&installation, &reporter) == (200, 200)).then_some(()));
}

#[test]
fn a_gateway_that_starts_while_control_is_away_decides_by_what_it_heard_last_and_as_old_as_it_is() {
    let (_upstream, mut installation) = with_gateway("{routine: 1h, sensitive: 6s, critical: 1s}");
    let reporter = installation.minted("reporter", "reporter", &[]);
    let kept = installation.home("edge-1").join("heartbeat.feed");
    until("a heartbeat on disk", || kept.exists().then_some(()));
    installation.kill9("server");
    installation.kill9("edge-1");
    sleep(Duration::from_secs(7));
    installation.start("edge-1");
    // not as old as the process, but as the heartbeat
    assert_eq!(answers(&installation, &reporter), (200, 503));
    // without one, it does not know how old what it has is
    installation.kill9("edge-1");
    fs::write(&kept, &fs::read(&kept).unwrap()[..40]).unwrap();
    installation.start("edge-1");
    assert_eq!(answers(&installation, &reporter), (503, 503));
    assert!(installation.log("edge-1").contains("what was heard last is not what control signed"));
}

#[test]
fn what_was_put_on_the_disk_in_place_of_what_control_signed_is_not_decided_by() {
    let (upstream, mut installation) = with_gateway("{routine: 1h, sensitive: 5m, critical: 30s}");
    let home = installation.home("edge-1");
    let (snapshot, heartbeat) = (home.join("snapshot.feed"), home.join("heartbeat.feed"));
    until("what is kept", || (snapshot.exists() && heartbeat.exists()).then_some(()));
    let older = fs::read(&snapshot).unwrap();
    let forbids = estate(&upstream, "{routine: 1h, sensitive: 5m, critical: 30s}")
        .policy("nobody", "forbid (principal is Job, action, resource);");
    installation.apply(&forbids, &[]).ended(0);
    until_at(&installation, "edge-1", (1, 2));
    until("the newer one", || (fs::read(&snapshot).unwrap() != older).then_some(()));
    let newer = fs::read(&snapshot).unwrap();
    installation.kill9("server");
    installation.kill9("edge-1");
    let mut changed = newer.clone();
    let place = changed.len() / 2;
    changed[place] ^= 1;
    let half = newer[..newer.len() / 2].to_vec();
    let attempts = [("an older one", older), ("a changed one", changed), ("half of it", half), ("nothing", Vec::new())];
    for (what, bytes) in attempts {
        fs::write(&snapshot, bytes).unwrap();
        installation.start("edge-1");
        let answer = installation.call("edge-1", "GET", "/invoices/1", Some(&ci()));
        assert_eq!(answer.status, 401, "{what}: nothing is in force");
        assert_eq!(installation.position("edge-1"), (0, 0), "{what}");
        installation.kill9("edge-1");
    }
    assert!(installation.log("edge-1").contains("1.2 was in force already, and 1.1 is older"));
    // what control says is in force again as soon as it is heard
    installation.start("server");
    installation.start("edge-1");
    until_at(&installation, "edge-1", (1, 2));
    installation.call("edge-1", "GET", "/invoices/1", Some(&ci())).is(403);
}

#[test]
fn a_gateway_whose_disk_is_full_stays_with_what_it_could_keep_and_refuses_once_that_is_too_old() {
    let (upstream, mut installation) = with_gateway("{routine: 5s, sensitive: 3s, critical: 1s}");
    let limit = |size: &str| {
        let pid = installation.pid("edge-1").to_string();
        let mut prlimit = std::process::Command::new("prlimit");
        prlimit.args(["--pid", &pid, &format!("--fsize={size}:unlimited")]);
        crate::harness::finish(prlimit, b"").ended(0);
    };
    // as small as what is there already: nothing more can be written
    limit("1024");
    let forbids = estate(&upstream, "{routine: 5s, sensitive: 3s, critical: 1s}")
        .policy("nobody", "forbid (principal is Agent, action, resource);");
    installation.apply(&forbids, &[]).ended(0);
    until("it says so", || installation.log("edge-1").contains("a snapshot is not taken").then_some(()));
    // what cannot be recorded does not happen, whatever is in force
    let refused = installation.call("edge-1", "GET", "/invoices/1", Some(&ci()));
    assert_eq!((refused.status, refused.code()), (503, "ledger_unavailable".to_owned()));
    limit("unlimited");
    until("it is in force, and current", || {
        (installation.call("edge-1", "GET", "/invoices/1", Some(&ci())).status == 200).then_some(())
    });
    until_at(&installation, "edge-1", (1, 2));
    // and all of it is on the disk: nothing is lost by a restart while control is away
    until("a heartbeat on disk", || installation.home("edge-1").join("heartbeat.feed").exists().then_some(()));
    installation.kill9("server");
    installation.kill9("edge-1");
    installation.start("edge-1");
    assert_eq!(installation.position("edge-1"), (1, 2));
}
