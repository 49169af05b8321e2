//! State in a PostgreSQL database, by URL: nothing goes over a network unencrypted unless the URL says so.

use std::net::IpAddr;
use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::connections::Connections;
use super::database::{DEADLINE, Database, Engine};
use super::fault::Said;

/// What a URL may say behind its `?`. Another name would be passed over in silence, and it could be a misspelt `sslmode`.
const PARAMETERS: &[&str] = &["sslmode", "sslrootcert", "sslcert", "sslkey", "host", "application_name"];

/// Why a URL names no database. It is not shown: it may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum BadUrl {
    #[error("it must begin with `postgres://`")]
    Scheme,
    #[error("it has a parameter `{name}`; known are: {}", PARAMETERS.join(", "))]
    Parameter { name: String },
    #[error("it cannot be read")]
    Unreadable(#[source] Said),
}

/// The database that `url` names. Nothing is sent yet.
pub(super) fn connect(url: &str) -> Result<Database, BadUrl> {
    let options = options(url)?;
    let place = place(&options);
    let deadline = DEADLINE.as_millis().to_string();
    let options = options.options([
        ("statement_timeout", deadline.as_str()),
        // a node that stops in the middle of a transaction holds nobody up for longer
        ("idle_in_transaction_session_timeout", deadline.as_str()),
    ]);
    Ok(Database::new(Engine::Postgres(Connections::new(options)), &place))
}

pub(super) fn options(url: &str) -> Result<PgConnectOptions, BadUrl> {
    let url = url.trim();
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(BadUrl::Scheme);
    }
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let names = || query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
    if let Some(name) = names().find(|name| !name.is_empty() && !PARAMETERS.contains(name)) {
        return Err(BadUrl::Parameter { name: name.to_owned() });
    }
    let options = PgConnectOptions::from_str(url).map_err(|error| BadUrl::Unreadable(Said::by(&error)))?;
    if names().any(|name| name == "sslmode") || is_local(&options) {
        return Ok(options);
    }
    Ok(options.ssl_mode(PgSslMode::VerifyFull))
}

/// Whether the connection stays on this machine.
fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let loopback = address.is_ok_and(|address| address.is_loopback()) || host == "localhost";
    options.get_socket().is_some() || host.starts_with('/') || loopback
}

fn place(options: &PgConnectOptions) -> String {
    let host = options.get_socket().map_or_else(|| options.get_host().to_owned(), |path| path.display().to_string());
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    format!("{host}:{}/{database}", options.get_port())
}
