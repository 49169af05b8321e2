//! What `agent.yaml` says of clouds: a field a method.

use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;

use credential::{NodeMethod, is_region, sts_of};
use net::causes::chain;
use net::{Metadata, Plain, Reach, Remote, Roots};
use yaml::{Fields, Node, Reader};

use super::{KeySource, Sts};
use crate::evidence::Means;

/// The fields.
pub(crate) const CLOUDS: [&str; 5] = ["gcp_iit", "azure_msi", "aws_iid", "aws_sts", "aws_jwt"];

/// What is said of them.
pub(crate) struct Declared<'n>(Vec<(&'static str, &'n Node)>);

impl<'n> Declared<'n> {
    pub(crate) fn read(fields: &mut Fields<'n>) -> Self {
        Self(CLOUDS.into_iter().filter_map(|name| Some((name, fields.optional(name)?))).collect())
    }

    /// Each of them; none for one that cannot be read.
    pub(crate) fn means(&self, reader: &mut Reader<'_>, folder: &Path) -> Vec<Option<Means>> {
        self.0.iter().map(|(name, node)| means(reader, name, node, folder)).collect()
    }
}

fn means(reader: &mut Reader<'_>, name: &'static str, node: &Node, folder: &Path) -> Option<Means> {
    let mut fields = reader.fields(node, name)?;
    let read = match name {
        "gcp_iit" => token_or(reader, &mut fields, (NodeMethod::GcpIit, folder), |reader, fields| {
            let audience = required(reader, fields, "audience");
            let metadata = metadata(reader, fields);
            Some(Means::Google { audience: audience?, metadata: metadata? })
        }),
        "azure_msi" => token_or(reader, &mut fields, (NodeMethod::AzureMsi, folder), |reader, fields| {
            let resource = required(reader, fields, "audience");
            let client = fields.optional("clientId").map(|node| reader.words(node));
            let metadata = metadata(reader, fields);
            Some(Means::Azure { resource: resource?, client: client.unwrap_or_default(), metadata: metadata? })
        }),
        "aws_iid" => metadata(reader, &mut fields).map(|metadata| Means::AwsIid { metadata }),
        "aws_sts" => sts(reader, &mut fields).map(|sts| Means::AwsSts { sts }),
        _ => {
            let audience = required(reader, &mut fields, "audience");
            let sts = sts(reader, &mut fields);
            Some(Means::AwsJwt { audience: audience?, sts: sts? })
        }
    };
    fields.close(reader);
    read
}

/// A token that something writes into a file, or else what the metadata service says.
fn token_or(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    (method, folder): (NodeMethod, &Path),
    otherwise: impl FnOnce(&mut Reader<'_>, &mut Fields<'_>) -> Option<Means>,
) -> Option<Means> {
    let Some(file) = fields.optional("tokenFile") else { return otherwise(reader, fields) };
    Some(Means::Token { method, file: folder.join(reader.words(file)?) })
}

fn required(reader: &mut Reader<'_>, fields: &mut Fields<'_>, name: &'static str) -> Option<String> {
    fields.required(reader, name).and_then(|node| reader.words(node))
}

/// Where the cloud has it, unless it is said.
fn metadata(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Metadata> {
    let node = fields.optional("metadata");
    let url = node.map_or_else(|| Some(Metadata::DEFAULT.to_owned()), |node| reader.words(node))?;
    kept(reader, node, Metadata::new(&url))
}

fn sts(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Sts> {
    let region = fields.required(reader, "region").and_then(|node| {
        let region = reader.words(node)?;
        if !is_region(&region) {
            reader.problem(node.at, format!("`{region}` is no region, such as `eu-central-2`"));
            return None;
        }
        Some(region)
    });
    let source = fields.optional("credentials").map_or(Some(Source::Metadata), |node| reader.parse(node));
    let metadata = metadata(reader, fields);
    let endpoint = fields.optional("endpoint");
    let url = endpoint.map_or_else(|| Some(sts_of(region.as_deref()?)), |node| reader.words(node))?;
    // settings are their operator's word: a private network's endpoint is as good as Amazon's own
    let remote = Remote::new(&url, Reach::Private, Plain::OnLoopback, Roots::Platform);
    let remote = remote.map_err(|bad| chain(&bad));
    let remote = kept(reader, endpoint, remote);
    let keys = match source? {
        Source::Metadata => KeySource::Metadata(metadata?),
        Source::Environment => KeySource::Environment,
    };
    Some(Sts { region: region?, remote: remote?, keys })
}

/// Where keys are, in a word.
#[derive(Debug, Clone, Copy)]
enum Source {
    Metadata,
    Environment,
}

#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("expected `metadata` or `environment`")]
struct NoSource;

impl FromStr for Source {
    type Err = NoSource;

    fn from_str(text: &str) -> Result<Self, NoSource> {
        match text {
            "metadata" => Ok(Self::Metadata),
            "environment" => Ok(Self::Environment),
            _ => Err(NoSource),
        }
    }
}

fn kept<T, E: Display>(reader: &mut Reader<'_>, node: Option<&Node>, read: Result<T, E>) -> Option<T> {
    read.map_err(|bad| {
        if let Some(node) = node {
            reader.problem(node.at, bad.to_string());
        }
    })
    .ok()
}
