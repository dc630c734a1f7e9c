//! What one client, and all together, may cost; and what is written of them.

use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// SETTINGS_MAX_CONCURRENT_STREAMS towards clients.
    pub max_concurrent_streams: u32,
    /// What one stalled stream may cost in each direction.
    pub stream_window_bytes: u32,
    pub connection_window_bytes: u32,
    /// All buffered bodies of the process; streams that would exceed it answer RESOURCE_EXHAUSTED.
    pub max_buffer_bytes: u64,
    /// Header list as RFC 9113 counts it (name + value + 32 each).
    pub max_header_bytes: u32,
    pub max_headers: u32,
    /// HTTP/1.1 request line.
    pub max_line_bytes: u32,
    /// A request's body; 0 is unlimited.
    pub max_body_bytes: u64,
    /// Bodies that are transcoded are held whole.
    pub max_transcoded_bytes: u32,
    /// Kept of each request for a safe retry.
    pub retry_buffer_bytes: u32,
    /// From the first byte of a request's head (or of a TLS handshake, or of a connection) to its end.
    pub header_timeout_ms: u64,
    /// HTTP/1.1: no byte of a body for this long.
    pub body_timeout_ms: u64,
    /// A client's connection without a request.
    pub idle_timeout_ms: u64,
    /// PING towards clients after this silence; 0 is off.
    pub keepalive_time_ms: u64,
    pub keepalive_timeout_ms: u64,
    /// 0 is unlimited; jittered by a tenth.
    pub max_connection_age_ms: u64,
    pub max_connection_age_grace_ms: u64,
    /// TCP_USER_TIMEOUT on both sides.
    pub tcp_user_timeout_ms: u64,
    /// Client connections of the process; 0 is unlimited.
    pub max_connections: u32,
    pub transcoded_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_concurrent_streams: 250,
            stream_window_bytes: 256 << 10,
            connection_window_bytes: 4 << 20,
            max_buffer_bytes: 512 << 20,
            max_header_bytes: 64 << 10,
            max_headers: 200,
            max_line_bytes: 16 << 10,
            max_body_bytes: 0,
            max_transcoded_bytes: 4 << 20,
            retry_buffer_bytes: 64 << 10,
            header_timeout_ms: 10_000,
            body_timeout_ms: 60_000,
            idle_timeout_ms: 3_600_000,
            keepalive_time_ms: 0,
            keepalive_timeout_ms: 20_000,
            max_connection_age_ms: 0,
            max_connection_age_grace_ms: 30_000,
            tcp_user_timeout_ms: 20_000,
            max_connections: 0,
            transcoded_timeout_ms: 15_000,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessLog {
    /// `""` is off, `-` standard output, else a file that is appended to.
    pub path: String,
    /// Lines a second and worker for requests that succeeded; failed ones are always written. 0 is no limit.
    pub success_rate: u32,
    /// Constant fields of every line.
    pub labels: BTreeMap<String, String>,
}

impl Default for AccessLog {
    fn default() -> Self {
        AccessLog { path: String::new(), success_rate: 100, labels: BTreeMap::new() }
    }
}
