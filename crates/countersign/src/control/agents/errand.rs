//! What an agent's request would do, and what it asks of the policies.

use guard::{Asked, Errand, NoRoom, Operation};
use identity::Access;
use model::{BaseAction, Code, PrincipalId};
use policy::Question;

pub(super) const PROTOCOL: &str = "grpc";
const SERVICE: &str = "countersign";
const ATTESTATION: &str = "countersign/attestation";
const WORKLOADS: &str = "countersign/workloads";

/// A workload, as the agent that asks attested it.
#[derive(Debug)]
pub(super) struct Claimed {
    pub registration: String,
    pub digest: Vec<u8>,
    pub id: String,
    pub selectors: Vec<String>,
}

/// Something to do for an agent. Certificate requests are PKCS #10 in DER.
#[derive(Debug)]
pub(super) enum AgentErrand {
    /// The agent's own SVID, for the node that proved itself by this method.
    Attest {
        method: &'static str,
        request: Vec<u8>,
    },
    /// The agent's own SVID, with the one before.
    Renew {
        request: Vec<u8>,
    },
    Follow,
    MintX509 {
        workload: Claimed,
        request: Vec<u8>,
    },
    MintJwt {
        workload: Claimed,
        audience: Vec<String>,
    },
    MintWit {
        workload: Claimed,
        request: Vec<u8>,
    },
}

impl AgentErrand {
    /// The operation's name in records.
    pub(super) const fn operation(&self) -> &'static str {
        match self {
            Self::Attest { .. } => "attest",
            Self::Renew { .. } => "renew",
            Self::Follow => "follow",
            Self::MintX509 { .. } => "mint x509",
            Self::MintJwt { .. } => "mint jwt",
            Self::MintWit { .. } => "mint wit",
        }
    }

    /// The errand with its question; what cannot be asked is refused by the gates.
    pub(super) fn asked(self) -> Asked<Self> {
        asked(self.question(), self)
    }

    /// The same for one whose turn does not come.
    pub(super) fn late(&self) -> Asked<Late> {
        asked(self.question(), Late)
    }

    fn question(&self) -> Option<Question> {
        let (action, resource) = match self {
            Self::Attest { .. } | Self::Renew { .. } => (BaseAction::Effect, ATTESTATION),
            Self::Follow => (BaseAction::Read, WORKLOADS),
            Self::MintX509 { .. } | Self::MintJwt { .. } | Self::MintWit { .. } => (BaseAction::Effect, WORKLOADS),
        };
        Some(Question {
            action: action.into(),
            resource: resource.parse().ok()?,
            protocol: PROTOCOL.to_owned(),
            service: SERVICE.to_owned(),
            params: self.params(),
        })
    }

    /// What a policy may narrow it by, and what its record says that it was about.
    fn params(&self) -> Vec<(String, String)> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let about = |workload: &Claimed| {
            vec![
                pair("id", &workload.id),
                pair("registration", &workload.registration),
                pair("digest", &hex(&workload.digest)),
                pair("selectors", &workload.selectors.join("\n")),
            ]
        };
        match self {
            Self::Attest { method, .. } => vec![pair("method", method)],
            Self::Renew { .. } | Self::Follow => Vec::new(),
            Self::MintX509 { workload, .. } | Self::MintWit { workload, .. } => about(workload),
            Self::MintJwt { workload, audience } => {
                let mut params = about(workload);
                params.push(pair("audience", &audience.join("\n")));
                params
            }
        }
    }
}

/// An errand that has waited for its turn in vain, as it goes through the gates to be refused.
#[derive(Debug)]
pub(super) struct Late;

impl Errand for Late {
    fn take_room(&mut self, _: &PrincipalId) -> Result<(), NoRoom> {
        Err(NoRoom)
    }
}

fn asked<E>(question: Option<Question>, errand: E) -> Asked<E> {
    match question {
        Some(question) => Asked::Operation(Operation { question, access: Access::Proved, errand }),
        None => Asked::Unmapped { code: Code::OperationUnmapped, service: None },
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(32).map(|byte| format!("{byte:02x}")).collect()
}

impl Errand for AgentErrand {
    fn take_room(&mut self, _: &PrincipalId) -> Result<(), NoRoom> {
        Ok(())
    }

    /// An identity that is handed out.
    fn lasts(&self) -> bool {
        match self {
            Self::Attest { .. }
            | Self::Renew { .. }
            | Self::MintX509 { .. }
            | Self::MintJwt { .. }
            | Self::MintWit { .. } => true,
            Self::Follow => false,
        }
    }
}
