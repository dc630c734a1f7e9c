//! From a request's authority, path and headers to the method, the binding, the route and the backend.

pub mod authority;
pub mod path;
pub mod redirect;
pub mod routes;
pub mod table;
pub mod template;
pub mod tree;
