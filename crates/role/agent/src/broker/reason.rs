//! Why a broker has nothing of a workload, in codes and in a detail that programs understand (SPIFFE_Broker_API.md §4.8).

use prost_types::Any;
use tonic::{Code, Status};
use wire::Message;
use wire::google::rpc;

/// Whose reasons these are.
const DOMAIN: &str = "spiffe.io";
const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";

/// The reference says nothing that can be looked for.
pub(super) fn invalid(why: &str) -> Status {
    status(Code::InvalidArgument, "WORKLOAD_REFERENCE_INVALID", why)
}

/// Nobody is meant by it.
pub(super) fn not_found(why: &str) -> Status {
    status(Code::NotFound, "WORKLOAD_NOT_FOUND", why)
}

/// Who was meant by it is no more.
pub(super) fn gone() -> Status {
    not_found("the workload is no more")
}

/// The workload is there, and nothing is for it.
pub(super) fn not_entitled(why: &str) -> Status {
    status(Code::PermissionDenied, "WORKLOAD_NOT_ENTITLED", why)
}

fn status(code: Code, reason: &str, message: &str) -> Status {
    let info = rpc::ErrorInfo { reason: reason.to_owned(), domain: DOMAIN.to_owned(), ..Default::default() };
    let info = Any { type_url: ERROR_INFO.to_owned(), value: info.encode_to_vec() };
    let details = rpc::Status { code: code.into(), message: message.to_owned(), details: vec![info] };
    Status::with_details(code, message, details.encode_to_vec().into())
}
