//! Certificates of machines, which are nobody's SVID: their shape, and whether they lead to an authority.

use model::Time;
use x509_parser::certificate::X509Certificate;

use crate::authorities::{Authority, signer};
use crate::certificate::{self, Flaw, Particulars};
use crate::path::Path;
use crate::{BadBundle, Cause};

/// Most certificates between a machine's and an authority.
const MAX_BETWEEN: usize = 4;
/// Longest certificate, in bytes.
const MAX_BYTES: usize = 16 * 1024;

/// Those who vouch for machines, by their certificates in DER.
///
/// # Errors
/// [`BadBundle`] where they are more than `most`, or one may not sign certificates.
pub(super) fn authorities(certificates: &[Vec<u8>], most: usize) -> Result<Vec<Authority>, BadBundle> {
    if certificates.len() > most {
        return Err(BadBundle::TooMany { found: certificates.len(), most });
    }
    let anchor = |(place, der): (usize, &Vec<u8>)| signer(der).map_err(|source| BadBundle::Authority { place, source });
    (1..).zip(certificates).map(anchor).collect()
}

/// The machine's certificate, leaf of a chain in DER whose sizes and kinds are sound.
///
/// # Errors
/// [`Cause::ChainInvalid`].
pub(super) fn shaped(
    chain: &[Vec<u8>],
    check_leaf: impl FnOnce(&X509Certificate<'_>) -> Result<(), Flaw>,
) -> Result<X509Certificate<'_>, Cause> {
    let sizes = chain.len() <= 1 + MAX_BETWEEN && chain.iter().all(|der| der.len() <= MAX_BYTES);
    let (leaf, above) =
        chain.split_first().filter(|_| sizes).ok_or(invalid(Flaw::TooLong { certificates: chain.len() }))?;
    let parsed = certificate::parse(leaf).map_err(invalid)?;
    check_leaf(&parsed).map_err(invalid)?;
    for der in above {
        certificate::parse(der).and_then(|parsed| certificate::check_signer(&parsed)).map_err(invalid)?;
    }
    Ok(parsed)
}

/// What the machine's certificate says, if it holds at `at`, and the path to who vouches for it, if that does.
///
/// # Errors
/// [`Cause`].
pub(super) fn held(
    machine: &X509Certificate<'_>,
    at: Time,
    path: impl FnOnce() -> Result<Path, Flaw>,
) -> Result<(Particulars, Path), Cause> {
    let particulars = Particulars::of(machine).map_err(invalid)?;
    particulars.hold_at(at)?;
    let path = path().map_err(invalid)?;
    if path.ends <= at { Err(Cause::Expired { at: path.ends }) } else { Ok((particulars, path)) }
}

const fn invalid(flaw: Flaw) -> Cause {
    Cause::ChainInvalid { flaw }
}
