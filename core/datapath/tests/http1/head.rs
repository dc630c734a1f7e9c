use proptest::prelude::*;
use tidegate_datapath::http1::{
    BodyFraming, HeadLimits, HeadParser, Http1Error, Protocol, Version, is_valid_authority, sniff,
};

use crate::{HEAD_LIMITS, Parsed, accepted, parse};

#[test]
fn reads_a_request_and_leaves_what_follows() {
    let head =
        accepted(b"GET /v1/health?service=a HTTP/1.1\r\nHost: example.com:8080\r\nAccept:  a \t\r\nX:\r\n\r\nGET");
    assert_eq!(head.method, "GET");
    assert_eq!(head.path, "/v1/health?service=a");
    assert_eq!(head.authority, "example.com:8080");
    assert_eq!(head.version, Version::Http11);
    assert_eq!(head.fields, [("Accept".into(), "a".into()), ("X".into(), String::new())]);
    assert_eq!(head.framing, BodyFraming::None);
    assert_eq!(head.consumed, 79);
    assert!(head.keep_alive);
}

#[test]
fn one_parser_reads_pipelined_requests_in_turn() {
    let bytes = b"\r\nGET /a HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\nGET /b HTTP/1.0\r\n\r\n";
    let mut parser = HeadParser::default();
    let first = Parsed::from(parser.parse(bytes, &HEAD_LIMITS).unwrap().unwrap());
    assert_eq!(first.path, "/a");
    let second = Parsed::from(parser.parse(&bytes[first.consumed..], &HEAD_LIMITS).unwrap().unwrap());
    assert_eq!((second.path.as_str(), second.fields.len(), second.authority.as_str()), ("/b", 0, ""));
    assert_eq!(first.consumed + second.consumed, bytes.len());
}

#[test]
fn target_forms() {
    let path = |line: &str| accepted(format!("{line} HTTP/1.1\r\nHost: A.example:80\r\n\r\n").as_bytes()).path;
    assert_eq!(path("GET /a?b=/../c%2f"), "/a?b=/../c%2f");
    assert_eq!(path("GET http://a.example:80/x?y"), "/x?y");
    assert_eq!(path("GET HTTPS://a.EXAMPLE:80?y"), "/?y");
    assert_eq!(path("GET http://a.example:80"), "/");
    assert_eq!(path("OPTIONS *"), "*");
    assert_eq!(path("OPTIONS http://a.example:80"), "*");
    assert_eq!(path("OPTIONS http://a.example:80/"), "/");
}

#[test]
fn an_absolute_target_names_the_authority_of_http_1_0() {
    assert_eq!(accepted(b"GET http://a.example/ HTTP/1.0\r\n\r\n").authority, "a.example");
}

#[test]
fn an_absolute_target_replaces_the_host() {
    let head = |line: &str| accepted(format!("{line} HTTP/1.1\r\nHost: other\r\nA: 1\r\n\r\n").as_bytes());
    for (line, authority) in [
        ("GET http://a.example/", "a.example"),
        ("GET http://other:80/", "other:80"),
        ("GET HTTPS://A.example?x", "A.example"),
        ("OPTIONS http://[::1]:81", "[::1]:81"),
        ("GET /", "other"),
        ("OPTIONS *", "other"),
    ] {
        assert_eq!(head(line).authority, authority, "{line}");
        assert_eq!(head(line).fields, [("A".to_string(), "1".to_string())], "{line}");
    }
}

#[test]
fn connections_are_kept_as_the_client_wants() {
    let keeps = |version: &str, options: &str| {
        accepted(format!("GET / HTTP/{version}\r\nHost: a\r\nConnection: {options}\r\n\r\n").as_bytes()).keep_alive
    };
    assert!(keeps("1.1", ""));
    assert!(!keeps("1.1", "foo, Close"));
    assert!(!keeps("1.1", "keep-alive, close"));
    assert!(!keeps("1.0", "te"));
    assert!(keeps("1.0", "Keep-Alive"));
    assert!(keeps("1.7", ""));
}

#[test]
fn what_concerns_this_hop_is_not_forwarded() {
    let names = |lines: &str| -> Vec<String> {
        let head = accepted(format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n").as_bytes());
        head.fields.into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names("Keep-Alive: 1\r\nUpgrade: h2c\r\nHTTP2-Settings: a\r\nTE: gzip\r\nA: 1\r\n"), ["A"]);
    assert_eq!(names("Proxy-Connection: a\r\nTrailer: b\r\nExpect: 100-continue\r\nB: 1\r\n"), ["B"]);
    assert_eq!(names("x-hop: 1\r\nX-Hop: 2\r\nConnection: x-HOP\r\nC: 1\r\n"), ["C"]);
    let kept = "Authorization: 1\r\nX-Forwarded-For: 1\r\nTraceParent: 1\r\ngrpc-timeout: 1\r\n";
    let connection = "Connection: authorization, x-forwarded-for, traceparent, GRPC-Timeout, host\r\n";
    assert_eq!(names(&format!("{kept}{connection}")).len(), 4);
}

#[test]
fn what_only_the_gateway_asserts_is_not_forwarded_in_any_spelling() {
    for name in [
        "X-Endpoint-API-UserInfo",
        "x_endpoint_api_userinfo",
        "X-Endpoint_Api-Issuer",
        "X-Forwarded-Client-Cert",
        "x_forwarded_client_cert",
    ] {
        let head = accepted(format!("GET / HTTP/1.1\r\nHost: a\r\n{name}: forged\r\n\r\n").as_bytes());
        assert_eq!(head.fields, [], "{name}");
    }
    let head = accepted(b"GET / HTTP/1.1\r\nHost: a\r\nx-endpoint: 1\r\nx-forwarded-client-certs: 1\r\n\r\n");
    assert_eq!(head.fields.len(), 2);
}

#[test]
fn expectations_and_trailers() {
    let head =
        accepted(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nTE: x, Trailers\r\nContent-Length: 3\r\n\r\n");
    assert!(head.expects_continue && head.accepts_trailers);
    assert!(!accepted(b"PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n").expects_continue);
    assert!(!accepted(b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n").expects_continue);
}

#[test]
fn a_head_may_arrive_byte_by_byte() {
    let bytes = b"\r\nPOST /a HTTP/1.1\r\nHost: a\r\nX: y\r\nContent-Length: 3\r\n\r\n";
    let mut parser = HeadParser::default();
    for end in 0..bytes.len() {
        assert!(parser.parse(&bytes[..end], &HEAD_LIMITS).unwrap().is_none(), "complete after {end} bytes");
    }
    assert_eq!(Parsed::from(parser.parse(bytes, &HEAD_LIMITS).unwrap().unwrap()), accepted(bytes));
}

#[test]
fn limits_hold_for_complete_and_for_unfinished_heads() {
    let long = "a".repeat(300);
    let refused = |bytes: String| parse(bytes.as_bytes()).expect_err("accepted");
    assert_eq!(refused(format!("GET /{long}")), Http1Error::RequestLineTooLong);
    assert_eq!(refused(format!("GET /{long} HTTP/1.1\r\n")), Http1Error::RequestLineTooLong);
    let start = "GET / HTTP/1.1\r\nHost: a\r\n";
    assert_eq!(refused(format!("{start}A: {}", "a".repeat(1100))), Http1Error::FieldsTooLarge);
    assert_eq!(refused(format!("{start}A:{}", " ".repeat(1100))), Http1Error::FieldsTooLarge);
    assert_eq!(refused(format!("{start}A: {}\r\n", "a".repeat(990))), Http1Error::FieldsTooLarge);
    assert_eq!(refused(format!("{start}{}", "a:\r\n".repeat(10))), Http1Error::TooManyFields);
    assert_eq!(Http1Error::TooManyFields.status(), 431);

    let exactly = HeadLimits { line: 14, header_bytes: 4 + 1 + 32, headers: 1 };
    let bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert!(HeadParser::default().parse(bytes, &exactly).unwrap().is_some());
    let below = HeadLimits { line: 13, ..exactly };
    assert!(HeadParser::default().parse(bytes, &below).is_err());
    let below = HeadLimits { header_bytes: 36, ..exactly };
    assert!(HeadParser::default().parse(bytes, &below).is_err());
}

#[test]
fn the_preface_decides() {
    assert_eq!(sniff(b""), Protocol::NeedMore);
    assert_eq!(sniff(b"PRI * HT"), Protocol::NeedMore);
    assert_eq!(sniff(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0"), Protocol::Http2);
    assert_eq!(sniff(b"PUT"), Protocol::Http1);
    assert_eq!(sniff(b"PRI * HTTP/2.0\r\n\r\nSX"), Protocol::Http1);
}

#[test]
fn authorities() {
    for good in ["a", "a.b-c_d", "a:80", "a:", "[::1]", "[::ffff:1.2.3.4]:65535", "1.2.3.4", "a%20b", "a,b"] {
        assert!(is_valid_authority(good.as_bytes()), "{good}");
    }
    for bad in [
        "",
        ":80",
        "a:b",
        "a:65536",
        "a:000080",
        "u@a",
        "a/b",
        "a b",
        "[::1",
        "[::1]x",
        "[fe80::1%25e]",
        "a%2",
        "a?b",
        "\u{e9}",
    ] {
        assert!(!is_valid_authority(bad.as_bytes()), "{bad}");
    }
}

/// Heads that are good, nearly good, and noise.
fn heads() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just("GET / HTTP/1.1\r\n".to_string()),
        Just("POST /a?b HTTP/1.0\r\n".to_string()),
        Just("OPTIONS * HTTP/1.1\r\n".to_string()),
        Just("GET http://h/x HTTP/1.1\r\n".to_string()),
        Just("\r\nGET / HTTP/1.1\r\n".to_string()),
        "[A-Z]{1,4} /[a-z]{0,300} HTTP/[01].[019]\r?\n",
    ];
    let field = prop_oneof![
        Just("Host: h\r\n".to_string()),
        Just("Content-Length: 5\r\n".to_string()),
        Just("Transfer-Encoding: chunked\r\n".to_string()),
        "Connection: (close|keep-alive|x|,){1,3}\r\n",
        "[A-Za-z-]{1,8} ?:[ \t]{0,2}[ -~\u{80}-\u{ff}]{0,40}[ \t]{0,2}\r?\n",
        "x:[\\x00-\\x20]{0,3}\r\n",
        "y:.{0,600}\r\n",
    ];
    (line, prop::collection::vec(field, 0..12), prop::collection::vec(any::<u8>(), 0..8)).prop_map(
        |(line, fields, rest)| {
            let mut bytes = line.into_bytes();
            fields.iter().for_each(|field| bytes.extend_from_slice(field.as_bytes()));
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(&rest);
            bytes
        },
    )
}

proptest! {
    #[test]
    fn how_the_network_cuts_a_head_changes_nothing(
        bytes in heads(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let whole = parse(&bytes);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.push(bytes.len());
        cuts.sort_unstable();
        let mut parser = HeadParser::default();
        let mut pieces = Ok(None);
        for cut in cuts {
            pieces = parser.parse(&bytes[..cut], &HEAD_LIMITS).map(|head| head.map(Parsed::from));
            if !matches!(pieces, Ok(None)) {
                break;
            }
        }
        prop_assert_eq!(pieces, whole);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(Some(head)) = parse(&bytes) {
            prop_assert!(head.consumed <= bytes.len());
        }
    }

    #[test]
    fn any_bytes_after_a_request_line_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let request = [b"GET / HTTP/1.1\r\nHost: h\r\n".as_slice(), &bytes, b"\r\n\r\n"].concat();
        if let Ok(Some(head)) = parse(&request) {
            for (name, value) in head.fields {
                prop_assert!(!name.contains([' ', ':', '\r', '\n']) && !value.contains(['\r', '\n', '\0']));
            }
        }
    }
}
