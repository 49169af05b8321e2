//! SPIFFE_Broker_Endpoint.md and SPIFFE_Broker_API.md: listed, and not probed.

use crate::line::Check::Outside;
use crate::line::{Document, Line};

const NOT_PROBED: &str = "the kit looks at the Workload API's socket, and not at a broker's";

const fn line(number: u16, section: &'static str, expected: &'static str) -> Line {
    Line::incubating(number, Document::Broker, section, expected, Outside(NOT_PROBED))
}

pub(super) const LINES: &[Line] = &[
    line(95, "Endpoint §3", "a broker asks for `broker.spiffe.io: true`, and for mutual TLS with X.509-SVIDs"),
    line(96, "Endpoint §4, §6", "`SPIFFE_BROKER_SOCKET` names it; its codes say why it refuses"),
    line(97, "§3.1.1", "a request names exactly one workload, which the server looks for itself"),
    line(98, "§3.1.2", "references never cross nodes or clusters"),
    line(99, "§4.1", "no broker may do anything until it is listed; one workload's material is not another's"),
    line(100, "§4.8", "InvalidArgument, NotFound and PermissionDenied say what is wrong with the reference"),
    line(101, "§4.9", "a stream ends when its workload is gone"),
    line(102, "§2", "no RPC is added or changed"),
];
