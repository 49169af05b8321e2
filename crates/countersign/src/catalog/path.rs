//! Paths that two readers could take apart differently are refused, never normalised.

/// Why a path is ambiguous, whatever the catalog says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmbiguousPath {
    #[error("a path starts with `/`")]
    NotAbsolute,
    #[error("a byte that a path cannot have stands there unencoded")]
    RawByte,
    #[error("`//`")]
    DoubleSlash,
    #[error("a `.` or `..` segment")]
    DotSegment,
    #[error("a percent sign without two hex digits")]
    BadTriplet,
    #[error("an encoded slash, backslash, dot, percent sign or control character")]
    EncodedDelimiter,
    #[error("percent triplets that are not UTF-8")]
    NotUtf8,
}

/// Checks a path, without its query, as it came (RFC 3986 §3.3; OWASP path tricks).
///
/// # Errors
/// [`AmbiguousPath`].
pub fn check_path(path: &str) -> Result<(), AmbiguousPath> {
    if !path.starts_with('/') {
        return Err(AmbiguousPath::NotAbsolute);
    }
    if path.bytes().any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'\\' | b'#')) {
        return Err(AmbiguousPath::RawByte);
    }
    if path.contains("//") {
        return Err(AmbiguousPath::DoubleSlash);
    }
    // `/a/.;x/` is a dot segment to readers that know path parameters
    let name = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    if path.split('/').any(name) {
        return Err(AmbiguousPath::DotSegment);
    }
    if path.contains('%') { check_triplets(path) } else { Ok(()) }
}

fn check_triplets(path: &str) -> Result<(), AmbiguousPath> {
    let mut rest = path.split('%').skip(1);
    if rest.any(|piece| piece.as_bytes().first_chunk().copied().and_then(triplet).is_none()) {
        return Err(AmbiguousPath::BadTriplet);
    }
    let mut bytes =
        path.split('%').skip(1).filter_map(|piece| piece.as_bytes().first_chunk().copied().and_then(triplet));
    if bytes.any(|byte| matches!(byte, b'/' | b'\\' | b'.' | b'%') || byte.is_ascii_control()) {
        return Err(AmbiguousPath::EncodedDelimiter);
    }
    path.split('/').try_for_each(|segment| decode(segment).map(drop).ok_or(AmbiguousPath::NotUtf8))
}

/// Text with its percent triplets decoded once; `None` if the result is not UTF-8 (overlong forms are not).
pub fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut pieces = segment.split('%');
    bytes.extend_from_slice(pieces.next()?.as_bytes());
    for piece in pieces {
        let (digits, plain) = piece.as_bytes().split_first_chunk()?;
        bytes.push(triplet(*digits)?);
        bytes.extend_from_slice(plain);
    }
    String::from_utf8(bytes).ok()
}

fn triplet([high, low]: [u8; 2]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}
