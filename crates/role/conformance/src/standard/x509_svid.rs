//! X509-SVID.md: what certificates of workloads and of those who sign for them say.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::CLIENT;
use super::bundle::published_keys;
use crate::line::Check::{By, Outside};
use crate::line::{Document, Line};
use crate::read::certificate::{Certificate, sequence};
use crate::read::id::Parts;
use crate::read::jwk::{Jwk, label};
use crate::read::path::{Path, validate};
use crate::seen::Seen;
use crate::verdict::{Judged, broken, demand, every, unseen};

const fn line(number: u16, section: &'static str, expected: &'static str, check: crate::line::Check) -> Line {
    Line::stable(number, Document::X509Svid, section, expected, check)
}

pub(super) const LINES: &[Line] = &[
    line(16, "§2", "an X.509-SVID has exactly one URI name", By(one_uri)),
    line(17, "§2", "other names beside it do no harm", Outside(CLIENT)),
    line(18, "§3.1", "a leaf's SPIFFE ID has a path", By(leaf_path)),
    line(19, "§3.1", "where the subject is empty, the subject's other names are critical", By(names_critical)),
    line(20, "§3.2", "a signing certificate has keyCertSign, and no path in its SPIFFE ID", By(signing)),
    line(21, "§3.2", "a signing certificate authenticates nobody", Outside(CLIENT)),
    line(22, "§4.1", "a leaf is no CA, and who signs is one", By(authority_flags)),
    line(23, "§4.3", "every SVID, of those who sign, too, has key usage, and it is critical", By(usage_critical)),
    line(24, "§4.3", "a leaf has digitalSignature, and neither keyCertSign nor cRLSign", By(leaf_usage)),
    line(25, "§4.4", "where a leaf has extended key usage, it has serverAuth and clientAuth", By(extended_usage)),
    line(26, "§5.1", "the chain leads to the bundle, and is valid now (RFC 5280)", By(path)),
    line(27, "§5.2", "a leaf's rules are looked at even where the chain is valid", Outside(CLIENT)),
    line(
        28,
        "§6.1",
        "in a bundle: `use` is `x509-svid`, no `kid`, and `x5c` with exactly one certificate",
        By(entries),
    ),
    line(29, "§6.2", "entries without a certificate that can be read are ignored", Outside(CLIENT)),
];

fn on_leaves(seen: &Seen, judge: impl Fn(&Certificate) -> Result<(), String>) -> Judged {
    every("leaf certificate", seen.leaves()?, |leaf| judge(leaf))
}

fn one_uri(seen: &Seen) -> Judged {
    on_leaves(seen, |leaf| demand(leaf.uris.len() == 1, || format!("{} URI names", leaf.uris.len())))
}

fn leaf_path(seen: &Seen) -> Judged {
    on_leaves(seen, |leaf| {
        let rootless = |uri: &&String| Parts::of(uri).path.trim_matches('/').is_empty();
        leaf.uris.iter().find(rootless).map_or(Ok(()), |uri| Err(format!("`{uri}` names a trust domain")))
    })
}

fn names_critical(seen: &Seen) -> Judged {
    on_leaves(seen, |leaf| {
        demand(leaf.has_subject || leaf.names_critical != Some(false), || {
            "an empty subject, and names that are not critical".to_owned()
        })
    })
}

fn signing(seen: &Seen) -> Judged {
    every("signing certificate", seen.authorities()?, |signer| {
        // a root above the trust domain need not say what its key is for: it is no SVID
        let signs = signer.usage.map_or(signer.uris.is_empty(), |usage| usage.key_cert_sign);
        demand(signs, || "no keyCertSign".to_owned())?;
        demand(signer.uris.len() < 2, || format!("{} URI names", signer.uris.len()))?;
        let path = signer.uris.iter().map(|uri| Parts::of(uri).path).find(|path| !path.is_empty());
        path.map_or(Ok(()), |path| Err(format!("its SPIFFE ID has the path `{path}`")))
    })
}

fn authority_flags(seen: &Seen) -> Judged {
    let leaves = seen.leaves()?.into_iter().map(|(name, it)| (name, (it, false)));
    let signers = seen.authorities()?.into_iter().map(|(name, it)| (name, (it, true)));
    every("certificate", leaves.chain(signers), |(certificate, expected)| {
        demand(certificate.is_authority == *expected, || format!("CA is {}", certificate.is_authority))
    })
}

fn usage_critical(seen: &Seen) -> Judged {
    let authorities = seen.authorities()?.into_iter().filter(|(_, it)| !it.uris.is_empty());
    every("SVID", seen.leaves()?.into_iter().chain(authorities), |certificate| match certificate.usage {
        None => Err("no key usage".to_owned()),
        Some(usage) => demand(usage.critical, || "key usage is not critical".to_owned()),
    })
}

fn leaf_usage(seen: &Seen) -> Judged {
    let with_usage = seen.leaves()?.into_iter().filter_map(|(name, leaf)| Some((name, leaf.usage?)));
    every("leaf with key usage", with_usage, |usage| {
        demand(usage.digital_signature, || "no digitalSignature".to_owned())?;
        demand(!usage.key_cert_sign, || "keyCertSign".to_owned())?;
        demand(!usage.crl_sign, || "cRLSign".to_owned())
    })
}

fn extended_usage(seen: &Seen) -> Judged {
    let extended = seen.leaves()?.into_iter().filter_map(|(name, leaf)| Some((name, leaf.extended?)));
    every("leaf with extended key usage", extended, |extended| {
        demand(extended.server, || "no serverAuth".to_owned())?;
        demand(extended.client, || "no clientAuth".to_owned())
    })
}

fn path(seen: &Seen) -> Judged {
    let (mut valid, mut invalid, mut unclear) = (0_usize, Vec::new(), None);
    for svid in seen.x509_svids()? {
        let (Some((leaf, above)), Ok(bundle)) = (svid.leaf(), &svid.bundle) else { continue };
        if bundle.is_empty() {
            unclear = Some("there is no bundle to lead to");
            continue;
        }
        match validate(leaf, &above, bundle, seen.at) {
            Path::Valid => valid += 1,
            Path::Invalid(why) => invalid.push(format!("{}: {why}", svid.spiffe_id)),
            Path::Unclear(why) => unclear = Some(why),
        }
    }
    match (invalid.is_empty(), valid) {
        (false, _) => broken(invalid.join("; ")),
        (true, 0) => unseen(unclear.unwrap_or("there was no chain to look at")),
        (true, valid) => Ok(format!("{valid} × chain")),
    }
}

fn entries(seen: &Seen) -> Judged {
    let keys = published_keys(seen, "x509-svid")?;
    every("x509-svid entry", keys.iter().map(|key| (label(key), key)), |key| entry(key))
}

fn entry(key: &Jwk) -> Result<(), String> {
    demand(!key.contains_key("kid"), || "a `kid`".to_owned())?;
    let certificates = key.get("x5c").and_then(Value::as_array).ok_or("no `x5c`")?;
    let [only] = certificates.as_slice() else {
        return Err(format!("{} certificates in `x5c`", certificates.len()));
    };
    match certificate(only.as_str().unwrap_or_default()) {
        Some(_) => Ok(()),
        None => Err("its `x5c` is no certificate in base64 of DER".to_owned()),
    }
}

fn certificate(text: &str) -> Option<Certificate> {
    let der = BASE64_STANDARD.decode(text).ok()?;
    sequence(&der).ok().filter(|read| read.len() == 1)?.pop()
}
