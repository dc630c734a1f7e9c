//! What a request's header fields say, found in one pass, and whether HTTP/2 allows them (RFC 9113, section 8).

use crate::http2::hpack::{Dictionary, HeaderList, Token};

/// Index of a field that is not there.
const ABSENT: u8 = u8::MAX;

/// A place in a header list; lists have at most 200 fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At(u8);

impl At {
    pub(crate) const NOWHERE: At = At(ABSENT);
    #[inline(always)]
    pub(crate) fn get(self) -> Option<usize> {
        (self.0 != ABSENT).then_some(self.0 as usize)
    }
}

#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) method: At,
    pub(crate) path: At,
    pub(crate) scheme: At,
    pub(crate) authority: At,
    pub(crate) host: At,
    pub(crate) content_type: At,
    pub(crate) grpc_timeout: At,
    pub(crate) forwarded_for: At,
    pub(crate) forwarded_proto: At,
    pub(crate) request_id: At,
    /// `u64::MAX`: not said.
    pub(crate) content_length: u64,
    /// A field that only we may assert is among them.
    pub(crate) asserted: bool,
    /// Something that we set is there more than once.
    pub(crate) repeated: bool,
    pub(crate) grpc: bool,
    pub(crate) expects_continue: bool,
}

impl Facts {
    /// `None`: the request is malformed. Method, path and authority are still to be looked at: `names_are_valid`.
    #[inline]
    pub(crate) fn read(dictionary: &Dictionary, list: &HeaderList) -> Option<Facts> {
        let mut facts = Facts {
            method: At::NOWHERE,
            path: At::NOWHERE,
            scheme: At::NOWHERE,
            authority: At::NOWHERE,
            host: At::NOWHERE,
            content_type: At::NOWHERE,
            grpc_timeout: At::NOWHERE,
            forwarded_for: At::NOWHERE,
            forwarded_proto: At::NOWHERE,
            request_id: At::NOWHERE,
            content_length: u64::MAX,
            asserted: false,
            repeated: false,
            grpc: false,
            expects_continue: false,
        };
        let mut regular = false;
        for (index, token) in list.tokens().enumerate() {
            if token == Token::Other {
                regular = true;
                continue;
            }
            let at = At(index as u8);
            let pseudo = match token {
                Token::Method => &mut facts.method,
                Token::Path => &mut facts.path,
                Token::Scheme => &mut facts.scheme,
                Token::Authority => &mut facts.authority,
                Token::Status | Token::UnknownPseudo | Token::ConnectionSpecific => return None,
                _ => {
                    regular = true;
                    facts.regular(token, at, list.value(dictionary, index))?;
                    continue;
                }
            };
            if regular || *pseudo != At::NOWHERE {
                return None;
            }
            *pseudo = at;
        }
        let complete = facts.method.get().is_some() && facts.path.get().is_some() && facts.scheme.get().is_some();
        complete.then_some(facts)
    }

    /// Whether method, path and authority are such that HTTP allows them.
    pub(crate) fn names_are_valid(&self, dictionary: &Dictionary, list: &HeaderList) -> bool {
        let value = |at: At| at.get().map_or(&b""[..], |at| list.value(dictionary, at));
        let (method, path, authority) = (value(self.method), value(self.path), value(self.authority));
        is_method(method)
            && matches!(path, [b'/', ..] | b"*")
            && !path.contains(&b' ')
            && !authority.iter().any(|byte| b" /\\@,".contains(byte))
    }

    #[inline]
    fn regular(&mut self, token: Token, at: At, value: &[u8]) -> Option<()> {
        match token {
            Token::Te if !value.eq_ignore_ascii_case(b"trailers") => return None,
            Token::Host if self.host != At::NOWHERE => return None,
            Token::Host => self.host = at,
            Token::ContentType => {
                self.content_type = at;
                self.grpc = is_grpc(value);
            }
            Token::ContentLength => {
                let length = parse_length(value)?;
                if self.content_length != u64::MAX && self.content_length != length {
                    return None;
                }
                self.content_length = length;
            }
            Token::GrpcTimeout => self.grpc_timeout = at,
            Token::ForwardedFor => self.forwarded_for = at,
            Token::ForwardedProto => {
                self.repeated |= self.forwarded_proto != At::NOWHERE;
                self.forwarded_proto = at;
            }
            Token::RequestId => {
                self.repeated |= self.request_id != At::NOWHERE;
                self.request_id = at;
            }
            Token::Asserted => self.asserted = true,
            Token::Expect => self.expects_continue = value.eq_ignore_ascii_case(b"100-continue"),
            _ => {}
        }
        Some(())
    }
}

/// A token (RFC 9110, section 9.1), and not CONNECT, which has no path.
fn is_method(method: &[u8]) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !method.is_empty() && method != b"CONNECT" && method.iter().all(is_token)
}

/// `application/grpc`, with or without `+proto` and parameters; not `application/grpc-web`.
#[inline]
pub(crate) fn is_grpc(content_type: &[u8]) -> bool {
    content_type
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

pub(crate) fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 {
        return None;
    }
    value.iter().try_fold(0u64, |sum, &byte| byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0')))
}

/// `grpc-timeout`: up to eight digits and a unit; `None`: not of that form. Milliseconds, rounded up.
pub(crate) fn parse_timeout(value: &[u8]) -> Option<u64> {
    let (&unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let amount = parse_length(digits)?;
    Some(match unit {
        b'H' => amount * 3_600_000,
        b'M' => amount * 60_000,
        b'S' => amount * 1_000,
        b'm' => amount,
        b'u' => amount.div_ceil(1_000),
        b'n' => amount.div_ceil(1_000_000),
        _ => return None,
    })
}

/// The same in the other direction, in the finest unit whose eight digits hold it.
pub(crate) fn format_timeout(ms: u64) -> String {
    match ms {
        0..=99_999_999 => format!("{ms}m"),
        100_000_000..=99_999_999_000 => format!("{}S", ms.div_ceil(1_000)),
        _ => format!("{}M", (ms / 60_000).min(99_999_999)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_of_grpc() {
        assert_eq!(parse_timeout(b"5S"), Some(5_000));
        assert_eq!(parse_timeout(b"99999999H"), Some(359_999_996_400_000));
        assert_eq!(parse_timeout(b"1n"), Some(1));
        for bad in [&b""[..], b"S", b"5", b"5s", b"123456789m", b"-1S", b"1.5S"] {
            assert_eq!(parse_timeout(bad), None, "{bad:?}");
        }
        for ms in [0, 1, 99_999_999, 100_000_000, 360_000_000_000] {
            let again = parse_timeout(format_timeout(ms).as_bytes()).unwrap();
            assert!(again >= ms.min(again) && again - ms.min(again) < 60_000);
        }
    }

    #[test]
    fn content_types_of_grpc() {
        for yes in ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"] {
            assert!(is_grpc(yes.as_bytes()), "{yes}");
        }
        for no in ["application/grpc-web", "application/grpcx", "application/json", ""] {
            assert!(!is_grpc(no.as_bytes()), "{no}");
        }
    }
}
