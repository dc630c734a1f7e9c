//! GET over HTTP/1.1: a request, and the head of its response. The connection is not used again.

use super::get::judge;
use super::health::broken;
use super::observation::Finding;
use super::plan::Field;

/// A longer head is no answer to a health check.
const MOST_HEAD: usize = 16 << 10;

pub(super) fn request(path: &str, authority: &str, fields: &[Field]) -> Vec<u8> {
    let mut out = format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n").into_bytes();
    for (name, value) in fields {
        for part in [name, &b": "[..], value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// Waits for the whole head of the final response.
#[derive(Debug, Default)]
pub(super) struct Response {
    head: Vec<u8>,
}

impl Response {
    pub(super) fn take(&mut self, bytes: &[u8], expected: &[(u16, u16)]) -> Option<Finding> {
        self.head.extend_from_slice(bytes);
        loop {
            let begins_well = self.head.iter().zip(b"HTTP/1.").all(|(a, b)| a == b);
            if !begins_well {
                return Some(broken("the answer is not HTTP/1.1"));
            }
            let Some(end) = memchr::memmem::find(&self.head, b"\r\n\r\n") else {
                let too_long = self.head.len() > MOST_HEAD;
                return too_long.then(|| broken("the answer's head has no end"));
            };
            match status(&self.head) {
                None => return Some(broken("the answer's status line is malformed")),
                Some(100..=199) => drop(self.head.drain(..end + 4)),
                Some(status) => return Some(judge(status, expected)),
            }
        }
    }
}

/// Of a status line (RFC 9112, section 4): the version, a blank, three digits, then a blank or the end.
fn status(head: &[u8]) -> Option<u16> {
    let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9', b' ', a, b, c, b' ' | b'\r', ..] = head else {
        return None;
    };
    let digits = std::str::from_utf8(&[*a, *b, *c]).ok()?.parse().ok()?;
    (100..=999).contains(&digits).then_some(digits)
}
