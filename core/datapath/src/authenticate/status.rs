use std::sync::Arc;

/// A refusal that the configuration asks for, whoever calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub http_status: u16,
    pub message: String,
}

/// Why a request was refused.
///
/// Messages are those of Envoy's JWT library, which clients of ESPv2 match on; `TooLarge`, `CriticalHeader` and
/// `DuplicateMember` are ours. None of them contains anything that the client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthStatus {
    Missing,
    Expired,
    NotYetValid,
    /// Not three non-empty sections.
    Malformed,
    TooLarge,
    /// One place of the request holds two different tokens.
    MultipleTokens,
    HeaderBadBase64,
    HeaderBadJson,
    HeaderBadAlgorithm,
    UnsupportedAlgorithm,
    HeaderBadKeyId,
    /// An extension that has to be understood (RFC 7515, 4.1.11); we understand none.
    CriticalHeader,
    PayloadBadBase64,
    PayloadBadJson,
    /// A registered member stands twice in the header or the payload: two readers could see two tokens.
    DuplicateMember,
    IssuerNotString,
    SubjectNotString,
    IssuedAtNotInteger,
    IssuedAtOutOfRange,
    NotBeforeNotInteger,
    NotBeforeOutOfRange,
    ExpiresNotInteger,
    ExpiresOutOfRange,
    IdNotString,
    AudienceNotString,
    SignatureBadBase64,
    Ed25519SignatureLength,
    UnknownIssuer,
    AudienceNotAllowed,
    VerificationFailed,
    /// No key has the token's key id, or that key may not verify the token's algorithm.
    NoMatchingKey,
    NoValidKeys,
    KeysFetchFailed,
    /// The method's `deny`.
    Refused(Arc<Refusal>),
}

/// Enough to recognise the resource; Envoy cuts a URL at the same length.
const MAX_REALM_CHARS: usize = 256;

impl AuthStatus {
    pub fn http_status(&self) -> u16 {
        match self {
            AuthStatus::AudienceNotAllowed => 403,
            AuthStatus::Refused(refusal) => refusal.http_status,
            _ => 401,
        }
    }

    /// What the client is told.
    pub fn message(&self) -> &str {
        match self {
            AuthStatus::Missing => "Jwt is missing",
            AuthStatus::Expired => "Jwt is expired",
            AuthStatus::NotYetValid => "Jwt not yet valid",
            AuthStatus::Malformed => "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
            AuthStatus::TooLarge => "Jwt is too large",
            AuthStatus::MultipleTokens => "Found multiple Jwt tokens",
            AuthStatus::HeaderBadBase64 => "Jwt header is an invalid Base64url encoded",
            AuthStatus::HeaderBadJson => "Jwt header is an invalid JSON",
            AuthStatus::HeaderBadAlgorithm => "Jwt header [alg] field is required and must be a string",
            AuthStatus::UnsupportedAlgorithm => "Jwt header [alg] is not supported",
            AuthStatus::HeaderBadKeyId => "Jwt header [kid] field is not a string",
            AuthStatus::CriticalHeader => "Jwt header [crit] is not supported",
            AuthStatus::PayloadBadBase64 => "Jwt payload is an invalid Base64url encoded",
            AuthStatus::PayloadBadJson => "Jwt payload is an invalid JSON",
            AuthStatus::DuplicateMember => "Jwt has a duplicate field",
            AuthStatus::IssuerNotString => "Jwt payload [iss] field is not a string",
            AuthStatus::SubjectNotString => "Jwt payload [sub] field is not a string",
            AuthStatus::IssuedAtNotInteger => "Jwt payload [iat] field is not an integer",
            AuthStatus::IssuedAtOutOfRange => "Jwt payload [iat] field is not a positive 64 bit integer",
            AuthStatus::NotBeforeNotInteger => "Jwt payload [nbf] field is not an integer",
            AuthStatus::NotBeforeOutOfRange => "Jwt payload [nbf] field is not a positive 64 bit integer",
            AuthStatus::ExpiresNotInteger => "Jwt payload [exp] field is not an integer",
            AuthStatus::ExpiresOutOfRange => "Jwt payload [exp] field is not a positive 64 bit integer",
            AuthStatus::IdNotString => "Jwt payload [jti] field is not a string",
            AuthStatus::AudienceNotString => "Jwt payload [aud] field is not a string or string list",
            AuthStatus::SignatureBadBase64 => "Jwt signature is an invalid Base64url encoded",
            AuthStatus::Ed25519SignatureLength => "Jwt ED25519 signature is wrong length",
            AuthStatus::UnknownIssuer => "Jwt issuer is not configured",
            AuthStatus::AudienceNotAllowed => "Audiences in Jwt are not allowed",
            AuthStatus::VerificationFailed => "Jwt verification fails",
            AuthStatus::NoMatchingKey => "Jwks doesn't have key to match kid or alg from Jwt",
            AuthStatus::NoValidKeys => "Jwks doesn't have any valid public key",
            AuthStatus::KeysFetchFailed => "Jwks remote fetch is failed",
            AuthStatus::Refused(refusal) => &refusal.message,
        }
    }

    /// A stable code for the access log and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            AuthStatus::Missing => "jwt-missing",
            AuthStatus::Expired => "jwt-expired",
            AuthStatus::NotYetValid => "jwt-not-yet-valid",
            AuthStatus::Malformed => "jwt-malformed",
            AuthStatus::TooLarge => "jwt-too-large",
            AuthStatus::MultipleTokens => "jwt-multiple-tokens",
            AuthStatus::HeaderBadBase64 => "jwt-header-bad-base64",
            AuthStatus::HeaderBadJson => "jwt-header-bad-json",
            AuthStatus::HeaderBadAlgorithm => "jwt-header-bad-alg",
            AuthStatus::UnsupportedAlgorithm => "jwt-alg-not-supported",
            AuthStatus::HeaderBadKeyId => "jwt-header-bad-kid",
            AuthStatus::CriticalHeader => "jwt-crit-not-supported",
            AuthStatus::PayloadBadBase64 => "jwt-payload-bad-base64",
            AuthStatus::PayloadBadJson => "jwt-payload-bad-json",
            AuthStatus::DuplicateMember => "jwt-duplicate-field",
            AuthStatus::IssuerNotString => "jwt-iss-not-string",
            AuthStatus::SubjectNotString => "jwt-sub-not-string",
            AuthStatus::IssuedAtNotInteger => "jwt-iat-not-integer",
            AuthStatus::IssuedAtOutOfRange => "jwt-iat-out-of-range",
            AuthStatus::NotBeforeNotInteger => "jwt-nbf-not-integer",
            AuthStatus::NotBeforeOutOfRange => "jwt-nbf-out-of-range",
            AuthStatus::ExpiresNotInteger => "jwt-exp-not-integer",
            AuthStatus::ExpiresOutOfRange => "jwt-exp-out-of-range",
            AuthStatus::IdNotString => "jwt-jti-not-string",
            AuthStatus::AudienceNotString => "jwt-aud-not-string",
            AuthStatus::SignatureBadBase64 => "jwt-signature-bad-base64",
            AuthStatus::Ed25519SignatureLength => "jwt-signature-wrong-length",
            AuthStatus::UnknownIssuer => "jwt-unknown-issuer",
            AuthStatus::AudienceNotAllowed => "jwt-audience-not-allowed",
            AuthStatus::VerificationFailed => "jwt-verification-failed",
            AuthStatus::NoMatchingKey => "jwt-no-matching-key",
            AuthStatus::NoValidKeys => "jwks-no-valid-keys",
            AuthStatus::KeysFetchFailed => "jwks-fetch-failed",
            AuthStatus::Refused(_) => "access-denied",
        }
    }

    /// The value of `WWW-Authenticate` (RFC 6750, section 3), or none where no token would help.
    ///
    /// `url` is the request's, as the client wrote it. Its query is left out: it may hold a credential.
    pub fn www_authenticate(&self, url: &str) -> Option<String> {
        if self.http_status() != 401 && *self != AuthStatus::AudienceNotAllowed {
            return None;
        }
        let mut value = String::from("Bearer realm=\"");
        for character in url.chars().take_while(|character| !matches!(character, '?' | '#')).take(MAX_REALM_CHARS) {
            match character {
                '"' | '\\' => value.extend(['\\', character]),
                ' '..='~' => value.push(character),
                _ => {}
            }
        }
        value.push('"');
        if !matches!(self, AuthStatus::Missing | AuthStatus::Refused(_)) {
            value.push_str(", error=\"invalid_token\"");
        }
        Some(value)
    }
}
