//! Who is let in: rate limits of routes and methods, and the number of calls that a backend may have under way.
//!
//! Both hold for the process, whatever the number of workers: what they count is shared, and changed without locks on a
//! request's way. Neither reads a clock; `now_ns` is the worker's, which is the same for all workers.

pub mod buckets;
pub mod claim;
pub mod gradient;
pub mod limiter;
pub mod rate_limit;
