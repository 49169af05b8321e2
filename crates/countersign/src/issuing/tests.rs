//! Authorities that nodes share: made once, taken over from files, and of no use to whoever has the database alone.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use credential::PeerCertificates;
use issuer::lifecycle::{KeyKind, KeyStep, Standing};
use issuer::{CertificateRequest, NewKey, Order};
use model::{SpiffeId, Time, TrustDomain};
use net::{now, serial};
use store::{AuthorityAct, KeptAuthority, State};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::{By, Custody, Issuer, Issuers, Lives, NotStepped, lay_out};

const HOUR: Duration = Duration::from_secs(3600);

fn domain() -> TrustDomain {
    "prod.acme.test".parse().unwrap()
}

async fn state(dir: &TempDir) -> State {
    State::open(&dir.path().join("state.db")).await.unwrap()
}

/// A node with keys of its own folder.
async fn node(dir: &TempDir, keys: &str) -> Arc<Issuers> {
    living(dir, keys, Lives::default()).await
}

async fn living(dir: &TempDir, keys: &str, lives: Lives) -> Arc<Issuers> {
    Arc::new(Issuers::new(dir.path().join(keys), state(dir).await, lives, (Custody::State, None)))
}

/// As it lives where WIT-SVIDs are signed.
fn with_wit() -> Lives {
    Lives { wit: Some(HOUR * 24), ..Lives::default() }
}

fn by(at: Time) -> By {
    By { actor: "human:local:0".to_owned(), record: "r".to_owned(), at }
}

/// An SVID by who signs now, as far as who verifies by `issuer` finds.
fn minted(by: &Issuer, at: Time) -> PeerCertificates {
    let id: SpiffeId = "spiffe://prod.acme.test/a".parse().unwrap();
    let key = CertificateRequest::read(&NewKey::make().unwrap().request).unwrap();
    let order = Order { id: &id, key: &key, hosts: &[], ttl: HOUR, until: Time::MAX };
    PeerCertificates::new(by.authority.mint(&order, serial(), at).unwrap().into_chain())
}

fn standings(issuer: &Issuer, kind: KeyKind) -> Vec<Standing> {
    issuer.keys().iter().filter(|key| key.kind == kind).map(|key| key.life.standing).collect()
}

/// Takes every step that is due, as each of these nodes, at once.
async fn rotate(nodes: &[Arc<Issuers>], at: Time) {
    loop {
        let mut due = Vec::new();
        for node in nodes {
            let issuer = node.of(&domain(), at).await.unwrap();
            let next = KeyKind::ALL.into_iter().find_map(|kind| Some((kind, issuer.due(kind, at)?)));
            due.extend(next.map(|step| (node, step)));
        }
        if due.is_empty() {
            return;
        }
        let mut steps = JoinSet::new();
        for (node, (kind, step)) in due {
            let node = Arc::clone(node);
            steps.spawn(async move { node.step(&domain(), kind, &step, &by(at)).await.is_ok() });
        }
        let done = steps.join_all().await.into_iter().filter(|done| *done).count();
        assert_eq!(done, 1, "one node does it, and the others see that it is done");
    }
}

#[tokio::test]
async fn nodes_that_start_at_once_have_one_authority_of_each_kind_and_rotate_as_one() {
    let dir = TempDir::new().unwrap();
    let node = async || living(&dir, "keys", with_wit()).await;
    let nodes = [node().await, node().await, node().await];
    // the sealing key is the same on every node before the second one starts
    nodes[0].of(&domain(), now()).await.unwrap();
    let at = now();
    for hour in 0..72 {
        rotate(&nodes, at.plus(HOUR * hour)).await;
        let mut issuers = Vec::new();
        for node in &nodes {
            issuers.push(node.of(&domain(), at.plus(HOUR * hour)).await.unwrap());
        }
        for issuer in &issuers {
            assert_eq!(issuer.authority.certificate(), issuers[0].authority.certificate());
            assert_eq!(issuer.spiffe_bundle(), issuers[0].spiffe_bundle());
            // whoever of them signs, everyone accepts
            let at = at.plus(HOUR * hour);
            minted(issuer, at).check(&issuers[2].authorities(), at).unwrap();
        }
        assert!(issuers[0].keys().len() <= 15, "{} are published", issuers[0].keys().len());
        for kind in KeyKind::ALL {
            let active = standings(&issuers[0], kind).into_iter().filter(|one| *one == Standing::Active);
            assert_eq!(active.count(), 1, "{}", kind.as_str());
        }
    }
}

#[tokio::test]
async fn a_hundred_restarts_publish_nothing_more() {
    let dir = TempDir::new().unwrap();
    let first = node(&dir, "keys").await.of(&domain(), now()).await.unwrap().spiffe_bundle().clone();
    for _ in 0..100 {
        assert_eq!(node(&dir, "keys").await.of(&domain(), now()).await.unwrap().spiffe_bundle(), &first);
    }
    assert_eq!(first["keys"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_an_installation_had_as_files_goes_on_and_lies_nowhere_in_the_open() {
    let dir = TempDir::new().unwrap();
    let keys = dir.path().join("keys");
    let certificate = lay_out(&keys, &domain(), now().minus(HOUR * 24 * 100)).unwrap();
    let files = keys.join("issuer/prod.acme.test");
    let key = store::read_private(&files.join("authority.key")).unwrap().unwrap();
    let issuer = node(&dir, "keys").await.of(&domain(), now()).await.unwrap();
    assert_eq!(super::certificate_pem(issuer.authority.certificate()), certificate);
    assert!(!files.join("authority.key").exists() && !files.join("authority.pem").exists());
    let database = fs::read(dir.path().join("state.db")).unwrap();
    // the private scalar stands behind the header of its PKCS #8
    assert!(!database.windows(32).any(|part| part == &key[36..68]), "the database alone has no key");
    // it works as long as any other, and what it signed counts as long as that lasts
    let at = now();
    let svid = minted(&issuer, at);
    let nodes = [node(&dir, "keys").await];
    for hour in 0..24 {
        rotate(&nodes, at.plus(HOUR * hour)).await;
    }
    let later = at.plus(HOUR / 2);
    let issuer = nodes[0].of(&domain(), at.plus(HOUR * 24)).await.unwrap();
    assert_ne!(super::certificate_pem(issuer.authority.certificate()), certificate);
    svid.check(&issuer.authorities(), later).unwrap();
}

#[tokio::test]
async fn a_node_without_the_sealing_key_or_with_another_does_not_start_and_says_how_to_mend() {
    let dir = TempDir::new().unwrap();
    let keys = dir.path().join("keys");
    node(&dir, "keys").await.of(&domain(), now()).await.unwrap();
    let refused = async |folder: &str| node(&dir, folder).await.of(&domain(), now()).await.err().unwrap().to_string();
    let path = dir.path().join("thief/seal.key");
    assert_eq!(
        refused("thief").await,
        format!(
            "the authorities of trust domain `prod.acme.test` are sealed, and there is no `{}`: copy it from a node that \
             runs, or from a backup",
            path.display()
        )
    );
    fs::create_dir_all(dir.path().join("thief")).unwrap();
    store::SealingKey::make(&path).unwrap();
    let why = refused("thief").await;
    let words =
        format!("` was not sealed with `{}`: copy that file from a node that runs, or from a backup", path.display());
    assert!(why.starts_with("authority `") && why.ends_with(&words), "{why}");
    fs::copy(keys.join("seal.key"), &path).unwrap();
    node(&dir, "thief").await.of(&domain(), now()).await.unwrap();
}

/// What somebody who may write the database makes of it.
async fn tampered(change: impl Fn(&mut Vec<KeptAuthority>)) -> String {
    let dir = TempDir::new().unwrap();
    let one = node(&dir, "keys").await;
    one.of(&domain(), now()).await.unwrap();
    one.step(&domain(), KeyKind::X509, &KeyStep::Prepare, &by(now())).await.unwrap();
    let state = state(&dir).await;
    let mut kept = state.authorities("prod.acme.test").await.unwrap();
    change(&mut kept.authorities);
    let text = |text: &str| text.to_owned();
    let act = AuthorityAct {
        authority: text("x"),
        act: text("forge"),
        time: now().to_string(),
        actor: text("mallory"),
        record: String::new(),
    };
    // all that the statement writes of a row that is there is its standing and the sealed bytes; a new row it writes whole
    state.step_authorities("prod.acme.test", kept.seq, &act, &kept.authorities).await.unwrap();
    let why = node(&dir, "keys").await.of(&domain(), now()).await.err();
    why.map(|why| net::causes::chain(&why)).unwrap_or_default()
}

#[tokio::test]
async fn who_may_write_the_database_gives_no_authority_the_key_of_another_and_adds_none() {
    let swapped = tampered(|kept| {
        let (first, second) = (kept[0].sealed.clone(), kept[1].sealed.clone());
        (kept[0].sealed, kept[1].sealed) = (second, first);
    });
    assert!(swapped.await.ends_with("it does not open: it is not sealed with this key, for this purpose"));
    let added = tampered(|kept| {
        let forged = KeptAuthority { id: "0".repeat(40), certificate: vec![0x30, 0], ..kept[0].clone() };
        kept.push(KeptAuthority { standing: "retired".to_owned(), ..forged });
    });
    assert!(added.await.ends_with("it does not open: it is not sealed with this key, for this purpose"));
    assert_eq!(tampered(|_| {}).await, "");
}

#[tokio::test]
async fn a_revoked_authority_signed_nothing_that_counts_and_a_tainted_one_marks_what_it_signed() {
    let dir = TempDir::new().unwrap();
    let node = node(&dir, "keys").await;
    let at = now();
    let first = node.of(&domain(), at).await.unwrap();
    let (svid, id) = (minted(&first, at), issuer::key_id(first.authority.public_point()));
    let step = async |step: KeyStep| node.step(&domain(), KeyKind::X509, &step, &by(at.plus(HOUR))).await;
    let refused = async |step_: KeyStep| match step(step_).await.err().unwrap() {
        NotStepped::NotTaken(why) => why.to_string(),
        why @ (NotStepped::NoneOfKind { .. } | NotStepped::Issuing(_)) => panic!("{why}"),
    };
    assert_eq!(
        refused(KeyStep::Taint(id.clone())).await,
        format!("`{id}` is active: activate another one before it is tainted")
    );
    let second = step(KeyStep::Prepare).await.unwrap();
    step(KeyStep::Activate(second)).await.unwrap();
    assert_eq!(
        refused(KeyStep::Revoke(id.clone())).await,
        format!("`{id}` is retired: taint it before it is revoked, so that what it signed is replaced")
    );
    let signed_by = svid.signed_by().unwrap();
    let issuer = node.of(&domain(), at).await.unwrap();
    assert!(!issuer.authorities().taint(signed_by) && issuer.tainted().is_empty());
    step(KeyStep::Taint(id.clone())).await.unwrap();
    let issuer = node.of(&domain(), at).await.unwrap();
    assert!(issuer.authorities().taint(signed_by));
    assert_eq!(issuer.tainted(), [issuer::key_digest(first.authority.public_point())]);
    assert!(!issuer.authorities().taint(minted(&issuer, at).signed_by().unwrap()));
    // what counts is in the bundle: tainted, it still does, and revoked no more
    svid.check(&issuer.authorities(), at).unwrap();
    assert_eq!(standings(&issuer, KeyKind::X509), [Standing::Tainted, Standing::Active]);
    step(KeyStep::Revoke(id)).await.unwrap();
    let issuer = node.of(&domain(), at).await.unwrap();
    assert!(svid.check(&issuer.authorities(), at).unwrap_err().to_string().contains("does not verify"));
    assert_eq!(standings(&issuer, KeyKind::X509), [Standing::Active]);
    assert!(issuer.tainted().is_empty());
}

#[tokio::test]
async fn the_sequence_of_a_bundle_grows_with_every_change_and_with_nothing_else() {
    let dir = TempDir::new().unwrap();
    let nodes = [node(&dir, "keys").await];
    let at = now();
    let mut last = nodes[0].of(&domain(), at).await.unwrap();
    assert!(last.sequence() > 1 << 32, "behind what was published before nodes shared authorities");
    for hour in 0..72 {
        let at = at.plus(HOUR * hour);
        rotate(&nodes, at).await;
        let now = nodes[0].of(&domain(), at).await.unwrap();
        assert_eq!(
            now.sequence() > last.sequence(),
            now.spiffe_bundle()["keys"] != last.spiffe_bundle()["keys"]
                || now.authority.certificate() != last.authority.certificate()
                || now.jwt.kid() != last.jwt.kid()
        );
        last = now;
    }
}

fn jwt_ids(issuer: &Issuer) -> Vec<String> {
    let keys = issuer.spiffe_bundle()["keys"].as_array().unwrap().clone();
    keys.iter().filter(|key| key["use"] == "jwt-svid").map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn points(count: usize) -> Vec<(Vec<u8>, Time)> {
    use issuer::Signer;
    let made = |_| (store::P256Signer::make().unwrap().0.public_point().to_vec(), now().plus(HOUR));
    (0..count).map(made).collect()
}

#[tokio::test]
async fn what_is_published_for_a_control_plane_below_is_what_it_said_last() {
    let dir = TempDir::new().unwrap();
    let node = node(&dir, "keys").await;
    let of = async || -> Arc<Issuer> { node.of(&domain(), now()).await.unwrap() };
    let ours = jwt_ids(of().await.as_ref());
    let (one, two) = ("spiffe://prod.acme.test/one", "spiffe://prod.acme.test/two");
    let keys = points(3);
    node.share(&domain(), one, &keys[..2], &by(now())).await.unwrap();
    node.share(&domain(), two, &keys[2..], &by(now())).await.unwrap();
    assert_eq!(jwt_ids(of().await.as_ref()).len(), ours.len() + 3);
    assert_eq!(standings(of().await.as_ref(), KeyKind::Jwt).iter().filter(|one| **one == Standing::Nested).count(), 3);
    // who asks hears of the others, and not of itself
    let said = super::OuterWord::of(of().await.as_ref(), one);
    assert_eq!(said.jwt.len(), ours.len() + 1);
    let before = of().await.sequence();
    node.share(&domain(), one, &keys[..2], &by(now())).await.unwrap();
    assert_eq!(of().await.sequence(), before, "the same again changes nothing");
    node.share(&domain(), one, &keys[1..2], &by(now())).await.unwrap();
    assert_eq!(jwt_ids(of().await.as_ref()).len(), ours.len() + 2, "it is withdrawn");
    node.share(&domain(), one, &keys[..1], &by(now())).await.unwrap();
    assert_eq!(jwt_ids(of().await.as_ref()).len(), ours.len() + 2, "and comes back");
    node.share(&domain(), one, &[], &by(now())).await.unwrap();
    node.share(&domain(), two, &[], &by(now())).await.unwrap();
    assert_eq!(jwt_ids(of().await.as_ref()), ours);
    minted(of().await.as_ref(), now()).check(&of().await.authorities(), now()).unwrap();
}

#[tokio::test]
async fn a_control_plane_below_changes_no_key_but_its_own() {
    let dir = TempDir::new().unwrap();
    let node = node(&dir, "keys").await;
    let issuer = node.of(&domain(), now()).await.unwrap();
    let (one, two) = ("spiffe://prod.acme.test/one", "spiffe://prod.acme.test/two");
    let refused = |why: Result<(), super::NotShared>| why.unwrap_err().to_string();
    for key in issuer.keys() {
        let why = refused(node.share(&domain(), one, &[(key.point.clone(), now())], &by(now())).await);
        assert_eq!(why, format!("`{}` is the key of somebody else", key.life.id));
    }
    let keys = points(17);
    node.share(&domain(), one, &keys[..1], &by(now())).await.unwrap();
    assert!(refused(node.share(&domain(), two, &keys[..1], &by(now())).await).contains("somebody else"));
    let many = "a control plane below has at most 16 keys of JWT-SVIDs published here, and all have at most 64";
    assert_eq!(refused(node.share(&domain(), two, &keys, &by(now())).await), many);
    for below in 0..3 {
        node.share(&domain(), &format!("spiffe://prod.acme.test/{below}"), &points(16), &by(now())).await.unwrap();
    }
    assert_eq!(refused(node.share(&domain(), two, &points(16), &by(now())).await), many);
    // nor does an operator, here
    let id = issuer::key_id(&keys[0].0);
    for step in [KeyStep::Activate(id.clone()), KeyStep::Taint(id.clone()), KeyStep::Revoke(id.clone())] {
        let why = node.step(&domain(), KeyKind::Jwt, &step, &by(now())).await.unwrap_err();
        assert_eq!(why.to_string(), format!("`{id}` is of a control plane below: taint and revoke it there"));
    }
    // a key that was ours and is gone may be somebody's, and nothing of before is lost by it
    let old = issuer.keys().iter().find(|key| key.kind == KeyKind::X509).unwrap();
    let (point, id) = (old.point.clone(), old.life.id.clone());
    let fresh = node.step(&domain(), KeyKind::X509, &KeyStep::Prepare, &by(now())).await.unwrap();
    for step in [KeyStep::Activate(fresh), KeyStep::Taint(id.clone()), KeyStep::Revoke(id)] {
        node.step(&domain(), KeyKind::X509, &step, &by(now())).await.unwrap();
    }
    node.share(&domain(), one, &[(point, now().plus(HOUR))], &by(now())).await.unwrap();
    let after = node.of(&domain(), now()).await.unwrap();
    minted(&after, now()).check(&after.authorities(), now()).unwrap();
}

#[tokio::test]
async fn keys_of_a_control_plane_that_says_no_more_are_dropped_once_they_have_ended() {
    let dir = TempDir::new().unwrap();
    let node = node(&dir, "keys").await;
    let ours = jwt_ids(node.of(&domain(), now()).await.unwrap().as_ref());
    node.share(&domain(), "spiffe://prod.acme.test/one", &points(2), &by(now())).await.unwrap();
    for hour in 0..30 {
        rotate(std::slice::from_ref(&node), now().plus(HOUR * hour)).await;
    }
    let after = node.of(&domain(), now().plus(HOUR * 30)).await.unwrap();
    assert!(!standings(&after, KeyKind::Jwt).contains(&Standing::Nested) && !ours.is_empty());
}

/// Names of the keys of a bundle that are for this.
fn kids(bundle: &serde_json::Value, usage: &str) -> Vec<String> {
    let keys = bundle["keys"].as_array().unwrap().iter().filter(|key| key["use"] == usage);
    keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn keys_of_wit_svids_are_in_a_bundle_only_while_they_sign_and_share_no_name_with_others() {
    let dir = TempDir::new().unwrap();
    let off = node(&dir, "keys").await;
    let issuer = off.of(&domain(), now()).await.unwrap();
    assert!(issuer.wit.is_none() && issuer.wit_keys().is_none() && kids(issuer.spiffe_bundle(), "wit-svid").is_empty());
    let refused = off.step(&domain(), KeyKind::Wit, &KeyStep::Prepare, &by(now())).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "no wit-SVIDs are signed here: `incubating: [wit]` in the server's settings has them signed"
    );
    let on = living(&dir, "keys", with_wit()).await;
    let at = now();
    for hour in 0..72 {
        rotate(std::slice::from_ref(&on), at.plus(HOUR * hour)).await;
        let issuer = on.of(&domain(), at.plus(HOUR * hour)).await.unwrap();
        let bundle = issuer.spiffe_bundle();
        let (wits, jwts) = (kids(bundle, "wit-svid"), kids(bundle, "jwt-svid"));
        assert!(!wits.is_empty() && wits.iter().all(|kid| !jwts.contains(kid)), "{bundle}");
        // what the Workload API hands out for one is never for the other
        let text = |keys: &[u8]| String::from_utf8(keys.to_vec()).unwrap();
        let (jwt_keys, wit_keys) = (text(issuer.jwt_keys()), text(issuer.wit_keys().unwrap()));
        assert!(wits.iter().all(|kid| wit_keys.contains(kid) && !jwt_keys.contains(kid)), "{jwt_keys}");
        assert!(jwts.iter().all(|kid| jwt_keys.contains(kid) && !wit_keys.contains(kid)), "{wit_keys}");
    }
    // off again, they are kept and not published
    let off = node(&dir, "keys").await.of(&domain(), at.plus(HOUR * 72)).await.unwrap();
    assert!(off.wit.is_none() && kids(off.spiffe_bundle(), "wit-svid").is_empty());
    assert!(off.keys().iter().all(|key| key.kind != KeyKind::Wit));
}
