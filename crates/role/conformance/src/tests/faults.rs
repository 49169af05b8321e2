//! The proof that the kit works: which lines each fault turns red, and that every line that can be checked has one.

use std::collections::BTreeSet;
use std::time::Duration;

use testkit::workload_api::{Fault, WorkloadApi};
use tokio::task::JoinSet;

use super::{failed, options};
use crate::{Selection, lines, run};

/// Servers that are looked at side by side.
const SIDE_BY_SIDE: usize = 8;

/// The lines that faults break.
const TABLE: &[(&[Fault], &[u16])] = &[
    (&[Fault::IdOfOtherScheme, Fault::IdWithQuery], &[1]),
    (&[Fault::IdWithPort], &[2]),
    (&[Fault::IdInUpperCase], &[3]),
    (&[Fault::IdWithStrangeDomain], &[4]),
    (&[Fault::IdWithEncodedDomain], &[5]),
    (&[Fault::IdWithEncodedPath], &[7]),
    (&[Fault::IdWithDotSegment], &[8]),
    (&[Fault::IdWithTrailingSlash], &[9]),
    (&[Fault::IdWithStrangePath], &[10]),
    (&[Fault::IdTooLong], &[11]),
    (&[Fault::IdsWithoutCase], &[12]),
    (&[Fault::TwoUriNames, Fault::NoUriName], &[16]),
    (&[Fault::LeafWithoutPath], &[18]),
    (&[Fault::NamesNotCritical], &[19]),
    (&[Fault::AuthorityWithPath, Fault::AuthorityWithoutCertSign], &[20]),
    (&[Fault::LeafIsAuthority, Fault::AuthorityIsNone], &[22]),
    (&[Fault::LeafWithoutKeyUsage, Fault::KeyUsageNotCritical], &[23]),
    (&[Fault::LeafSignsCertificates, Fault::LeafWithoutDigitalSignature], &[24]),
    (&[Fault::OnlyServerAuth, Fault::OnlyClientAuth], &[25]),
    (&[Fault::ExpiredLeaf, Fault::LeafOfStranger], &[26]),
    (&[Fault::TwoCertificatesInEntry, Fault::X509EntryWithKeyId], &[28]),
    (&[Fault::JsonToken, Fault::JsonAccepted], &[30]),
    (&[Fault::ExtraHeader, Fault::EmbeddedKeyBelieved], &[31]),
    (&[Fault::EdDsaToken, Fault::AlgNoneAccepted, Fault::HmacAccepted], &[32]),
    (&[Fault::OtherType], &[33]),
    (&[Fault::OtherSubject], &[34]),
    // what is not in `aud` was not embedded, either
    (&[Fault::NoAudience], &[35, 89]),
    (&[Fault::AudienceIgnored], &[35]),
    (&[Fault::NoExpiry, Fault::ExpiredToken, Fault::ExpiredAccepted], &[36]),
    (&[Fault::ExpiryOptional, Fault::AudienceOptional], &[37]),
    (&[Fault::PublishedKeyWithoutId, Fault::JwtKeyWithoutId], &[38]),
    (&[Fault::X509KeyVerifies], &[39]),
    (&[Fault::NoKeyId, Fault::UnknownKeyId, Fault::SignedByOther], &[40]),
    (&[Fault::SequenceInText], &[52]),
    (&[Fault::NegativeRefreshHint], &[53]),
    (&[Fault::NoKeysMember], &[54]),
    (&[Fault::EntryWithoutUse, Fault::UseInUpperCase], &[55]),
    (&[Fault::BundlesPooled], &[57]),
    (&[Fault::BrokenMap], &[58]),
    (&[Fault::EndpointAsksWhoIsThere], &[66]),
    (&[Fault::EndpointNotFound, Fault::DocumentNotUtf8], &[67]),
    // nothing is answered at all
    (&[Fault::Silent], &[74, 75, 78, 81]),
    (
        &[
            Fault::HeaderOptional,
            Fault::HeaderOfAnyCase,
            Fault::HeaderOptionalOnStreams,
            Fault::HeaderOptionalOnValidation,
            Fault::HeaderRefusedOtherwise,
        ],
        &[75],
    ),
    // and whoever is nobody should hear another code
    (&[Fault::CredentialsAsked], &[76, 87]),
    (&[Fault::UnknownRpcRefusedOtherwise], &[78]),
    (&[Fault::JwtProfileMissing], &[80]),
    (&[Fault::FirstMessageLate, Fault::PartialState], &[81]),
    (&[Fault::AudienceNotMandatory, Fault::DefaultsRefusedOtherwise], &[84]),
    (
        &[
            Fault::NoSvids,
            Fault::PemInsteadOfDer,
            Fault::LeafLast,
            Fault::OtherKey,
            Fault::KeyInPem,
            Fault::EmptyBundle,
            Fault::BundleInPem,
            Fault::CertificateOfOtherId,
            Fault::FederatedByName,
        ],
        &[85],
    ),
    (&[Fault::HintTwice, Fault::HintTooLong], &[86]),
    (&[Fault::StrangerRefusedOtherwise], &[87]),
    (&[Fault::BundlesWithoutOwn, Fault::BundlesByName, Fault::BundlesInPem], &[88]),
    (&[Fault::SecondAudienceDropped, Fault::ForeignIdRefusedOtherwise], &[89]),
    // in other letters, too
    (&[Fault::AnyIdGiven], &[12, 89]),
    // they have no `kid`, as no key of theirs has
    (&[Fault::X509KeysInJwtBundles], &[38, 90]),
    (
        &[
            Fault::WitKeysInJwtBundles,
            Fault::X509KeyWithoutUse,
            Fault::PrivateKeyInJwtBundles,
            Fault::JwtBundlesWithoutOwn,
        ],
        &[90],
    ),
    (&[Fault::GoodTokenRefused, Fault::OtherIdValidated, Fault::ClaimsMissing], &[91]),
    // any key verifies then
    (&[Fault::SignatureIgnored], &[39, 91]),
    (&[Fault::DomainIgnored], &[92]),
    (&[Fault::HalfOfWit], &[94]),
    (&[Fault::WitWithoutKeyId], &[41]),
    (&[Fault::WitOfOtherType], &[42]),
    (&[Fault::WitOfOtherAlgorithm], &[43]),
    (&[Fault::WitOfOtherSubject, Fault::WitWithoutConfirmation], &[44]),
    (&[Fault::ExpiredWit], &[45]),
    (&[Fault::WitWithAudience], &[47]),
    (&[Fault::WitKeyWithoutId, Fault::WitKeyIdOfJwtKey], &[50]),
    (&[Fault::PlainRoot, Fault::SharedRoot, Fault::ForeignDomainWithoutX509, Fault::WitServed], &[]),
    (&[Fault::NobodyRegistered, Fault::NotReady], &[]),
];

/// Lines that no server breaks: who runs the kit does.
const BROKEN_BY_CALLERS: &[u16] = &[64];

fn broken_by(fault: Fault) -> Vec<u16> {
    let rows = TABLE.iter().filter(|(faults, _)| faults.contains(&fault));
    rows.flat_map(|(_, lines)| lines.iter().copied()).collect()
}

#[test]
fn every_fault_stands_in_the_table_once() {
    let listed = |fault: &Fault| TABLE.iter().flat_map(|(faults, _)| *faults).filter(|it| *it == fault).count();
    let wrong: Vec<&Fault> = Fault::ALL.iter().filter(|fault| listed(fault) != 1).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn every_line_that_can_be_checked_has_a_fault_that_breaks_it() {
    let red: BTreeSet<u16> = TABLE.iter().flat_map(|(_, lines)| *lines).chain(BROKEN_BY_CALLERS).copied().collect();
    let checkable = lines().filter(|line| line.can_be_checked());
    let never: Vec<u16> = checkable.map(|line| line.number).filter(|number| !red.contains(number)).collect();
    assert_eq!(never, [] as [u16; 0], "no fault breaks these");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_breaks_exactly_its_lines() {
    let mut wrong = Vec::new();
    for faults in Fault::ALL.chunks(SIDE_BY_SIDE) {
        let mut running = JoinSet::new();
        for fault in faults.iter().copied() {
            running.spawn(async move { (fault, seen_to_break(fault).await) });
        }
        for (fault, (found, text)) in running.join_all().await {
            let expected: BTreeSet<u16> = broken_by(fault).into_iter().collect();
            if found != expected {
                let lines: Vec<&str> =
                    text.lines().filter(|line| line.contains("FAIL") || line.contains("seen:")).collect();
                wrong.push(format!("{fault:?}: {found:?}, not {expected:?}\n{}", lines.join("\n")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

async fn seen_to_break(fault: Fault) -> (BTreeSet<u16>, String) {
    let server = WorkloadApi::with(fault).await;
    let mut options = options(&server);
    options.selection = Selection::new(&[], &[], true).unwrap();
    // what never comes need not be waited for, and what follows has to be
    if fault == Fault::Silent {
        options.within = Duration::from_millis(50);
    } else if fault == Fault::FirstMessageLate {
        options.within = Duration::from_secs(2);
    } else if fault == Fault::PartialState {
        options.settled = Duration::from_secs(1);
    }
    let report = run(&options).await.unwrap();
    (failed(&report), report.text())
}

#[tokio::test]
async fn a_url_with_a_user_or_of_another_scheme_breaks_its_line() {
    let server = WorkloadApi::sound().await;
    for url in ["https://user@127.0.0.1:1/bundle", "ftp://127.0.0.1/bundle"] {
        let options = crate::Options { bundle: Some(url.to_owned()), ..options(&server) };
        let report = run(&options).await.unwrap();
        assert_eq!(failed(&report), [64].into(), "{url}: {}", report.text());
    }
}
