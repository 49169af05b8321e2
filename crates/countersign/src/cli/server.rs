//! `dev`, and finding the server that a verb is meant for.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use tokio::runtime::Builder;
use tracing_subscriber::EnvFilter;

use super::args::{self, Dev, DevVerb};
use super::{Client, Exit, Format, Stopped, output, tour};
use crate::dev::{self, Caller, DevFailed, DevJson, DiscoveryFailed, Fresh, Options, OwnApi, OwnApiFailed};
use crate::epochs::ApplyFailed;
use crate::installation::{Context, READY, Ready, context_file};
use crate::net::{now, record_id};

/// Directory of `dev`, unless another is named.
pub(super) const DIRECTORY: &str = ".countersign";

/// What `dev` leaves there for programs.
const DEV: &str = "dev.json";

/// Where the address of a server was found.
pub(super) enum Origin {
    /// It was named.
    Named,
    File(PathBuf),
}

/// The server that a verb is meant for: `--server`, else `--dir`, else `./.countersign`, else the context file of `init`.
///
/// # Errors
/// [`Stopped`] if no server is named and none runs here, or the address is not understood.
pub fn find(server: Option<&str>, directory: Option<&Path>) -> Result<Client, Stopped> {
    let (address, _) = chosen(server, directory)?;
    match address.strip_prefix("unix:") {
        Some(socket) if !socket.is_empty() => Ok(Client::new(PathBuf::from(socket))),
        _ => {
            let why = format!("`{address}` is not an address that this version speaks to: expected `unix:PATH`");
            Err(Stopped::new(Exit::Usage, why))
        }
    }
}

/// Its address, and where that was found.
///
/// # Errors
/// As [`find`].
pub(super) fn chosen(server: Option<&str>, directory: Option<&Path>) -> Result<(String, Origin), Stopped> {
    let here = Path::new(DIRECTORY);
    match (server, directory) {
        (Some(address), _) => Ok((address.to_owned(), Origin::Named)),
        (None, Some(directory)) => control_of(directory),
        (None, None) if here.join(DEV).exists() => control_of(here),
        (None, None) => context()?.map_or_else(|| control_of(here), Ok),
    }
}

/// The control door of whatever runs in a directory.
fn control_of(directory: &Path) -> Result<(String, Origin), Stopped> {
    let ready = directory.join(READY);
    match std::fs::read(&ready) {
        Ok(bytes) => {
            let Ready { control, .. } =
                serde_json::from_slice(&bytes).map_err(|error| Stopped::because(Exit::Invalid, &error))?;
            Ok((control, Origin::File(ready)))
        }
        Err(_) => Ok((announced(directory)?.control, Origin::File(directory.join(DEV)))),
    }
}

/// The installation that `init` laid out last, if nothing nearer is named.
fn context() -> Result<Option<(String, Origin)>, Stopped> {
    let Some(path) = context_file() else { return Ok(None) };
    let Ok(bytes) = std::fs::read(&path) else { return Ok(None) };
    let Context { server } = serde_json::from_slice(&bytes).map_err(|error| Stopped::because(Exit::Invalid, &error))?;
    Ok(Some((server, Origin::File(path))))
}

fn announced(directory: &Path) -> Result<DevJson, Stopped> {
    let path = directory.join(DEV);
    let none = || {
        let path = path.display();
        let why =
            format!("no server: `{path}` is not there; start one with `countersign dev`, or name one with --server");
        Stopped::new(Exit::Unreachable, why)
    };
    let bytes = std::fs::read(&path).ok().ok_or_else(none)?;
    serde_json::from_slice(&bytes).map_err(|error| Stopped::because(Exit::Invalid, &error))
}

/// Runs `dev`, its tour, or `dev token`.
///
/// # Errors
/// [`Stopped`].
pub fn dev(dev: &Dev, server: Option<&str>, directory: Option<PathBuf>, format: Format) -> Result<(), Stopped> {
    match &dev.verb {
        Some(DevVerb::Token { name }) => token(name, server, directory.as_deref()),
        None if dev.tour => walk(directory.as_deref()),
        None => serve(dev, directory, format),
    }
}

fn serve(dev: &Dev, directory: Option<PathBuf>, format: Format) -> Result<(), Stopped> {
    log();
    let options = Options {
        directory: directory.unwrap_or_else(|| PathBuf::from(DIRECTORY)),
        listen: dev.listen,
        fresh: if dev.fresh { Fresh::Emptied } else { Fresh::Reused },
        watch: dev.watch,
        environment: dev.environment.clone(),
        own: own_api(&dev.own),
    };
    runtime()?
        .block_on(dev::run(options, |running| output::dev_ready(running, format)))
        .map_err(|error| stopped(&error))
}

/// The parser has seen to it that these flags come together.
fn own_api(flags: &args::OwnApi) -> Option<OwnApi> {
    Some(OwnApi {
        upstream: flags.upstream.clone()?,
        openapi: flags.openapi.clone()?,
        issuer: flags.issuer.clone()?,
        audience: flags.audience.clone()?,
        jwks_url: flags.jwks_url.clone(),
    })
}

fn walk(directory: Option<&Path>) -> Result<(), Stopped> {
    runtime()?.block_on(tour::tour(directory)).map_err(|error| Stopped::because(Exit::Failed, &error))
}

/// Prints a fresh token, signed here with the sample issuer's key: there is no mint endpoint to ask.
fn token(name: &str, server: Option<&str>, directory: Option<&Path>) -> Result<(), Stopped> {
    let Some(caller) = Caller::named(name) else {
        let names = Caller::ALL.map(Caller::name).join(", ");
        return Err(Stopped::new(Exit::Invalid, format!("no sample caller is named `{name}`; there are {names}")));
    };
    let json = match server {
        Some(_) => described(&find(server, None)?)?,
        None => announced(directory.unwrap_or(Path::new(DIRECTORY)))?,
    };
    let keys = json.ledger.parent().unwrap_or(Path::new(DIRECTORY)).join("keys");
    let id = record_id().to_string();
    let token =
        dev::token(caller, &keys, &json.issuer, now(), &id).map_err(|error| Stopped::because(Exit::Failed, &error))?;
    output::line(&token);
    Ok(())
}

fn described(client: &Client) -> Result<DevJson, Stopped> {
    let document = runtime()?.block_on(client.get("/v1/dev"))?;
    serde_json::from_value(document).map_err(|error| Stopped::because(Exit::Invalid, &error))
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Stopped> {
    Builder::new_multi_thread().enable_all().build().map_err(|error| Stopped::because(Exit::Failed, &error))
}

fn stopped(error: &DevFailed) -> Stopped {
    let exit = match error {
        DevFailed::Apply { source: ApplyFailed::Problems(_), .. } | DevFailed::Estate(_) => Exit::Invalid,
        DevFailed::NotLoopback { .. } | DevFailed::OwnApi(OwnApiFailed::AlreadyThere { .. }) => Exit::Usage,
        DevFailed::OwnApi(OwnApiFailed::Discovery(DiscoveryFailed::Fetch { .. })) => Exit::Unreachable,
        DevFailed::OwnApi(OwnApiFailed::Write { .. }) => Exit::Failed,
        DevFailed::OwnApi(_) => Exit::Invalid,
        DevFailed::Apply { .. }
        | DevFailed::Directory(_)
        | DevFailed::PortInUse { .. }
        | DevFailed::Listen { .. }
        | DevFailed::Ledger(_)
        | DevFailed::CheckpointKey(_)
        | DevFailed::Key(_)
        | DevFailed::State(_)
        | DevFailed::Epochs(_)
        | DevFailed::Svid(_)
        | DevFailed::Io(_) => Exit::Failed,
    };
    Stopped::because(exit, error)
}

/// Logs to stderr; `COUNTERSIGN_LOG` says how much.
pub(super) fn log() {
    let filter =
        EnvFilter::try_from_env("COUNTERSIGN_LOG").unwrap_or_else(|_| EnvFilter::new("warn,countersign::dev=info"));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // a log that cannot be written is no reason to stop: reporting it to stderr again would panic
    let log = tracing_subscriber::fmt().log_internal_errors(false);
    log.with_env_filter(filter).with_ansi(colour).with_writer(std::io::stderr).init();
}
