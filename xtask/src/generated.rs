//! Which Rust is generated from which definition, and whether it still is what the definition says.

use std::path::Path;
use std::{fs, io};

use crate::finding::Finding;

/// Where definitions are.
pub const PROTO: &str = "api/proto";
/// Where the Rust is.
pub const GENERATED: &str = "crates/edge/wire/src/generated";
/// Definition, the generator's name for its package, file.
pub const FILES: &[(&str, &str, &str)] = &[
    ("spiffe/workload.proto", "_", "workload.rs"),
    ("spiffe/broker.proto", "spiffe.broker", "broker.rs"),
    ("countersign/agent/v1/agent.proto", "countersign.agent.v1", "agent.rs"),
    ("envoy/config/core/v3/core.proto", "envoy.config.core.v3", "envoy/config/core/v3.rs"),
    (
        "envoy/extensions/transport_sockets/tls/v3/tls.proto",
        "envoy.extensions.transport_sockets.tls.v3",
        "envoy/extensions/transport_sockets/tls/v3.rs",
    ),
    ("envoy/service/discovery/v3/discovery.proto", "envoy.service.discovery.v3", "envoy/service/discovery/v3.rs"),
    ("envoy/service/secret/v3/sds.proto", "envoy.service.secret.v3", "envoy/service/secret/v3.rs"),
    ("google/rpc/status.proto", "google.rpc", "google/rpc.rs"),
    ("grpc/health/v1/health.proto", "grpc.health.v1", "grpc/health/v1.rs"),
];
/// What is served to workloads, and to brokers, as gRPC's reflection describes it; written with the Rust of the same definitions.
pub const DESCRIBED: &[(&[&str], &str)] = &[
    (&["spiffe/workload.proto", "envoy/service/secret/v3/sds.proto", "grpc/health/v1/health.proto"], "workload.binpb"),
    (&["spiffe/broker.proto"], "broker.binpb"),
];

/// The first line of a generated file.
pub fn heading(definition: &str, proto: &[u8]) -> String {
    // FNV-1a: tells a change that was forgotten, and nobody gains by a collision
    let digest = proto
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!(
        "// @generated from {PROTO}/{definition} by `cargo run --manifest-path xtask/codegen/Cargo.toml`, {digest:016x}\n"
    )
}

/// Every generated file that is of another definition than the one that is there.
///
/// # Errors
/// If a file cannot be read.
pub fn stale(root: &Path) -> io::Result<Vec<Finding>> {
    let mut stale = Vec::new();
    for (definition, _, file) in FILES {
        let proto = fs::read(root.join(PROTO).join(definition))?;
        let code = fs::read_to_string(root.join(GENERATED).join(file))?;
        if !code.starts_with(&heading(definition, &proto)) {
            let text = format!(
                "`{PROTO}/{definition}` has changed since: run `cargo run --manifest-path xtask/codegen/Cargo.toml`"
            );
            stale.push(Finding::new(&format!("{GENERATED}/{file}"), 1, "generated", text));
        }
    }
    Ok(stale)
}
