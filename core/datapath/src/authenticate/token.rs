use super::algorithm::Algorithm;
use super::members::{self, Member, MembersError};
use super::status::AuthStatus;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub const MAX_TOKEN_BYTES: usize = 16 << 10;
/// After decoding.
pub const MAX_HEADER_BYTES: usize = 4 << 10;

/// What a token says of its bearer. Times are unix seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    pub issuer: String,
    pub subject: Option<String>,
    pub audiences: Vec<String>,
    pub email: Option<String>,
    pub expires: Option<u64>,
    pub not_before: Option<u64>,
    pub issued_at: Option<u64>,
}

impl Claims {
    /// `skew` seconds are allowed on both ends, as other clocks differ.
    pub fn check_time(&self, now: u64, skew: u64) -> Result<(), AuthStatus> {
        if now.saturating_add(skew) < self.not_before.unwrap_or(0) {
            return Err(AuthStatus::NotYetValid);
        }
        if self.expires.is_some_and(|expires| now > expires.saturating_add(skew)) {
            return Err(AuthStatus::Expired);
        }
        Ok(())
    }
}

/// A token taken apart. Nothing of it is verified.
#[derive(Clone)]
pub struct Token<'a> {
    pub algorithm: Algorithm,
    pub key_id: Option<String>,
    pub claims: Claims,
    /// The payload as JSON text.
    pub payload: String,
    /// The payload as it came: base64url without padding.
    pub payload_segment: &'a str,
    pub signature: Vec<u8>,
    /// Header and payload as they came: what the signature covers.
    pub signing_input: &'a [u8],
}

impl<'a> Token<'a> {
    /// Takes a JWS in compact serialisation (RFC 7515, section 3.1) apart.
    ///
    /// Base64url is read strictly: no padding, no white space, no bits left over. A second spelling of the same
    /// token would otherwise be a second entry in every cache and deny list behind us.
    pub fn parse(token: &'a [u8]) -> Result<Token<'a>, AuthStatus> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthStatus::TooLarge);
        }
        let mut segments = token.split(|byte| *byte == b'.');
        let (Some(header), Some(payload_segment), Some(signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(AuthStatus::Malformed);
        };
        if header.is_empty() || payload_segment.is_empty() || signature.is_empty() {
            return Err(AuthStatus::Malformed);
        }
        let (algorithm, key_id) = parse_header(header)?;
        let payload_segment = str::from_utf8(payload_segment).map_err(|_| AuthStatus::PayloadBadBase64)?;
        let payload = URL_SAFE_NO_PAD.decode(payload_segment).map_err(|_| AuthStatus::PayloadBadBase64)?;
        let payload = String::from_utf8(payload).map_err(|_| AuthStatus::PayloadBadJson)?;
        let claims = parse_claims(&payload)?;
        let signing_input = token.get(..header.len() + 1 + payload_segment.len()).ok_or(AuthStatus::Malformed)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| AuthStatus::SignatureBadBase64)?;
        Ok(Token { algorithm, key_id, claims, payload, payload_segment, signature, signing_input })
    }
}

fn parse_header(segment: &[u8]) -> Result<(Algorithm, Option<String>), AuthStatus> {
    let header = URL_SAFE_NO_PAD.decode(segment).map_err(|_| AuthStatus::HeaderBadBase64)?;
    if header.len() > MAX_HEADER_BYTES {
        return Err(AuthStatus::TooLarge);
    }
    let header = str::from_utf8(&header).map_err(|_| AuthStatus::HeaderBadJson)?;
    let [algorithm, key_id, critical] =
        members::read(header, ["alg", "kid", "crit"]).map_err(|error| refused(error, AuthStatus::HeaderBadJson))?;
    let Some(Member::Text(algorithm)) = algorithm else {
        return Err(AuthStatus::HeaderBadAlgorithm);
    };
    let algorithm = Algorithm::from_name(&algorithm).ok_or(AuthStatus::UnsupportedAlgorithm)?;
    if critical.is_some() {
        return Err(AuthStatus::CriticalHeader);
    }
    let key_id = text(key_id, AuthStatus::HeaderBadKeyId)?.filter(|key_id| !key_id.is_empty());
    Ok((algorithm, key_id))
}

fn parse_claims(payload: &str) -> Result<Claims, AuthStatus> {
    let [issuer, subject, audience, expires, not_before, issued_at, id, email] =
        members::read(payload, ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "email"])
            .map_err(|error| refused(error, AuthStatus::PayloadBadJson))?;
    let issuer = text(issuer, AuthStatus::IssuerNotString)?.unwrap_or_default();
    let subject = text(subject, AuthStatus::SubjectNotString)?;
    let issued_at = seconds(issued_at, AuthStatus::IssuedAtNotInteger, AuthStatus::IssuedAtOutOfRange)?;
    let not_before = seconds(not_before, AuthStatus::NotBeforeNotInteger, AuthStatus::NotBeforeOutOfRange)?;
    let expires = seconds(expires, AuthStatus::ExpiresNotInteger, AuthStatus::ExpiresOutOfRange)?;
    text(id, AuthStatus::IdNotString)?;
    let audiences = audiences(audience).ok_or(AuthStatus::AudienceNotString)?;
    let email = match email {
        Some(Member::Text(email)) => Some(email.into_owned()),
        _ => None,
    };
    Ok(Claims { issuer, subject, audiences, email, expires, not_before, issued_at })
}

fn refused(error: MembersError, not_an_object: AuthStatus) -> AuthStatus {
    match error {
        MembersError::NotAnObject => not_an_object,
        MembersError::Duplicate => AuthStatus::DuplicateMember,
    }
}

fn text(member: Option<Member>, wrong_type: AuthStatus) -> Result<Option<String>, AuthStatus> {
    match member {
        None => Ok(None),
        Some(Member::Text(text)) => Ok(Some(text.into_owned())),
        Some(_) => Err(wrong_type),
    }
}

/// A NumericDate (RFC 7519, section 2). Fractions are cut off, which ends a token early rather than late.
fn seconds(
    member: Option<Member>,
    wrong_type: AuthStatus,
    out_of_range: AuthStatus,
) -> Result<Option<u64>, AuthStatus> {
    const TWO_TO_THE_64: f64 = 18_446_744_073_709_551_616.0;
    match member {
        None => Ok(None),
        Some(Member::Integer(seconds)) => Ok(Some(seconds)),
        Some(Member::Number(seconds)) if (0.0..TWO_TO_THE_64).contains(&seconds) => Ok(Some(seconds as u64)),
        Some(Member::Number(_)) => Err(out_of_range),
        Some(_) => Err(wrong_type),
    }
}

fn audiences(member: Option<Member>) -> Option<Vec<String>> {
    match member {
        None => Some(Vec::new()),
        Some(Member::Text(audience)) => Some(vec![audience.into_owned()]),
        Some(Member::List(list)) => list
            .into_iter()
            .map(|element| match element {
                Member::Text(audience) => Some(audience.into_owned()),
                _ => None,
            })
            .collect(),
        Some(_) => None,
    }
}
