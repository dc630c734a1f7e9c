//! One record as a line of JSON that Google Cloud Logging understands without a parser of its own: the special fields
//! of structured logging (`severity`, `time`, `httpRequest`, `logging.googleapis.com/...`) and ours beside them.

use std::collections::BTreeMap;
use std::io::Write;

use super::clock::{append_duration, append_timestamp};
use super::json::append_string;
use super::record::{Protocol, Record};
use super::redact::{Redactor, without_user_information};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Info,
    Warning,
    Error,
}

impl Severity {
    /// By the HTTP status, or by the status that stands for the gRPC one where that is worse.
    pub fn of(status: u16, grpc_status: Option<u8>) -> Severity {
        let class = status.max(grpc_status.map_or(0, http_status_of_grpc));
        match class {
            500.. => Severity::Error,
            400.. => Severity::Warning,
            // Nothing was answered.
            0 => Severity::Error,
            _ => Severity::Info,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Severity::Info => "INFO",
            Severity::Warning => "WARNING",
            Severity::Error => "ERROR",
        }
    }
}

/// google/rpc/code.proto.
fn http_status_of_grpc(code: u8) -> u16 {
    match code {
        0 => 200,
        1 => 499,
        3 | 9 | 11 => 400,
        4 => 504,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        _ => 500,
    }
}

/// Turns records into lines.
#[derive(Debug, Clone, Default)]
pub struct Formatter {
    redactor: Redactor,
    /// `,"logging.googleapis.com/labels":{..}` or nothing.
    labels: Vec<u8>,
    url: Vec<u8>,
}

impl Formatter {
    /// `labels` are in every line. `secret_parameters`: query parameters to redact beside `access_token`, `key` and
    /// `api_key`.
    pub fn new(labels: &BTreeMap<String, String>, secret_parameters: &[String]) -> Formatter {
        let mut json = Vec::new();
        for (name, value) in labels {
            json.extend_from_slice(if json.is_empty() { b",\"logging.googleapis.com/labels\":{" } else { b"," });
            append_string(&mut json, name.as_bytes());
            json.push(b':');
            append_string(&mut json, value.as_bytes());
        }
        if !json.is_empty() {
            json.push(b'}');
        }
        Formatter { redactor: Redactor::new(secret_parameters), labels: json, url: Vec::new() }
    }

    /// Appends one line with its line feed. Fields that would be empty are left out.
    ///
    /// `logging.googleapis.com/trace` is the bare trace id: the project it belongs to is not known here.
    pub fn append_line(&mut self, out: &mut Vec<u8>, record: &Record) {
        out.extend_from_slice(b"{\"severity\":\"");
        out.extend_from_slice(Severity::of(record.status, record.grpc_status).name().as_bytes());
        out.extend_from_slice(b"\",\"time\":\"");
        append_timestamp(out, record.start_unix_ns);
        out.push(b'"');
        self.append_http_request(out, record);
        append_field(out, "method", record.method.as_bytes());
        if let Some(code) = record.grpc_status {
            append_raw(out, "grpcStatus", code);
        }
        append_field(out, "reason", record.reason.as_bytes());
        append_field(out, "limit", record.limit.as_bytes());
        append_field(out, "upstream", record.upstream.as_bytes());
        append_field(out, "requestId", record.request_id.as_bytes());
        append_field(out, "jwtIssuer", record.jwt_issuer.as_bytes());
        if let Some(trace) = &record.trace {
            append_field(out, "logging.googleapis.com/trace", &hexadecimal(&trace.trace_id));
            append_field(out, "logging.googleapis.com/spanId", &hexadecimal(&trace.span_id));
            append_raw(out, "logging.googleapis.com/trace_sampled", trace.is_sampled);
        }
        out.extend_from_slice(&self.labels);
        out.extend_from_slice(b"}\n");
    }

    /// google.logging.type.HttpRequest: 64-bit numbers are strings, as protobuf's JSON has them.
    fn append_http_request(&mut self, out: &mut Vec<u8>, record: &Record) {
        out.extend_from_slice(b",\"httpRequest\":{\"latency\":\"");
        append_duration(out, record.duration_ns);
        out.push(b'"');
        append_field(out, "requestMethod", record.http_method.as_bytes());
        self.url.clear();
        self.url.extend_from_slice(if record.is_tls { b"https://" } else { b"http://" });
        self.url.extend_from_slice(without_user_information(record.authority.as_bytes()));
        self.redactor.append_path(&mut self.url, record.path.as_bytes());
        append_field(out, "requestUrl", &self.url);
        append_raw(out, "status", record.status);
        append_raw(out, "requestSize", format_args!("\"{}\"", record.bytes_in));
        append_raw(out, "responseSize", format_args!("\"{}\"", record.bytes_out));
        append_field(out, "userAgent", record.user_agent.as_bytes());
        append_field(out, "remoteIp", record.client.as_bytes());
        append_field(out, "protocol", protocol(record.protocol));
        out.push(b'}');
    }
}

fn protocol(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Http10 => b"HTTP/1.0",
        Protocol::Http11 => b"HTTP/1.1",
        Protocol::Http2 => b"HTTP/2",
    }
}

fn append_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    if !value.is_empty() {
        append_raw(out, name, "");
        append_string(out, value);
    }
}

/// `value` is JSON already.
fn append_raw(out: &mut Vec<u8>, name: &str, value: impl std::fmt::Display) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, ",\"{name}\":{value}");
}

fn hexadecimal(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
    out
}
