//! Verbs of a real installation: laying it out, running its processes, and first contact of a plane.

use model::OperatorName;
use net::record_id;
use serde_json::{Value, json};

use super::args::{Agent, EnrollToken, Init, Role};
use super::server::{log, runtime};
use super::{Client, Exit, Format, Stopped, output};
use crate::control::{EnrolmentRequest, PlaneRole};
use crate::following::{NoContact, NoIdentity};
use crate::installation::{self, GatewayFailed, InitFailed, NewInstallation, Ready, ServerFailed};

/// Lays out an installation.
///
/// # Errors
/// [`Stopped`].
pub(super) fn init(init: &Init, directory: Option<std::path::PathBuf>, format: Format) -> Result<(), Stopped> {
    let directory = directory.ok_or_else(|| Stopped::new(Exit::Usage, "name the directory with --dir DIR"))?;
    let domain = init.trust_domain.clone().unwrap_or_else(|| format!("{}.internal", init.environment));
    let trust_domain = domain.parse().map_err(|error| Stopped::because(Exit::Invalid, &error))?;
    let operator = match &init.operator {
        Some(name) => name.parse().map_err(|error| Stopped::because(Exit::Invalid, &error))?,
        None => whoever_is_logged_in(),
    };
    let new = NewInstallation { environment: init.environment.clone(), trust_domain, directory, operator };
    let laid = installation::init(&new).map_err(|error| {
        let exit = match error {
            InitFailed::Name { .. } | InitFailed::NotEmpty { .. } => Exit::Invalid,
            InitFailed::Home(_)
            | InitFailed::Key(_)
            | InitFailed::Issuer(_)
            | InitFailed::Operator(_)
            | InitFailed::Io { .. } => Exit::Failed,
        };
        Stopped::because(exit, &error)
    })?;
    let told = json!({
        "directory": laid.directory, "environment": new.environment, "trust_domain": laid.trust_domain.as_str(),
        "context": laid.context, "operator": laid.operator.join("context.json"),
    });
    output::result(&told, format, |_| {
        let dir = laid.directory.display();
        let (flag, context) = match &laid.context {
            Some(path) => {
                (String::new(), format!("\n  {}  verbs without --dir are for this installation", path.display()))
            }
            None => (format!(" --dir {dir}"), String::new()),
        };
        format!(
            "environment {environment} (trust domain {domain}) is laid out in {dir}

  {dir}/estate        the first estate, yours to edit
  {dir}/server.yaml, gateway.yaml, units/  settings and systemd units
  {dir}/keys          whoever reads these is the installation: keep a backup apart, and nobody else in
  {dir}/operator      {operator}'s certificate, to operate from another machine: carry the folder there, name the server in
                      its context.json, and COUNTERSIGN_CONTEXT=…/context.json{context}

Next:
  countersign server --config {dir}/server.yaml
  countersign apply -f {dir}/estate{flag}
  countersign enroll token --role gateway --name gateway-1{flag} > token
  countersign gateway --config {dir}/gateway.yaml --enroll-token-file token",
            environment = new.environment,
            domain = laid.trust_domain,
            operator = new.operator,
        )
    });
    Ok(())
}

/// The login name, if an operator can be called that.
///
/// # Panics
/// Never: `admin` is a name.
#[expect(clippy::expect_used, reason = "a literal of lower-case letters, which every name may be")]
fn whoever_is_logged_in() -> OperatorName {
    let names = ["LOGNAME", "USER"].into_iter().filter_map(|variable| std::env::var(variable).ok());
    let found = names.filter_map(|name| name.parse().ok()).next();
    found.unwrap_or_else(|| "admin".parse().expect("a name"))
}

/// Runs a control plane.
///
/// # Errors
/// [`Stopped`].
pub(super) fn server(role: &Role, format: Format) -> Result<(), Stopped> {
    log();
    let ran = runtime()?.block_on(installation::server(&role.config, |ready| told(ready, format)));
    ran.map_err(|error| {
        let exit = if matches!(error, ServerFailed::Settings(_)) { Exit::Invalid } else { Exit::Failed };
        Stopped::because(exit, &error)
    })
}

/// Runs a gateway.
///
/// # Errors
/// [`Stopped`].
pub(super) fn gateway(role: &Role, token: Option<&std::path::Path>, format: Format) -> Result<(), Stopped> {
    log();
    let ran = runtime()?.block_on(installation::gateway(&role.config, token, |ready| told(ready, format)));
    ran.map_err(|error| {
        let refused = matches!(&error, GatewayFailed::Identity(NoIdentity::Enrol(NoContact::Refused { .. })));
        let invalid = matches!(&error, GatewayFailed::Settings(_));
        let exit = if refused {
            Exit::Denied
        } else if invalid {
            Exit::Invalid
        } else {
            Exit::Failed
        };
        Stopped::because(exit, &error)
    })
}

/// Runs a node agent.
///
/// # Errors
/// [`Stopped`].
pub(super) fn agent(agent: &Agent, format: Format) -> Result<(), Stopped> {
    let config = agent.config.as_deref().ok_or_else(|| Stopped::new(Exit::Usage, "--config FILE is missing"))?;
    let token = agent.enroll_token_file.as_deref();
    log();
    let ready = |settings: &::agent::Settings| {
        let socket = settings.socket.display();
        let document = json!({"role": "agent", "environment": settings.environment, "socket": settings.socket});
        output::result(&document, format, |_| {
            format!("countersign agent of environment {} is ready\n\n  socket    unix://{socket}", settings.environment)
        });
    };
    runtime()?.block_on(::agent::agent(config, token, ready)).map_err(|error| {
        let exit = match (error.is_denied(), error.is_invalid()) {
            (true, _) => Exit::Denied,
            (false, true) => Exit::Invalid,
            (false, false) => Exit::Failed,
        };
        Stopped::because(exit, &error)
    })
}

fn told(ready: &Ready, format: Format) {
    if format == Format::Json {
        output::line(&serde_json::to_value(ready).unwrap_or_default().to_string());
        return;
    }
    let mut text = format!("countersign {} of environment {} is ready\n", ready.role, ready.environment);
    if let Some(planes) = &ready.planes {
        text.push_str(&format!("\n  planes    {planes}"));
    }
    if let Some(gateway) = &ready.gateway {
        text.push_str(&format!("\n  gateway   {}", gateway.https));
        if let Some(http) = &gateway.http {
            text.push_str(&format!(", {http}"));
        }
    }
    text.push_str(&format!("\n  control   {}\n  admin     {}", ready.control, ready.admin));
    output::line(&text);
}

/// Prints an enrolment token for a new plane.
///
/// # Errors
/// [`Stopped`].
pub(super) fn enroll_token(client: &Client, order: &EnrollToken, format: Format) -> Result<(), Stopped> {
    let name = order.name.clone().unwrap_or_else(|| made_up(order.role));
    let request = EnrolmentRequest { role: order.role, name, ttl: Some(order.ttl.clone()) };
    let token = runtime()?.block_on(client.post("/v1/enrolments", &request))?;
    // the token alone: it goes into a file
    output::result(&token, format, |token| token.get("token").and_then(Value::as_str).unwrap_or_default().to_owned());
    Ok(())
}

/// A name that nobody else has: `gateway-3f2a91bc`.
fn made_up(role: PlaneRole) -> String {
    let id = record_id().to_string();
    format!("{}-{}", role.as_str(), id.get(..8).unwrap_or(&id))
}
