//! What a SQLite file is protected from, and what is said when it cannot be used.

use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sqlx::{Connection, SqliteConnection};
use store::{State, StateFault};
use tempfile::TempDir;

use crate::node::{history, try_next};
use crate::place::{Place, run};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Names in a directory, in order.
fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// A state of some epochs, at rest.
async fn at_rest(dir: &Path) -> std::path::PathBuf {
    let path = dir.join("state.db");
    let state = State::open(&path).await.unwrap();
    for author in 0..50 {
        try_next(&state, &format!("author {author}")).await.unwrap();
    }
    state.close().await;
    assert_eq!(names(dir), ["state.db"]);
    path
}

#[test]
fn only_its_owner_reads_it() {
    run(async {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("made/for/it/state.db");
        let state = State::open(&path).await.unwrap();
        try_next(&state, "ada").await.unwrap();
        assert_eq!(names(path.parent().unwrap()), ["state.db", "state.db-shm", "state.db-wal"]);
        for name in names(path.parent().unwrap()) {
            assert_eq!(mode(&path.with_file_name(name)), 0o600);
        }
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        state.close().await;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        State::open(&path).await.unwrap();
        assert_eq!(mode(&path), 0o600);
    });
}

#[test]
fn it_is_read_while_a_server_has_it_open_and_from_a_copy_that_stays_as_it_is() {
    run(async {
        let dir = TempDir::new().unwrap();
        let path = at_rest(dir.path()).await;
        let bytes = fs::read(&path).unwrap();
        let reader = State::read(&path).await.unwrap();
        assert_eq!(history(&reader).await.len(), 50);
        assert_eq!((names(dir.path()), fs::read(&path).unwrap()), (vec!["state.db".to_owned()], bytes));
        reader.close().await;

        let server = State::open(&path).await.unwrap();
        try_next(&server, "ada").await.unwrap();
        let reader = State::read(&path).await.unwrap();
        assert_eq!(history(&reader).await.len(), 51);
        try_next(&server, "bob").await.unwrap();
        assert_eq!(history(&reader).await.len(), 52);
        let refused = try_next(&reader, "eve").await.unwrap_err();
        assert_eq!(refused.to_string(), format!("the state in `{}` refuses", path.display()));
        assert_eq!(refused.source().unwrap().to_string(), "attempt to write a readonly database");

        // what a crash or a copy while it runs leaves: the log of writes counts
        let copy = TempDir::new().unwrap();
        for name in ["state.db", "state.db-wal"] {
            fs::copy(path.with_file_name(name), copy.path().join(name)).unwrap();
        }
        let copied = State::read(&copy.path().join("state.db")).await.unwrap();
        assert_eq!(history(&copied).await.len(), 52);
    });
}

#[test]
fn what_is_not_there_is_not_made_by_reading() {
    run(async {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("state.db");
        let missing = State::read(&path).await.err().unwrap();
        assert_eq!(missing.to_string(), format!("there is no state in `{}`", path.display()));
        assert!(matches!(missing, StateFault::Missing { .. }));
        assert!(names(dir.path()).is_empty());
    });
}

#[test]
fn an_older_format_is_read_only_once_a_server_brought_it_up_to_date() {
    run(async {
        let place = Place::sqlite();
        place.node().await.close().await;
        place.tamper("UPDATE schema_version SET version = 0").await;
        let path = place.address();
        let older = State::read(path.as_ref()).await.err().unwrap();
        let words = format!("the state in `{path}` has format 0, and this program reads 9: start a server on it once");
        assert_eq!(older.to_string(), words);
        // a migration that broke off half-way runs again
        place.node().await.close().await;
        State::read(path.as_ref()).await.unwrap();
    });
}

#[test]
fn a_damaged_file_is_refused_by_its_path_and_left_as_it_is() {
    run(async {
        let dir = TempDir::new().unwrap();
        let path = at_rest(dir.path()).await;
        let whole = fs::read(&path).unwrap();
        let damages: [(&str, Vec<u8>); 4] = [
            ("no database at all", b"not a database, whatever its name says".repeat(200)),
            ("a page of zeros", [&whole[..4096], &[0; 4096], &whole[8192..]].concat()),
            ("cut off in the middle", whole[..whole.len() / 2].to_vec()),
            ("a page that is noise", [&whole[..8192], &[0xa5; 4096], &whole[12288..]].concat()),
        ];
        for (what, bytes) in damages {
            fs::write(&path, &bytes).unwrap();
            let refused = State::open(&path).await.err().unwrap_or_else(|| panic!("{what} is taken"));
            let place = path.display();
            let words = format!("the state in `{place}` is damaged; it is left as it is, put a backup in its place");
            assert_eq!(refused.to_string(), words, "{what}: {:?}", refused.source());
            assert_eq!(fs::read(&path).unwrap(), bytes, "{what}");
        }
        fs::write(&path, &whole).unwrap();
        assert_eq!(history(&State::open(&path).await.unwrap()).await.len(), 50);
    });
}

#[test]
fn a_file_that_somebody_holds_is_not_waited_for_beyond_the_deadline() {
    run(async {
        let place = Place::sqlite();
        let node = place.node().await;
        let mut holder = SqliteConnection::connect(&place.address()).await.unwrap();
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut holder).await.unwrap();
        let late = try_next(&node, "ada").await.unwrap_err();
        assert_eq!(late.to_string(), format!("the state in `{}` did not answer within 5 s", place.name()));
        // who only reads is not held up
        assert_eq!(node.last_epoch().await.unwrap(), None);
        sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
        assert!(try_next(&node, "ada").await.unwrap().is_some());
    });
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    run(async {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let path = dir.path().join("file/state.db");
        let refused = State::open(&path).await.err().unwrap();
        assert_eq!(refused.to_string(), format!("cannot make `{}`", path.display()));
    });
}
