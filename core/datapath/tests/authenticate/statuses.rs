use std::collections::HashSet;
use std::sync::Arc;
use tidegate_datapath::authenticate::status::{AuthStatus, Refusal};

/// Every status; the match makes a new one without a row here a compile error.
fn all() -> Vec<AuthStatus> {
    let refusal = Refusal { http_status: 403, message: "closed".to_owned() };
    let all = vec![
        AuthStatus::Missing,
        AuthStatus::Expired,
        AuthStatus::NotYetValid,
        AuthStatus::Malformed,
        AuthStatus::TooLarge,
        AuthStatus::MultipleTokens,
        AuthStatus::HeaderBadBase64,
        AuthStatus::HeaderBadJson,
        AuthStatus::HeaderBadAlgorithm,
        AuthStatus::UnsupportedAlgorithm,
        AuthStatus::HeaderBadKeyId,
        AuthStatus::CriticalHeader,
        AuthStatus::PayloadBadBase64,
        AuthStatus::PayloadBadJson,
        AuthStatus::DuplicateMember,
        AuthStatus::IssuerNotString,
        AuthStatus::SubjectNotString,
        AuthStatus::IssuedAtNotInteger,
        AuthStatus::IssuedAtOutOfRange,
        AuthStatus::NotBeforeNotInteger,
        AuthStatus::NotBeforeOutOfRange,
        AuthStatus::ExpiresNotInteger,
        AuthStatus::ExpiresOutOfRange,
        AuthStatus::IdNotString,
        AuthStatus::AudienceNotString,
        AuthStatus::SignatureBadBase64,
        AuthStatus::Ed25519SignatureLength,
        AuthStatus::UnknownIssuer,
        AuthStatus::AudienceNotAllowed,
        AuthStatus::VerificationFailed,
        AuthStatus::NoMatchingKey,
        AuthStatus::NoValidKeys,
        AuthStatus::KeysFetchFailed,
        AuthStatus::Refused(Arc::new(refusal)),
    ];
    for status in &all {
        match status {
            AuthStatus::Missing
            | AuthStatus::Expired
            | AuthStatus::NotYetValid
            | AuthStatus::Malformed
            | AuthStatus::TooLarge
            | AuthStatus::MultipleTokens
            | AuthStatus::HeaderBadBase64
            | AuthStatus::HeaderBadJson
            | AuthStatus::HeaderBadAlgorithm
            | AuthStatus::UnsupportedAlgorithm
            | AuthStatus::HeaderBadKeyId
            | AuthStatus::CriticalHeader
            | AuthStatus::PayloadBadBase64
            | AuthStatus::PayloadBadJson
            | AuthStatus::DuplicateMember
            | AuthStatus::IssuerNotString
            | AuthStatus::SubjectNotString
            | AuthStatus::IssuedAtNotInteger
            | AuthStatus::IssuedAtOutOfRange
            | AuthStatus::NotBeforeNotInteger
            | AuthStatus::NotBeforeOutOfRange
            | AuthStatus::ExpiresNotInteger
            | AuthStatus::ExpiresOutOfRange
            | AuthStatus::IdNotString
            | AuthStatus::AudienceNotString
            | AuthStatus::SignatureBadBase64
            | AuthStatus::Ed25519SignatureLength
            | AuthStatus::UnknownIssuer
            | AuthStatus::AudienceNotAllowed
            | AuthStatus::VerificationFailed
            | AuthStatus::NoMatchingKey
            | AuthStatus::NoValidKeys
            | AuthStatus::KeysFetchFailed
            | AuthStatus::Refused(_) => {}
        }
    }
    all
}

#[test]
fn every_status_has_its_own_message_and_reason() {
    let all = all();
    let messages: HashSet<&str> = all.iter().map(AuthStatus::message).collect();
    let reasons: HashSet<&str> = all.iter().map(AuthStatus::reason).collect();
    assert_eq!((messages.len(), reasons.len()), (all.len(), all.len()));
    for reason in reasons {
        assert!(
            reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
            "{reason}"
        );
    }
}

#[test]
fn clients_see_what_espv2_says() {
    let table = [
        (AuthStatus::Missing, 401, "Jwt is missing"),
        (AuthStatus::Expired, 401, "Jwt is expired"),
        (AuthStatus::NotYetValid, 401, "Jwt not yet valid"),
        (AuthStatus::VerificationFailed, 401, "Jwt verification fails"),
        (AuthStatus::Malformed, 401, "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections"),
        (AuthStatus::UnknownIssuer, 401, "Jwt issuer is not configured"),
        (AuthStatus::KeysFetchFailed, 401, "Jwks remote fetch is failed"),
        (AuthStatus::AudienceNotAllowed, 403, "Audiences in Jwt are not allowed"),
    ];
    for (status, http_status, message) in table {
        assert_eq!((status.http_status(), status.message()), (http_status, message));
    }
    let others = all().into_iter().filter(|status| !matches!(status, AuthStatus::Refused(_)));
    for status in others.filter(|status| *status != AuthStatus::AudienceNotAllowed) {
        assert_eq!(status.http_status(), 401, "{status:?}");
    }
}

#[test]
fn challenges_name_the_resource_and_whether_the_token_is_at_fault() {
    let url = "https://api.example/v1/echo";
    let challenge = |status: &AuthStatus| status.www_authenticate(url);
    assert_eq!(challenge(&AuthStatus::Missing).as_deref(), Some(r#"Bearer realm="https://api.example/v1/echo""#));
    for status in all().iter().filter(|status| !matches!(status, AuthStatus::Missing | AuthStatus::Refused(_))) {
        let expected = r#"Bearer realm="https://api.example/v1/echo", error="invalid_token""#;
        assert_eq!(challenge(status).as_deref(), Some(expected), "{status:?}");
    }
    let refused = |http_status| AuthStatus::Refused(Arc::new(Refusal { http_status, message: "no".to_owned() }));
    assert_eq!(challenge(&refused(401)).as_deref(), Some(r#"Bearer realm="https://api.example/v1/echo""#));
    assert_eq!(challenge(&refused(403)), None);
}

#[test]
fn a_challenge_holds_no_credential_and_cannot_be_broken_out_of() {
    let challenge = |url: &str| AuthStatus::Missing.www_authenticate(url).expect("a challenge");
    assert_eq!(challenge("http://x/a?access_token=secret"), r#"Bearer realm="http://x/a""#);
    assert_eq!(challenge("http://x/\"\\\r\nset-cookie: a\u{e9}"), r#"Bearer realm="http://x/\"\\set-cookie: a""#);
    assert_eq!(challenge(&format!("http://x/{}", "a".repeat(9_000))).len(), "Bearer realm=\"\"".len() + 256);
}
