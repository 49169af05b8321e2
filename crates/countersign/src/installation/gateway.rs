//! Starts and stops a gateway that runs apart from its control plane.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use credential::BadBundle;
use issuer::{Assertions, BadPem, pem};
use model::Time;
use net::causes::chain;
use net::tls::{self, OwnSvid};
use net::{Connections, Interrupted, Listener, Nodes, jittered, now};
use store::{BadSigner, P256Signer, State, StateFault};
use tokio::time::sleep;

use super::process::{NotStarted, Operated, Process, listen, url};
use super::ready::{Ready, ReadyGateway};
use crate::admin::{Admin, Source};
use crate::control::Post;
use crate::epochs::{Epochs, EpochsFailed, Setting, Trust};
use crate::estate::{BadSettings, GatewaySettings, Vars, gateway_settings};
use crate::feed::Voice;
use crate::following::{Contact, Follower, Identity, NoContact, NoIdentity, Shelf};
use crate::gateway::Gateway;
use crate::home::{Home, operator, state_beside};
use crate::issuing::{BadCertificates, authorities_of, certificates_in, control_plane};
use crate::keys;
use crate::pulse::Pulse;

/// First line of the lock file.
const MARK: &str = "countersign gateway";
/// Between two tries to enrol.
const AGAIN: Duration = Duration::from_secs(2);

/// Why a gateway does not run.
#[derive(Debug, thiserror::Error)]
pub enum GatewayFailed {
    #[error(transparent)]
    Settings(#[from] BadSettings),
    #[error(transparent)]
    NotStarted(#[from] NotStarted),
    #[error("cannot use a key")]
    Key(#[from] BadSigner),
    #[error("cannot use the state")]
    State(#[from] StateFault),
    #[error("cannot use what is in force")]
    Epochs(#[from] EpochsFailed),
    #[error("`{}` is not what it should be", .path.display())]
    Pem { path: PathBuf, source: BadPem },
    #[error("`{}` is not what it should be", .path.display())]
    Certificates { path: PathBuf, source: BadCertificates },
    #[error("`{}` is not of trust domain `{domain}`", .path.display())]
    Ca { path: PathBuf, domain: String, source: BadBundle },
    #[error("cannot read `{}`", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(
        "this gateway is not enrolled, or its SVID has ended: start it with --enroll-token-file FILE; at the control plane, `countersign enroll token --role gateway --name NAME` prints a token"
    )]
    NotEnrolled,
    #[error(transparent)]
    Identity(#[from] NoIdentity),
    #[error("cannot prepare the directory")]
    Io(#[from] io::Error),
}

/// Runs until interrupted, then drains. `ready` hears when everything accepts.
///
/// # Errors
/// [`GatewayFailed`].
pub async fn gateway(config: &Path, token: Option<&Path>, ready: impl FnOnce(&Ready)) -> Result<(), GatewayFailed> {
    let settings = gateway_settings(config)?;
    let mut process = Process::begin(&settings.directory, MARK)?;
    let (https, admin) = (listen(settings.https).await?, listen(settings.admin).await?);
    let http = match settings.http {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let state = State::open(&state_beside(&process.home.path("ledger"))).await?;
    let parts = parts(&settings, &process.home, state.clone(), process.keys.clone()).await?;
    let Parts { epochs, contact, shelf, pulse, own, assertions } = parts;

    let mut identity = Identity::new(process.home.path("svid"), own, Arc::clone(&contact), &assertions);
    let known = authorities(&settings)?;
    let resumed = identity.resume(epochs.live().load().snapshot.sources.authorities())? || identity.resume(&known)?;
    if !resumed && !enrol(&mut identity, token, &mut process.interrupted).await? {
        return Ok(());
    }
    tracing::info!(id = identity.id(), "enrolled");
    let reached =
        ReadyGateway { http: http.as_ref().map(|http| url("http", http)).transpose()?, https: url("https", &https)? };
    let described = Ready {
        gateway: Some(reached),
        ca: settings.ca.clone(),
        ..process.described("gateway", &settings.environment, &admin)?
    };
    let Operated { control, vitals } = process.operated(&epochs, Arc::clone(&pulse), Post::Gateway, &described)?;
    let live = epochs.live();
    let (keys, ledger) = (process.keys.clone(), Arc::clone(&process.ledger));
    let gateway = Arc::new(Gateway::new(Arc::clone(&live), keys, ledger, Arc::clone(&pulse)));
    let config = tls::server(Arc::clone(control.own_svid()), gateway.callers());
    process.serve(Listener::Tls(https, config), Arc::clone(&gateway));
    if let Some(http) = http {
        process.serve(Listener::Tcp(http), gateway);
    }
    process.serve(Listener::Tcp(admin), Arc::new(Admin::new(vitals, Source::Plane(assertions))));
    process.run(|stop| identity.keep(live, stop));
    let follower = Arc::new(Follower::new(epochs, contact, pulse, shelf));
    let reporter = Arc::clone(&follower);
    process.run(|stop| async move { reporter.report(stop).await });
    process.run(|stop| async move { follower.follow(stop).await });
    Ok(process.finish(state, &described, ready).await?)
}

/// What a gateway that follows is made of.
struct Parts {
    epochs: Arc<Epochs>,
    contact: Arc<Contact>,
    shelf: Shelf,
    pulse: Arc<Pulse>,
    own: Arc<OwnSvid>,
    assertions: Arc<Assertions>,
}

async fn parts(
    settings: &GatewaySettings,
    home: &Home,
    state: State,
    keys: keys::Keys,
) -> Result<Parts, GatewayFailed> {
    let domain = &settings.trust_domain;
    let key = P256Signer::open(&home.path("keys/assertions.key"))?;
    let assertions = Arc::new(Assertions::new(domain, Box::new(key)));
    let own = Arc::new(OwnSvid::default());
    let connections = Connections::new(Arc::clone(&own));
    connections.trust(authorities(settings)?);
    let server = control_plane(domain);
    let contact = Arc::new(Contact::new(Nodes::new(settings.servers.clone(), connections.secured(server))));
    let key = read_pem(&settings.feed_key, "PUBLIC KEY")?;
    let shelf = Shelf::new(home.root(), Voice { environment: settings.environment.clone(), key });
    let setting = Setting {
        operators: vec![operator(home.owner()?)],
        // an operator comes to a gateway's own socket, and never over its network
        certified: credential::Operators::default(),
        environment: Some(settings.environment.clone()),
        vars: Vars::Refused,
        keys,
        trust: Trust::Control(Arc::clone(&assertions)),
        connections,
        domain: Some(domain.clone()),
    };
    let epochs = Arc::new(Epochs::open(state, setting, now()).await?);
    if let Some(publication) = shelf.snapshot() {
        let position = publication.position();
        match epochs.take(publication).await {
            Ok(()) => tracing::info!(%position, "in force, as it was last heard"),
            Err(error) => tracing::error!(%position, error = chain(&error), "what was heard last is not in force"),
        }
    }
    // without a heartbeat, everything is too old
    let heard = shelf.heartbeat().and_then(|heartbeat| heartbeat.time.parse().ok());
    let pulse = Pulse::heard(heard.unwrap_or(Time::MIN), now());
    Ok(Parts { epochs, contact, shelf, pulse, own, assertions })
}

fn authorities(settings: &GatewaySettings) -> Result<credential::Authorities, GatewayFailed> {
    let text = std::fs::read(&settings.ca);
    let text = text.map_err(|source| GatewayFailed::Unreadable { path: settings.ca.clone(), source })?;
    let certificates = certificates_in(&text);
    let certificates =
        certificates.map_err(|source| GatewayFailed::Certificates { path: settings.ca.clone(), source })?;
    authorities_of(&settings.trust_domain, &certificates).map_err(|source| GatewayFailed::Ca {
        path: settings.ca.clone(),
        domain: settings.trust_domain.to_string(),
        source,
    })
}

fn read_pem(path: &Path, label: &'static str) -> Result<Vec<u8>, GatewayFailed> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|source| GatewayFailed::Unreadable { path: path.to_owned(), source })?;
    pem::decode(label, &text).map_err(|source| GatewayFailed::Pem { path: path.to_owned(), source })
}

/// Enrols, as soon as control can be reached; gives whether it did before it was interrupted.
async fn enrol(
    identity: &mut Identity,
    token: Option<&Path>,
    interrupted: &mut Interrupted,
) -> Result<bool, GatewayFailed> {
    let path = token.ok_or(GatewayFailed::NotEnrolled)?;
    let token = std::fs::read_to_string(path);
    let token = token.map_err(|source| GatewayFailed::Unreadable { path: path.to_owned(), source })?;
    loop {
        match identity.enrol(Some(token.trim()), None).await {
            Ok(()) => return Ok(true),
            Err(NoIdentity::Enrol(why @ (NoContact::Node(_) | NoContact::Late | NoContact::Http(_)))) => {
                tracing::warn!(why = chain(&why), "control cannot be reached, trying again");
            }
            Err(why) => return Err(why.into()),
        }
        tokio::select! {
            () = interrupted.asked() => return Ok(false),
            () = sleep(jittered(AGAIN)) => {}
        }
    }
}
