use crate::mint::{NOW, base64url, claims, claims_with, unsigned};
use serde_json::{Value, json};
use tidegate_datapath::authenticate::algorithm::Algorithm;
use tidegate_datapath::authenticate::status::AuthStatus;
use tidegate_datapath::authenticate::token::{MAX_TOKEN_BYTES, Token};

const HEADER: &str = r#"{"alg":"RS256"}"#;

fn status(token: &str) -> AuthStatus {
    match Token::parse(token.as_bytes()) {
        Err(status) => status,
        Ok(_) => panic!("{token} was accepted"),
    }
}

fn header_status(header: &str) -> AuthStatus {
    status(&format!("{}.AAAA", unsigned(header, &claims().to_string())))
}

fn payload_status(payload: &str) -> AuthStatus {
    status(&format!("{}.AAAA", unsigned(HEADER, payload)))
}

fn claims_of(payload: &Value) -> tidegate_datapath::authenticate::token::Claims {
    let token = format!("{}.AAAA", unsigned(HEADER, &payload.to_string()));
    Token::parse(token.as_bytes()).unwrap_or_else(|status| panic!("{payload}: {status:?}")).claims
}

#[test]
fn a_token_is_taken_apart() {
    let payload = json!({"iss": "i", "sub": "s", "aud": ["a", "b"], "exp": 5, "nbf": 3, "iat": 4, "email": "e@x"});
    let signed = unsigned(r#"{"typ":"JWT","kid":"k","alg":"ES384"}"#, &payload.to_string());
    let text = format!("{signed}.AQID");
    let token = Token::parse(text.as_bytes()).expect("a token");
    assert_eq!(token.algorithm, Algorithm::Es384);
    assert_eq!(token.key_id.as_deref(), Some("k"));
    assert_eq!(token.signing_input, signed.as_bytes());
    assert_eq!(token.signature, [1, 2, 3]);
    assert_eq!(token.payload, payload.to_string());
    assert_eq!(token.payload_segment, base64url(payload.to_string()));
    let claims = token.claims;
    assert_eq!(
        (claims.issuer.as_str(), claims.subject.as_deref(), claims.email.as_deref()),
        ("i", Some("s"), Some("e@x"))
    );
    assert_eq!((claims.expires, claims.not_before, claims.issued_at), (Some(5), Some(3), Some(4)));
    assert_eq!(claims.audiences, ["a", "b"]);
}

#[test]
fn only_three_sections_make_a_token() {
    for text in ["", ".", "..", "a", "a.b", "a.b.", ".b.c", "a..c", "a.b.c.d", "a.b.c.", "...."] {
        assert_eq!(status(text), AuthStatus::Malformed, "{text:?}");
    }
}

#[test]
fn base64url_is_strict() {
    let signed = unsigned(HEADER, &claims().to_string());
    let (header, payload) = signed.split_once('.').expect("two sections");
    for bad in ["e30=", "e3 0", "e3+/", "e3\n0", "e31", "e", "\u{e9}30"] {
        assert_eq!(status(&format!("{bad}.{payload}.AAAA")), AuthStatus::HeaderBadBase64, "{bad:?}");
        assert_eq!(status(&format!("{header}.{bad}.AAAA")), AuthStatus::PayloadBadBase64, "{bad:?}");
        assert_eq!(status(&format!("{signed}.{bad}")), AuthStatus::SignatureBadBase64, "{bad:?}");
    }
}

#[test]
fn headers_that_are_refused() {
    for header in ["", "x", "[]", r#"["RS256","k"]"#, r#""RS256""#, "null", r#"{"alg":"RS256"}x"#, r#"{"alg":"RS256""#]
    {
        assert_eq!(header_status(&format!(" {header}")), AuthStatus::HeaderBadJson, "{header:?}");
    }
    assert_eq!(status(&format!("{}.e30.AAAA", base64url(b"{\"a\":\"\xff\"}"))), AuthStatus::HeaderBadJson);
    for header in ["{}", r#"{"alg":null}"#, r#"{"alg":256}"#, r#"{"alg":["RS256"]}"#, r#"{"ALG":"RS256"}"#] {
        assert_eq!(header_status(header), AuthStatus::HeaderBadAlgorithm, "{header:?}");
    }
    for kid in ["7", "null", "[]", "{}", "true"] {
        assert_eq!(header_status(&format!(r#"{{"alg":"RS256","kid":{kid}}}"#)), AuthStatus::HeaderBadKeyId, "{kid}");
    }
    for crit in ["[]", r#"["exp"]"#, r#"["b64"]"#, "null", "1"] {
        assert_eq!(header_status(&format!(r#"{{"alg":"RS256","crit":{crit}}}"#)), AuthStatus::CriticalHeader, "{crit}");
    }
    let long = format!(r#"{{"alg":"RS256","x":"{}"}}"#, "x".repeat(4096));
    assert_eq!(header_status(&long), AuthStatus::TooLarge);
}

#[test]
fn no_spelling_of_none_and_no_symmetric_algorithm_is_supported() {
    let mut names = vec!["", "HS256", "HS384", "HS512", "hs256", "rs256", "RS256 ", "RS1", "ES256K", "dir", "RSA-OAEP"];
    let none: Vec<String> = (0..16_u8)
        .map(|bits| {
            let letters = "none".chars().enumerate();
            letters.map(|(at, c)| if bits >> at & 1 == 1 { c.to_ascii_uppercase() } else { c }).collect()
        })
        .collect();
    names.extend(none.iter().map(String::as_str));
    for name in names {
        let header = json!({"alg": name}).to_string();
        assert_eq!(header_status(&header), AuthStatus::UnsupportedAlgorithm, "{name:?}");
    }
}

#[test]
fn a_name_written_with_escapes_is_the_same_name() {
    assert_eq!(header_status(r#"{"alg":"RS256","\u0061lg":"none"}"#), AuthStatus::DuplicateMember);
    assert_eq!(header_status(r#"{"alg":"n\u006fne"}"#), AuthStatus::UnsupportedAlgorithm);
}

#[test]
fn registered_members_must_not_stand_twice() {
    for name in ["alg", "kid", "crit"] {
        let header = format!(r#"{{"{name}":"RS256","x":[],"{name}":"RS256"}}"#);
        assert_eq!(header_status(&header), AuthStatus::DuplicateMember, "{name}");
    }
    for name in ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "email"] {
        let payload = format!(r#"{{"{name}":1,"{name}":1}}"#);
        assert_eq!(payload_status(&payload), AuthStatus::DuplicateMember, "{name}");
    }
    assert!(Token::parse(format!("{}.AAAA", unsigned(HEADER, r#"{"x":1,"x":2}"#)).as_bytes()).is_ok());
}

#[test]
fn payloads_that_are_refused() {
    for payload in ["", "[]", "1", "{", r#"{"exp":1e400}"#, r#"{"exp":NaN}"#, r#"{"exp":01}"#, "{}{}", r#"{'a':1}"#] {
        assert_eq!(payload_status(&format!(" {payload}")), AuthStatus::PayloadBadJson, "{payload:?}");
    }
    let cases: [(&str, AuthStatus, AuthStatus); 3] = [
        ("exp", AuthStatus::ExpiresNotInteger, AuthStatus::ExpiresOutOfRange),
        ("nbf", AuthStatus::NotBeforeNotInteger, AuthStatus::NotBeforeOutOfRange),
        ("iat", AuthStatus::IssuedAtNotInteger, AuthStatus::IssuedAtOutOfRange),
    ];
    for (name, not_integer, out_of_range) in cases {
        for value in [r#""1700000000""#, "null", "true", "[1]", "{}"] {
            assert_eq!(payload_status(&format!(r#"{{"{name}":{value}}}"#)), not_integer, "{name}: {value}");
        }
        for value in ["-1", "-0.5", "1e20", "18446744073709551616", "-9223372036854775808"] {
            assert_eq!(payload_status(&format!(r#"{{"{name}":{value}}}"#)), out_of_range, "{name}: {value}");
        }
    }
    for (name, wrong_type) in
        [("iss", AuthStatus::IssuerNotString), ("sub", AuthStatus::SubjectNotString), ("jti", AuthStatus::IdNotString)]
    {
        for value in ["1", "null", "[]", "{}", r#"["x"]"#] {
            assert_eq!(payload_status(&format!(r#"{{"{name}":{value}}}"#)), wrong_type, "{name}: {value}");
        }
    }
    for value in ["1", "null", "{}", r#"["a",1]"#, r#"["a",["b"]]"#, r#"["a",null]"#] {
        assert_eq!(payload_status(&format!(r#"{{"aud":{value}}}"#)), AuthStatus::AudienceNotString, "{value}");
    }
}

#[test]
fn times_may_be_written_as_fractions() {
    assert_eq!(claims_of(&claims_with("exp", json!(1.7e9))).expires, Some(1_700_000_000));
    assert_eq!(claims_of(&claims_with("exp", json!(12.75))).expires, Some(12));
    assert_eq!(claims_of(&claims_with("exp", json!(u64::MAX))).expires, Some(u64::MAX));
    assert_eq!(claims_of(&claims_with("exp", Value::Null)).expires, None);
}

#[test]
fn time_limits_have_skew_on_both_ends() {
    let mut claims = claims_of(&json!({"exp": NOW, "nbf": NOW}));
    assert_eq!(claims.check_time(NOW + 60, 60), Ok(()));
    assert_eq!(claims.check_time(NOW + 61, 60), Err(AuthStatus::Expired));
    assert_eq!(claims.check_time(NOW - 60, 60), Ok(()));
    assert_eq!(claims.check_time(NOW - 61, 60), Err(AuthStatus::NotYetValid));
    claims.expires = Some(u64::MAX);
    claims.not_before = None;
    assert_eq!(claims.check_time(u64::MAX, 60), Ok(()));
    claims.expires = Some(0);
    assert_eq!(claims.check_time(NOW, 60), Err(AuthStatus::Expired));
    claims.not_before = Some(u64::MAX);
    assert_eq!(claims.check_time(NOW, 60), Err(AuthStatus::NotYetValid));
}

#[test]
fn a_token_of_the_largest_size_is_read_and_a_larger_one_refused() {
    let frame = unsigned(HEADER, r#"{"x":""}"#).len() + ".AAAA".len();
    let room = (MAX_TOKEN_BYTES - frame) * 3 / 4;
    for (length, accepted) in [(room - 3, true), (room + 4, false)] {
        let payload = format!(r#"{{"x":"{}"}}"#, "x".repeat(length));
        let token = format!("{}.AAAA", unsigned(HEADER, &payload));
        assert_eq!(token.len() <= MAX_TOKEN_BYTES, accepted);
        match Token::parse(token.as_bytes()) {
            Ok(_) => assert!(accepted),
            Err(status) => assert_eq!((accepted, status), (false, AuthStatus::TooLarge)),
        }
    }
}

#[test]
fn deep_nesting_costs_no_stack() {
    let depth = 5_000;
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let filler = if open == "[" { "" } else { "1" };
        let nested = format!("{}{filler}{}", open.repeat(depth), close.repeat(depth));
        let token = format!("{}.AAAA", unsigned(HEADER, &format!(r#"{{"x":{nested}}}"#)));
        if token.len() <= MAX_TOKEN_BYTES {
            let _ = Token::parse(token.as_bytes());
        }
        for name in ["aud", "iss", "exp"] {
            let payload = format!(r#"{{"{name}":{}}}"#, &nested[..nested.len().min(11_000)]);
            let token = format!("{}.AAAA", unsigned(HEADER, &payload));
            assert!(Token::parse(token.as_bytes()).is_err(), "{name}");
        }
    }
}
