//! The compiled routing table: from what a request says to the method, the binding, the route and the backend.
//!
//! Methods are numbered: those of the document first, in its order, then, where unknown methods pass, those that only the
//! descriptors know. The numbers serve as metric labels, as do the routes'. The numbering of bindings is internal.

use super::path;
use super::routes::{self, Request, Route};
use super::template::Template;
use super::tree::{Find, Match, Tree};
use crate::snapshot::document::{self, Document, UnknownMethods};
use crate::transcode::binding::Binding;
use crate::transcode::descriptors::Descriptors;
use prost_reflect::MethodDescriptor;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// Immutable; shared by all workers.
#[derive(Debug)]
pub struct Table {
    paths: HashMap<Box<[u8]>, u32, BuildHasherDefault<PathHasher>>,
    /// `/pkg.Service/` of services whose methods are not known one by one.
    services: HashMap<Box<[u8]>, u32, BuildHasherDefault<PathHasher>>,
    methods: Vec<Method>,
    bindings: Vec<HttpBinding>,
    tree: Tree,
    routes: Vec<Route>,
    /// Every request takes the first route.
    trivial: bool,
    /// Some route does.
    redirects: bool,
}

/// A gRPC method that is known by name.
pub struct Method {
    /// `pkg.Service.Method`.
    pub name: Box<str>,
    /// `/pkg.Service/Method`.
    pub path: Box<[u8]>,
    /// Whether the document has it; its index there is the method's then.
    pub declared: bool,
    /// Outranks the routes'.
    pub backend: Option<u32>,
    /// None where the descriptors do not know the method.
    pub descriptor: Option<MethodDescriptor>,
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Method").field("name", &self.name).field("backend", &self.backend).finish_non_exhaustive()
    }
}

/// An HTTP binding and the method that it calls.
#[derive(Debug)]
pub struct HttpBinding {
    pub method: u32,
    pub binding: Binding,
}

/// What a request asks for.
#[derive(Debug)]
pub enum Target<'t, 'p> {
    /// A known method, by its gRPC path: forwarded as it is.
    Method(u32),
    /// A known method through an HTTP binding: transcoded.
    Binding { binding: &'t HttpBinding, found: Match<'p> },
    /// The path is a binding's, the HTTP method is not (405). `allowed` is for the `Allow` header.
    WrongMethod { template: &'t str, allowed: Vec<&'t [u8]> },
    /// Nothing that is known: passed on by the routes, or refused, as the document says.
    Unknown,
}

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// None where no route matches and the method names its backend.
    pub route: Option<u32>,
    pub backend: u32,
}

impl Table {
    /// Compiles routes, methods and bindings. The errors are all that were found, as `path: message`.
    pub fn compile(document: &Document, descriptors: &Descriptors) -> Result<Table, Vec<String>> {
        let mut builder = Builder { table: Table::empty(), errors: Vec::new(), origins: Vec::new() };
        let mut backends = HashMap::new();
        for (index, backend) in (0u32..).zip(&document.backends) {
            if backends.insert(backend.name.as_str(), index).is_some() {
                builder.errors.push(format!("backends[{index}].name: `{}` is there twice", backend.name));
            }
        }
        let backend = |name: &str| backends.get(name).copied();
        builder.table.routes = routes::compile(&document.routes, &backend, &mut builder.errors);
        builder.table.redirects = builder.table.routes.iter().any(Route::redirects);
        builder.table.trivial = builder.table.routes.first().is_some_and(Route::is_unconditional);
        let ignored = ignored_parameters(document);
        builder.declared_methods(&document.methods, descriptors, &backend, &ignored);
        builder.automatic_bindings(document.unknown_methods, descriptors, &ignored);
        if builder.errors.is_empty() { Ok(builder.table) } else { Err(builder.errors) }
    }

    fn empty() -> Table {
        Table {
            paths: HashMap::default(),
            services: HashMap::default(),
            methods: Vec::new(),
            bindings: Vec::new(),
            tree: Tree::default(),
            routes: Vec::new(),
            trivial: false,
            redirects: false,
        }
    }

    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// The binding of that number, as [`Target::Binding`] gives it.
    pub fn binding(&self, index: usize) -> Option<&HttpBinding> {
        self.bindings.get(index)
    }

    /// The backend of a single route without conditions.
    pub fn only_backend(&self) -> Option<u32> {
        match self.routes.as_slice() {
            [route] if self.trivial => route.only_backend(),
            _ => None,
        }
    }

    /// A method's name for logs and metrics: only names that the configuration knows, so that clients cannot make new ones.
    pub fn label(&self, method: Option<u32>) -> &str {
        method.and_then(|index| self.methods.get(index as usize)).map_or("other", |method| &method.name)
    }

    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The method of a gRPC path in normal form. A trailing slash is ignored: some backends do.
    pub fn method(&self, path: &[u8]) -> Option<u32> {
        let exact = self.paths.get(path).or_else(|| self.paths.get(path.strip_suffix(b"/")?));
        exact.or_else(|| self.services.get(service_prefix(path)?)).copied()
    }

    /// What a request with this HTTP method and path (in normal form) asks for. `is_grpc`: its content type is gRPC's.
    ///
    /// A known gRPC path without a binding for it is that method whatever the content type says, so that leaving the
    /// type out is no way around the method's access rules.
    pub fn find<'t, 'p>(&'t self, is_grpc: bool, http_method: &[u8], path: &'p [u8]) -> Target<'t, 'p> {
        if is_grpc && let Some(method) = self.method(path) {
            return Target::Method(method);
        }
        match self.tree.find(http_method, path) {
            Find::Match(found) => match self.bindings.get(found.binding) {
                Some(binding) => Target::Binding { binding, found },
                None => Target::Unknown,
            },
            Find::WrongMethod { template, allowed } => Target::WrongMethod { template, allowed },
            Find::None => self.method(path).map_or(Target::Unknown, Target::Method),
        }
    }

    /// The route of a request, and its backend by the routes' weights (`random` is evenly distributed) unless `method`, the
    /// one that [`Table::find`] gave, names its own. None: nothing matches.
    pub fn select_route(
        &self,
        authority: &[u8],
        path: &[u8],
        method: Option<u32>,
        headers: &dyn routes::Headers,
        random: u32,
    ) -> Option<Choice> {
        let known = method.and_then(|index| self.methods.get(index as usize));
        let index = self.route(authority, path, known, headers);
        let own = known.and_then(|method| method.backend);
        let backend = own.or_else(|| self.routes.get(index?)?.backend(random))?;
        Some(Choice { route: index.and_then(|index| u32::try_from(index).ok()), backend })
    }

    pub fn redirects(&self) -> bool {
        self.redirects
    }

    /// (status, `Location`) where the request's route redirects. `method` is the one that [`Table::find`] gave.
    pub fn redirect(
        &self,
        request: &Request<'_>,
        method: Option<u32>,
        query: Option<&[u8]>,
        is_tls: bool,
    ) -> Option<(u16, String)> {
        let known = method.and_then(|index| self.methods.get(index as usize));
        let index = self.route(request.authority, request.path, known, request.headers)?;
        self.routes.get(index)?.redirect(request, query, is_tls)
    }

    /// Whether every request with the same method, path and authority gets this choice: no header and no weight has a say.
    pub fn is_settled(&self, method: Option<u32>, choice: Choice) -> bool {
        let own = method.and_then(|index| self.methods.get(index as usize)?.backend);
        let route = choice.route.and_then(|index| self.routes.get(index as usize));
        let settled = own.is_some() || route.is_some_and(|route| route.only_backend().is_some());
        settled && !self.routes.iter().any(Route::asks_for_headers)
    }

    /// Whether a request that is passed on unread (`Target::Unknown`, on `route`) might be another one to its backend: one
    /// that decodes `%2F`, or drops `;` parameters, could serve a known method or another route's path. Such a request is to
    /// be refused (400).
    pub fn is_disguised(
        &self,
        authority: &[u8],
        path: &[u8],
        headers: &dyn routes::Headers,
        route: Option<u32>,
    ) -> bool {
        match path::fold(path) {
            Ok(None) => false,
            Err(_) => true,
            Ok(Some(folded)) => {
                let taken = self.route(authority, &folded, None, headers).and_then(|index| u32::try_from(index).ok());
                self.method(&folded).is_some() || self.tree.find(b"GET", &folded) != Find::None || taken != route
            }
        }
    }

    fn route(
        &self,
        authority: &[u8],
        path: &[u8],
        method: Option<&Method>,
        headers: &dyn routes::Headers,
    ) -> Option<usize> {
        if self.trivial && self.routes.len() == 1 {
            return Some(0);
        }
        let method = method.map(|method| &*method.name);
        routes::select(&self.routes, &Request { authority, path, method, headers })
    }
}

struct Builder {
    table: Table,
    errors: Vec<String>,
    /// Where each binding of the tree stands in the document.
    origins: Vec<String>,
}

impl Builder {
    fn declared_methods(
        &mut self,
        methods: &[document::Method],
        descriptors: &Descriptors,
        backend: &dyn Fn(&str) -> Option<u32>,
        ignored: &Arc<[Box<str>]>,
    ) {
        for (number, (index, method)) in (0u32..).zip(methods.iter().enumerate()) {
            let own = method.backend.as_deref().and_then(backend);
            if let (Some(name), None) = (&method.backend, own) {
                self.error(format!("methods[{index}].backend"), format!("no backend is called `{name}`"));
            }
            let descriptor = descriptors.method(&method.name);
            let Some(path) = grpc_path(&method.name) else {
                self.error(format!("methods[{index}].name"), format!("`{}` is not `pkg.Service.Method`", method.name));
                continue;
            };
            let taken = match path.strip_suffix(b"*") {
                Some(service) => self.table.services.insert(service.into(), number),
                None => self.table.paths.insert(path.clone(), number),
            };
            if taken.is_some() {
                self.error(format!("methods[{index}].name"), format!("`{}` is there twice", method.name));
            }
            for (position, binding) in method.bindings.iter().enumerate() {
                let place = format!("methods[{index}].bindings[{position}]");
                self.declared_binding(place, number, &method.name, descriptor.as_ref(), binding, ignored);
            }
            let name = method.name.as_str().into();
            self.table.methods.push(Method { name, path, declared: true, backend: own, descriptor });
        }
    }

    fn declared_binding(
        &mut self,
        place: String,
        method: u32,
        name: &str,
        descriptor: Option<&MethodDescriptor>,
        binding: &document::Binding,
        ignored: &Arc<[Box<str>]>,
    ) {
        if binding.verb.is_empty() || !binding.verb.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.error(format!("{place}.verb"), format!("`{}` is not an HTTP method", binding.verb));
            return;
        }
        let template = match Template::parse(&binding.template) {
            Ok(template) => template,
            Err(error) => return self.error(format!("{place}.template"), error.to_string()),
        };
        let Some(descriptor) = descriptor else {
            let message = format!("no descriptor set holds `{name}`: its HTTP bindings need one");
            return self.error(place, message);
        };
        let (body, response_body) = (&binding.body, &binding.response_body);
        match Binding::compile(descriptor, &template, body, response_body, ignored.clone()) {
            Err(faults) => {
                for (key, message) in faults {
                    self.error(format!("{place}.{key}"), message);
                }
            }
            Ok(compiled) => match self.table.tree.insert(&binding.verb, template) {
                Ok(_) => {
                    self.table.bindings.push(HttpBinding { method, binding: compiled });
                    self.origins.push(place);
                }
                Err(other) => {
                    let other = self.origins.get(other).cloned().unwrap_or_default();
                    let message = format!("`{} {}` is bound by {other} already", binding.verb, binding.template);
                    self.error(format!("{place}.template"), message);
                }
            },
        }
    }

    /// `POST /pkg.Service/Method` with body `*` for all unary methods that are served, unless the document binds it.
    fn automatic_bindings(&mut self, unknown: UnknownMethods, descriptors: &Descriptors, ignored: &Arc<[Box<str>]>) {
        if unknown == UnknownMethods::Pass {
            for descriptor in descriptors.methods() {
                let name = descriptor.full_name();
                let (Some(path), Ok(number)) = (grpc_path(name), u32::try_from(self.table.methods.len())) else {
                    continue;
                };
                if self.table.paths.contains_key(&path) {
                    continue;
                }
                self.table.paths.insert(path.clone(), number);
                let name = name.into();
                let descriptor = Some(descriptor);
                self.table.methods.push(Method { name, path, declared: false, backend: None, descriptor });
            }
        }
        for (number, method) in (0u32..).zip(&self.table.methods) {
            let Some(descriptor) = &method.descriptor else { continue };
            if descriptor.is_client_streaming() || descriptor.is_server_streaming() {
                continue;
            }
            let template = std::str::from_utf8(&method.path).ok().and_then(|path| Template::parse(path).ok());
            let Some(template) = template else { continue };
            let Ok(binding) = Binding::compile(descriptor, &template, "*", "", ignored.clone()) else { continue };
            if self.table.tree.insert("POST", template).is_ok() {
                self.table.bindings.push(HttpBinding { method: number, binding });
            }
        }
    }

    fn error(&mut self, place: String, message: String) {
        self.errors.push(format!("{place}: {message}"));
    }
}

/// `/pkg.Service/` of a path `/pkg.Service/Method`, with or without a trailing slash.
fn service_prefix(path: &[u8]) -> Option<&[u8]> {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let end = path.iter().rposition(|&byte| byte == b'/')? + 1;
    let (service, method) = path.split_at(end);
    (!method.is_empty() && service.len() > 2).then_some(service)
}

/// `/pkg.Service/Method` of `pkg.Service.Method`, and `/pkg.Service/*` of `pkg.Service.*`.
fn grpc_path(name: &str) -> Option<Box<[u8]>> {
    let (service, method) = name.rsplit_once('.')?;
    let identifiers = |text: &str| {
        text.split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
    };
    (identifiers(service) && (method == "*" || identifiers(method)))
        .then(|| format!("/{service}/{method}").into_bytes().into())
}

/// Query parameters that carry credentials, which no request message has to know: tokens and API keys.
fn ignored_parameters(document: &Document) -> Arc<[Box<str>]> {
    let mut names: Vec<Box<str>> = vec!["key".into(), "api_key".into()];
    for provider in &document.authentication.providers {
        if provider.locations.is_empty() {
            names.push("access_token".into());
        }
        for location in &provider.locations {
            if let document::Location::Query { name } = location {
                names.push(name.as_str().into());
            }
        }
    }
    names.sort();
    names.dedup();
    names.into()
}

/// Eight bytes at a time, multiplied and folded. Keys come from the configuration alone, so a client cannot make them
/// collide; a look-up costs a few nanoseconds.
#[derive(Debug, Default)]
pub struct PathHasher(u64);

impl Hasher for PathHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            for (place, byte) in word.iter_mut().zip(chunk) {
                *place = *byte;
            }
            let product = u128::from(self.0 ^ u64::from_le_bytes(word)) * 0x9e37_79b9_7f4a_7c15;
            self.0 = (product as u64) ^ ((product >> 64) as u64) ^ chunk.len() as u64;
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
