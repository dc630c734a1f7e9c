//! Health probes: a connection, a question, and what came of it as an [`Observation`].
//!
//! [`Request`] says what to ask whom, [`Plan`] is one of its targets, checked. A session speaks the protocol without
//! sockets; a link is a session on a socket, with or without TLS; [`run`] drives links until each target has answered, or, where
//! a target is watched, until it is told to stop.

mod document;
mod events;
mod get;
mod health;
mod http1;
mod http2;
mod link;
mod messages;
mod observation;
mod plan;
pub mod prober;
mod resolve;
mod run;
mod server;
mod session;

pub use document::{Kind, Request, Target, Tls};
pub use observation::{Finding, Observation, Outcome};
pub use plan::{Host, Plan, compile};
pub use run::{Listener, run};
