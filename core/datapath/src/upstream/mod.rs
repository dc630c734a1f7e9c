//! The backends' side: pools of connections, and which of them takes a request.

mod pool;

pub(crate) use pool::{Endpoint, Pool};
