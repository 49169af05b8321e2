//! `dev`, its tokens, and what every verb that runs a process needs.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use net::{now, record_id};
use tokio::runtime::Builder;
use tracing_subscriber::EnvFilter;

use super::args::{self, Dev, DevVerb};
use super::reach::{DIRECTORY, Reach, announced, find};
use super::{Client, Exit, Format, Stopped, output, tour};
use crate::dev::{
    self, Caller, DevFailed, DevJson, DiscoveryFailed, FakeClouds, Fresh, KubernetesFailed, KubernetesOptions,
    KubernetesReady, Options, OwnApi, OwnApiFailed,
};
use crate::epochs::ApplyFailed;

/// Runs `dev`, its tour, or `dev token`.
///
/// # Errors
/// [`Stopped`].
pub fn dev(dev: &Dev, reach: &Reach, format: Format) -> Result<(), Stopped> {
    match &dev.verb {
        Some(DevVerb::Token { name }) => token(name, reach),
        Some(DevVerb::Kubernetes { listen, tls_cert_file, tls_private_key_file }) => {
            let pair = tls_cert_file.clone().zip(tls_private_key_file.clone());
            let directory = reach.dir.clone().unwrap_or_else(|| PathBuf::from(DIRECTORY)).join("kubernetes");
            kubernetes(KubernetesOptions { directory, listen: *listen, pair })
        }
        None if dev.tour => walk(reach.dir.as_deref()),
        None => serve(dev, reach.dir.clone(), format),
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
        clouds: if dev.clouds { FakeClouds::Served } else { FakeClouds::None },
    };
    runtime()?
        .block_on(dev::run(options, |running| output::dev_ready(running, format)))
        .map_err(|error| stopped(&error))
}

fn kubernetes(options: KubernetesOptions) -> Result<(), Stopped> {
    log();
    let ready = |ready: &KubernetesReady| {
        output::line(&format!("API server: {}", ready.url));
        output::line(&format!("admin's token: {}", ready.admin.display()));
        output::line(&format!("reviewer's token: {}", ready.reviewer.display()));
    };
    let exit = |error: &KubernetesFailed| match error {
        KubernetesFailed::NotLoopback { .. } => Exit::Usage,
        KubernetesFailed::Io { .. }
        | KubernetesFailed::Listen { .. }
        | KubernetesFailed::Key(_)
        | KubernetesFailed::Pem { .. }
        | KubernetesFailed::Pair(_)
        | KubernetesFailed::Signals(_) => Exit::Failed,
    };
    runtime()?.block_on(dev::kubernetes(options, ready)).map_err(|error| Stopped::because(exit(&error), &error))
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
fn token(name: &str, reach: &Reach) -> Result<(), Stopped> {
    let Some(caller) = Caller::named(name) else {
        let names = Caller::ALL.map(Caller::name).join(", ");
        return Err(Stopped::new(Exit::Invalid, format!("no sample caller is named `{name}`; there are {names}")));
    };
    let json = match &reach.server {
        Some(_) => described(&find(reach)?)?,
        None => announced(reach.dir.as_deref().unwrap_or(Path::new(DIRECTORY)))?,
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
        | DevFailed::Clouds(_)
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
