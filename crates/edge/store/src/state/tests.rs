//! What needs no database: how far a URL is trusted, and the text of a position.

use model::{Epoch, Generation};
use sqlx::postgres::PgSslMode;

use super::{BadPosition, Position, postgres};

#[test]
fn what_leaves_the_machine_is_encrypted_to_whom_the_url_names_unless_it_says_otherwise() {
    let mode = |url: &str| postgres::options(url).unwrap().get_ssl_mode();
    for url in [
        "postgres://u@db.example.test/x",
        "postgresql://u:p@192.0.2.7:5433/x?sslrootcert=/etc/root.pem",
        "postgres://u@[2001:db8::7]/x",
        "postgres:///x?host=db.example.test",
        // not the loopback, whatever it begins with
        "postgres://u@127.0.0.1.example.test/x",
        "postgres://u@localhost.example.test/x",
    ] {
        assert!(matches!(mode(url), PgSslMode::VerifyFull), "{url}");
    }
    assert!(matches!(mode("postgres://u@db.example.test/x?sslmode=disable"), PgSslMode::Disable));
    for url in [
        "postgres://u@localhost/x",
        "postgres://u@[::1]/x",
        "postgres:///x?host=/run/postgresql",
        "postgres://%2Frun%2Fpostgresql/x",
    ] {
        assert!(matches!(mode(url), PgSslMode::Prefer), "{url}");
    }
}

#[test]
fn a_position_is_written_and_read_and_ordered_by_generation_first() {
    let at = |generation, epoch| Position { generation: Generation(generation), epoch: Epoch(epoch) };
    for position in [at(0, 0), at(1, 7), at(u64::MAX, u64::MAX)] {
        assert_eq!(position.to_string().parse(), Ok(position));
    }
    assert!(at(2, 1) > at(1, 9) && at(1, 10) > at(1, 9));
    for text in ["", "1", "1.", ".7", "1.7.3", "-1.7", "1.x", "1,7", "1.18446744073709551616"] {
        assert_eq!(text.parse::<Position>(), Err(BadPosition), "{text}");
    }
    assert_eq!(BadPosition.to_string(), "expected a generation and an epoch, such as `1.7`");
}
