//! What a request's header fields say, found in one pass, and whether HTTP/2 allows them (RFC 9113, section 8).

use crate::http2::hpack::{Dictionary, HeaderList, Token};

/// Index of a field that is not there.
const ABSENT: u8 = u8::MAX;

/// A place in a header list; lists have at most 200 fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At(u8);

impl At {
    #[inline(always)]
    pub(crate) fn get(self) -> Option<usize> {
        (self.0 != ABSENT).then_some(self.0 as usize)
    }
}

/// No request has these.
const FORBIDDEN: u32 = Token::Status.bit() | Token::UnknownPseudo.bit() | Token::ConnectionSpecific.bit();
/// No request has these twice.
const SINGLE: u32 =
    Token::Method.bit() | Token::Path.bit() | Token::Scheme.bit() | Token::Authority.bit() | Token::Host.bit();
/// The values of these may make a request malformed.
const VALUED: u32 = Token::Te.bit() | Token::ContentLength.bit() | Token::Expect.bit();

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
    ///
    /// Where each kind of field stands is noted without asking which kind it is; what is wrong shows in which kinds there
    /// are, and in which there are more than once.
    #[inline]
    pub(crate) fn read(dictionary: &Dictionary, list: &HeaderList) -> Option<Facts> {
        let mut places = [ABSENT; Token::COUNT];
        let (mut seen, mut twice, mut late) = (0u32, 0u32, 0u32);
        for (index, token) in list.tokens().enumerate() {
            places[token as usize] = index as u8;
            twice |= seen & token.bit();
            late |= if seen > Token::PSEUDO { token.bit() } else { 0 };
            seen |= token.bit();
        }
        let at = |token: Token| At(places[token as usize]);
        let mut facts = Facts {
            method: at(Token::Method),
            path: at(Token::Path),
            scheme: at(Token::Scheme),
            authority: at(Token::Authority),
            host: at(Token::Host),
            content_type: at(Token::ContentType),
            grpc_timeout: at(Token::GrpcTimeout),
            forwarded_for: at(Token::ForwardedFor),
            forwarded_proto: at(Token::ForwardedProto),
            request_id: at(Token::RequestId),
            content_length: u64::MAX,
            asserted: seen & Token::Asserted.bit() != 0,
            repeated: twice & (Token::ForwardedProto.bit() | Token::RequestId.bit()) != 0,
            grpc: false,
            expects_continue: false,
        };
        let lacks = (Token::Method.bit() | Token::Path.bit() | Token::Scheme.bit()) & !seen;
        // Pseudo fields come first.
        if seen & FORBIDDEN | twice & SINGLE | late & Token::PSEUDO | lacks != 0 {
            return None;
        }
        if let Some(at) = facts.content_type.get() {
            facts.grpc = is_grpc(list.value(dictionary, at));
        }
        if twice & VALUED != 0 {
            for index in 0..list.len() {
                facts.check_value(list.token(index), list.value(dictionary, index))?;
            }
        } else if seen & VALUED != 0 {
            for token in [Token::Te, Token::ContentLength, Token::Expect] {
                if let Some(index) = at(token).get() {
                    facts.check_value(token, list.value(dictionary, index))?;
                }
            }
        }
        Some(facts)
    }

    #[inline]
    fn check_value(&mut self, token: Token, value: &[u8]) -> Option<()> {
        match token {
            Token::Te if !value.eq_ignore_ascii_case(b"trailers") => return None,
            Token::ContentLength => {
                let length = parse_length(value)?;
                if self.content_length != u64::MAX && self.content_length != length {
                    return None;
                }
                self.content_length = length;
            }
            Token::Expect => self.expects_continue = value.eq_ignore_ascii_case(b"100-continue"),
            _ => {}
        }
        Some(())
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
