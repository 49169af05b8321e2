//! `apply` puts an estate in force whole, or leaves the one before.

use serde_json::json;

use crate::harness::{CI, DUNNING, Dev, Estate, Mint, Upstream, ci_claims, dunning_claims, until};

#[test]
fn what_does_not_load_is_not_applied_and_the_old_epoch_serves_on() {
    let upstream = Upstream::start();
    let good = Estate::ours().upstream(&upstream.url);
    let dev = Dev::serving(&good);
    let token = Mint::shared().ci(&ci_claims());
    let epoch = |dev: &Dev| dev.record(dev.get("/invoices/1", &token).is(200).record())["epoch"].clone();
    let before = epoch(&dev);
    let bad = dev.path("bad");
    let broken = [
        good.clone().replacing("maxAge: 10m", "maxage: 10m"),
        good.clone().policy("unowned", "permit (principal, action, resource);").replacing("@owner(\"scenarios\") ", ""),
        good.clone().principal("twin", "Job", "{source: github, key: [\"9001\", \"4711\"]}", ""),
    ];
    for (index, estate) in broken.iter().enumerate() {
        let folder = bad.join(index.to_string());
        estate.write(&folder);
        let ran = dev.cli(&["apply", "--yes", "-f", folder.to_str().unwrap()]).ended(3);
        assert!(ran.out.is_empty() && ran.err.contains(".yaml:") | ran.err.contains(".cedar:"), "{ran:?}");
        assert_eq!(epoch(&dev), before);
    }
    // nothing was applied, and every try is on record
    let tries = dev.judgements().into_values().filter(|record| record["operation"] == "plan").count();
    assert_eq!(tries, broken.len());
}

#[test]
fn without_a_terminal_apply_needs_yes() {
    let dev = Dev::serving(&Estate::ours());
    let estate = dev.estate().to_str().unwrap().to_owned();
    for stdin in [&b""[..], b"y\n"] {
        let ran = dev.cli_with(&["apply", "-f", &estate], stdin).ended(64);
        assert!(ran.err.contains("--yes"), "{ran:?}");
    }
    dev.cli(&["apply", "-f", &estate, "--yes"]).ended(0);
}

#[test]
fn what_is_absent_is_removed_and_the_plan_says_so() {
    let upstream = Upstream::start();
    let good = Estate::ours().upstream(&upstream.url);
    let dev = Dev::serving(&good);
    let dunning = Mint::shared().dunning(&dunning_claims());
    dev.get("/invoices/1", &dunning).is(200);
    let start = good.yaml.find("kind: Principal\nmetadata: {name: dunning}").expect("the agent");
    let end = start + good.yaml[start..].find("---").expect("another document");
    let mut without = good.clone();
    without.yaml.replace_range(start - "apiVersion: countersign.dev/v1\n".len()..end + 4, "");
    // its policies name it, and what is not declared does not load
    without.write(dev.estate());
    let refused = dev.cli(&["apply", "--yes", "-f", dev.estate().to_str().unwrap()]).ended(3);
    assert!(refused.err.contains(DUNNING), "{refused:?}");
    dev.get("/invoices/1", &dunning).is(200);

    let first = without.cedar.find("@id(\"dunning-reads\")").expect("its policies");
    let last = without.cedar.find("@id(\"jobs-need").expect("the next policy");
    without.cedar.replace_range(first..last, "");
    without.write(dev.estate());
    let ran = dev.cli(&["apply", "--yes", "-f", dev.estate().to_str().unwrap()]).ended(0);
    assert!(ran.err.contains("- Principal dunning"), "{ran:?}");
    assert_eq!(dev.get("/invoices/1", &dunning).is(401).code(), "unauthenticated");
    let again = dev.cli(&["apply", "--yes", "-f", dev.estate().to_str().unwrap(), "--output", "json"]).ended(0).json();
    assert_eq!(again["changes"], json!([]));
}

#[test]
fn a_call_is_decided_by_one_epoch_from_its_beginning_to_its_end() {
    let upstream = Upstream::start();
    let good = Estate::ours().upstream(&upstream.url);
    let dev = Dev::serving(&good);
    let token = Mint::shared().ci(&ci_claims());
    let address = dev.gateway().to_owned();
    let asking = token.clone();
    let slow = std::thread::spawn(move || {
        crate::harness::call(&address, "GET", "/invoices/open?slow=1500", Some(&asking), &[])
    });
    let id = upstream.only("/invoices/open").header("countersign-record").expect("a record").to_owned();
    dev.apply(&good.clone().policy("nobody", "forbid (principal, action, resource);"));
    // the very next call is decided by what apply said is in force
    assert_eq!(dev.get("/invoices/1", &token).is(403).code(), "forbidden");
    assert_eq!(slow.join().expect("it ends").is(200).record(), id);
    assert_eq!(dev.outcome(&id)["result"], "delivered");
    let record = dev.record(&id);
    assert_eq!(record["principal"]["id"], CI);
}

#[test]
fn every_epoch_is_kept_and_explain_names_who_applied_what() {
    let dev = Dev::serving(&Estate::ours());
    let token = Mint::shared().dunning(&dunning_claims());
    let first = dev.get("/invoices/1", &token).record().to_owned();
    dev.apply(&Estate::ours().policy("more", "forbid (principal is Partner, action, resource);"));
    let explained = dev.record(&first);
    let text = explained.to_string();
    assert!(text.contains("human:local:"), "who applied the binding and the deciding policy: {text}");
    let second = dev.get("/invoices/1", &token).record().to_owned();
    let epochs = |id: &str| (dev.record(id)["epoch"].clone(), dev.record(id)["applied"]["binding"]["epoch"].clone());
    assert_eq!((epochs(&first), epochs(&second)), ((json!(1), json!(1)), (json!(2), json!(1))));
    until("the outcome is in", || (dev.record(&first)["outcome"] != serde_json::Value::Null).then_some(()));
}
