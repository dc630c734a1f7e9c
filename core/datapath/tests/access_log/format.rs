use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_datapath::access_log::{Bounded, Formatter, Protocol, Record, Severity, TraceContext};

use crate::record;

fn line(formatter: &mut Formatter, record: &Record) -> String {
    let mut out = Vec::new();
    formatter.append_line(&mut out, record);
    String::from_utf8(out).unwrap()
}

fn parsed(record: &Record) -> Value {
    serde_json::from_str(&line(&mut Formatter::default(), record)).unwrap()
}

fn url(path: &str) -> String {
    let value = parsed(&Record { path: path.into(), authority: "a".into(), is_tls: false, ..record() });
    value["httpRequest"]["requestUrl"].as_str().unwrap().strip_prefix("http://a").unwrap().to_string()
}

#[test]
fn a_line_is_what_google_cloud_logging_reads() {
    let labels =
        BTreeMap::from([("cluster".to_string(), "eu \"1\"".to_string()), ("pod".to_string(), "a".to_string())]);
    let line = line(&mut Formatter::new(&labels, &[]), &record());
    assert!(line.ends_with("}\n") && line.matches('\n').count() == 1);
    assert_eq!(
        serde_json::from_str::<Value>(&line).unwrap(),
        json!({
            "severity": "INFO",
            "time": "2009-02-13T23:31:30.123456Z",
            "httpRequest": {
                "latency": "0.001250s",
                "requestMethod": "POST",
                "requestUrl": "https://api.example:443/api.Echo/Echo",
                "status": 200,
                "requestSize": "105",
                "responseSize": "1099511627776",
                "userAgent": "grpc-python/1.85",
                "remoteIp": "203.0.113.9",
                "protocol": "HTTP/2",
            },
            "method": "api.Echo/Echo",
            "grpcStatus": 0,
            "upstream": "127.0.0.1:50051",
            "requestId": "5f1c",
            "jwtIssuer": "https://issuer.example",
            "logging.googleapis.com/trace": "4bf92f3577b34da6a3ce929d0e0e4736",
            "logging.googleapis.com/spanId": "00f067aa0ba902b7",
            "logging.googleapis.com/trace_sampled": true,
            "logging.googleapis.com/labels": {"cluster": "eu \"1\"", "pod": "a"},
        })
    );
}

#[test]
fn what_is_unknown_is_left_out() {
    let value =
        parsed(&Record { status: 408, reason: "header-timeout", protocol: Protocol::Http11, ..Record::default() });
    let fields: Vec<&String> = value.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["httpRequest", "reason", "severity", "time"]);
    assert_eq!(value["time"], "1970-01-01T00:00:00.000000Z");
    assert_eq!(value["reason"], "header-timeout");
    assert_eq!(value["httpRequest"]["protocol"], "HTTP/1.1");
    assert!(value["httpRequest"].get("userAgent").is_none());
}

#[test]
fn severity_is_the_worse_of_both_statuses() {
    for (status, grpc_status, severity) in [
        (200, None, Severity::Info),
        (304, None, Severity::Info),
        (404, None, Severity::Warning),
        (503, None, Severity::Error),
        (200, Some(0), Severity::Info),
        (200, Some(1), Severity::Warning),
        (200, Some(5), Severity::Warning),
        (200, Some(16), Severity::Warning),
        (200, Some(2), Severity::Error),
        (200, Some(4), Severity::Error),
        (200, Some(13), Severity::Error),
        (200, Some(14), Severity::Error),
        (200, Some(200), Severity::Error),
        (502, Some(0), Severity::Error),
        (0, None, Severity::Error),
    ] {
        assert_eq!(Severity::of(status, grpc_status), severity, "{status} {grpc_status:?}");
    }
}

#[test]
fn times_are_those_of_the_calendar() {
    for (seconds, time) in [
        (0, "1970-01-01T00:00:00"),
        (68_169_599, "1972-02-28T23:59:59"),
        (68_169_600, "1972-02-29T00:00:00"),
        (951_782_400, "2000-02-29T00:00:00"),
        (951_868_800, "2000-03-01T00:00:00"),
        (1_735_689_599, "2024-12-31T23:59:59"),
        (1_735_689_600, "2025-01-01T00:00:00"),
        (4_107_542_400, "2100-03-01T00:00:00"),
        (4_107_542_399, "2100-02-28T23:59:59"),
    ] {
        let value = parsed(&Record { start_unix_ns: seconds * 1_000_000_000, ..record() });
        assert_eq!(value["time"], format!("{time}.000000Z"));
    }
}

#[test]
fn credentials_in_urls_are_redacted() {
    assert_eq!(url("/a?b=c&access_token=secret&d=e"), "/a?b=c&access_token=REDACTED&d=e");
    assert_eq!(url("/a?key=secret"), "/a?key=REDACTED");
    assert_eq!(url("/a?api_key=secret;x=1&API_KEY=secret&b"), "/a?api_key=REDACTED;x=1&API_KEY=REDACTED&b");
    assert_eq!(url("/a?access%5Ftoken=secret&%6bey=secret"), "/a?access%5Ftoken=REDACTED&%6bey=REDACTED");
    assert_eq!(url("/a?x?key=secret#key=secret"), "/a?x?key=REDACTED#key=REDACTED");
    assert_eq!(url("/a?key=se=cret&key="), "/a?key=REDACTED&key=REDACTED");
    assert_eq!(url("/a/key=1?monkey=1&key"), "/a/key=1?monkey=1&key");

    let mut formatter = Formatter::new(&BTreeMap::new(), &["jwt".to_string()]);
    let line = line(&mut formatter, &Record { path: "/?jwt=secret".into(), ..record() });
    assert!(line.contains("/?jwt=REDACTED\""));

    let value = parsed(&Record { authority: "user:secret@a".into(), path: "/".into(), ..record() });
    assert_eq!(value["httpRequest"]["requestUrl"], "https://a/");
}

#[test]
fn what_is_not_utf_8_is_escaped() {
    let user_agent = Bounded::from(b"a\xff\"\\\r\n\0\xe2\x82\x80\xe2\x80\xa8\x7f\xc3".as_slice());
    let written = line(&mut Formatter::default(), &Record { user_agent, ..record() });
    assert!(written.contains(r#""userAgent":"a\\xff\"\\\u000d\u000a\u0000₀\u2028\u007f\\xc3""#), "{written}");
}

#[test]
fn what_clients_send_is_bounded() {
    let long = "x".repeat(100_000);
    let record = Record {
        path: long.as_str().into(),
        authority: long.as_str().into(),
        http_method: long.as_str().into(),
        user_agent: long.as_str().into(),
        request_id: long.as_str().into(),
        client: long.as_str().into(),
        ..record()
    };
    assert!(line(&mut Formatter::default(), &record).len() < 3000);
    assert_eq!(record.path.as_bytes().len(), 1024);
}

#[test]
fn trace_contexts() {
    let good = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    let context = TraceContext::parse(good).unwrap();
    assert_eq!((context.trace_id[0], context.span_id[7], context.is_sampled), (0x4b, 0xb7, false));
    assert!(TraceContext::parse(b"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03-more").unwrap().is_sampled);
    for bad in [
        "",
        "00",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-00",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00more",
        "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa-ba902b7-00",
    ] {
        assert_eq!(TraceContext::parse(bad.as_bytes()), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn every_record_is_one_line_of_json(
        texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..1200), 6),
        label in any::<String>(),
        numbers in any::<(u64, u64, u64, u64)>(),
        codes in any::<(u16, Option<u8>, bool)>(),
    ) {
        let record = Record {
            start_unix_ns: numbers.0,
            duration_ns: numbers.1,
            bytes_in: numbers.2,
            bytes_out: numbers.3,
            status: codes.0,
            grpc_status: codes.1,
            is_tls: codes.2,
            method: label.as_str().into(),
            path: texts[0].as_slice().into(),
            authority: texts[1].as_slice().into(),
            http_method: texts[2].as_slice().into(),
            user_agent: texts[3].as_slice().into(),
            request_id: texts[4].as_slice().into(),
            client: texts[5].as_slice().into(),
            ..record()
        };
        let line = line(&mut Formatter::new(&BTreeMap::from([(label.clone(), label)]), &[]), &record);
        prop_assert!(line.ends_with('\n') && line.lines().count() == 1);
        prop_assert!(serde_json::from_str::<Value>(&line).is_ok(), "{}", line);
    }

    #[test]
    fn no_secret_of_a_query_is_written(
        before in "[a-z&=;%?]{0,20}[&;?]",
        name in prop_oneof![Just("access_token"), Just("KEY"), Just("api%5fkey"), Just("api_key")],
        after in "[&;][a-z&=;%]{0,20}",
    ) {
        let written = url(&format!("/a?{before}{name}=5eCr3t{after}"));
        prop_assert!(!written.contains("5eCr3t"), "{}", written);
    }
}
