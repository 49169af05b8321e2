//! Certificates: as they lie on disk where nothing runs, and as the process that runs has them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use credential::PeerCertificates;
use model::Time;

use super::finding::Finding;
use crate::issuing::{bundle, certificates_in};

/// What is renewed by the process that runs should never be so near its end.
const SVID_SOON: Duration = Duration::from_secs(5 * 60);
/// The last of the trust domain's authorities was made when the one before it was at half of its life.
const AUTHORITY_SOON: Duration = Duration::from_secs(3600);

/// What lies in the directory of a process that does not run.
pub(super) fn look(directory: &Path, at: Time) -> Vec<Finding> {
    let own = read(&directory.join("svid/svid.pem")).map(PeerCertificates::new).and_then(|svid| svid.ends());
    let resting = own.map(|end| match end <= at {
        true => Finding::warning(
            "certificates",
            format!("the gateway's SVID ended at {end}"),
            "start it with --enroll-token-file FILE; `countersign enroll token` at the control plane prints a token",
        ),
        false => Finding::ok("certificates", format!("the gateway's SVID ends at {end}")),
    });
    let domains = fs::read_dir(directory.join("keys/issuer")).into_iter().flatten().flatten();
    let authorities = domains.filter_map(|domain| {
        let name = domain.file_name().to_str()?.parse().ok()?;
        let certificates = read(&domain.path().join("authority.pem"))?;
        Some(authority(bundle(&name, &certificates).ok()?.ends()?, at))
    });
    resting.into_iter().chain(authorities).collect()
}

/// The SVID of a process that runs.
pub(super) fn svid(end: Time, at: Time) -> Finding {
    let what = format!("the SVID in use ends at {end}");
    if end > at.plus(SVID_SOON) {
        return Finding::ok("certificates", what);
    }
    Finding::problem(
        "certificates",
        what,
        "its log says why it is not renewed; a gateway renews it at its control plane",
    )
}

/// The last authority of a trust domain.
pub(super) fn authority(end: Time, at: Time) -> Finding {
    let what = format!("the last of the trust domain's authorities ends at {end}");
    let advice = "the control plane's log says why no other is prepared; `countersign authority show` lists them";
    if end <= at {
        Finding::problem("certificates", what, advice)
    } else if end <= at.plus(AUTHORITY_SOON) {
        Finding::warning("certificates", what, advice)
    } else {
        Finding::ok("certificates", what)
    }
}

fn read(path: &Path) -> Option<Vec<Vec<u8>>> {
    certificates_in(&fs::read(path).ok()?).ok()
}
