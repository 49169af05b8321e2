//! Several nodes on one state: what one applies comes into force on all, and of two at once one is told to plan again.

mod crossing;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use issuer::lifecycle::{KeyKind, KeyStep};
use model::{Epoch, Generation};
use net::tls::OwnSvid;
use net::{Connections, now, stop};
use store::{Append, KeptEpoch, Position, State};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::archive::Kept;
use super::{ApplyFailed, Author, Epochs, EpochsFailed, How, NextGeneration, Setting, Trust};
use crate::estate::{Bundle, Vars};
use crate::issuing::{Custody, Issuers, Lives};
use crate::keys;

const PATIENCE: Duration = Duration::from_secs(30);

/// Planned on `base`.
fn planned(base: Option<u64>) -> How {
    How { base, generation: NextGeneration::Same }
}

/// An estate that loads, told apart by the purpose of its only group.
fn estate(name: &str) -> Bundle {
    let yaml = format!(
        "apiVersion: countersign.dev/v1\nkind: Environment\nmetadata: {{name: production}}\n\
         spec: {{trustDomain: prod.acme.test}}\n---\n\
         apiVersion: countersign.dev/v1\nkind: Group\nmetadata: {{name: {name}}}\nspec: {{members: []}}\n"
    );
    Bundle::new([("estate.yaml".to_owned(), yaml)])
}

fn author() -> Author {
    Author { principal: "human:local:0".to_owned(), record: "0".repeat(32), at: now() }
}

async fn state(dir: &TempDir) -> State {
    State::open(&dir.path().join("state.db")).await.unwrap()
}

async fn node(dir: &TempDir) -> Epochs {
    on(dir, state(dir).await).await.unwrap()
}

/// A node on this state. All have the keys of one issuer.
async fn on(dir: &TempDir, state: State) -> Result<Epochs, EpochsFailed> {
    of(dir, state, None).await
}

/// One that serves this environment.
async fn of(dir: &TempDir, state: State, environment: Option<&str>) -> Result<Epochs, EpochsFailed> {
    let issuers = Issuers::new(dir.path().join("keys"), state.clone(), Lives::default(), (Custody::State, None));
    let connections = Connections::new(Arc::new(OwnSvid::default()));
    // these estates name no key set that would be fetched
    let (keys, _keeper) = keys::keeper();
    let setting = Setting {
        operators: Vec::new(),
        certified: credential::Operators::default(),
        environment: environment.map(str::to_owned),
        vars: Vars::Refused,
        keys,
        trust: Trust::Alone(issuers),
        connections,
        domain: None,
    };
    Epochs::open(state, setting, now()).await
}

fn epoch(node: &Epochs) -> u64 {
    node.live().load().snapshot.epoch.0
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waited = async {
        while !is_so() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, waited).await.unwrap_or_else(|_| panic!("waited in vain until {what}"));
}

/// Makes `bundle` the next epoch behind the state's back, named by the digest of `named`.
async fn append(dir: &TempDir, number: u64, bundle: &Bundle, named: &Bundle) {
    let at = |epoch| Position { generation: Generation(1), epoch: Epoch(epoch) };
    let kept = Kept::new(bundle.clone(), &Vars::Refused, None, now());
    let digest = named.digest(&Vars::Refused);
    let epoch = KeptEpoch { position: at(number), estate: digest, applied: "{}".to_owned() };
    let last = (number > 1).then(|| at(number - 1));
    let appended = state(dir).await.append_epoch(last, &epoch, &kept.document().unwrap()).await.unwrap();
    assert!(matches!(appended, Append::Kept { .. }));
}

#[tokio::test]
async fn what_one_node_applies_comes_into_force_on_the_others() {
    let dir = TempDir::new().unwrap();
    let (one, other) = (node(&dir).await, Arc::new(node(&dir).await));
    let (stopper, stopped) = stop();
    let followed = Arc::clone(&other);
    let following = tokio::spawn(async move { followed.follow(stopped).await });
    for (number, name) in [(1, "readers"), (2, "writers")] {
        one.apply(estate(name), &author(), How::default()).await.unwrap();
        until("the other node decides by it", || epoch(&other) == number).await;
        assert_eq!(other.bundle().await, Some(estate(name)));
        assert_eq!(other.live().load().snapshot.digest, one.live().load().snapshot.digest);
    }
    stopper.stop();
    following.await.unwrap();
    // and on one that starts later
    assert_eq!(epoch(&node(&dir).await), 2);
}

#[tokio::test]
async fn of_two_nodes_that_apply_on_one_epoch_the_second_is_told_to_plan_again() {
    let dir = TempDir::new().unwrap();
    let (one, other) = (node(&dir).await, node(&dir).await);
    let (author, base) = (author(), planned(Some(0)));
    let (first, second) =
        tokio::join!(one.apply(estate("readers"), &author, base), other.apply(estate("writers"), &author, base));
    let refused = match (first, second) {
        (Ok(_), Err(refused)) | (Err(refused), Ok(_)) => refused,
        (first, second) => panic!("{first:?} and {second:?}"),
    };
    assert!(matches!(refused, ApplyFailed::Moved { planned: 0, current: 1 }));
    assert_eq!(refused.to_string(), "planned on epoch 0, but epoch 1 is in force: plan again");
    // on what is in force now, both go on in turn, and neither had to follow
    for (number, node) in [(2, &one), (3, &other), (4, &one)] {
        let applied = node.apply(estate(&format!("group-{number}")), &author, planned(Some(number - 1))).await.unwrap();
        assert_eq!((applied.epoch, applied.changes.len()), (number, 2), "one group goes, one comes");
    }
}

#[tokio::test]
async fn an_estate_under_the_digest_of_another_is_not_put_in_force() {
    let dir = TempDir::new().unwrap();
    append(&dir, 1, &estate("forged"), &estate("readers")).await;
    let refused = on(&dir, state(&dir).await).await.err().unwrap();
    let digest = estate("readers").digest(&Vars::Refused);
    assert_eq!(refused.to_string(), format!("what is kept as estate `{digest}` is another one"));
}

#[tokio::test]
async fn what_cannot_be_put_in_force_leaves_in_force_what_is_until_the_next() {
    let dir = TempDir::new().unwrap();
    let node = Arc::new(node(&dir).await);
    node.apply(estate("readers"), &author(), How::default()).await.unwrap();
    append(&dir, 2, &estate("not a name"), &estate("not a name")).await;
    let refused = node.apply(estate("writers"), &author(), How::default()).await.unwrap_err();
    assert_eq!(refused.to_string(), "what is in force cannot be read");
    let cause = refused.source().unwrap().to_string();
    assert!(cause.starts_with("the estate of epoch 2 no longer loads: estate.yaml:"), "{cause}");
    assert_eq!(epoch(&node), 1);
    append(&dir, 3, &estate("writers"), &estate("writers")).await;
    let (stopper, stopped) = stop();
    let followed = Arc::clone(&node);
    let following = tokio::spawn(async move { followed.follow(stopped).await });
    until("the epoch that loads is in force", || epoch(&node) == 3).await;
    stopper.stop();
    following.await.unwrap();
}

#[tokio::test]
async fn a_state_that_is_away_refuses_and_what_is_in_force_serves_on() {
    let dir = TempDir::new().unwrap();
    let state = state(&dir).await;
    let node = on(&dir, state.clone()).await.unwrap();
    node.apply(estate("readers"), &author(), How::default()).await.unwrap();
    state.close().await;
    let refused = node.apply(estate("writers"), &author(), How::default()).await.unwrap_err();
    let path = dir.path().join("state.db");
    let causes = "what is in force cannot be read: the state in `PATH` cannot be reached";
    let said = net::causes::chain(&refused).replace(path.to_str().unwrap(), "PATH");
    assert!(said.starts_with(causes), "{said}");
    assert_eq!((epoch(&node), node.bundle().await), (1, Some(estate("readers"))));
}

/// The estate of two environments, of which each has a group of its own.
fn two_environments() -> Bundle {
    let yaml = ["production", "staging"].map(|name| {
        format!(
            "apiVersion: countersign.dev/v1\nkind: Environment\nmetadata: {{name: {name}}}\n\
             spec: {{trustDomain: {name}.acme.test}}\n---\n\
             apiVersion: countersign.dev/v1\nkind: Principal\nmetadata: {{name: reporter, environment: {name}}}\n\
             spec: {{kind: Workload, id: spiffe://{name}.acme.test/reporter, owner: a, purpose: a}}\n"
        )
    });
    Bundle::new([("estate.yaml".to_owned(), yaml.join("---\n"))])
}

#[tokio::test]
async fn a_server_is_of_one_environment_and_so_is_its_state() {
    let dir = TempDir::new().unwrap();
    let node = of(&dir, state(&dir).await, Some("staging")).await.unwrap();
    node.apply(two_environments(), &author(), How::default()).await.unwrap();
    let domain = |node: &Epochs| node.live().load().domain.as_ref().map(ToString::to_string);
    assert_eq!(domain(&node).as_deref(), Some("staging.acme.test"));
    let again = of(&dir, state(&dir).await, Some("staging")).await.unwrap();
    assert_eq!(domain(&again).as_deref(), Some("staging.acme.test"));

    let position = Position { generation: Generation(1), epoch: Epoch(1) };
    let digest = again.live().load().snapshot.digest.to_string();
    let replayed = again.archive().snapshot(&digest, position).await.unwrap();
    let knows = |id: &str| replayed.directory.principal(&id.parse().unwrap()).is_some();
    assert!(knows("spiffe://staging.acme.test/reporter") && !knows("spiffe://production.acme.test/reporter"));

    let refused = async |environment| of(&dir, state(&dir).await, environment).await.err().unwrap().to_string();
    assert_eq!(
        refused(Some("production")).await,
        "epoch 1 is of environment `staging`, and this server of `production`: each has a state of its own"
    );
    assert_eq!(
        refused(None).await,
        "the estate of epoch 1 no longer loads: estate.yaml:13:18: the estate has several environments: `production`, \
         `staging`\n  help: choose one with --environment NAME, of an offline verb or of the server that is to serve it"
    );
}

#[tokio::test]
async fn an_estate_with_several_environments_is_applied_where_one_is_chosen() {
    let dir = TempDir::new().unwrap();
    let node = node(&dir).await;
    node.apply(estate("readers"), &author(), How::default()).await.unwrap();
    let ApplyFailed::Problems(problems) = node.apply(two_environments(), &author(), How::default()).await.unwrap_err()
    else {
        panic!("it is no estate for a server of none of them")
    };
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].message, "the estate has several environments: `production`, `staging`");
    assert_eq!(epoch(&node), 1);
}

#[tokio::test]
async fn what_is_in_force_no_more_is_freed_once_nobody_decides_by_it_and_not_by_them() {
    let dir = TempDir::new().unwrap();
    let node = node(&dir).await;
    node.apply(estate("readers"), &author(), How::default()).await.unwrap();
    let held = node.live().load_full();
    let (engine, live) = (Arc::downgrade(&held.snapshot.engine), Arc::downgrade(&held));
    node.apply(estate("writers"), &author(), How::default()).await.unwrap();
    drop(held);
    // not by the one who let go of it
    assert!(live.upgrade().is_some());
    until("it is freed", || engine.upgrade().is_none()).await;
}

#[tokio::test]
async fn what_one_node_does_with_authorities_is_in_force_on_all_while_nothing_is_applied() {
    let dir = TempDir::new().unwrap();
    let (one, other) = (node(&dir).await, node(&dir).await);
    one.apply(estate("readers"), &author(), How::default()).await.unwrap();
    other.look(now()).await.unwrap();
    let certificates = |node: &Epochs| node.issuer().unwrap().x509_authorities().to_vec();
    let keys = |node: &Epochs| node.live().load().snapshot.keys;
    assert_eq!((certificates(&one), keys(&one)), (certificates(&other), keys(&other)), "nodes share them");
    let before = keys(&other);
    let prepared = one.step_authority(KeyKind::X509, &KeyStep::Prepare, &author()).await.unwrap();
    one.step_authority(KeyKind::X509, &KeyStep::Activate(prepared), &author()).await.unwrap();
    other.look(now()).await.unwrap();
    assert_eq!(certificates(&one).len(), 2);
    assert_eq!((certificates(&one), keys(&one)), (certificates(&other), keys(&other)));
    assert_ne!(keys(&other), before, "records name what was in force by this");
    let signs = |node: &Epochs| node.issuer().unwrap().authority.certificate().to_vec();
    assert_eq!(signs(&one), signs(&other));
    assert_eq!((other.live().load().snapshot.epoch, epoch(&other)), (Epoch(1), 1));
    let published = other.publication().await.unwrap().unwrap();
    let authorities: Vec<Vec<u8>> = certificates(&one).iter().map(|der| der.to_vec()).collect();
    assert_eq!((published.authorities, published.tainted), (authorities, Vec::new()));
}
