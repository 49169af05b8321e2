//! The control door's effects: each takes a permit, and does what its errand says.

use audit::{Checkpoint, OutcomeResult};
use guard::{Permit, Settled, Settlement};
use http::StatusCode;
use model::{Code, Time};
use net::svid::Minted;
use net::{Peer, now};
use serde::Serialize;
use serde_json::{Value, json};
use store::StateFault;

use super::agents::{self, NotEvicted};
use super::audience::Audience;
use super::command::{Command, Shown, is_agents, is_federations, is_planes, is_registrations};
use super::explain::{NotFound, explain};
use super::feed;
use super::planes::{self, NoToken, NotEnrolled};
use super::reading::ReadingSlot;
use super::replay::replay;
use super::reply::Reply;
use super::revoking::{self, NotRevoked, Revocation};
use super::status;
use super::svids::{self, Unminted};
use super::{Control, Post, authorities, nested, registering, resolving, tail, whatif};
use crate::epochs::{Applied, ApplyFailed, Author, RollBackFailed};
use crate::estate::{ENROLMENT, Problem};

impl Control {
    /// Performs what was permitted to `peer`, and settles it.
    pub(super) async fn perform(&self, permit: Permit<Command, ReadingSlot>, peer: &Peer) -> Reply {
        let author = author(&permit);
        let deadline = permit.deadline();
        let audience = Audience { peer: peer.clone(), live: self.live(), until: deadline };
        let asks = permit.caller().resolution().clone();
        let token = enrolment_token(&permit);
        let (command, settlement) = permit.begin();
        let reply = match command {
            Command::MintSvid(order) => svids::reply(svids::mint(&self.epochs, &order, deadline, author.at)),
            Command::EnrolToken(order) => enrolment(planes::token(&self.epochs, &order, author.at)),
            Command::Enrol { request, assertion_key } => {
                match planes::enrol(&self.epochs, (&request, &assertion_key), token.as_deref(), &author).await {
                    Ok(minted) => Reply::ok(&minted),
                    Err(NotEnrolled::Unminted(why)) => svids::reply(Err(why)),
                    Err(NotEnrolled::Spent) => {
                        Settling(settlement).replayed();
                        return Reply::unauthenticated(Some(&author.record));
                    }
                    Err(why @ NotEnrolled::Kept(_)) => Reply::failed(&why),
                }
            }
            Command::Feed { after } => {
                let Post::Control(feed) = &self.post else {
                    Settling(settlement).settle(StatusCode::UNPROCESSABLE_ENTITY);
                    return Reply::invalid("no plane follows this process");
                };
                return feed::lines(feed, after, audience, Settling(settlement));
            }
            Command::Report(reached) => kept(planes::report(&self.epochs, &reached, &author).await.map(|()| json!({}))),
            Command::Register(asked) => registering::reply(registering::register(&self.epochs, asked, &author).await),
            Command::Evict { name } => evicted(agents::evict(&self.epochs, &self.nodes, &name).await),
            Command::Tail(tail) => {
                // settled when the last line is sent, by the task that sends it
                return tail::lines(self.ledger_directory.clone(), tail, audience, Settling(settlement));
            }
            Command::Apply { bundle, how } => applied(self.epochs.apply(bundle, &author, how).await),
            Command::RollBack { epoch } => match self.epochs.roll_back(epoch, &author).await {
                Ok(done) => applied(Ok(done)),
                Err(RollBackFailed::Apply(failed)) => applied(Err(failed)),
                Err(why @ RollBackFailed::Unknown { .. }) => Reply::invalid(&why.to_string()),
                Err(why @ RollBackFailed::Unread(_)) => Reply::failed(&why),
            },
            Command::Revoke(request) => {
                revoked(revoking::act(&self.epochs, &request, &author, &asks, self.own_gateway()).await)
            }
            Command::Authorities => authorities::shown(&self.epochs).await,
            Command::StepAuthority(order) => authorities::step(&self.epochs, &order, &author).await,
            Command::Below(it) => return nested::perform(&self.epochs, it, Settling(settlement), &author).await,
            Command::Get { kind } => self.get(&kind).await,
            Command::WhoAmI => Reply::ok(&json!({"principal": author.principal, "record": author.record})),
            Command::Status { detailed: false } => Reply::ok(&status::status(&self.live().load(), author.at)),
            Command::Status { detailed: true } => kept(self.detailed(author.at).await),
            Command::Plan(bundle) => match self.epochs.plan(&bundle, author.at) {
                Ok(changes) => {
                    let base = self.live().load().snapshot.epoch.0;
                    Reply::ok(&json!({"epoch": null, "base": base, "changes": changes}))
                }
                Err(problems) => unsound(&problems),
            },
            Command::Explain(selector) => {
                looked_up(explain(&self.ledger_directory, self.epochs.archive(), selector).await)
            }
            Command::Replay(which) => looked_up(replay(&self.ledger_directory, self.epochs.archive(), which).await),
            Command::Checkpoint => self.checkpoint().await,
            Command::Resolve(shown) => {
                let snapshot = &self.live().load().snapshot;
                Reply::ok(&match shown {
                    Shown::Token(token) => resolving::resolve_token(snapshot, token.as_bytes(), author.at),
                    Shown::Chain(chain) => resolving::resolve_certificate(snapshot, chain, None, author.at),
                })
            }
            Command::Decide(request) => {
                let live = self.live().load_full();
                match whatif::decide(&live.snapshot, &live.about, &request, author.at) {
                    Ok(verdict) => Reply::ok(&verdict),
                    Err(bad) => Reply::invalid(&bad.to_string()),
                }
            }
            Command::Describe => Reply::ok(&self.description),
        };
        Settling(settlement).settle(reply.status());
        reply
    }

    /// Performs an application that was permitted.
    pub(super) async fn perform_apply(&self, permit: Permit<Command, ReadingSlot>) -> Result<Applied, ApplyFailed> {
        let author = author(&permit);
        let (command, settlement) = permit.begin();
        let Command::Apply { bundle, how } = command else {
            Settling(settlement).settle(StatusCode::UNPROCESSABLE_ENTITY);
            return Err(ApplyFailed::Problems(Vec::new()));
        };
        let applied = self.epochs.apply(bundle, &author, how).await;
        let status = if applied.is_ok() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
        Settling(settlement).settle(status);
        applied
    }

    /// Mints what was permitted.
    pub(super) fn perform_mint(&self, permit: Permit<Command, ReadingSlot>) -> Result<Minted, Unminted> {
        let (at, deadline) = (now(), permit.deadline());
        let (command, settlement) = permit.begin();
        let minted = if let Command::MintSvid(order) = &command {
            svids::mint(&self.epochs, order, deadline, at)
        } else {
            Err(Unminted::NoEnvironment)
        };
        let status = if minted.is_ok() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
        Settling(settlement).settle(status);
        minted
    }

    /// Takes the step in the life of an authority that was permitted because it is due.
    pub(super) async fn perform_due(&self, permit: Permit<Command, ReadingSlot>) -> Result<(), String> {
        let author = author(&permit);
        let (command, settlement) = permit.begin();
        let done = if let Command::StepAuthority(order) = &command {
            authorities::step_due(&self.epochs, order, &author).await
        } else {
            Ok(())
        };
        let status = if done.is_ok() { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
        Settling(settlement).settle(status);
        done
    }

    /// What is live, of one kind.
    async fn get(&self, kind: &str) -> Reply {
        if is_planes(kind) {
            return kept(planes::listed(&self.epochs).await);
        }
        if is_agents(kind) {
            return kept(agents::listed(&self.epochs).await);
        }
        if is_registrations(kind) {
            return Reply::ok(&registering::listed(&self.epochs));
        }
        let live = self.live().load_full();
        if is_federations(kind) {
            return Reply::ok(&self.epochs.federated().listed(&live.federations));
        }
        status::get(&live, kind).map_or_else(|| Reply::invalid(&status::no_kind(kind)), |document| Reply::ok(&document))
    }

    /// What this server decides by, and how it is.
    async fn detailed(&self, at: Time) -> Result<Value, StateFault> {
        let planes = planes::listed(&self.epochs).await?;
        let seen = self.vitals.look().await;
        let mut document = status::status(&self.live().load(), at);
        if let Some(members) = document.as_object_mut() {
            members.insert("detail".to_owned(), status::detail(&seen, &planes, self.overdue.shown()));
        }
        Ok(document)
    }

    async fn checkpoint(&self) -> Reply {
        let at = now();
        let head = match self.ledger.checkpoint(at).await {
            Ok(head) => head,
            Err(error) => return Reply::failed(&error),
        };
        let signed = Checkpoint::sign(vec![head], &self.signer);
        let json = match signed {
            Ok(checkpoint) => checkpoint.to_json(),
            Err(error) => return Reply::failed(&error),
        };
        match json.and_then(|json| serde_json::from_slice(&json)) {
            Ok(document) => Reply::Json(StatusCode::OK, document),
            Err(error) => Reply::failed(&error),
        }
    }
}

/// A settlement of the control door: no bytes are counted here.
pub(super) struct Settling(pub Settlement<ReadingSlot>);

impl Settling {
    pub(super) fn settle(self, status: StatusCode) {
        let result = if status.is_success() { OutcomeResult::Delivered } else { OutcomeResult::Failed };
        let settled = Settled { result, status: Some(status.as_u16()), code: None, bytes_in: None, bytes_out: None };
        self.0.settle(settled, now());
    }

    /// What proved the caller was good for one use, and was used before.
    pub(super) fn replayed(self) {
        self.failed(StatusCode::UNAUTHORIZED, Code::Replayed);
    }

    /// What was asked for is not done, for a reason that no policy knows.
    pub(super) fn refused(self, code: Code) {
        self.failed(StatusCode::FORBIDDEN, code);
    }

    fn failed(self, status: StatusCode, code: Code) {
        let (result, status) = (OutcomeResult::Failed, Some(status.as_u16()));
        let settled = Settled { result, status, code: Some(code), bytes_in: None, bytes_out: None };
        self.0.settle(settled, now());
    }
}

fn author(permit: &Permit<Command, ReadingSlot>) -> Author {
    Author { principal: permit.caller().resolution().actor.id.to_string(), record: permit.id().to_string(), at: now() }
}

/// The enrolment token by which the caller proved itself, by its id; none if it was not by one.
pub(super) fn enrolment_token<E>(permit: &Permit<E, ReadingSlot>) -> Option<String> {
    let mut proved = permit.caller().resolution().proved();
    proved.find(|finding| finding.source.as_str() == ENROLMENT).map(|finding| finding.credential_id.clone())
}

fn kept(document: Result<Value, StateFault>) -> Reply {
    match document {
        Ok(document) => Reply::ok(&document),
        Err(why) => Reply::failed(&why),
    }
}

fn enrolment(token: Result<Value, NoToken>) -> Reply {
    match token {
        Ok(token) => Reply::ok(&token),
        Err(why @ NoToken::Signing(_)) => Reply::failed(&why),
        Err(why @ (NoToken::NoEnvironment | NoToken::Name | NoToken::Life)) => Reply::invalid(&why.to_string()),
    }
}

fn evicted(done: Result<Value, NotEvicted>) -> Reply {
    match done {
        Ok(done) => Reply::ok(&done),
        Err(why @ NotEvicted::Unknown { .. }) => Reply::invalid(&why.to_string()),
        Err(why @ NotEvicted::Kept(_)) => Reply::failed(&why),
    }
}

fn looked_up(found: Result<impl Serialize, NotFound>) -> Reply {
    match found {
        Ok(document) => Reply::ok(&document),
        Err(why @ (NotFound::Unknown | NotFound::Ambiguous | NotFound::Counted)) => Reply::invalid(&why.to_string()),
        Err(why) => Reply::failed(&why),
    }
}

fn revoked(done: Result<Revocation, NotRevoked>) -> Reply {
    match done {
        Ok(done) => Reply::ok(&done),
        Err(why @ NotRevoked::Kept(_)) => Reply::failed(&why),
        Err(why) => Reply::invalid(&why.to_string()),
    }
}

fn applied(applied: Result<Applied, ApplyFailed>) -> Reply {
    match applied {
        Ok(applied) => Reply::ok(&json!({"epoch": applied.epoch, "changes": applied.changes})),
        Err(ApplyFailed::Problems(problems)) => unsound(&problems),
        Err(error @ (ApplyFailed::OtherDomain { .. } | ApplyFailed::Following)) => Reply::invalid(&error.to_string()),
        Err(error @ ApplyFailed::Moved { .. }) => {
            Reply::Json(StatusCode::CONFLICT, json!({"error": error.to_string()}))
        }
        Err(
            error @ (ApplyFailed::Unread(_) | ApplyFailed::Kept(_) | ApplyFailed::Issuer(_) | ApplyFailed::Refused(_)),
        ) => Reply::failed(&error),
    }
}

fn unsound(problems: &[Problem]) -> Reply {
    let document = json!({"error": "the estate does not load", "errors": problems});
    Reply::Json(StatusCode::UNPROCESSABLE_ENTITY, document)
}
