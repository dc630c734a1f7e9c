//! Which retry policy a request has: its method's, else its route's, else its backend's.

use super::Backend;
use super::document::{Document, Method, Retry, Route};
use crate::upstream::retry::Policy;
use std::sync::Arc;

/// By the numbers of methods, routes and backends.
pub(crate) struct Retries {
    methods: Vec<Option<Arc<Policy>>>,
    routes: Vec<Option<Arc<Policy>>>,
    /// Those whose requests are counted: the budget is a share of all of them.
    backends: Vec<Option<Arc<Policy>>>,
}

impl Retries {
    /// `None`: no request has more to it than what its pool does by itself.
    pub(super) fn compile(document: &Document, backends: &[Arc<Backend>], faults: &mut Vec<String>) -> Option<Retries> {
        let mut own = |retry: &Option<Retry>, place: &str, index: usize| {
            let path = format!("{place}[{index}].retry");
            retry.as_ref().map(|retry| Arc::new(Policy::compile(retry, &path, faults)))
        };
        let methods = document.methods.iter().enumerate();
        let methods: Vec<_> = methods.map(|(index, method)| own(&method.retry, "methods", index)).collect();
        let routes = document.routes.iter().enumerate();
        let routes: Vec<_> = routes.map(|(index, route)| own(&route.retry, "routes", index)).collect();
        let is_counted = |backend: &Arc<Backend>| {
            let of_route = |route: &Route| route.backends.iter().any(|weighted| weighted.name == backend.name);
            let of_method = |method: &Method| method.backend.as_ref().is_none_or(|name| *name == backend.name);
            backend.retry.watches()
                || backend.breakers.max_requests > 0
                || document.routes.iter().any(|route| route.retry.is_some() && of_route(route))
                || document.methods.iter().any(|method| method.retry.is_some() && of_method(method))
        };
        let backends: Vec<_> =
            backends.iter().map(|backend| is_counted(backend).then(|| backend.retry.clone())).collect();
        let any = backends.iter().any(Option::is_some);
        any.then_some(Retries { methods, routes, backends })
    }

    /// `None`: the backend's requests are not counted, and its policy is all there is.
    pub(crate) fn of(&self, method: Option<u32>, route: Option<u32>, backend: u32) -> Option<&Arc<Policy>> {
        let own = |list: &'_ [Option<Arc<Policy>>], index: Option<u32>| {
            index.filter(|&index| list.get(index as usize).is_some_and(Option::is_some))
        };
        if let Some(index) = own(&self.methods, method) {
            return self.methods[index as usize].as_ref();
        }
        if let Some(index) = own(&self.routes, route) {
            return self.routes[index as usize].as_ref();
        }
        self.backends.get(backend as usize)?.as_ref()
    }
}
