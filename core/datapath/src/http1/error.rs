use std::fmt;

/// Why a request was refused. The connection cannot be used after it: where the next request starts is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http1Error {
    NotHttp,
    BareLineEnding,
    RequestLine,
    RequestLineTooLong,
    Method,
    MethodNotImplemented,
    Target,
    Version,
    FieldName,
    FieldValue,
    FoldedField,
    FieldsTooLarge,
    TooManyFields,
    HostMissing,
    HostRepeated,
    HostInvalid,
    ConnectionOptions,
    Expectation,
    ContentLength,
    ContentLengthRepeated,
    ContentLengthWithTransferEncoding,
    TransferEncoding,
    TransferEncodingInHttp10,
    TransferCodingNotImplemented,
    ChunkSize,
    ChunkEnd,
    ChunkExtensions,
    Trailer,
    TrailersTooLarge,
    BodyTooLarge,
}

impl Http1Error {
    /// The response's status code.
    pub fn status(self) -> u16 {
        self.entry().0
    }

    /// The reason code of the access log and of the metrics.
    pub fn reason(self) -> &'static str {
        self.entry().1
    }

    /// One sentence for the client; never holds anything of the request.
    pub fn message(self) -> &'static str {
        self.entry().2
    }

    fn entry(self) -> (u16, &'static str, &'static str) {
        use Http1Error::*;
        match self {
            NotHttp => (400, "http1-not-http", "The first byte starts no HTTP request"),
            BareLineEnding => (400, "http1-line-ending", "Lines end in CR LF; a CR or LF alone is refused"),
            RequestLine => (400, "http1-request-line", "The request line is not method, target and version"),
            RequestLineTooLong => (414, "http1-line-too-long", "The request line is too long"),
            Method => (400, "http1-method", "The method is not a token"),
            MethodNotImplemented => (501, "http1-method-not-implemented", "CONNECT is not served here"),
            Target => (400, "http1-target", "The request target is not in a form that this method takes"),
            Version => (505, "http1-version", "Only HTTP/1.0 and HTTP/1.1 are spoken here"),
            FieldName => (400, "http1-header-name", "A header's name is not a token followed by a colon"),
            FieldValue => (400, "http1-header-value", "A header's value holds a control character"),
            FoldedField => (400, "http1-header-folded", "A header is continued on a second line"),
            FieldsTooLarge => (431, "http1-headers-too-large", "The headers are too large"),
            TooManyFields => (431, "http1-too-many-headers", "There are too many headers"),
            HostMissing => (400, "http1-host-missing", "The Host header is missing"),
            HostRepeated => (400, "http1-host-repeated", "There is more than one Host header"),
            HostInvalid => (400, "http1-host-invalid", "The Host header is not a host with an optional port"),
            ConnectionOptions => (400, "http1-connection-options", "The Connection header is no short list of tokens"),
            Expectation => (417, "http1-expectation", "Only the expectation 100-continue is met"),
            ContentLength => (400, "http1-content-length", "Content-Length is not a number of bytes"),
            ContentLengthRepeated => (400, "http1-content-length-repeated", "There is more than one Content-Length"),
            ContentLengthWithTransferEncoding => {
                (400, "http1-ambiguous-length", "Content-Length and Transfer-Encoding exclude each other")
            }
            TransferEncoding => (400, "http1-transfer-encoding", "Transfer-Encoding is not exactly `chunked`"),
            TransferEncodingInHttp10 => (400, "http1-transfer-encoding-1-0", "HTTP/1.0 knows no Transfer-Encoding"),
            TransferCodingNotImplemented => {
                (501, "http1-transfer-coding", "The only transfer coding that is understood is chunked")
            }
            ChunkSize => (400, "http1-chunk-size", "A chunk's size is not a hexadecimal number of bytes"),
            ChunkEnd => (400, "http1-chunk-end", "A chunk does not end in CR LF"),
            ChunkExtensions => (400, "http1-chunk-extensions", "Chunk extensions are too long or malformed"),
            Trailer => (400, "http1-trailer", "A trailer names a header that delimits or routes messages"),
            TrailersTooLarge => (431, "http1-trailers-too-large", "The trailers are too large"),
            BodyTooLarge => (413, "http1-body-too-large", "The request's body is too large"),
        }
    }
}

impl fmt::Display for Http1Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.message())
    }
}

impl std::error::Error for Http1Error {}
