//! Who is refused without having proved anything: the one list that the budget of such refusals and what a peer may hear
//! go by.

use audit::Stranger;
use identity::Caller;
use model::Code;

use crate::admit::Verdict;

impl Verdict {
    /// Whom this refuses, unless it was somebody. These are all of them:
    ///
    /// - `Unfit`: the request cannot be judged, whoever sent it;
    /// - `Unproved`: a credential does not hold, whatever was proved beside it;
    /// - `Unresolved`: what holds belongs to no caller, or to two. Anyone may have a sound token of a public issuer;
    /// - `Denied`, `Stale` and `Overloaded` at a public operation to which no credential was presented.
    ///
    /// The source is that of the message's credential, else that of the channel's.
    pub(crate) fn stranger(&self) -> Option<Stranger<'_>> {
        match self {
            Self::Unfit(code) => Some(Stranger { source: None, code: *code }),
            Self::Unproved(refused) => Some(Stranger { source: refused.source.as_ref(), code: refused.cause.code() }),
            Self::Unresolved(proofs, why) => {
                Some(Stranger { source: proofs.findings().last().map(|finding| &finding.source), code: why.code() })
            }
            Self::Denied(caller, denial) => nobody(caller, denial.code),
            Self::Stale(caller, ..) => nobody(caller, Code::SnapshotStale),
            Self::Overloaded(caller, _) => nobody(caller, Code::Overloaded),
            Self::Unmapped(..) | Self::Granted(..) => None,
        }
    }
}

fn nobody(caller: &Caller, code: Code) -> Option<Stranger<'static>> {
    caller.resolution().findings.is_empty().then_some(Stranger { source: None, code })
}
