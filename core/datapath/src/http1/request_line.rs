use super::authority::is_valid_authority;
use super::error::Http1Error;
use super::syntax::{Span, is_token};

/// Of a request. Any later minor version is answered as HTTP/1.1 (RFC 9110 section 2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    Http10,
    Http11,
}

/// RFC 9112 section 3.2, without the authority form of CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Origin(Span),
    /// `path_and_query` starts with `/`, with `?`, or is empty.
    Absolute {
        authority: Span,
        path_and_query: Span,
    },
    /// `*`, or an absolute target without a path, of OPTIONS: the server as a whole.
    Asterisk {
        authority: Option<Span>,
    },
}

#[derive(Debug, Clone, Copy)]
pub(super) struct RequestLine {
    pub(super) method: Span,
    pub(super) target: Target,
    pub(super) version: Version,
}

/// Parses `line` (without its CR LF), which starts at `offset` of the buffer.
pub(super) fn parse(line: &[u8], offset: usize) -> Result<RequestLine, Http1Error> {
    let mut parts = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Http1Error::RequestLine);
    };
    if !is_token(method) {
        return Err(Http1Error::Method);
    }
    let version = parse_version(version)?;
    if method == b"CONNECT" {
        return Err(Http1Error::MethodNotImplemented);
    }
    let target_at = offset + method.len() + 1;
    Ok(RequestLine {
        method: span(offset, method.len())?,
        target: parse_target(target, target_at, method == b"OPTIONS")?,
        version,
    })
}

fn parse_version(bytes: &[u8]) -> Result<Version, Http1Error> {
    match bytes {
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] if minor.is_ascii_digit() => Ok(Version::Http11),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            Err(Http1Error::Version)
        }
        _ => Err(Http1Error::RequestLine),
    }
}

fn parse_target(target: &[u8], offset: usize, is_options: bool) -> Result<Target, Http1Error> {
    if !target.iter().all(|&byte| byte.is_ascii_graphic() && byte != b'#') {
        return Err(Http1Error::Target);
    }
    match target {
        [b'/', ..] => Ok(Target::Origin(span(offset, target.len())?)),
        b"*" if is_options => Ok(Target::Asterisk { authority: None }),
        _ => parse_absolute(target, offset, is_options),
    }
}

fn parse_absolute(target: &[u8], offset: usize, is_options: bool) -> Result<Target, Http1Error> {
    let scheme = ["http://".len(), "https://".len()].into_iter().find(|&length| {
        let start = target.get(..length).unwrap_or_default();
        start.eq_ignore_ascii_case(b"http://") || start.eq_ignore_ascii_case(b"https://")
    });
    let scheme = scheme.ok_or(Http1Error::Target)?;
    let after = target.get(scheme..).unwrap_or_default();
    let end = after.iter().position(|&byte| byte == b'/' || byte == b'?').unwrap_or(after.len());
    if !is_valid_authority(after.get(..end).unwrap_or_default()) {
        return Err(Http1Error::Target);
    }
    let authority = span(offset + scheme, end)?;
    if is_options && end == after.len() {
        return Ok(Target::Asterisk { authority: Some(authority) });
    }
    Ok(Target::Absolute { authority, path_and_query: span(offset + scheme + end, after.len() - end)? })
}

fn span(start: usize, length: usize) -> Result<Span, Http1Error> {
    Span::new(start, start + length).ok_or(Http1Error::RequestLineTooLong)
}
