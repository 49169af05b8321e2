//! Commands of a TPM 2.0 and its answers, as far as a node needs them to prove itself (Trusted Platform Module Library, part 3). Bytes in, bytes
//! out: what carries them stands elsewhere. An answer is total and bounded: what does not fit is refused, and means nothing.

/// Longest command and longest answer, in bytes: what TPMs take and give (`TPM_PT_MAX_RESPONSE_SIZE`).
pub(super) const MAX: usize = 4096;
/// Bytes before an answer's parameters: tag, size and code.
pub(super) const HEAD: usize = 10;

const NO_SESSIONS: u16 = 0x8001;
const SESSIONS: u16 = 0x8002;
const ALG_NULL: u16 = 0x0010;
const ALG_SHA256: u16 = 0x000b;
const ENDORSEMENT: u32 = 0x4000_000b;
const NOTHING: u32 = 0x4000_0007;
const PASSWORD: u32 = 0x4000_0009;
const POLICY_SESSION: u8 = 0x01;
/// The PCRs 0 to 7 of the bank of SHA-256, as a `TPML_PCR_SELECTION`: what the machine booted.
const BOOT: &[u8] = &[0, 0, 0, 1, 0x00, 0x0b, 3, 0xff, 0, 0];

/// Of an object or session that is loaded, or of a place in non-volatile memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Handle(pub(super) u32);

/// How the use of the endorsement key is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    /// By its password, which is empty.
    Password,
    /// By a session in which its policy holds.
    Session(Handle),
}

/// Why there is no answer to go on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    #[error("it refuses with code {code:#05x}")]
    Refused { code: u32 },
    #[error("its answer cannot be read")]
    Unreadable,
}

/// Makes a key of the endorsement hierarchy from a `TPMT_PUBLIC`: always the same one.
pub(super) fn create_primary(template: &[u8]) -> Vec<u8> {
    // no password and no data of its own, no data and no PCRs of its making
    let sensitive: &[u8] = &[0, 4, 0, 0, 0, 0];
    let parameters = [sensitive, &sized(template), &[0, 0], &[0, 0, 0, 0]].concat();
    command(0x0000_0131, &[Handle(ENDORSEMENT)], &[Allowed::Password], &parameters)
}

/// The handle of the key, and its `TPMT_PUBLIC`.
pub(super) fn created(answer: &[u8]) -> Result<(Handle, Vec<u8>), BadAnswer> {
    let mut reader = Reader::of(answer)?;
    let handle = reader.u32()?;
    let _length = reader.u32()?;
    Ok((Handle(handle), reader.sized()?.to_vec()))
}

pub(super) fn start_policy_session(nonce: &[u8]) -> Vec<u8> {
    let kind = [&[POLICY_SESSION][..], &ALG_NULL.to_be_bytes(), &ALG_SHA256.to_be_bytes()].concat();
    // no salt
    let parameters = [sized(nonce), vec![0, 0], kind].concat();
    command(0x0000_0176, &[Handle(NOTHING), Handle(NOTHING)], &[], &parameters)
}

pub(super) fn started(answer: &[u8]) -> Result<Handle, BadAnswer> {
    Reader::of(answer)?.u32().map(Handle)
}

/// Whoever may use the endorsement hierarchy may use its keys: the policy of their templates.
pub(super) fn policy_secret(session: Handle) -> Vec<u8> {
    // nonceTPM, cpHashA, policyRef: none; expiration: never
    command(0x0000_0151, &[Handle(ENDORSEMENT), session], &[Allowed::Password], &[0; 2 + 2 + 2 + 4])
}

/// Has opened what is sealed to the endorsement key for the attestation key. It ends the session.
pub(super) fn activate_credential(
    [attestation, endorsement]: [Handle; 2],
    allowed: Allowed,
    (credential, secret): (&[u8], &[u8]),
) -> Vec<u8> {
    let parameters = [sized(credential), sized(secret)].concat();
    command(0x0000_0147, &[attestation, endorsement], &[Allowed::Password, allowed], &parameters)
}

/// What was sealed.
pub(super) fn activated(answer: &[u8]) -> Result<Vec<u8>, BadAnswer> {
    let mut reader = Reader::of(answer)?;
    let _length = reader.u32()?;
    Ok(reader.sized()?.to_vec())
}

pub(super) fn quote(attestation: Handle, qualifying: &[u8]) -> Vec<u8> {
    // signed as the key signs
    let parameters = [&sized(qualifying), &ALG_NULL.to_be_bytes()[..], BOOT].concat();
    command(0x0000_0158, &[attestation], &[Allowed::Password], &parameters)
}

/// A `TPMS_ATTEST`, and the `TPMT_SIGNATURE` over it.
pub(super) fn quoted(answer: &[u8]) -> Result<(Vec<u8>, Vec<u8>), BadAnswer> {
    let mut reader = Reader::of(answer)?;
    let length = usize::try_from(reader.u32()?).or(Err(BadAnswer::Unreadable))?;
    let mut parameters = Reader(reader.take(length)?);
    let quoted = parameters.sized()?.to_vec();
    Ok((quoted, parameters.0.to_vec()))
}

pub(super) fn flush(handle: Handle) -> Vec<u8> {
    command(0x0000_0165, &[], &[], &handle.0.to_be_bytes())
}

pub(super) fn nv_read_public(index: Handle) -> Vec<u8> {
    command(0x0000_0169, &[index], &[], &[])
}

/// How many bytes are there.
pub(super) fn nv_size(answer: &[u8]) -> Result<u16, BadAnswer> {
    let mut reader = Reader::of(answer)?;
    let mut public = Reader(reader.sized()?);
    // index, hash, attributes
    public.take(4 + 2 + 4)?;
    let _policy = public.sized()?;
    public.u16()
}

/// Whoever may ask may read it: certificates are no secret.
pub(super) fn nv_read(index: Handle, size: u16, offset: u16) -> Vec<u8> {
    let parameters = [size.to_be_bytes(), offset.to_be_bytes()].concat();
    command(0x0000_014e, &[index, index], &[Allowed::Password], &parameters)
}

pub(super) fn nv_bytes(answer: &[u8]) -> Result<Vec<u8>, BadAnswer> {
    activated(answer)
}

/// Whether the TPM asks for the same command again: it was about something else, tests itself, or wrote down first that it is being
/// tried (`TPM_RC_YIELDED`, `TPM_RC_TESTING`, `TPM_RC_RETRY`).
pub(super) fn comes_again(answer: &[u8]) -> bool {
    matches!(Reader::of(answer).err(), Some(BadAnswer::Refused { code: 0x908 | 0x90a | 0x922 }))
}

/// How many bytes an answer has that starts so.
pub(super) fn length(head: [u8; HEAD]) -> Option<usize> {
    let [_, _, size @ .., _, _, _, _] = head;
    usize::try_from(u32::from_be_bytes(size)).ok().filter(|length| (HEAD..=MAX).contains(length))
}

fn command(code: u32, handles: &[Handle], allowed: &[Allowed], parameters: &[u8]) -> Vec<u8> {
    let mut body = code.to_be_bytes().to_vec();
    for handle in handles {
        body.extend(handle.0.to_be_bytes());
    }
    if !allowed.is_empty() {
        // each: session, no nonce, no attributes, no authorization value
        let area: Vec<u8> =
            allowed.iter().flat_map(|one| [&one.session().to_be_bytes()[..], &[0; 2 + 1 + 2]].concat()).collect();
        body.extend(u32::try_from(area.len()).unwrap_or(u32::MAX).to_be_bytes());
        body.extend(area);
    }
    body.extend_from_slice(parameters);
    let tag = if allowed.is_empty() { NO_SESSIONS } else { SESSIONS };
    let size = u32::try_from(2 + 4 + body.len()).unwrap_or(u32::MAX);
    [&tag.to_be_bytes()[..], &size.to_be_bytes(), &body].concat()
}

impl Allowed {
    const fn session(self) -> u32 {
        match self {
            Self::Password => PASSWORD,
            Self::Session(Handle(session)) => session,
        }
    }
}

/// A `TPM2B`.
fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), bytes].concat()
}

/// Numbers are big endian.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// What follows the head of an answer that says that it was done.
    fn of(answer: &'a [u8]) -> Result<Self, BadAnswer> {
        let mut reader = Self(answer);
        let (tag, size, code) = (reader.u16()?, reader.u32()?, reader.u32()?);
        if code != 0 {
            return Err(BadAnswer::Refused { code });
        }
        let whole = usize::try_from(size).is_ok_and(|size| size == answer.len()) && answer.len() <= MAX;
        if whole && [NO_SESSIONS, SESSIONS].contains(&tag) { Ok(reader) } else { Err(BadAnswer::Unreadable) }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], BadAnswer> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(BadAnswer::Unreadable)?;
        self.0 = rest;
        Ok(taken)
    }

    fn u16(&mut self) -> Result<u16, BadAnswer> {
        self.take(2)?.try_into().map(u16::from_be_bytes).or(Err(BadAnswer::Unreadable))
    }

    fn u32(&mut self) -> Result<u32, BadAnswer> {
        self.take(4)?.try_into().map(u32::from_be_bytes).or(Err(BadAnswer::Unreadable))
    }

    fn sized(&mut self) -> Result<&'a [u8], BadAnswer> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }
}

#[cfg(test)]
mod tests;
