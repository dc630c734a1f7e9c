//! The routing of requests: paths, templates, bindings, routes.

#[path = "route/path.rs"]
mod path;
#[path = "route/routes.rs"]
mod routes;
#[path = "route/table.rs"]
mod table;
#[path = "route/template.rs"]
mod template;
#[path = "route/tree.rs"]
mod tree;
