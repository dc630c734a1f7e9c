//! HTTP/2 through its public surface: bytes in, events and bytes out, for both ends of a connection.

mod end;
mod flow_control;
mod frames;
mod goaway;
mod handshake;
mod headers;
mod hpack;
mod late_frames;
mod limits;
mod settings;
mod talk;
