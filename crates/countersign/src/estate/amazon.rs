//! `TrustSource`s that vouch for instances of Amazon's: by their identity documents, by what STS says, or by its tokens.

use std::collections::BTreeMap;

use credential::{AwsCallers, AwsInstances, NodeTrust, StsPlace, TokenRules, is_region};
use net::causes::chain;
use net::{Plain, Reach, Remote, Roots};
use yaml::{Fields, Node, Reader, Value};

use super::node_sources::{Read, Reading};
use super::sources;

/// What the issuer of an account's tokens ends with.
const ISSUERS: &str = ".tokens.sts.global.api.aws";

impl Reading<'_> {
    /// `awsInstance`: accounts, and the certificates of each region.
    pub(super) fn aws_instance(&self, reader: &mut Reader<'_>, node: &Node) -> Option<NodeTrust> {
        let mut fields = reader.fields(node, "awsInstance")?;
        let accounts = fields.required(reader, "accounts").and_then(|node| reader.some(node, account));
        let regions = fields.required(reader, "regions").map(|node| (node.at, self.regions(reader, node)));
        fields.close(reader);
        let (at, regions) = regions?;
        match AwsInstances::new(accounts?, regions?) {
            Ok(instances) => Some(NodeTrust::AwsInstances(instances)),
            Err(bad) => {
                reader.problem(at, chain(&bad));
                None
            }
        }
    }

    fn regions(&self, reader: &mut Reader<'_>, node: &Node) -> Option<BTreeMap<String, Vec<Vec<u8>>>> {
        let Value::Map(entries) = &node.value else {
            reader.problem(node.at, "`regions`: expected a mapping of regions to their certificates");
            return None;
        };
        if entries.is_empty() {
            reader.problem(node.at, "`regions` names no region, so that there is no node");
        }
        let mut regions = BTreeMap::new();
        for entry in entries {
            if !is_region(&entry.key) {
                reader.problem(entry.at, format!("`{}` is no region, such as `eu-central-2`", entry.key));
                continue;
            }
            regions.insert(entry.key.clone(), self.region(reader, &entry.value)?);
        }
        Some(regions)
    }

    fn region(&self, reader: &mut Reader<'_>, node: &Node) -> Option<Vec<Vec<u8>>> {
        let mut fields = reader.fields(node, "awsRegion")?;
        let certificates = fields.required(reader, "certificates");
        fields.close(reader);
        self.certificates(reader, certificates?, ("certificates", "not certificates of a region in PEM"))
    }

    /// `awsCaller`: roles, and the regions whose STS may be asked.
    pub(super) fn aws_caller(&self, reader: &mut Reader<'_>, node: &Node) -> Option<NodeTrust> {
        let mut fields = reader.fields(node, "awsCaller")?;
        let roles = fields.required(reader, "roles").and_then(|node| reader.some(node, |r, n| r.words(n)));
        let regions = fields.required(reader, "regions").and_then(|node| reader.some(node, region));
        let place = self.place(reader, &mut fields);
        fields.close(reader);
        match AwsCallers::new(&roles?, regions?, place?) {
            Ok(callers) => Some(NodeTrust::AwsCallers(callers)),
            Err(bad) => {
                reader.problem(node.at, chain(&bad));
                None
            }
        }
    }

    /// STS is Amazon's, unless it is one of this machine: where it is decides who is believed.
    fn place(&self, reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<StsPlace> {
        let (reach, plain) = sources::reach(reader, fields, self.of.development);
        match (fields.optional("endpoint"), reach) {
            (None, Reach::Private) => Some(StsPlace::AmazonsInPrivate),
            (None, Reach::Public | Reach::Loopback) => Some(StsPlace::Amazons),
            (Some(node), _) => {
                let url = reader.words(node)?;
                let here = Remote::new(&url, Reach::Loopback, plain, Roots::Platform);
                if plain == Plain::Refused || !url.starts_with("http://") || here.is_err() {
                    reader.problem(
                        node.at,
                        "`endpoint` is for an STS of this machine: it is `http://` and a loopback address, with \
                         `dangerouslyAllowLoopbackHttp: true` in a development environment",
                    );
                    return None;
                }
                Some(StsPlace::Here(url))
            }
        }
    }

    /// `awsToken`: the account's issuer, and roles.
    pub(super) fn aws_token(&self, reader: &mut Reader<'_>, node: &Node) -> Option<Read> {
        let mut fields = reader.fields(node, "awsToken")?;
        let issuer = fields.required(reader, "issuer").and_then(|node| issuer(reader, node));
        self.tokens_of(reader, fields, "roles", |roles, _| Some((issuer?, TokenRules::amazon(roles))))
    }
}

/// One account's: with the issuer of another, another account's roles would be believed.
fn issuer(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let issuer = reader.words(node)?;
    let own = issuer.strip_prefix("https://").and_then(|host| host.strip_suffix(ISSUERS));
    if !own.is_some_and(|own| !own.is_empty() && own.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')) {
        reader.problem(node.at, format!("`{issuer}` is no account's issuer: expected `https://ID{ISSUERS}`"));
        return None;
    }
    Some(issuer)
}

fn account(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let account = reader.words(node)?;
    if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
        reader.problem(node.at, format!("`{account}` is no account: expected twelve digits, in quotes"));
        return None;
    }
    Some(account)
}

fn region(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let region = reader.words(node)?;
    if !is_region(&region) {
        reader.problem(node.at, format!("`{region}` is no region, such as `eu-central-2`"));
        return None;
    }
    Some(region)
}
