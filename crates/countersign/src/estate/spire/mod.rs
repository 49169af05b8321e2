//! What `spire-server entry show -output json` prints → registrations, and a line for whatever of it they cannot say.
//!
//! Nothing is left out without a word, and nothing is widened: an entry that could be carried only by asking for less than it
//! does is not carried.

mod carry;
mod entry;
mod names;
mod nodes;
mod written;

use std::collections::{BTreeMap, BTreeSet};

use model::{SpiffeId, TrustDomain};
use serde::Serialize;

use self::carry::{Carried, carry, rights, selectors};
use self::entry::{Entry, Id, read};
use self::nodes::{Nodes, SERVER};
use super::registrations::Registration;

pub use entry::{MAX_BYTES, NotRead};
pub use written::{document, files, yaml};

/// Most registrations that come of one import.
const MOST: usize = 1_000_000;

/// What became of a SPIRE server's entries.
#[derive(Debug)]
pub struct Imported {
    /// None where there is no entry.
    pub trust_domain: Option<TrustDomain>,
    pub entries: usize,
    /// By name, each with the id of the entry that it comes of.
    pub registrations: Vec<(Registration, String)>,
    pub notes: Vec<Note>,
}

/// Something that is not, or not quite, as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    pub kind: NoteKind,
    /// Id of the entry, if it is about one.
    pub entry: Option<String>,
    /// The SPIFFE ID that it is about.
    pub spiffe_id: Option<String>,
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// The list itself is not whole.
    List,
    /// No registration comes of this entry.
    LeftOut,
    /// A registration comes of it that does not say everything that the entry did.
    Changed,
    /// What a parent became, and what is to be done about its nodes.
    Nodes,
}

/// Why nothing is imported.
#[derive(Debug, thiserror::Error)]
pub enum NotImported {
    #[error(transparent)]
    Read(#[from] NotRead),
    #[error("entries are of `{one}` and of `{other}`: say by `--trust-domain` whose are meant")]
    TrustDomains { one: TrustDomain, other: TrustDomain },
    #[error("more than {MOST} registrations would come of it")]
    TooMany,
}

impl NoteKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::LeftOut => "left out",
            Self::Changed => "changed",
            Self::Nodes => "nodes",
        }
    }
}

/// Imports what SPIRE printed: the entries of one trust domain. The same entries, in whatever order, give the same.
///
/// # Errors
/// [`NotImported`].
pub fn import(json: &[u8], domain: Option<&TrustDomain>) -> Result<Imported, NotImported> {
    let (mut entries, more) = read(json)?;
    entries.sort_by_cached_key(Entry::order);
    let mut import = Import { notes: Vec::new(), carried: Vec::new(), parents: BTreeMap::new() };
    if more {
        let message = "there are more pages (`next_page_token`): what is on them is not here";
        import.notes.push(Note { kind: NoteKind::List, entry: None, spiffe_id: None, message: message.to_owned() });
    }
    let trust_domain = match domain {
        Some(domain) => Some(domain.clone()),
        None => only_domain(&entries)?,
    };
    if let Some(domain) = &trust_domain {
        import.entries(&entries, domain)?;
    }
    Ok(Imported {
        trust_domain,
        entries: entries.len(),
        registrations: names::name(import.carried),
        notes: import.notes,
    })
}

/// The trust domain of all entries; of several none is chosen.
fn only_domain(entries: &[Entry]) -> Result<Option<TrustDomain>, NotImported> {
    let mut domains = BTreeSet::new();
    domains.extend(entries.iter().filter_map(|entry| Some(entry.spiffe_id.read().ok()?.trust_domain())));
    let mut domains = domains.into_iter();
    match (domains.next(), domains.next()) {
        (Some(one), Some(other)) => Err(NotImported::TrustDomains { one, other }),
        (one, _) => Ok(one),
    }
}

struct Import {
    notes: Vec<Note>,
    carried: Vec<(Registration, String)>,
    /// How many registrations each parent has.
    parents: BTreeMap<SpiffeId, usize>,
}

impl Import {
    fn entries(&mut self, entries: &[Entry], domain: &TrustDomain) -> Result<(), NotImported> {
        let mut sound = Vec::new();
        for entry in entries {
            match placed(entry, domain) {
                Ok((id, parent)) => sound.push((entry, id, parent)),
                Err(why) => self.left_out(entry, why),
            }
        }
        let mut nodes = Nodes::new(&sound);
        for (entry, id, parent) in &sound {
            if parent.path() == SERVER {
                self.alias(entry, id, &nodes);
            } else {
                self.entry(entry, id, parent, &mut nodes)?;
            }
        }
        for (parent, count) in &self.parents {
            let Some(chosen) = nodes.chosen(parent) else { continue };
            let message = format!("{chosen}; stands in {count} registration(s)");
            self.notes.push(Note { kind: NoteKind::Nodes, entry: None, spiffe_id: Some(parent.to_string()), message });
        }
        Ok(())
    }

    /// A group of nodes: what it asks for stands in the registrations below it.
    fn alias(&mut self, entry: &Entry, id: &SpiffeId, nodes: &Nodes) {
        if let Err(why) = selectors(entry) {
            self.left_out(entry, why);
        } else if !nodes.has_children(id) {
            self.left_out(entry, "a group of nodes that is the parent of no entry".to_owned());
        }
        self.changed(entry, rights(entry));
    }

    fn entry(&mut self, entry: &Entry, id: &SpiffeId, parent: &SpiffeId, nodes: &mut Nodes) -> Result<(), NotImported> {
        let ways = match nodes.of(parent) {
            Ok(ways) => ways,
            Err(why) => {
                self.left_out(entry, why.to_string());
                return Ok(());
            }
        };
        let Carried { registration, mut lost } = match carry(entry, id) {
            Ok(carried) => carried,
            Err(why) => {
                self.left_out(entry, why);
                return Ok(());
            }
        };
        if ways.len() > 1 {
            let many = ways.len();
            lost.push(format!("{many} registrations, for its nodes are known in {many} ways; a node that is known in several hands its SVID out as often"));
        }
        self.changed(entry, lost);
        if self.carried.len() + ways.len() > MOST {
            return Err(NotImported::TooMany);
        }
        *self.parents.entry(parent.clone()).or_default() += ways.len();
        for way in ways.iter() {
            let nodes = way.iter().cloned().collect();
            self.carried.push((Registration { nodes, ..registration.clone() }, entry.id.clone()));
        }
        Ok(())
    }

    fn changed(&mut self, entry: &Entry, lost: Vec<String>) {
        self.notes.extend(lost.into_iter().map(|why| note(NoteKind::Changed, entry, why)));
    }

    fn left_out(&mut self, entry: &Entry, why: String) {
        self.notes.push(note(NoteKind::LeftOut, entry, why));
    }
}

/// Who an entry is for and below whom it stands, if both are of this trust domain.
fn placed(entry: &Entry, domain: &TrustDomain) -> Result<(SpiffeId, SpiffeId), String> {
    let of_domain = |id: &Id, what: &str| {
        let read = id.read().map_err(|why| format!("its {what} is none: {why}"))?;
        if read.is_member_of(domain) { Ok(read) } else { Err(format!("its {what} is not of `{domain}`")) }
    };
    Ok((of_domain(&entry.spiffe_id, "SPIFFE ID")?, of_domain(&entry.parent_id, "parent")?))
}

fn note(kind: NoteKind, entry: &Entry, message: String) -> Note {
    let id = entry.spiffe_id.text();
    Note { kind, entry: Some(entry.id.clone()), spiffe_id: Some(id).filter(|id| !id.is_empty()), message }
}

#[cfg(test)]
mod tests;
