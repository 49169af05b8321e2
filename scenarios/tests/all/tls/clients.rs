//! Clients that others wrote: curl, Go, h2load.

use std::path::Path;
use std::process::Command;

use crate::harness::{Dev, finish};

#[test]
fn curl_asks_with_a_certificate_over_either_version() {
    let dev = Dev::start();
    let (svid, url) = (dev.svid("reporter"), dev.info["gateway"]["https"].as_str().unwrap().to_owned());
    for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let mut curl = Command::new("curl");
        curl.args(["-sS", flag, "--max-time", "20", "-w", "\n%{http_version} %{http_code}", "--cacert"]).arg(dev.ca());
        curl.arg("--cert").arg(&svid.cert).arg("--key").arg(&svid.key).arg(format!("{url}/export"));
        let ran = finish(curl, b"").ended(0);
        assert!(ran.out.ends_with(&format!("\n{version} 200")) && ran.out.contains("invoices"), "{ran:?}");
        // without a certificate it is a stranger, and without the CA it does not ask
        let mut stranger = Command::new("curl");
        stranger
            .args(["-sS", flag, "--max-time", "20", "-o", "/dev/null", "-w", "%{http_code}", "--cacert"])
            .arg(dev.ca());
        stranger.arg(format!("{url}/export"));
        assert_eq!(finish(stranger, b"").ended(0).out, "401");
        let mut wary = Command::new("curl");
        wary.args(["-sS", flag, "--max-time", "20", &format!("{url}/export")]);
        assert_eq!(finish(wary, b"").code, 60);
    }
    let callers: Vec<_> = dev.reached().iter().map(|reached| reached["caller"].clone()).collect();
    assert_eq!(callers, ["spiffe://prod.acme.test/billing/reporter", "spiffe://prod.acme.test/billing/reporter"]);
}

#[test]
fn go_asks_with_a_certificate_over_either_version() {
    let dev = Dev::start();
    let svid = dev.svid("reporter");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/go/main.go");
    let mut go = Command::new("go");
    go.args(["run"]).arg(program).arg(dev.info["gateway"]["https"].as_str().unwrap());
    go.arg(dev.ca()).arg(&svid.cert).arg(&svid.key);
    go.env("GOFLAGS", "-mod=mod").env("GOPROXY", "off").env("GOTOOLCHAIN", "local").env("GO111MODULE", "off");
    let ran = finish(go, b"").ended(0);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 6, "{ran:?}");
    for (version, lines) in ["HTTP/1.1", "HTTP/2.0"].iter().zip(lines.chunks(3)) {
        assert!(lines[0].starts_with(&format!("{version} /export 200 ")), "{ran:?}");
        assert!(lines[1].starts_with(&format!("{version} /invoices 403")), "{ran:?}");
        assert_eq!(lines[2], "50 at once");
    }
    assert_eq!(dev.reached().len(), 102);
}

#[test]
fn every_request_of_a_load_is_answered() {
    let dev = Dev::start();
    let url = format!("{}/invoices/1", dev.info["gateway"]["https"].as_str().unwrap());
    let bearer = format!("authorization: Bearer {}", dev.token("ci-main"));
    for version in [&["-m", "10"][..], &["--h1"]] {
        let mut load = Command::new("h2load");
        load.args(["-n", "400", "-c", "4", "-H", &bearer]).args(version).arg(&url);
        let ran = finish(load, b"").ended(0);
        assert!(ran.out.contains("400 done, 400 succeeded, 0 failed, 0 errored, 0 timeout"), "{ran:?}");
        assert!(ran.out.contains("status codes: 400 2xx"), "{ran:?}");
    }
    assert_eq!(dev.reached().len(), 800);
    let outcomes: Vec<_> = dev.records().into_iter().filter(|record| record["kind"] == "outcome").collect();
    assert!(outcomes.iter().filter(|outcome| outcome["status"] == 200).count() >= 800);
}
