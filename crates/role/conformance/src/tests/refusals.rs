//! What is said where the kit cannot do its work.

use std::time::Duration;

use testkit::workload_api::{Fault, WorkloadApi};

use super::{failed, options, passed};
use crate::{Selection, Verdict, run};

#[tokio::test]
async fn a_caller_without_identity_is_told_what_to_register() {
    let server = WorkloadApi::with(Fault::NobodyRegistered).await;
    let report = run(&options(&server)).await.unwrap();
    assert!(!report.is_ok());
    assert_eq!(failed(&report), [].into(), "{}", report.text());
    assert!(passed(&report).contains(&87));
    let uid = rustix::process::getuid().as_raw();
    let advice = report.advice.unwrap();
    assert!(advice.contains(&format!("register a workload with selector unix:uid:{uid}")), "{advice}");
}

/// Nothing is broken then, and nothing was seen to hold.
#[tokio::test]
async fn a_server_that_is_not_ready_is_not_ok() {
    let server = WorkloadApi::with(Fault::NotReady).await;
    let report = run(&options(&server)).await.unwrap();
    assert!(!report.is_ok());
    assert_eq!(
        report.advice.unwrap(),
        "lines about these could not be looked at, try again when the server is ready: FetchX509SVID: Unavailable: not \
         ready; FetchX509Bundles: Unavailable: not ready; FetchJWTSVID: Unavailable: not ready; FetchJWTBundles: Unavailable: \
         not ready"
    );
}

#[tokio::test]
async fn a_socket_that_nobody_serves_is_not_reached() {
    let server = WorkloadApi::sound().await;
    let mut options = options(&server);
    options.socket = options.socket.with_file_name("nobody.sock");
    options.within = Duration::from_secs(1);
    let error = run(&options).await.err().unwrap();
    assert_eq!(error.to_string(), format!("nothing answers at `{}`", options.socket.display()));
}

#[tokio::test]
async fn lines_that_are_not_asked_for_say_so() {
    let server = WorkloadApi::with(Fault::TwoUriNames).await;
    let mut options = options(&server);
    options.selection = Selection::new(&["16-20".to_owned()], &["16".to_owned()], false).unwrap();
    let report = run(&options).await.unwrap();
    assert!(report.is_ok());
    assert_eq!(passed(&report), [18, 19, 20].into());
    for (number, reason) in [
        (16, "not asked for: --skip names it"),
        (30, "not asked for: --include names others"),
        (94, "not asked for: incubating lines need --incubating"),
    ] {
        assert_eq!(report.judgements[number - 1].verdict, Verdict::NotAsked { reason });
    }
}

#[test]
fn what_is_no_line_is_refused() {
    let refused = |text: &str| Selection::new(&[text.to_owned()], &[], false).unwrap_err().to_string();
    assert_eq!(refused("x"), "`x`: expected the number of a line, or a range such as 16-29");
    assert_eq!(refused("9-3"), "`9-3`: expected the number of a line, or a range such as 16-29");
    assert_eq!(refused("0"), "there is no line 0; the last is 102");
    assert_eq!(refused("90-103"), "there is no line 103; the last is 102");
}
