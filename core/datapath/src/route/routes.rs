//! The ordered routes: which one a request takes, and which of its backends.
//!
//! Of the routes whose conditions all hold, the one whose authority names the host most closely is taken; among those,
//! the first. Weights divide a random 32-bit number, so that the choice needs no state.

use super::authority::{Pattern, host};
use super::path;
use super::redirect::{Asked, Redirect};
use crate::snapshot::document;

/// A request's header fields, as the protocol that carried them keeps them.
pub trait Headers {
    /// Whether some value of the field `name` (lower case) passes `test`.
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool;
}

/// What a route's conditions are held against.
pub struct Request<'a> {
    pub authority: &'a [u8],
    /// In normal form, as the client sent it (also for transcoded requests).
    pub path: &'a [u8],
    /// `pkg.Service.Method` where the request calls a known one.
    pub method: Option<&'a str>,
    pub headers: &'a dyn Headers,
}

#[derive(Debug)]
pub struct Route {
    pub name: Box<str>,
    redirect: Option<Redirect>,
    authorities: Vec<Pattern>,
    path: Option<Box<[u8]>>,
    prefix: Option<Box<[u8]>>,
    service: Option<Box<str>>,
    method: Option<Box<str>>,
    headers: Vec<HeaderCondition>,
    /// (sum of the weights up to and with this one, backend index).
    backends: Vec<(u64, u32)>,
}

#[derive(Debug)]
struct HeaderCondition {
    name: Box<str>,
    value: ValueCondition,
    invert: bool,
}

#[derive(Debug)]
enum ValueCondition {
    Present,
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
    /// `exact` and `prefix` are both given.
    Both(Box<[u8]>, Box<[u8]>),
}

/// The index of the route that a request takes.
pub fn select(routes: &[Route], request: &Request<'_>) -> Option<usize> {
    let host = host(request.authority);
    let mut best: Option<(usize, usize)> = None;
    for (index, route) in routes.iter().enumerate() {
        let Some(closeness) = route.closeness(&host) else { continue };
        if best.is_none_or(|(_, other)| closeness > other) && route.holds(request) {
            best = Some((index, closeness));
            if closeness == usize::MAX {
                break;
            }
        }
    }
    best.map(|(index, _)| index)
}

impl Route {
    /// The one backend, where weights leave no choice.
    pub fn only_backend(&self) -> Option<u32> {
        match self.backends.as_slice() {
            [(_, backend)] => Some(*backend),
            _ => None,
        }
    }

    pub fn redirects(&self) -> bool {
        self.redirect.is_some()
    }

    /// (status, `Location`) of a route that redirects.
    pub fn redirect(&self, request: &Request<'_>, query: Option<&[u8]>, is_tls: bool) -> Option<(u16, String)> {
        let redirect = self.redirect.as_ref()?;
        let matched = self.prefix.as_deref().unwrap_or_default();
        let asked = Asked { is_tls, authority: request.authority, path: request.path, matched, query };
        Some((redirect.status, redirect.location(&asked)))
    }

    pub fn asks_for_headers(&self) -> bool {
        !self.headers.is_empty()
    }

    /// Whether every request takes this route.
    pub fn is_unconditional(&self) -> bool {
        self.authorities.is_empty()
            && self.path.is_none()
            && self.prefix.is_none()
            && self.service.is_none()
            && self.method.is_none()
            && self.headers.is_empty()
    }

    /// The backend for an evenly distributed random number.
    pub fn backend(&self, random: u32) -> Option<u32> {
        let total = self.backends.last()?.0;
        let point = (u64::from(random) * total) >> 32;
        self.backends.iter().find(|(sum, _)| point < *sum).map(|(_, backend)| *backend)
    }

    fn closeness(&self, host: &[u8]) -> Option<usize> {
        if self.authorities.is_empty() {
            return Some(0);
        }
        self.authorities.iter().filter_map(|pattern| pattern.closeness(host)).max()
    }

    fn holds(&self, request: &Request<'_>) -> bool {
        let bare = match request.path {
            b"/" => request.path,
            path => path.strip_suffix(b"/").unwrap_or(path),
        };
        self.path.as_deref().is_none_or(|path| path == request.path || path == bare)
            && self.prefix.as_deref().is_none_or(|prefix| {
                request.path.starts_with(prefix)
                    || prefix.strip_suffix(b"/").is_some_and(|prefix| prefix == request.path)
            })
            && self.names_method(request)
            && self.headers.iter().all(|header| header.holds(request.headers))
    }

    fn names_method(&self, request: &Request<'_>) -> bool {
        if self.service.is_none() && self.method.is_none() {
            return true;
        }
        let from_path = || {
            let (service, method) = std::str::from_utf8(request.path.get(1..)?).ok()?.split_once('/')?;
            Some((service, method.strip_suffix('/').unwrap_or(method)))
        };
        let Some((service, method)) = request.method.and_then(|name| name.rsplit_once('.')).or_else(from_path) else {
            return false;
        };
        self.service.as_deref().is_none_or(|wanted| wanted == service)
            && self.method.as_deref().is_none_or(|wanted| wanted == method)
    }
}

impl HeaderCondition {
    fn holds(&self, headers: &dyn Headers) -> bool {
        let found = headers.any(&self.name, &mut |value| match &self.value {
            ValueCondition::Present => true,
            ValueCondition::Exact(wanted) => value == &**wanted,
            ValueCondition::Prefix(prefix) => value.starts_with(prefix),
            ValueCondition::Both(wanted, prefix) => value == &**wanted && value.starts_with(prefix),
        });
        found != self.invert
    }
}

/// Compiles the routes; `backend` gives the index of a backend's name. Errors go to `errors` as `path: message`.
pub fn compile(
    routes: &[document::Route],
    backend: &dyn Fn(&str) -> Option<u32>,
    errors: &mut Vec<String>,
) -> Vec<Route> {
    routes.iter().enumerate().map(|(index, route)| compile_one(index, route, backend, errors)).collect()
}

fn compile_one(
    index: usize,
    route: &document::Route,
    backend: &dyn Fn(&str) -> Option<u32>,
    errors: &mut Vec<String>,
) -> Route {
    let mut error = |place: String, message: String| errors.push(format!("routes[{index}].{place}: {message}"));
    let matcher = &route.matcher;
    let mut authorities = Vec::new();
    for (position, text) in matcher.authorities.iter().enumerate() {
        match Pattern::parse(text) {
            Ok(pattern) => authorities.push(pattern),
            Err(message) => error(format!("match.authorities[{position}]"), message),
        }
    }
    for (name, text) in [("path", &matcher.path), ("path_prefix", &matcher.path_prefix)] {
        if let Some(message) = text.as_deref().and_then(not_normal) {
            error(format!("match.{name}"), message);
        }
    }
    if let Some(service) = matcher.service.as_deref().filter(|name| name.is_empty() || name.contains('/')) {
        error("match.service".into(), format!("`{service}` is not a service name such as `pkg.Service`"));
    }
    let (service, method) = match matcher.method.as_deref() {
        Some(name) if name.is_empty() || name.contains('/') => {
            error("match.method".into(), format!("`{name}` is not a method name such as `Get`"));
            (None, None)
        }
        Some(name) => match name.rsplit_once('.') {
            Some((service, _)) if matcher.service.as_deref().is_some_and(|other| other != service) => {
                error("match.method".into(), format!("`{name}` is not of the route's service"));
                (None, None)
            }
            Some((service, method)) => (Some(service), Some(method)),
            None => (matcher.service.as_deref(), Some(name)),
        },
        None => (matcher.service.as_deref(), None),
    };
    let mut headers = Vec::new();
    for (position, header) in matcher.headers.iter().enumerate() {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if header.name.is_empty() || !header.name.bytes().all(token) {
            error(format!("match.headers[{position}].name"), format!("`{}` is not a header name", header.name));
        }
        let bytes = |text: &Option<String>| text.as_ref().map(|text| text.as_bytes().into());
        let value = match (bytes(&header.exact), bytes(&header.prefix)) {
            (None, None) => ValueCondition::Present,
            (Some(exact), None) => ValueCondition::Exact(exact),
            (None, Some(prefix)) => ValueCondition::Prefix(prefix),
            (Some(exact), Some(prefix)) => ValueCondition::Both(exact, prefix),
        };
        headers.push(HeaderCondition { name: header.name.to_ascii_lowercase().into(), value, invert: header.invert });
    }
    let mut backends = Vec::new();
    let mut sum = 0;
    for (position, weighted) in route.backends.iter().enumerate() {
        match backend(&weighted.name) {
            Some(found) if weighted.weight > 0 => {
                sum += u64::from(weighted.weight);
                backends.push((sum, found));
            }
            Some(_) => {}
            None => error(format!("backends[{position}].name"), format!("no backend is called `{}`", weighted.name)),
        }
    }
    if route.redirect.is_some() {
        if !route.backends.is_empty() {
            error("backends".into(), "a route that redirects has no use for a backend".into());
        }
    } else if route.backends.is_empty() {
        error("backends".into(), "a route needs a backend".into());
    } else if route.backends.iter().all(|weighted| weighted.weight == 0) {
        error("backends".into(), "all weights are 0: no backend would ever be chosen".into());
    } else if sum > u64::from(u32::MAX) {
        error("backends".into(), format!("the weights sum to {sum}, over {}", u32::MAX));
    }
    let redirect = route.redirect.as_ref();
    Route {
        name: route.name.as_str().into(),
        redirect: redirect.map(|redirect| Redirect::compile(redirect, &format!("routes[{index}]"), errors)),
        authorities,
        path: matcher.path.as_deref().map(|path| path.as_bytes().into()),
        prefix: matcher.path_prefix.as_deref().map(|path| path.as_bytes().into()),
        service: service.map(Into::into),
        method: method.map(Into::into),
        headers,
        backends,
    }
}

/// Why no request's path will ever equal or begin with `text`.
fn not_normal(text: &str) -> Option<String> {
    match path::normalize(text.as_bytes()) {
        Err(error) => Some(error.to_string()),
        Ok(target) if target.query.is_some() => Some("a query is no part of a path".into()),
        Ok(target) if *target.path != *text.as_bytes() => {
            Some(format!("requests have it as `{}`", String::from_utf8_lossy(&target.path)))
        }
        Ok(_) => None,
    }
}
