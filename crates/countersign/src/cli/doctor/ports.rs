//! Ports that a process which does not run will need.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use net::causes::chain;

use super::finding::Finding;
use crate::estate::{BadSettings, gateway_settings, server_settings};

pub(super) fn look(directory: &Path) -> Vec<Finding> {
    let wanted = match wanted(directory) {
        Ok(wanted) => wanted,
        Err(bad) => return vec![Finding::problem("settings", chain(&bad), "mend the settings file")],
    };
    wanted.into_iter().filter(|address| address.port() != 0).map(port).collect()
}

/// Of a server by the settings in its directory, of a gateway by those beside it that have its name.
fn wanted(directory: &Path) -> Result<Vec<SocketAddr>, BadSettings> {
    let server = directory.join("server.yaml");
    if server.is_file() {
        let settings = server_settings(&server)?;
        return Ok(vec![settings.planes, settings.admin]);
    }
    let gateway = directory.with_extension("yaml");
    if directory.file_name().is_some() && gateway.is_file() {
        let settings = gateway_settings(&gateway)?;
        return Ok([Some(settings.https), settings.http, Some(settings.admin)].into_iter().flatten().collect());
    }
    Ok(Vec::new())
}

fn port(address: SocketAddr) -> Finding {
    match TcpListener::bind(address) {
        Ok(_free) => Finding::ok("ports", format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let what = format!("{address} is in use by another process");
            Finding::problem("ports", what, "stop that process, or name another port in the settings")
        }
        Err(error) => Finding::problem("ports", format!("{address}: {error}"), "name another address in the settings"),
    }
}
