//! Certificates of peers, and certificate requests of agents: read or refused.
#![no_main]

use credential::PeerCertificates;
use issuer::CertificateRequest;

libfuzzer_sys::fuzz_target!(|der: &[u8]| {
    let peer = PeerCertificates::new(vec![der.to_vec()]);
    let _ = (peer.ends(), peer.has_sound_leaf(), peer.signed_by());
    let _ = CertificateRequest::read(der);
});
