//! Keys that every TPM makes the same each time (TCG EK Credential Profile 2.5, annex B), where their certificates lie, and the key with
//! which the node signs.

use super::command::Handle;

/// An endorsement key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endorsement {
    /// L-1.
    Rsa2048,
    /// L-2.
    P256,
    /// H-3.
    P384,
}

/// Policy of the keys of the low range: whoever may use the endorsement hierarchy (`PolicySecret`).
const POLICY_A: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7,
    0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];
/// Of those of the high range with SHA-384, whose password allows it too.
const POLICY_B: [u8; 48] = [
    0xb2, 0x6e, 0x7d, 0x28, 0xd1, 0x1a, 0x50, 0xbc, 0x53, 0xd8, 0x82, 0xbc, 0xf5, 0xfd, 0x3a, 0x1a, 0x07, 0x41, 0x48,
    0xbb, 0x35, 0xd3, 0xb4, 0xe4, 0xcb, 0x1c, 0x0a, 0xd9, 0xbd, 0xe4, 0x19, 0xca, 0xcb, 0x47, 0xba, 0x09, 0x69, 0x96,
    0x46, 0x15, 0x0f, 0x9f, 0xc0, 0x00, 0xf3, 0xf8, 0x0e, 0x12,
];

impl Endorsement {
    /// In the order in which they are looked for.
    pub(super) const ALL: [Self; 3] = [Self::Rsa2048, Self::P256, Self::P384];

    /// Where its certificate is.
    pub(super) const fn certificate(self) -> Handle {
        Handle(match self {
            Self::Rsa2048 => 0x01c0_0002,
            Self::P256 => 0x01c0_000a,
            Self::P384 => 0x01c0_0016,
        })
    }

    /// Whether its policy has to hold for its use.
    pub(super) const fn is_by_policy(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::P256)
    }

    /// As a `TPMT_PUBLIC`: type, hash, attributes, policy, symmetric cipher, scheme, its own parameters, and as much of nothing as its public
    /// half has.
    pub(super) fn template(self) -> Vec<u8> {
        let (aes128, aes256): (&[u8], &[u8]) = (&[0, 0x06, 0, 128, 0, 0x43], &[0, 0x06, 1, 0, 0, 0x43]);
        let (low, high) = ([0x00, 0x03, 0x00, 0xb2], [0x00, 0x03, 0x00, 0xf2]);
        let none: &[u8] = &[0, 0x10];
        match self {
            Self::Rsa2048 => [
                &[0, 0x01, 0, 0x0b][..],
                &low,
                &[0, 32],
                &POLICY_A,
                aes128,
                none,
                // 2048 bits, the usual exponent
                &[8, 0, 0, 0, 0, 0],
                &[1, 0],
                &[0; 256],
            ]
            .concat(),
            Self::P256 => [
                &[0, 0x23, 0, 0x0b][..],
                &low,
                &[0, 32],
                &POLICY_A,
                aes128,
                none,
                &[0, 0x03],
                none,
                &[0, 32],
                &[0; 32],
                &[0, 32],
                &[0; 32],
            ]
            .concat(),
            Self::P384 => {
                [&[0, 0x23, 0, 0x0c][..], &high, &[0, 48], &POLICY_B, aes256, none, &[0, 0x04], none, &[0; 4]].concat()
            }
        }
    }
}

/// The key that signs what the TPM says: of P-256 by ECDSA with SHA-256, restricted, made in the TPM and never let out (`fixedTPM`, `fixedParent`,
/// `sensitiveDataOrigin`, `userWithAuth`, `noDA`, `restricted`, `sign`).
pub(super) const ATTESTATION: &[u8] =
    &[0, 0x23, 0, 0x0b, 0x00, 0x05, 0x04, 0x72, 0, 0, 0, 0x10, 0, 0x18, 0, 0x0b, 0, 0x03, 0, 0x10, 0, 0, 0, 0];
