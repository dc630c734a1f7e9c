//! The decision: may this request pass, and who is its caller?
//!
//! For each token that `extract` found, the requirements whose provider issued it (`iss`, byte for byte) and reads its
//! location are tried in order; one that is satisfied suffices. Checks come in Envoy's order, cheapest first: form,
//! issuer, times, audience, keys, signature.
//!
//! All tokens of a request have to be good, not just one: the backend may look at any of them. Of several refusals the
//! most telling is reported: no token < a token of an issuer that is not configured < anything else that is wrong with
//! a token, the first of these in the order of locations and requirements. A refusal outranks waiting for keys, since
//! waiting could not help.

use super::cache::{Profile, TokenCache, Verified};
use super::extract::{self, Found, RequestView};
use super::keys::SignatureCheck;
use super::provider::{Audiences, Location, Provider, Requirement};
use super::status::{AuthStatus, Refusal};
use super::store::{KeyState, KeyStore};
use super::token::{Claims, Token};
use super::userinfo;
use crate::snapshot::document;
use std::sync::Arc;

/// What is to happen to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It passes. Without `userinfo` no token was verified: the header must then be absent, whatever the client sent.
    /// Nothing else has to be removed, as every token in a place that this method reads was verified.
    Allow {
        userinfo: Option<Arc<[u8]>>,
        claims: Option<Arc<Claims>>,
    },
    Deny(AuthStatus),
    /// Keys are missing that may come. [`KeyStore::ask`] says whether to raise a wanted event; once the keys changed, the
    /// fetch failed or patience ran out, [`Authenticator::decide_after_wait`] decides.
    Wait {
        provider: usize,
        key_id: Option<String>,
    },
}

/// A method's or route's access rules, compiled against one [`Authenticator`].
#[derive(Debug, Clone, Default)]
pub struct CompiledAccess {
    requirements: Vec<Requirement>,
    locations: Vec<usize>,
    allow_without_credential: bool,
    deny: Option<Arc<Refusal>>,
}

/// A snapshot's providers. Shared by all workers.
#[derive(Debug, Clone)]
pub struct Authenticator {
    providers: Vec<Provider>,
    locations: Vec<Location>,
    profile: Profile,
}

enum Judgement {
    Good { requirement: usize, userinfo: Arc<[u8]>, claims: Arc<Claims> },
    Wait { provider: usize, key_id: Option<String> },
    Bad(AuthStatus),
}

impl Authenticator {
    /// Errors are `path: message`, all of them.
    pub fn compile(document: &document::Authentication) -> Result<Authenticator, Vec<String>> {
        let mut errors = Vec::new();
        let mut locations = Vec::new();
        let mut providers: Vec<Provider> = Vec::new();
        for (index, provider) in document.providers.iter().enumerate() {
            let path = format!("authentication.providers[{index}]");
            if provider.id.is_empty() {
                errors.push(format!("{path}.id: must not be empty"));
            } else if providers.iter().any(|former| former.id == provider.id) {
                errors.push(format!("{path}.id: {:?} is the id of an earlier provider", provider.id));
            }
            if provider.issuer.is_empty() {
                errors.push(format!("{path}.issuer: must not be empty, it would match tokens without an issuer"));
            }
            let audiences = Audiences::compile(&provider.audiences).unwrap_or_else(|error| {
                errors.push(format!("{path}.audiences: {error}"));
                Audiences::default()
            });
            let mut own = Vec::new();
            for (place, location) in provider.locations.iter().enumerate() {
                match Location::compile(location) {
                    Ok(location) => own.push(location),
                    Err(error) => errors.push(format!("{path}.locations[{place}]: {error}")),
                }
            }
            if provider.locations.is_empty() {
                own = Location::defaults();
            }
            let (id, issuer) = (provider.id.clone(), provider.issuer.clone());
            let locations = own.into_iter().map(|location| intern(&mut locations, location)).collect();
            providers.push(Provider { id, issuer, audiences, locations });
        }
        let profile = Profile {
            capacity: document.cache_size as usize,
            skew: document.clock_skew_s,
            format: document.userinfo_format,
        };
        if errors.is_empty() { Ok(Authenticator { providers, locations, profile }) } else { Err(errors) }
    }

    /// `path` is where the rules stand in the document, for messages.
    pub fn compile_access(&self, access: &document::Access, path: &str) -> Result<CompiledAccess, Vec<String>> {
        let mut errors = Vec::new();
        let mut compiled = CompiledAccess {
            allow_without_credential: access.allow_without_credential,
            deny: access.deny.clone().map(|(http_status, message)| Arc::new(Refusal { http_status, message })),
            ..CompiledAccess::default()
        };
        if let Some((status, _)) = access.deny.as_ref().filter(|(status, _)| !(400..=599).contains(status)) {
            errors.push(format!("{path}.deny: {status} is no HTTP error status"));
        }
        for (index, requirement) in access.requirements.iter().enumerate() {
            let path = format!("{path}.requirements[{index}]");
            let found = self.providers.iter().enumerate().find(|(_, provider)| provider.id == requirement.provider);
            let Some((place, provider)) = found else {
                errors.push(format!("{path}.provider: there is no provider {:?}", requirement.provider));
                continue;
            };
            match Audiences::compile(&requirement.audiences) {
                Err(error) => errors.push(format!("{path}.audiences: {error}")),
                Ok(own) => {
                    let audiences = if own.is_empty() { provider.audiences.clone() } else { own };
                    compiled.requirements.push(Requirement { provider: place, audiences });
                }
            }
            for location in &provider.locations {
                if !compiled.locations.contains(location) {
                    compiled.locations.push(*location);
                }
            }
        }
        if errors.is_empty() { Ok(compiled) } else { Err(errors) }
    }

    /// In the order of the document; the index is what a [`KeyStore`] made of them calls a provider.
    pub fn providers(&self) -> &[Provider] {
        &self.providers
    }

    /// Decides a request. `store` must be made of this authenticator's providers; `now` is unix seconds.
    pub fn authenticate(
        &self,
        access: &CompiledAccess,
        request: &dyn RequestView,
        store: &KeyStore,
        cache: &mut TokenCache,
        now: u64,
    ) -> Decision {
        self.decide(access, request, store, cache, now, true)
    }

    /// As `authenticate`, but never says [`Decision::Wait`]: what is not known by now counts as not known.
    pub fn decide_after_wait(
        &self,
        access: &CompiledAccess,
        request: &dyn RequestView,
        store: &KeyStore,
        cache: &mut TokenCache,
        now: u64,
    ) -> Decision {
        self.decide(access, request, store, cache, now, false)
    }

    fn decide(
        &self,
        access: &CompiledAccess,
        request: &dyn RequestView,
        store: &KeyStore,
        cache: &mut TokenCache,
        now: u64,
        may_wait: bool,
    ) -> Decision {
        if let Some(refusal) = &access.deny {
            return Decision::Deny(AuthStatus::Refused(Arc::clone(refusal)));
        }
        if access.requirements.is_empty() {
            return Decision::Allow { userinfo: None, claims: None };
        }
        let tokens = match extract::tokens(request, &self.locations, &access.locations) {
            Ok(tokens) => tokens,
            Err(status) => return Decision::Deny(status),
        };
        cache.adopt(self.profile);
        let mut good: Option<(usize, Arc<[u8]>, Arc<Claims>)> = None;
        let mut bad: Option<AuthStatus> = None;
        let mut wait = None;
        for found in tokens.iter().flatten() {
            match self.judge(access, found, store, cache, now, may_wait) {
                Judgement::Good { requirement, userinfo, claims } => {
                    if good.as_ref().is_none_or(|(former, ..)| requirement < *former) {
                        good = Some((requirement, userinfo, claims));
                    }
                }
                Judgement::Wait { provider, key_id } => wait = wait.or(Some(Decision::Wait { provider, key_id })),
                Judgement::Bad(status) => {
                    if bad.as_ref().is_none_or(|former| *former == AuthStatus::UnknownIssuer) {
                        bad = Some(status);
                    }
                }
            }
        }
        match (bad, wait, good) {
            (Some(status), ..) => Decision::Deny(status),
            (None, Some(wait), _) => wait,
            (None, None, Some((_, userinfo, claims))) => {
                Decision::Allow { userinfo: Some(userinfo), claims: Some(claims) }
            }
            (None, None, None) if access.allow_without_credential => Decision::Allow { userinfo: None, claims: None },
            (None, None, None) => Decision::Deny(AuthStatus::Missing),
        }
    }

    fn judge(
        &self,
        access: &CompiledAccess,
        found: &Found,
        store: &KeyStore,
        cache: &mut TokenCache,
        now: u64,
        may_wait: bool,
    ) -> Judgement {
        let hash = cache.hash(&found.token);
        if let Some(known) = cache.lookup(hash, &found.token, now, store) {
            let satisfied = access.requirements.iter().position(|requirement| {
                requirement.provider == known.provider
                    && self.reads(requirement, found)
                    && requirement.audiences.allow(&known.claims.audiences)
            });
            if let Some(requirement) = satisfied {
                let (userinfo, claims) = (Arc::clone(&known.userinfo), Arc::clone(&known.claims));
                return Judgement::Good { requirement, userinfo, claims };
            }
        }
        let token = match Token::parse(&found.token) {
            Ok(token) => token,
            Err(status) => return Judgement::Bad(status),
        };
        let mut bad = AuthStatus::UnknownIssuer;
        let mut wait = None;
        for (index, requirement) in access.requirements.iter().enumerate() {
            let issued = self.providers.get(requirement.provider).is_some_and(|own| own.issuer == token.claims.issuer);
            if !issued || !self.reads(requirement, found) {
                continue;
            }
            match self.check(requirement, &token, store, now, may_wait) {
                Ok(generation) => {
                    let userinfo = userinfo::value(self.profile.format, &token);
                    let claims = Arc::new(token.claims);
                    let (provider, skew) = (requirement.provider, self.profile.skew);
                    let (kept_userinfo, kept_claims) = (Arc::clone(&userinfo), Arc::clone(&claims));
                    let verified = Verified::new(provider, generation, kept_claims, kept_userinfo, skew, now);
                    cache.insert(hash, &found.token, verified);
                    return Judgement::Good { requirement: index, userinfo, claims };
                }
                Err(Judgement::Bad(status)) if bad == AuthStatus::UnknownIssuer => bad = status,
                Err(later) => wait = wait.or(Some(later).filter(|later| matches!(later, Judgement::Wait { .. }))),
            }
        }
        wait.unwrap_or(Judgement::Bad(bad))
    }

    /// The generation of the keys that verify the token.
    fn check(
        &self,
        requirement: &Requirement,
        token: &Token,
        store: &KeyStore,
        now: u64,
        may_wait: bool,
    ) -> Result<u64, Judgement> {
        token.claims.check_time(now, self.profile.skew).map_err(Judgement::Bad)?;
        if !requirement.audiences.allow(&token.claims.audiences) {
            return Err(Judgement::Bad(AuthStatus::AudienceNotAllowed));
        }
        let provider = requirement.provider;
        let published = store.keys(provider).ok_or(Judgement::Bad(AuthStatus::KeysFetchFailed))?;
        let keys = match &published.state {
            KeyState::Ready(keys) => keys,
            KeyState::NotFetched if may_wait => return Err(Judgement::Wait { provider, key_id: None }),
            KeyState::NotFetched | KeyState::Failed => return Err(Judgement::Bad(AuthStatus::KeysFetchFailed)),
        };
        let key_id = token.key_id.as_deref();
        let status = match keys.verify(token.algorithm, key_id, token.signing_input, &token.signature) {
            SignatureCheck::Valid => return Ok(published.generation),
            SignatureCheck::UnknownKeyId if may_wait && store.is_worth_waiting(provider, key_id, now) => {
                return Err(Judgement::Wait { provider, key_id: token.key_id.clone() });
            }
            _ if keys.is_empty() => AuthStatus::NoValidKeys,
            SignatureCheck::UnknownKeyId | SignatureCheck::NoMatchingKey => AuthStatus::NoMatchingKey,
            SignatureCheck::Invalid => AuthStatus::VerificationFailed,
            SignatureCheck::WrongLength => AuthStatus::Ed25519SignatureLength,
        };
        Err(Judgement::Bad(status))
    }

    fn reads(&self, requirement: &Requirement, found: &Found) -> bool {
        self.providers.get(requirement.provider).is_some_and(|provider| provider.locations.contains(&found.location))
    }
}

fn intern(locations: &mut Vec<Location>, location: Location) -> usize {
    locations.iter().position(|former| *former == location).unwrap_or_else(|| {
        locations.push(location);
        locations.len() - 1
    })
}
