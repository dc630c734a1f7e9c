//! One normal form of a request's path, made before anything looks at it.
//!
//! Routing, authentication, transcoding and the backend all see what [`normalize`] returns, so no two of them can
//! disagree about which resource a request names. The form follows RFC 3986 section 6.2.2 where that is safe and is
//! stricter where backends are known to differ:
//!
//! - percent-encoded unreserved characters are decoded, the hex digits of all others are upper case;
//! - runs of slashes are one slash, then `.` and `..` segments are resolved, also when they came encoded;
//! - raw bytes above ASCII are percent-encoded;
//! - `%2F` and `%5C` stay as they are: data of a segment, never a separator;
//! - `;` and what follows it stay as they are, too.
//!
//! Refused: what climbs above the root, raw control characters, spaces, `\` and `#`, `%00`, broken escapes, and dot
//! segments that hide behind `;` or an encoded separator (`/..;x/`, `/a%2F..%2Fb`), which only a backend that
//! reads more into the path than we do would resolve.
//!
//! Some backends go on to decode `%2F` as a separator or to drop `;` parameters. [`fold`] gives the path that the most
//! lenient of them would act on; the table uses it to refuse requests that would pass as one resource here and be
//! served as another there.

use std::borrow::Cow;
use std::fmt;

/// A request target in normal form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target<'a> {
    /// Starts with `/`; only the asterisk form (`OPTIONS *`) is `*`.
    pub path: Cow<'a, [u8]>,
    /// What follows the first `?`, as it came.
    pub query: Option<&'a [u8]>,
}

/// Why a request target is refused (400).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathError {
    NotAbsolute,
    Control,
    Backslash,
    Fragment,
    Escape,
    Null,
    AboveRoot,
    HiddenDots,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PathError::NotAbsolute => "the path does not start with a slash",
            PathError::Control => "the path holds a space or a control character",
            PathError::Backslash => "the path holds a backslash",
            PathError::Fragment => "the path holds a fragment",
            PathError::Escape => "the path holds an invalid percent-escape",
            PathError::Null => "the path holds %00",
            PathError::AboveRoot => "the path climbs above the root",
            PathError::HiddenDots => "the path hides a dot segment",
        })
    }
}

impl std::error::Error for PathError {}

/// Brings a request target (path and query) into normal form; borrows when it already is.
///
/// The asterisk form passes as it is: the caller accepts it for OPTIONS only.
pub fn normalize(target: &[u8]) -> Result<Target<'_>, PathError> {
    if target == b"*" {
        return Ok(Target { path: Cow::Borrowed(target), query: None });
    }
    if target.first() != Some(&b'/') {
        return Err(PathError::NotAbsolute);
    }
    let mut previous = 0;
    for (index, &byte) in target.iter().enumerate() {
        match CLASS[byte as usize] {
            PLAIN => {}
            AFTER_SLASH if previous != b'/' => {}
            QUERY => {
                let (path, rest) = target.split_at(index);
                return Ok(Target { path: Cow::Borrowed(path), query: Some(check_query(&rest[1..])?) });
            }
            _ => return rewrite(target),
        }
        previous = byte;
    }
    Ok(Target { path: Cow::Borrowed(target), query: None })
}

/// The path (in normal form) as the most lenient backend would read it: escapes decoded, `\` a separator, `;` parameters
/// dropped. `Ok(None)` when it reads the same. An error when that reading climbs above the root.
pub fn fold(path: &[u8]) -> Result<Option<Vec<u8>>, PathError> {
    if !path.iter().any(|byte| matches!(byte, b'%' | b';')) {
        return Ok(None);
    }
    let mut decoded = Vec::with_capacity(path.len());
    percent_decode(path, |_| true, &mut decoded);
    let mut lenient = Vec::with_capacity(decoded.len());
    let mut parameter = false;
    for byte in decoded {
        match byte {
            b'/' | b'\\' => {
                parameter = false;
                lenient.push(b'/');
            }
            b';' => parameter = true,
            _ if parameter => {}
            _ => lenient.push(byte),
        }
    }
    let mut out = Vec::with_capacity(lenient.len());
    resolve(lenient.get(1..).unwrap_or_default(), &mut out, |segment, out| {
        out.extend_from_slice(segment);
        Ok(())
    })?;
    Ok((out != path).then_some(out))
}

/// Decodes the escapes of `text` whose byte `wanted` accepts; the others, and broken ones, stay as they are.
pub fn percent_decode(text: &[u8], wanted: impl Fn(u8) -> bool, out: &mut Vec<u8>) {
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        match (first, escaped(tail)) {
            (b'%', Some(byte)) if wanted(byte) => {
                out.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
}

/// RFC 3986 section 2.3.
pub(crate) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

const PLAIN: u8 = 0;
const AFTER_SLASH: u8 = 1;
const QUERY: u8 = 2;
const REWRITE: u8 = 3;

const CLASS: [u8; 256] = {
    let mut class = [REWRITE; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        class[byte] = match byte as u8 {
            b'/' | b'.' => AFTER_SLASH,
            b'?' => QUERY,
            // `;` and escapes need the look at dot segments that the slow path takes.
            b'%' | b';' | b'\\' | b'#' => REWRITE,
            _ => PLAIN,
        };
        byte += 1;
    }
    class
};

fn check_query(query: &[u8]) -> Result<&[u8], PathError> {
    match query.iter().find(|&&byte| byte <= b' ' || byte == 0x7f || byte == b'#') {
        None => Ok(query),
        Some(b'#') => Err(PathError::Fragment),
        Some(_) => Err(PathError::Control),
    }
}

fn rewrite(target: &[u8]) -> Result<Target<'_>, PathError> {
    let end = target.iter().position(|&byte| byte == b'?').unwrap_or(target.len());
    let (path, rest) = target.split_at(end);
    let query = rest.get(1..).map(check_query).transpose()?;
    let mut out = Vec::with_capacity(path.len() + 16);
    resolve(path.get(1..).unwrap_or_default(), &mut out, normalize_segment)?;
    let path = if out == path { Cow::Borrowed(path) } else { Cow::Owned(out) };
    Ok(Target { path, query })
}

/// Writes the segments of `path` (without its first slash) through `write`, merging slashes and resolving dots.
fn resolve(
    path: &[u8],
    out: &mut Vec<u8>,
    write: impl Fn(&[u8], &mut Vec<u8>) -> Result<(), PathError>,
) -> Result<(), PathError> {
    let mut directory = true;
    for segment in path.split(|&byte| byte == b'/') {
        let start = out.len();
        out.push(b'/');
        write(segment, out)?;
        match out.get(start + 1..).unwrap_or_default() {
            b"" | b"." => {
                out.truncate(start);
                directory = true;
            }
            b".." => {
                out.truncate(start);
                let parent = out.iter().rposition(|&byte| byte == b'/').ok_or(PathError::AboveRoot)?;
                out.truncate(parent);
                directory = true;
            }
            _ => directory = false,
        }
    }
    if directory {
        out.push(b'/');
    }
    Ok(())
}

fn normalize_segment(segment: &[u8], out: &mut Vec<u8>) -> Result<(), PathError> {
    let start = out.len();
    let mut rest = segment;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'%' => {
                let byte = escaped(tail).ok_or(PathError::Escape)?;
                rest = tail.get(2..).unwrap_or_default();
                match byte {
                    0 => return Err(PathError::Null),
                    byte if is_unreserved(byte) => out.push(byte),
                    byte => push_escape(byte, out),
                }
            }
            b'\\' => return Err(PathError::Backslash),
            b'#' => return Err(PathError::Fragment),
            0..=b' ' | 0x7f => return Err(PathError::Control),
            0x80.. => push_escape(*first, out),
            _ => out.push(*first),
        }
    }
    let written = out.get(start..).unwrap_or_default();
    if hides_dots(written) { Err(PathError::HiddenDots) } else { Ok(()) }
}

/// Whether a part of a normalised segment would be a dot segment, were `;` parameters dropped and `%2F` and `%5C` separators.
/// A segment that simply is one (`..`) hides nothing.
fn hides_dots(segment: &[u8]) -> bool {
    if matches!(segment, b"." | b"..") || !segment.iter().any(|byte| matches!(byte, b';' | b'%')) {
        return false;
    }
    let is_dots = |part: &[u8]| {
        let name = part.split(|&byte| byte == b';').next().unwrap_or_default();
        matches!(name, b"." | b"..")
    };
    let mut part = 0;
    let mut index = 0;
    while let Some(tail) = segment.get(index..).filter(|tail| !tail.is_empty()) {
        if tail.starts_with(b"%2F") || tail.starts_with(b"%5C") {
            if segment.get(part..index).is_some_and(is_dots) {
                return true;
            }
            index += 3;
            part = index;
        } else {
            index += 1;
        }
    }
    segment.get(part..).is_some_and(is_dots)
}

fn escaped(after_percent: &[u8]) -> Option<u8> {
    let [high, low, ..] = after_percent else { return None };
    let high = char::from(*high).to_digit(16)?;
    let low = char::from(*low).to_digit(16)?;
    u8::try_from(high * 16 + low).ok()
}

/// Appends `%XX` in upper case.
pub(crate) fn push_escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
}
