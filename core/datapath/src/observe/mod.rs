//! What can be known of the request path from outside: counters, histograms, and the state of things.

mod admission;
pub mod counters;
pub mod report;
pub mod series;
