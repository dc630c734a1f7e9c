//! Credentials in URLs: query parameters by which ESP takes tokens and API keys, and user information.

const SECRET_PARAMETERS: [&str; 3] = ["access_token", "key", "api_key"];

/// The names of parameters whose values are left out.
#[derive(Debug, Clone, Default)]
pub(super) struct Redactor {
    more: Vec<String>,
}

impl Redactor {
    /// `more`: parameters in which the configuration looks for tokens.
    pub(super) fn new(more: &[String]) -> Redactor {
        Redactor { more: more.to_vec() }
    }

    /// Appends `path` with `REDACTED` for the values of secret parameters. Names are compared as a backend might read
    /// them: percent-decoded, in any case, separated by `&` or `;`.
    pub(super) fn append_path(&self, out: &mut Vec<u8>, path: &[u8]) {
        let Some(start) = path.iter().position(|&byte| byte == b'?') else {
            return out.extend_from_slice(path);
        };
        let (before, query) = path.split_at(start + 1);
        out.extend_from_slice(before);
        for parameter in query.split_inclusive(|&byte| matches!(byte, b'&' | b';' | b'?' | b'#')) {
            let equals = parameter.iter().position(|&byte| byte == b'=');
            let (name, value) = parameter.split_at(equals.unwrap_or(parameter.len()));
            out.extend_from_slice(name);
            if value.is_empty() || !self.is_secret(name) {
                out.extend_from_slice(value);
                continue;
            }
            out.extend_from_slice(b"=REDACTED");
            if let Some(separator @ (b'&' | b';' | b'?' | b'#')) = value.last() {
                out.push(*separator);
            }
        }
    }

    fn is_secret(&self, name: &[u8]) -> bool {
        let name = percent_decoded(name);
        let is = |secret: &str| name.eq_ignore_ascii_case(secret.as_bytes());
        SECRET_PARAMETERS.into_iter().any(is) || self.more.iter().any(|secret| is(secret))
    }
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        rest = after;
        let decoded = match (byte, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                digit(high).zip(digit(low)).map(|(high, low)| ((high * 16 + low) as u8, after))
            }
            _ => None,
        };
        match decoded {
            Some((byte, after)) => {
                out.push(byte);
                rest = after;
            }
            None => out.push(*byte),
        }
    }
    out
}

/// `host:port` of an authority, without `user:password@`.
pub(super) fn without_user_information(authority: &[u8]) -> &[u8] {
    let start = authority.iter().rposition(|&byte| byte == b'@').map_or(0, |at| at + 1);
    authority.get(start..).unwrap_or_default()
}
