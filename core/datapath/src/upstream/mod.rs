//! The backends' side: pools of connections, and which of them takes a request.

mod pool;
mod tally;
#[cfg(test)]
mod tests;

pub(crate) use pool::{Endpoint, Pool};
pub(crate) use tally::{Ending, Tallies};
