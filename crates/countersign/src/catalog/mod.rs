//! Protocol operations become (action, resource, context). Here: HTTP.
//!
//! A request is matched as it came: nothing is normalised, and what could be read in two ways is refused. This module
//! opens no socket and decides nothing.

mod path;
mod route;

use std::collections::HashMap;
use std::sync::Arc;

use model::{ActionName, ResourceId, ServiceName};

pub use path::{AmbiguousPath, check_path, decode};
pub use route::{BadRoute, Clash, Match, Pattern, Route, Routes};

/// What one mapped operation asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asks {
    /// `read` on the built-in `public/<service>`, with or without a caller.
    Public,
    Action {
        action: ActionName,
        resource: ResourceId,
    },
}

/// A service behind the gateway and its operations.
#[derive(Debug)]
pub struct Service<D> {
    pub name: ServiceName,
    /// Host names it answers to: ASCII lower-case, without a port.
    pub hosts: Vec<String>,
    pub routes: Routes,
    /// What the door needs to reach it; not read here.
    pub door: D,
}

/// Every service of an environment, found by host.
#[derive(Debug)]
pub struct Catalog<D> {
    by_host: HashMap<String, Arc<Service<D>>>,
}

impl<D> Catalog<D> {
    /// Puts services together; their hosts are unique, which the estate loader has checked.
    pub fn new(services: impl IntoIterator<Item = Service<D>>) -> Self {
        let mut by_host = HashMap::new();
        for service in services {
            let service = Arc::new(service);
            for host in &service.hosts {
                by_host.insert(host.clone(), Arc::clone(&service));
            }
        }
        Self { by_host }
    }

    /// The service that answers to `host`: compared in ASCII lower-case, without a port.
    pub fn service(&self, host: &str) -> Option<&Arc<Service<D>>> {
        if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.by_host.get(&host.to_ascii_lowercase());
        }
        self.by_host.get(host)
    }

    pub fn services(&self) -> impl Iterator<Item = &Arc<Service<D>>> {
        self.by_host.values()
    }
}

#[cfg(test)]
mod tests;
