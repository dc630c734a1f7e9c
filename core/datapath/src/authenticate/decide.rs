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

use super::cache::{Caller, Profile, TokenCache, Verified};
use super::extract::{self, Found, RequestView};
use super::keys::SignatureCheck;
use super::provider::{Location, Provider, Requirement};
use super::status::{AuthStatus, Refusal};
use super::store::{KeyState, KeyStore};
use super::token::Token;
use super::userinfo;
use crate::admission::claim;
use crate::bytes::hash;
use std::sync::Arc;

/// What is to happen to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It passes. Without a caller no token was verified, and `X-Endpoint-API-UserInfo` must be absent, whatever the
    /// client sent. Nothing else has to be removed: every token in a place that this method reads was verified.
    Allow {
        caller: Option<Arc<Caller>>,
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
    pub(super) requirements: Vec<Requirement>,
    /// Of all the requirements' providers: indices into the authenticator's.
    pub(super) locations: Vec<usize>,
    pub(super) allow_without_credential: bool,
    pub(super) deny: Option<Arc<Refusal>>,
}

impl CompiledAccess {
    /// Everybody may pass, and no token is looked at.
    pub fn is_open(&self) -> bool {
        self.requirements.is_empty() && self.deny.is_none()
    }
}

/// A snapshot's providers. Shared by all workers.
#[derive(Debug, Clone)]
pub struct Authenticator {
    pub(super) providers: Vec<Provider>,
    pub(super) locations: Vec<Location>,
    pub(super) profile: Profile,
    /// What rate limits tell callers apart by.
    pub(super) limit_claims: Vec<String>,
}

/// What a request is judged by.
struct Inquiry<'a> {
    access: &'a CompiledAccess,
    store: &'a KeyStore,
    now: u64,
    may_wait: bool,
}

/// What one token comes to.
enum Judgement {
    Good { requirement: usize, caller: Arc<Caller> },
    Wait { provider: usize, key_id: Option<String> },
    Bad(AuthStatus),
}

/// Why a token does not satisfy a requirement.
enum Obstacle {
    Refused(AuthStatus),
    KeysMissing { key_id: Option<String> },
}

impl Authenticator {
    /// In the order of the document; the index is what a [`KeyStore`] made of them calls a provider.
    pub fn providers(&self) -> &[Provider] {
        &self.providers
    }

    /// From now on callers have `limit_keys` of these claims: names, or names joined by dots.
    pub fn tell_apart_by(&mut self, claims: Vec<String>) {
        self.profile.limit_claims = hash::hash(0, claims.join("\0").as_bytes());
        self.limit_claims = claims;
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
        self.decide(&Inquiry { access, store, now, may_wait: true }, request, cache)
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
        self.decide(&Inquiry { access, store, now, may_wait: false }, request, cache)
    }

    fn decide(&self, inquiry: &Inquiry, request: &dyn RequestView, cache: &mut TokenCache) -> Decision {
        let access = inquiry.access;
        if let Some(refusal) = &access.deny {
            return Decision::Deny(AuthStatus::Refused(Arc::clone(refusal)));
        }
        if access.requirements.is_empty() {
            return Decision::Allow { caller: None };
        }
        let tokens = match extract::tokens(request, &self.locations, &access.locations) {
            Ok(tokens) => tokens,
            Err(status) => return Decision::Deny(status),
        };
        cache.adopt(self.profile);
        let mut good: Option<(usize, Arc<Caller>)> = None;
        let mut bad: Option<AuthStatus> = None;
        let mut wait: Option<Decision> = None;
        for found in tokens.iter().flatten() {
            match self.judge(inquiry, found, cache) {
                Judgement::Good { requirement, caller } => {
                    if good.as_ref().is_none_or(|(former, _)| requirement < *former) {
                        good = Some((requirement, caller));
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
            (None, None, Some((_, caller))) => Decision::Allow { caller: Some(caller) },
            (None, None, None) if access.allow_without_credential => Decision::Allow { caller: None },
            (None, None, None) => Decision::Deny(AuthStatus::Missing),
        }
    }

    fn judge(&self, inquiry: &Inquiry, found: &Found, cache: &mut TokenCache) -> Judgement {
        let requirements = &inquiry.access.requirements;
        let hash = cache.hash(&found.token);
        if let Some(known) = cache.lookup(hash, &found.token, inquiry.now, inquiry.store) {
            let satisfied = requirements.iter().position(|requirement| {
                requirement.provider == known.provider
                    && self.reads(requirement, found)
                    && requirement.audiences.allow(&known.caller.claims.audiences)
            });
            if let Some(requirement) = satisfied {
                return Judgement::Good { requirement, caller: Arc::clone(&known.caller) };
            }
        }
        let token = match Token::parse(&found.token) {
            Ok(token) => token,
            Err(status) => return Judgement::Bad(status),
        };
        let mut bad = AuthStatus::UnknownIssuer;
        let mut wait = None;
        for (index, requirement) in requirements.iter().enumerate() {
            let provider = requirement.provider;
            let issued = self.providers.get(provider).is_some_and(|own| own.issuer == token.claims.issuer);
            if !issued || !self.reads(requirement, found) {
                continue;
            }
            match self.check(inquiry, requirement, &token) {
                Ok(generation) => {
                    let userinfo = userinfo::value(self.profile.format, &token);
                    let limit_keys = claim::limit_keys(&self.limit_claims, &token.claims.issuer, &token.payload);
                    let caller = Arc::new(Caller { claims: token.claims, userinfo, limit_keys });
                    let (skew, now) = (self.profile.skew, inquiry.now);
                    let verified = Verified::new(provider, generation, Arc::clone(&caller), skew, now);
                    cache.insert(hash, &found.token, verified);
                    return Judgement::Good { requirement: index, caller };
                }
                Err(Obstacle::Refused(status)) if bad == AuthStatus::UnknownIssuer => bad = status,
                Err(Obstacle::Refused(_)) => {}
                Err(Obstacle::KeysMissing { key_id }) => wait = wait.or(Some(Judgement::Wait { provider, key_id })),
            }
        }
        wait.unwrap_or(Judgement::Bad(bad))
    }

    /// The generation of the keys that verify the token.
    fn check(&self, inquiry: &Inquiry, requirement: &Requirement, token: &Token) -> Result<u64, Obstacle> {
        token.claims.check_time(inquiry.now, self.profile.skew).map_err(Obstacle::Refused)?;
        if !requirement.audiences.allow(&token.claims.audiences) {
            return Err(Obstacle::Refused(AuthStatus::AudienceNotAllowed));
        }
        let store = inquiry.store;
        let published = store.keys(requirement.provider).ok_or(Obstacle::Refused(AuthStatus::KeysFetchFailed))?;
        let keys = match &published.state {
            KeyState::Ready(keys) => keys,
            KeyState::NotFetched if inquiry.may_wait => return Err(Obstacle::KeysMissing { key_id: None }),
            KeyState::NotFetched | KeyState::Failed => return Err(Obstacle::Refused(AuthStatus::KeysFetchFailed)),
        };
        let key_id = token.key_id.as_deref();
        let may_come = || inquiry.may_wait && store.is_worth_waiting(requirement.provider, key_id, inquiry.now);
        let status = match keys.verify(token.algorithm, key_id, token.signing_input, &token.signature) {
            SignatureCheck::Valid => return Ok(published.generation),
            SignatureCheck::UnknownKeyId if may_come() => {
                return Err(Obstacle::KeysMissing { key_id: token.key_id.clone() });
            }
            _ if keys.is_empty() => AuthStatus::NoValidKeys,
            SignatureCheck::UnknownKeyId | SignatureCheck::NoMatchingKey => AuthStatus::NoMatchingKey,
            SignatureCheck::Invalid => AuthStatus::VerificationFailed,
            SignatureCheck::WrongLength => AuthStatus::Ed25519SignatureLength,
        };
        Err(Obstacle::Refused(status))
    }

    fn reads(&self, requirement: &Requirement, found: &Found) -> bool {
        self.providers.get(requirement.provider).is_some_and(|provider| provider.locations.contains(&found.location))
    }
}
