use super::cache::Profile;
use super::decide::{Authenticator, CompiledAccess};
use super::provider::{Audiences, Location, Provider, Requirement};
use super::status::Refusal;
use crate::snapshot::document;
use std::sync::Arc;

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
            limit_claims: 0,
        };
        let authenticator = Authenticator { providers, locations, profile, limit_claims: Vec::new() };
        if errors.is_empty() { Ok(authenticator) } else { Err(errors) }
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
}

fn intern(locations: &mut Vec<Location>, location: Location) -> usize {
    locations.iter().position(|former| *former == location).unwrap_or_else(|| {
        locations.push(location);
        locations.len() - 1
    })
}
