//! Paths of calls that pass through: one spelling for the gateway and for whoever reads it at the backend.
//!
//! Servers decode before they route, some after each other, and take a trailing slash, `;` parameters, backslashes
//! or another case for the same path. So a path is sent in one spelling ([`canonical`]), what servers are known to
//! disagree about is refused, and what a call is metered by is the words that any of them can read ([`read`]).

/// How often percent signs may be encoded within each other.
const MAX_ENCODED: usize = 3;

/// Why a path is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// `.` or `..` in any spelling.
    #[error("the path has a segment `.` or `..`")]
    Dots,
    /// Two slashes in a row.
    #[error("the path has an empty segment")]
    Empty,
    /// `;` that is not encoded, or beside an encoded slash.
    #[error("the path has parameters after `;`; encode it as %3B if it belongs to a name")]
    Parameters,
    /// A backslash that is not encoded.
    #[error("the path has a backslash")]
    Backslash,
    /// A control character in any spelling.
    #[error("the path has a control character")]
    Control,
    /// No two hexadecimal digits after a percent sign, or signs encoded within each other again and again.
    #[error("the path has a percent sign that encodes nothing")]
    Percent,
}

/// The path in its one spelling: what needs no percent sign has none, what does has one with capital digits (RFC 3986
/// §6.2.2). A slash at the end stays. `path` is empty or begins with a slash.
///
/// # Errors
/// See [`PathFault`].
pub fn canonical(path: &str) -> Result<String, PathFault> {
    let mut out = String::with_capacity(path.len());
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_some() {
            return Err(PathFault::Empty);
        }
        out.push('/');
        respell(segment, &mut out)?;
        check(segment)?;
    }
    Ok(out)
}

/// The words of a canonical path as a server reads it that decodes all there is to decode, takes encoded slashes and
/// backslashes for slashes, and leaves out empty segments, parameters and the slash at the end.
#[must_use]
pub fn read(path: &str) -> String {
    let decoded = decoded(path).unwrap_or_else(|_| path.as_bytes().to_vec());
    let decoded = String::from_utf8_lossy(&decoded);
    let mut out = String::with_capacity(decoded.len());
    for word in decoded.split(['/', '\\']).map(without_parameters).filter(|word| !word.is_empty()) {
        out.push('/');
        out.push_str(word);
    }
    out
}

/// Whether one of `patterns` is the path, in every way to read it: a path, or one with `/*` at its end for all below.
pub fn is_allowed<'p>(patterns: impl IntoIterator<Item = &'p str> + Clone, canonical: &str) -> bool {
    let listed = |path: &str| {
        patterns.clone().into_iter().any(|pattern| match pattern.strip_suffix("/*") {
            Some(above) => path.strip_prefix(above).is_some_and(|below| below.starts_with('/')),
            None => path == pattern,
        })
    };
    let end = canonical.strip_suffix('/').unwrap_or(canonical);
    listed(end) && listed(&read(canonical))
}

fn respell(segment: &str, out: &mut String) -> Result<(), PathFault> {
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b';' => return Err(PathFault::Parameters),
            b'\\' => return Err(PathFault::Backslash),
            b'%' => match (bytes.next().and_then(hex), bytes.next().and_then(hex)) {
                (Some(high), Some(low)) if is_unreserved(high << 4 | low) => {
                    out.push(char::from(high << 4 | low));
                }
                (Some(high), Some(low)) => encode(high << 4 | low, out),
                _ => return Err(PathFault::Percent),
            },
            // A colon, `@` and what RFC 3986 calls sub-delims mean the same to everybody as they stand.
            plain if is_unreserved(plain) || b":@!$&'()*+,=".contains(&plain) => out.push(char::from(plain)),
            other => encode(other, out),
        }
    }
    Ok(())
}

/// Looks for what must not be in a segment however it is spelled.
fn check(segment: &str) -> Result<(), PathFault> {
    let decoded = decoded(segment)?;
    if decoded.iter().any(u8::is_ascii_control) {
        return Err(PathFault::Control);
    }
    let mut pieces = decoded.split(|byte| matches!(byte, b'/' | b'\\'));
    let is_dots = |piece: &[u8]| {
        let name = piece.split(|byte| *byte == b';').next().unwrap_or_default();
        name == b"." || name == b".."
    };
    if pieces.any(is_dots) {
        return Err(PathFault::Dots);
    }
    // Where parameters end depends on who decodes first.
    let has = |wanted: &[u8]| decoded.iter().any(|byte| wanted.contains(byte));
    if has(b";") && has(b"/\\") { Err(PathFault::Parameters) } else { Ok(()) }
}

fn decoded(text: &str) -> Result<Vec<u8>, PathFault> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..MAX_ENCODED {
        match decoded_once(&bytes) {
            Some(next) => bytes = next,
            None => return Ok(bytes),
        }
    }
    // Decoding without an end would take time that grows with the square of the length.
    if decoded_once(&bytes).is_some() { Err(PathFault::Percent) } else { Ok(bytes) }
}

/// `None` if there is nothing to decode.
fn decoded_once(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        let pair = (after.first().copied().and_then(hex), after.get(1).copied().and_then(hex));
        match pair {
            (Some(high), Some(low)) if byte == b'%' => {
                out.push(high << 4 | low);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(byte);
                rest = after;
            }
        }
    }
    (out.len() < bytes.len()).then_some(out)
}

fn without_parameters(word: &str) -> &str {
    word.split_once(';').map_or(word, |(name, _)| name)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn encode(byte: u8, out: &mut String) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    out.push('%');
    out.push(DIGITS[usize::from(byte >> 4)]);
    out.push(DIGITS[usize::from(byte & 15)]);
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
