//! Containers of the hot path: no allocation in steady state, no hashing that a client could predict.

pub mod hash;
pub mod id_map;
pub mod wheel;
