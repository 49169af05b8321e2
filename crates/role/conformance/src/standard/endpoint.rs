//! SPIFFE_Workload_Endpoint.md: how the Workload API is reached, and how it refuses.

use tonic::Code;

use super::CLIENT;
use crate::line::Check::{By, Outside};
use crate::line::{Document, Line};
use crate::seen::{Answer, HeaderTry, Seen};
use crate::verdict::{Judged, broken, every, unseen};

const fn line(number: u16, section: &'static str, expected: &'static str, check: crate::line::Check) -> Line {
    Line::stable(number, Document::Endpoint, section, expected, check)
}

pub(super) const LINES: &[Line] = &[
    line(74, "§3", "gRPC over a Unix socket, or over TCP where the network proves who calls", By(grpc)),
    line(75, "§3, §6", "without `workload.spiffe.io: true`, in these letters, each RPC is InvalidArgument", By(header)),
    line(76, "§3.1, §5", "neither TLS nor a credential is asked of a workload", By(in_the_clear)),
    line(77, "§4", "`SPIFFE_ENDPOINT_SOCKET` names the endpoint, in two forms alone", Outside(CLIENT)),
    line(78, "§6", "an RPC that does not exist is Unimplemented", By(unknown_rpc)),
    line(
        79,
        "§7",
        "other services stand apart; reflection is offered",
        Outside("what else is served is not listed without reflection, which is advice"),
    ),
];

/// Whether anything was answered in gRPC's words at all.
fn grpc(seen: &Seen) -> Judged {
    match &seen.unknown_rpc {
        Answer::Said(()) | Answer::Refused { .. } => Ok("gRPC on a Unix socket".to_owned()),
        Answer::Late | Answer::NotAsked(_) => broken("nothing is answered in gRPC"),
    }
}

fn header(seen: &Seen) -> Judged {
    let implemented = |it: &&HeaderTry| !it.answer.is_refused_with(Code::Unimplemented);
    let tries = seen.headers.iter().filter(implemented);
    let named = tries.map(|it| (format!("{} with header {}", it.rpc, it.header), &it.answer));
    every("request", named, |answer| match answer.refused_with(Code::InvalidArgument) {
        Ok(_) => Ok(()),
        Err(_) => Err(answer.described()),
    })
}

fn in_the_clear(seen: &Seen) -> Judged {
    match &seen.x509.first {
        Answer::Refused { code: Code::Unauthenticated, message } => broken(format!("Unauthenticated: {message}")),
        Answer::Late | Answer::NotAsked(_) => unseen(seen.x509.first.described()),
        Answer::Said(_) | Answer::Refused { .. } => Ok("answered in the clear, without a credential".to_owned()),
    }
}

fn unknown_rpc(seen: &Seen) -> Judged {
    seen.unknown_rpc.refused_with(Code::Unimplemented)
}
