//! The HTTP/1.1 codec through its public surface.

mod body;
mod head;
mod refused;
mod response;

use tidegate_datapath::http1::{BodyFraming, BodyLimits, Head, HeadLimits, HeadParser, Http1Error, Version};

pub(crate) const HEAD_LIMITS: HeadLimits = HeadLimits { line: 256, header_bytes: 1024, headers: 10 };
pub(crate) const BODY_LIMITS: BodyLimits = BodyLimits { body: 4096, trailer_bytes: 256, trailers: 4 };

pub(crate) type Pairs = Vec<(String, String)>;

/// A parsed head as owned values, to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) authority: String,
    pub(crate) version: Version,
    pub(crate) fields: Pairs,
    pub(crate) framing: BodyFraming,
    pub(crate) keep_alive: bool,
    pub(crate) accepts_trailers: bool,
    pub(crate) expects_continue: bool,
    pub(crate) consumed: usize,
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn pairs<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Pairs {
    fields.map(|(name, value)| (text(name), text(value))).collect()
}

impl From<Head<'_>> for Parsed {
    fn from(head: Head<'_>) -> Parsed {
        Parsed {
            method: text(head.method()),
            path: text(&head.path()),
            authority: text(head.authority()),
            version: head.version(),
            fields: pairs(head.forwarded_fields()),
            framing: head.framing(),
            keep_alive: head.reply_context().keep_alive,
            accepts_trailers: head.reply_context().accepts_trailers,
            expects_continue: head.expects_continue(),
            consumed: head.consumed(),
        }
    }
}

pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Parsed>, Http1Error> {
    Ok(HeadParser::default().parse(bytes, &HEAD_LIMITS)?.map(Parsed::from))
}

/// A head that has to be complete and good.
pub(crate) fn accepted(bytes: &[u8]) -> Parsed {
    parse(bytes).expect("refused").expect("incomplete")
}
