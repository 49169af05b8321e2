//! `/metrics`: numbers move by exactly what was asked, at every role.

use std::collections::BTreeMap;

use crate::harness::{Conn, Dev, call, request, until};

/// Every sample of a page, by its name and labels.
fn samples(admin: &str) -> BTreeMap<String, f64> {
    let answer = call(admin.trim_start_matches("http://"), "GET", "/metrics", None, &[]).is(200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let page = answer.text();
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().expect("a number"))
    };
    lines.map(sample).collect()
}

fn decided(decision: &str, code: &str, tier: &str) -> String {
    format!(r#"countersign_decisions_total{{door="gateway",decision="{decision}",code="{code}",tier="{tier}"}}"#)
}

#[test]
fn numbers_move_by_exactly_what_was_asked() {
    let dev = Dev::start();
    let admin = dev.info["admin"].as_str().expect("dev.json names it").to_owned();
    let (ci, fork) = (dev.token("ci-main"), dev.token("ci-fork"));
    for _ in 0..3 {
        dev.get("/invoices/1", &ci).is(200);
    }
    for _ in 0..2 {
        dev.get("/invoices/1", &fork).is(403);
    }
    dev.get("/export", &ci).is(403);
    dev.call("GET", "/invoices/1", None).is(401);
    let seen = samples(&admin);
    let expected = [
        (decided("allow", "", "routine"), 3.0),
        (decided("deny", "forbidden", "routine"), 2.0),
        (decided("deny", "evidence_missing", "sensitive"), 1.0),
        (decided("deny", "credential_missing", ""), 1.0),
    ];
    let of_gateway = seen.iter().filter(|(name, _)| name.contains("decisions_total") && name.contains("\"gateway\""));
    let of_gateway: BTreeMap<String, f64> = of_gateway.map(|(name, value)| (name.clone(), *value)).collect();
    assert_eq!(of_gateway, BTreeMap::from(expected));
    assert_eq!(seen[r#"countersign_credential_cache_hits_total{source="github"}"#], 4.0);
    assert_eq!(seen[r#"countersign_key_set_in_force{source="github"}"#], 1.0);
    assert_eq!((seen["countersign_epoch"], seen["countersign_snapshot_age_seconds"]), (1.0, 0.0));
    let expiry =
        |certificate: &str| seen[&format!(r#"countersign_certificate_expiry_seconds{{certificate="{certificate}"}}"#)];
    assert!((3000.0..=3600.0).contains(&expiry("svid")), "{}", expiry("svid"));
    assert!((80_000.0..=86_400.0).contains(&expiry("authority")), "{}", expiry("authority"));
    until("every outcome", || {
        let delivered = samples(&admin)[r#"countersign_outcomes_total{result="delivered",code=""}"#];
        // three answers, and what `dev` asked its own control door
        (delivered >= 3.0).then_some(())
    });
    let records = dev.records().len();
    until("every record", || (samples(&admin)["countersign_ledger_records_total"] >= records as f64).then_some(()));
}

#[test]
fn what_is_counted_instead_of_recorded_is_a_number_of_its_own() {
    let dev = Dev::start();
    let admin = dev.info["admin"].as_str().expect("dev.json names it").to_owned();
    let mut conn = Conn::open(dev.gateway());
    for _ in 0..1500 {
        conn.send(&request("GET", "/invoices/1", None, &[]));
        conn.answer().is(401);
    }
    let [recorded, counted] = [
        decided("deny", "credential_missing", ""),
        r#"countersign_counted_total{code="credential_missing"}"#.to_owned(),
    ];
    until("the counter is written", || {
        let seen = samples(&admin);
        let all = seen[&recorded] + seen.get(&counted)?;
        (all == 1500.0).then_some(())
    });
}

#[test]
fn a_control_plane_and_its_gateway_have_numbers_of_their_own() {
    let (_upstream, installation) = crate::planes::with_gateway("{routine: 1h, sensitive: 5m, critical: 30s}");
    let server = samples(&installation.word("server", "/admin"));
    assert_eq!(server["countersign_snapshot_age_seconds"], 0.0);
    assert!(server.keys().any(|name| name.contains(r#"door="control",decision="allow""#)), "{server:?}");
    installation.call("edge-1", "GET", "/nothing", None).is(401);
    let edge = samples(&installation.word("edge-1", "/admin"));
    assert_eq!(edge[&decided("deny", "credential_missing", "")], 1.0);
    assert!(edge["countersign_snapshot_age_seconds"] > 0.0);
    assert_eq!(edge[r#"countersign_snapshot_age_limit_seconds{tier="critical"}"#], 30.0);
    for seen in [&server, &edge] {
        for certificate in ["svid", "authority"] {
            assert!(seen[&format!(r#"countersign_certificate_expiry_seconds{{certificate="{certificate}"}}"#)] > 0.0);
        }
        assert_eq!((seen["countersign_ledger_writable"], seen["countersign_clock_steady"]), (1.0, 1.0));
    }
}
