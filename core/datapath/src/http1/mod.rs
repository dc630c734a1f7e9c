//! HTTP/1.1 towards clients (RFC 9110, RFC 9112), without I/O.
//!
//! One request at a time: [`HeadParser`] reads a head from the start of the connection's buffer, [`BodyDecoder`] takes
//! the body out of what follows, [`write_head`] and the [`BodyWriter`] it returns put the response into an output buffer. What is
//! left in the input buffer after a body is the next request.
//!
//! Requests are read strictly: whatever two HTTP implementations could read in two ways is refused, since a message
//! that the gateway and its neighbour delimit differently lets one client speak in another's name.

mod authority;
mod body;
mod error;
mod fields;
mod head;
mod head_parser;
mod reason;
mod request_line;
mod response;
mod sniff;
mod syntax;

pub use authority::is_valid_authority;
pub use body::{BodyDecoder, BodyLimits, Piece, Step};
pub use error::Http1Error;
pub use fields::is_asserted;
pub(crate) use fields::may_trail;
pub use head::{BodyFraming, Head};
pub use head_parser::{HeadLimits, HeadParser};
pub use request_line::Version;
pub use response::{BodyWriter, ReplyContext, ResponseError, write_continue, write_head, write_interim};
pub use sniff::{Protocol, sniff};
