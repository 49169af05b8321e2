//! The gateway's word for a caller, signed for the service that it goes to. Signing costs as much as all else a request
//! needs, so that one assertion serves a caller's requests to one service for half of its short life.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use guard::Permit;
use http::{HeaderName, HeaderValue};
use issuer::{Assertions, Statement};
use model::{PrincipalId, PrincipalKind, ServiceName, Time};

use super::head::Forward;

/// The assertion's header.
pub(super) const ASSERTION: HeaderName = HeaderName::from_static("countersign-assertion");

/// Most callers whose assertions are kept.
const MOST: usize = 10_000;

/// Assertions in use.
#[derive(Default)]
pub(super) struct Vouchers {
    kept: Mutex<HashMap<(PrincipalId, ServiceName), Voucher>>,
}

#[derive(Clone)]
struct Voucher {
    value: HeaderValue,
    /// Sent along until then.
    fresh: Time,
    ends: Time,
}

impl Vouchers {
    /// The assertion that goes with a permitted request; none for a caller who is nobody.
    pub(super) fn of<S: audit::Slot>(
        &self,
        assertions: Option<&Assertions>,
        permit: &Permit<Forward, S>,
        at: Time,
    ) -> Option<HeaderValue> {
        let actor = &permit.caller().resolution().actor;
        if actor.kind == PrincipalKind::Anonymous {
            return None;
        }
        let key = (actor.id.clone(), permit.errand().service.name.clone());
        let until = permit.deadline();
        let known = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(voucher) = known.filter(|voucher| at < voucher.fresh && voucher.ends <= until) {
            return Some(voucher.value);
        }
        let (principal, service) = &key;
        let statement = Statement { service, principal, kind: actor.kind, record: permit.id(), until };
        let (token, ends) = match assertions?.sign(&statement, at) {
            Ok(signed) => signed,
            Err(error) => {
                tracing::error!(%error, "no assertion for the service");
                return None;
            }
        };
        let value = HeaderValue::try_from(token).ok()?;
        let fresh = at.plus(ends.since(at) / 2);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.retain(|_, voucher| at < voucher.fresh);
        }
        if kept.len() < MOST {
            kept.insert(key, Voucher { value: value.clone(), fresh, ends });
        }
        Some(value)
    }
}
