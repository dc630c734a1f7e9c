//! HTTP/2 (RFC 9113) without sockets: bytes in, events out, bytes to send in a buffer.

pub mod connection;
pub mod error;
pub mod frame;
mod guard;
mod history;
pub mod hpack;
mod settings;

pub use connection::{Config, Connection, Event, Role};
pub use error::{ConnectionError, ErrorCode};
pub use frame::PREFACE;
pub use guard::Offence;
pub use history::Ended;
