//! The backends' side: pools of connections, which of them takes a request, and when one is sent again.

mod breakers;
mod pool;
mod queue;
pub(crate) mod retry;
mod tally;
#[cfg(test)]
mod tests;

pub(crate) use breakers::{AllBreakers, Kind, Place, Refused, limit};
pub(crate) use pool::{Endpoint, Pool};
pub(crate) use tally::{Ending, Tallies};
