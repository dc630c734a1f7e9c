use std::net::Ipv6Addr;

/// Whether `bytes` is a host with an optional port: what a Host header or `:authority` may hold.
///
/// RFC 3986 section 3.2 without user information. An empty host is refused (RFC 9110 section 4.2.1), as are future
/// versions of IP literals and zone identifiers.
pub fn is_valid_authority(bytes: &[u8]) -> bool {
    let (host_is_valid, port) = match bytes {
        [b'[', rest @ ..] => match rest.iter().position(|&byte| byte == b']') {
            Some(end) => {
                let (address, after) = rest.split_at(end);
                (is_ipv6(address), after.get(1..).unwrap_or_default())
            }
            None => return false,
        },
        _ => {
            let end = bytes.iter().position(|&byte| byte == b':').unwrap_or(bytes.len());
            let (host, port) = bytes.split_at(end);
            (is_registered_name(host), port)
        }
    };
    host_is_valid
        && match port {
            [] => true,
            [b':', digits @ ..] => is_port(digits),
            _ => false,
        }
}

fn is_ipv6(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

fn is_registered_name(host: &[u8]) -> bool {
    let mut rest = host;
    while let [byte, after @ ..] = rest {
        rest = match byte {
            b'%' => match after {
                [high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => after,
                _ => return false,
            },
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => {
                after
            }
            byte if byte.is_ascii_alphanumeric() => after,
            _ => return false,
        };
    }
    !host.is_empty()
}

/// RFC 3986 allows an empty port.
fn is_port(digits: &[u8]) -> bool {
    digits.is_empty() || (digits.len() <= 5 && super::syntax::decimal(digits).is_some_and(|port| port <= 65_535))
}
