//! The field names that the request path has to recognise.

/// What a field name means to us; found once, when the field is first seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Token {
    Authority,
    Method,
    Path,
    Scheme,
    Status,
    /// A name that begins with a colon and is none of the five. The first that is no pseudo field stands behind it.
    UnknownPseudo,
    Other,
    /// Belongs to one HTTP/1.1 connection and is malformed in HTTP/2 (RFC 9113, section 8.2.2).
    ConnectionSpecific,
    Te,
    Host,
    ContentType,
    ContentLength,
    Authorization,
    Cookie,
    Date,
    Server,
    Expect,
    UserAgent,
    Traceparent,
    RequestId,
    ForwardedFor,
    ForwardedProto,
    GrpcTimeout,
    GrpcStatus,
    GrpcMessage,
    /// Asserted by us alone, in any spelling: a client's is dropped.
    Asserted,
    /// Differs in every request, so an entry in a dynamic table would only push out better ones.
    Volatile,
}

impl Token {
    pub const COUNT: usize = Token::Volatile as usize + 1;
    /// The bits of all pseudo fields: below those of all others.
    pub const PSEUDO: u32 = Token::Other.bit() - 1;

    /// For sets of tokens.
    #[inline(always)]
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }

    pub fn of(name: &[u8]) -> Token {
        match name.first() {
            Some(b':') => match name {
                b":authority" => Token::Authority,
                b":method" => Token::Method,
                b":path" => Token::Path,
                b":scheme" => Token::Scheme,
                b":status" => Token::Status,
                _ => Token::UnknownPseudo,
            },
            Some(b'x') if name.len() > 2 => Token::of_extension(name),
            Some(b'g') => match name {
                b"grpc-timeout" => Token::GrpcTimeout,
                b"grpc-status" => Token::GrpcStatus,
                b"grpc-message" => Token::GrpcMessage,
                _ => Token::Other,
            },
            Some(b'c') => match name {
                b"content-type" => Token::ContentType,
                b"content-length" => Token::ContentLength,
                b"cookie" => Token::Cookie,
                b"connection" => Token::ConnectionSpecific,
                _ => Token::Other,
            },
            Some(b't') => match name {
                b"te" => Token::Te,
                b"traceparent" => Token::Traceparent,
                b"transfer-encoding" => Token::ConnectionSpecific,
                b"tracestate" => Token::Volatile,
                _ => Token::Other,
            },
            _ => match name {
                b"authorization" => Token::Authorization,
                b"user-agent" => Token::UserAgent,
                b"host" => Token::Host,
                b"date" => Token::Date,
                b"server" => Token::Server,
                b"expect" => Token::Expect,
                b"proxy-authorization" => Token::Authorization,
                b"keep-alive" | b"proxy-connection" | b"upgrade" | b"http2-settings" => Token::ConnectionSpecific,
                b"etag" | b"age" | b"if-none-match" | b"if-modified-since" | b"last-modified" | b"location"
                | b"set-cookie" => Token::Volatile,
                _ => Token::Other,
            },
        }
    }

    fn of_extension(name: &[u8]) -> Token {
        const ASSERTED_PREFIX: &[u8] = b"x-endpoint-api-";
        match name {
            b"x-request-id" => Token::RequestId,
            b"x-forwarded-for" => Token::ForwardedFor,
            b"x-forwarded-proto" => Token::ForwardedProto,
            _ => {
                let is = |expected: &[u8]| name.len() == expected.len() && spelled(name, expected);
                let asserted = spelled(name, ASSERTED_PREFIX)
                    || is(b"x-forwarded-client-cert")
                    || is(b"x-forwarded-for")
                    || is(b"x-forwarded-proto");
                if asserted { Token::Asserted } else { Token::Other }
            }
        }
    }

    pub fn is_pseudo(self) -> bool {
        self.bit() & Token::PSEUDO != 0
    }

    /// Whether a dynamic table should hold such fields when the sender indexed them.
    #[inline]
    pub(super) fn worth_indexing(self) -> bool {
        const NOT: u32 = Token::Volatile.bit()
            | Token::Traceparent.bit()
            | Token::RequestId.bit()
            | Token::GrpcTimeout.bit()
            | Token::ContentLength.bit()
            | Token::ForwardedFor.bit()
            | Token::GrpcMessage.bit()
            | Token::Cookie.bit()
            | Token::Authorization.bit();
        self.bit() & NOT == 0
    }

    /// Whether the field must never enter any table (RFC 7541, section 7.1.3).
    pub(super) fn is_credential(self) -> bool {
        matches!(self, Token::Authorization | Token::Cookie)
    }
}

/// Whether `name` begins as `expected` does when case is ignored and underscores count as hyphens, which is how many
/// applications read it.
fn spelled(name: &[u8], expected: &[u8]) -> bool {
    let fold = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() >= expected.len() && name.iter().zip(expected).all(|(&a, &b)| fold(a) == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asserted_names_in_every_spelling() {
        for name in [
            "x-endpoint-api-userinfo",
            "x_endpoint_api_userinfo",
            "x-endpoint_api-anything",
            "x-forwarded-client-cert",
            "x_forwarded_client_cert",
            "x_forwarded_for",
        ] {
            assert_eq!(Token::of(name.as_bytes()), Token::Asserted, "{name}");
        }
        for name in ["x-endpoint-apiuserinfo", "x-endpoint", "x-forwarded-client-certs", "x-"] {
            assert_eq!(Token::of(name.as_bytes()), Token::Other, "{name}");
        }
    }
}
