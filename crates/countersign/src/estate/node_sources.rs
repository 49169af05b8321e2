//! `TrustSource`s that vouch for nodes: one field of the document a method.

use credential::{NodeAuthorities, NodeMethod, NodeTrust};
use net::causes::chain;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use yaml::{Fields, Node, Reader};

use super::document::Document;
use super::key_sets::named;
use super::sources;

/// The fields, and the method that each is of.
pub(super) const FIELDS: [(&str, NodeMethod); 1] = [("x509pop", NodeMethod::X509Pop)];

/// What a document declares of them.
pub(super) struct Declared<'n>(Vec<(NodeMethod, &'n Node)>);

/// Which of them.
pub(super) enum Only<'n> {
    None,
    One(NodeMethod, &'n Node),
    Several,
}

impl<'n> Declared<'n> {
    pub(super) fn read(fields: &mut Fields<'n>) -> Self {
        Self(FIELDS.into_iter().filter_map(|(name, method)| Some((method, fields.optional(name)?))).collect())
    }

    pub(super) fn only(&self) -> Only<'n> {
        match self.0.as_slice() {
            [] => Only::None,
            [(method, node)] => Only::One(*method, node),
            _ => Only::Several,
        }
    }
}

/// What a source of nodes is read against.
pub(super) struct Reading<'a> {
    pub document: &'a Document,
    pub of: &'a sources::Reading<'a>,
}

impl Reading<'_> {
    pub(super) fn read(&self, reader: &mut Reader<'_>, method: NodeMethod, node: &Node) -> Option<NodeTrust> {
        match method {
            NodeMethod::X509Pop => self.x509pop(reader, node),
        }
    }

    fn x509pop(&self, reader: &mut Reader<'_>, node: &Node) -> Option<NodeTrust> {
        let mut fields = reader.fields(node, "x509pop")?;
        let authorities = fields.required(reader, "authorities");
        fields.close(reader);
        let node = authorities?;
        let mut fields = reader.fields(node, "authorities")?;
        let file = fields.required(reader, "file");
        fields.close(reader);
        let pem = named(self.document, self.of.bundle, reader, file?)?;
        let found = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
        let Some(certificates) = found.ok().filter(|all| !all.is_empty()) else {
            reader.problem(node.at, "not certificates of authorities in PEM");
            return None;
        };
        let certificates: Vec<Vec<u8>> = certificates.iter().map(|der| der.to_vec()).collect();
        match NodeAuthorities::new(self.of.domain.clone(), &certificates) {
            Ok(authorities) => Some(NodeTrust::X509Pop(authorities)),
            Err(bad) => {
                reader.problem(node.at, chain(&bad));
                None
            }
        }
    }
}
