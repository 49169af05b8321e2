//! PostgreSQL by URL: who is refused and in which words, TLS, and a server that is killed and comes back.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sqlx::{Connection, PgConnection};
use store::{State, StateFault};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::node::{history, try_next};
use crate::place::{Place, run};
use testkit::postgres::{Postgres as Server, until};

/// Fault and cause of a URL that is not usable.
async fn refused(url: &str) -> (String, String) {
    let fault = State::connect(url).await.err().unwrap_or_else(|| panic!("`{url}` is taken"));
    (fault.to_string(), fault.source().map(ToString::to_string).unwrap_or_default())
}

#[test]
fn a_url_that_is_not_understood_is_refused_without_being_shown() {
    run(async {
        let known = "known are: sslmode, sslrootcert, sslcert, sslkey, host, application_name";
        for (url, cause) in [
            ("mysql://u:secret@db.test/x", "it must begin with `postgres://`".to_owned()),
            ("postgres://u:secret@db.test/x?sslmod=verify-full", format!("it has a parameter `sslmod`; {known}")),
            (
                "postgres://u:secret@db.test/x?sslmode=require&options=-c",
                format!("it has a parameter `options`; {known}"),
            ),
            ("postgres://u:secret@db.test:x/x", "it cannot be read".to_owned()),
            ("postgres://u:secret@db.test/x?sslmode=always", "it cannot be read".to_owned()),
        ] {
            assert_eq!(refused(url).await, ("the state's URL cannot be used".to_owned(), cause), "{url}");
        }
    });
}

#[test]
fn who_is_not_let_in_is_told_so_and_no_password_is_shown() {
    let Some(place) = Place::postgres() else { return };
    run(async {
        let url = place.address();
        let (fault, cause) = refused(&url.replace("a%20secret", "wrong")).await;
        assert_eq!(fault, format!("the state in `{}` refuses", place.name()));
        assert_eq!(cause, "password authentication failed for user \"test\"");
        let (fault, cause) = refused(&format!("{url}_of_nobody")).await;
        assert_eq!(fault, format!("the state in `{}_of_nobody` refuses", place.name()));
        assert!(cause.starts_with("database \"") && cause.ends_with("\" does not exist"), "{cause}");
        assert!(!format!("{:?}", State::connect(&url.replace("a%20", "b")).await.err()).contains("secret"));
    });
}

#[test]
fn tls_is_verified_against_the_root_that_the_url_names() {
    let Some(place) = Place::postgres() else { return };
    let Place::Postgres(server, _) = &place else { return };
    let other = TempDir::new().unwrap();
    let forged = other.path().join("root.pem");
    run(async {
        let url = |root: &str| format!("{}?sslmode=verify-full&sslrootcert={root}", place.address());
        let node = State::connect(&url(&server.certificate())).await.unwrap();
        assert!(try_next(&node, "ada").await.unwrap().is_some());
        testkit::postgres::certify(other.path());
        fs::rename(other.path().join("server.crt"), &forged).unwrap();
        let (fault, cause) = refused(&url(forged.to_str().unwrap())).await;
        assert_eq!(fault, format!("the state in `{}` cannot be reached", place.name()));
        assert!(cause.contains("certificate"), "{cause}");
        // the certificate is for the address, not for this name of it
        let (_, cause) = refused(&url(&server.certificate()).replace("127.0.0.1", "localhost")).await;
        assert!(cause.contains("certificate"), "{cause}");
    });
}

#[test]
fn a_row_that_somebody_holds_is_not_waited_for_beyond_the_deadline() {
    let Some(place) = Place::postgres() else { return };
    run(async {
        let node = place.node().await;
        let mut holder = PgConnection::connect(&place.address()).await.unwrap();
        sqlx::raw_sql("BEGIN; UPDATE change_counter SET seq = seq + 1").execute(&mut holder).await.unwrap();
        let late = try_next(&node, "ada").await.unwrap_err();
        assert_eq!(late.to_string(), format!("the state in `{}` did not answer within 5 s", place.name()));
        assert_eq!(node.last_epoch().await.unwrap(), None);
        sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
        assert!(try_next(&node, "ada").await.unwrap().is_some());
    });
}

#[test]
fn a_server_that_is_killed_and_comes_back_has_lost_nothing_that_it_acknowledged() {
    let Some(server) = Server::alone() else { return };
    server.make_database("state");
    let place = Place::Postgres(Arc::new(server), "state".to_owned());
    let Place::Postgres(server, _) = &place else { return };
    run(async {
        let nodes = [place.node().await, place.node().await];
        let enough = Arc::new(AtomicBool::new(false));
        let (kept, faults) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let mut authors = JoinSet::new();
        for (number, node) in nodes.iter().cycle().take(4).enumerate() {
            let (node, enough, kept) = (node.clone(), Arc::clone(&enough), Arc::clone(&kept));
            let (faults, name) = (Arc::clone(&faults), place.name());
            authors.spawn(async move {
                let mut mine = Vec::new();
                while !enough.load(Ordering::Relaxed) {
                    match try_next(&node, &format!("author {number}")).await {
                        Ok(position) => {
                            kept.fetch_add(position.iter().count() as u64, Ordering::Relaxed);
                            mine.extend(position);
                        }
                        Err(fault @ (StateFault::Away { .. } | StateFault::Late { .. })) => {
                            assert!(fault.to_string().contains(&name));
                            faults.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(fault) => panic!("{fault}: {:?}", fault.source()),
                    }
                }
                mine
            });
        }
        for _ in 0..3 {
            // others run on meanwhile: blocking this thread is no harm
            tokio::task::block_in_place(|| {
                let (before, failed) = (kept.load(Ordering::Relaxed), faults.load(Ordering::Relaxed));
                until("epochs are kept", || kept.load(Ordering::Relaxed) > before + 10);
                server.kill();
                until("it is said that the server is away", || faults.load(Ordering::Relaxed) > failed);
                server.start_again();
            });
        }
        let before = kept.load(Ordering::Relaxed);
        tokio::task::block_in_place(|| until("both nodes go on", || kept.load(Ordering::Relaxed) > before + 10));
        enough.store(true, Ordering::Relaxed);
        let mut acknowledged = BTreeSet::new();
        while let Some(mine) = authors.join_next().await {
            for position in mine.unwrap() {
                assert!(acknowledged.insert(position), "acknowledged to two");
            }
        }
        let there: Vec<_> = history(&nodes[0]).await.into_iter().map(|epoch| epoch.position).collect();
        let lost: Vec<_> = acknowledged.iter().filter(|position| !there.contains(position)).collect();
        assert!(lost.is_empty(), "{lost:?}");
        let changes = nodes[1].changes_since(0, u64::MAX >> 1).await.unwrap();
        assert_eq!(
            changes.iter().map(|change| change.seq).collect::<Vec<_>>(),
            (1..=there.len() as u64).collect::<Vec<_>>()
        );
    });
}
