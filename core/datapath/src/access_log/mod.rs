//! The access log: workers hand over what they know of finished requests, one thread writes it down.
//!
//! A worker never waits for the log: it asks its [`Sampler`], fills a [`Record`], and hands a batch to the
//! [`LogSender`], which drops and counts what the thread has no room for.

mod clock;
mod format;
mod json;
mod queue;
mod record;
mod redact;
mod sampler;
mod writer;

pub use format::{Formatter, Severity};
pub use queue::{LogCounters, LogSender};
pub use record::{Bounded, Protocol, Record, TraceContext};
pub use sampler::Sampler;
pub use writer::{LogWriter, Target};
