//! One worker with its authenticator, key store and cache, and requests to put to it.

use crate::mint::NOW;
use serde_json::{Value, json};
use tidegate_datapath::authenticate::cache::TokenCache;
use tidegate_datapath::authenticate::decide::{Authenticator, CompiledAccess, Decision};
use tidegate_datapath::authenticate::extract::RequestView;
use tidegate_datapath::authenticate::keys::KeySet;
use tidegate_datapath::authenticate::status::AuthStatus;
use tidegate_datapath::authenticate::store::KeyStore;
use tidegate_datapath::snapshot::document;

#[derive(Default, Clone)]
pub(crate) struct Request {
    headers: Vec<(String, Vec<u8>)>,
    query: Option<Vec<u8>>,
}

impl Request {
    pub(crate) fn bearer(token: &str) -> Request {
        Request::default().header("authorization", format!("Bearer {token}"))
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Request {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub(crate) fn query(mut self, query: impl AsRef<[u8]>) -> Request {
        self.query = Some(query.as_ref().to_vec());
        self
    }
}

impl RequestView for Request {
    fn headers<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8])) {
        self.headers.iter().filter(|(own, _)| own == name).for_each(|(_, value)| each(value));
    }

    fn query(&self) -> Option<&[u8]> {
        self.query.as_deref()
    }
}

pub(crate) struct World {
    pub(crate) authenticator: Authenticator,
    pub(crate) store: KeyStore,
    pub(crate) cache: TokenCache,
    pub(crate) access: CompiledAccess,
    pub(crate) now: u64,
}

pub(crate) fn authentication(document: Value) -> document::Authentication {
    serde_json::from_value(document).expect("an authentication document")
}

pub(crate) fn access(document: Value) -> document::Access {
    serde_json::from_value(document).expect("an access document")
}

impl World {
    /// One provider `main` for `https://issuer.example` with default locations and the audience of the test tokens.
    pub(crate) fn new() -> World {
        let provider = json!({"id": "main", "issuer": "https://issuer.example", "audiences": ["https://api.example"]});
        World::with(json!({"providers": [provider]}), json!({"requirements": [{"provider": "main"}]}))
    }

    pub(crate) fn with(providers: Value, rules: Value) -> World {
        let authenticator = Authenticator::compile(&authentication(providers)).expect("providers that compile");
        let compiled = authenticator.compile_access(&access(rules), "access").expect("rules that compile");
        let store = KeyStore::new(authenticator.providers(), None);
        World { authenticator, store, cache: TokenCache::new(0), access: compiled, now: NOW }
    }

    pub(crate) fn keys(self, provider: &str, jwks: &str) -> World {
        self.set_keys(provider, jwks);
        self
    }

    pub(crate) fn set_keys(&self, provider: &str, jwks: &str) {
        let index = self.store.index_of(provider).expect("a provider");
        self.store.set(index, KeySet::parse(jwks).expect("a key set"), self.now);
    }

    pub(crate) fn rules(&mut self, rules: Value) {
        self.access = self.authenticator.compile_access(&access(rules), "access").expect("rules that compile");
    }

    pub(crate) fn ask(&mut self, request: &Request) -> Decision {
        self.authenticator.authenticate(&self.access, request, &self.store, &mut self.cache, self.now)
    }

    pub(crate) fn ask_after_wait(&mut self, request: &Request) -> Decision {
        self.authenticator.decide_after_wait(&self.access, request, &self.store, &mut self.cache, self.now)
    }

    pub(crate) fn subject(&mut self, request: &Request) -> String {
        match self.ask(request) {
            Decision::Allow { caller: Some(caller) } => caller.claims.subject.clone().unwrap_or_default(),
            other => panic!("no verified caller: {other:?}"),
        }
    }

    /// What the backend is told of the caller.
    pub(crate) fn info(&mut self, request: &Request) -> String {
        match self.ask(request) {
            Decision::Allow { caller: Some(caller) } => String::from_utf8_lossy(&caller.userinfo).into_owned(),
            other => panic!("no verified caller: {other:?}"),
        }
    }

    pub(crate) fn refusal(&mut self, request: &Request) -> AuthStatus {
        match self.ask(request) {
            Decision::Deny(status) => status,
            other => panic!("not refused: {other:?}"),
        }
    }
}
