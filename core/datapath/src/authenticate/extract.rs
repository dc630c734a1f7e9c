//! Finds the tokens of a request.
//!
//! The rule that everything here serves: a credential that was not checked must not reach the backend as if it had
//! been. Backends differ in which of two `Authorization` headers or `access_token` parameters they read, so one
//! location may hold one value only. A second, different one is refused, even one that is no token by itself. Equal
//! repetitions are harmless and pass. Different locations may hold different tokens; the decision then asks that all
//! of them are good. (Envoy checks every header of a name but only the first query parameter and cookie.)
//!
//! A prefix that ends in a space is an authentication scheme: it matches whatever its case (RFC 9110, section 11.1),
//! and any run of blanks may follow. Envoy is case-sensitive here; were we, `bearer` would carry an unchecked token past
//! a method that allows callers without one.

use super::provider::Location;
use super::status::AuthStatus;
use std::borrow::Cow;

/// Tokens of one request that are looked at; each may cost a signature check.
pub const MAX_TOKENS: usize = 4;

/// A request's headers and query, as authentication needs them.
pub trait RequestView {
    /// Calls `each` with every value of the header `name` (lower case), in order.
    fn headers<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8]));

    /// What follows the `?`, still percent-encoded.
    fn query(&self) -> Option<&[u8]>;
}

pub(super) struct Found<'a> {
    pub(super) token: Cow<'a, [u8]>,
    /// Index into the authenticator's locations.
    pub(super) location: usize,
}

/// The tokens at `locations` (indices into `all`), in that order.
pub(super) fn tokens<'a>(
    request: &'a dyn RequestView,
    all: &[Location],
    locations: &[usize],
) -> Result<[Option<Found<'a>>; MAX_TOKENS], AuthStatus> {
    let mut found = [const { None }; MAX_TOKENS];
    let mut slots = found.iter_mut();
    for &index in locations {
        let token = match all.get(index) {
            Some(Location::Header { name, prefix }) => in_header(request, name, prefix)?.map(Cow::Borrowed),
            Some(Location::Query { name }) => in_query(request.query().unwrap_or_default(), name)?,
            Some(Location::Cookie { name }) => in_cookies(request, name)?.map(Cow::Borrowed),
            None => None,
        };
        if let Some(token) = token {
            *slots.next().ok_or(AuthStatus::MultipleTokens)? = Some(Found { token, location: index });
        }
    }
    Ok(found)
}

fn in_header<'a>(request: &'a dyn RequestView, name: &str, prefix: &str) -> Result<Option<&'a [u8]>, AuthStatus> {
    let mut first: Option<&[u8]> = None;
    let mut token = None;
    let mut differ = false;
    request.headers(name, &mut |value| {
        let value = value.trim_ascii();
        differ |= first.is_some_and(|first| first != value);
        first = first.or(Some(value));
        token = token.or_else(|| after_prefix(value, prefix).filter(|token| !token.is_empty()));
    });
    if token.is_some() && differ { Err(AuthStatus::MultipleTokens) } else { Ok(token) }
}

fn after_prefix<'a>(value: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    let Some(scheme) = prefix.strip_suffix(' ').filter(|scheme| !scheme.is_empty()) else {
        return value.strip_prefix(prefix.as_bytes());
    };
    let (start, rest) = value.split_at_checked(scheme.len())?;
    let separated = rest.first().is_some_and(u8::is_ascii_whitespace);
    (separated && start.eq_ignore_ascii_case(scheme.as_bytes())).then(|| rest.trim_ascii_start())
}

fn in_query<'a>(query: &'a [u8], name: &str) -> Result<Option<Cow<'a, [u8]>>, AuthStatus> {
    let values = query.split(|byte| *byte == b'&').filter_map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (key, value) = pair.split_at_checked(equals)?;
        (percent_decoded(key) == name.as_bytes()).then(|| percent_decoded(value.get(1..).unwrap_or_default()))
    });
    only_one(values)
}

/// Decodes `%41` as `A`; a `%` that no two hexadecimal digits follow stays, as no token contains one.
fn percent_decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match (byte, digit(after.first()), digit(after.get(1))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => decoded.push(*byte),
        }
    }
    Cow::Owned(decoded)
}

fn in_cookies<'a>(request: &'a dyn RequestView, name: &str) -> Result<Option<&'a [u8]>, AuthStatus> {
    let mut token: Option<&'a [u8]> = None;
    let mut differ = false;
    request.headers("cookie", &mut |header| {
        let values = header.split(|byte| *byte == b';').filter_map(|pair| {
            let pair = pair.trim_ascii();
            pair.strip_prefix(name.as_bytes())?.trim_ascii_start().strip_prefix(b"=").map(unquoted)
        });
        match only_one(values.map(Cow::Borrowed)) {
            Ok(Some(Cow::Borrowed(value))) => {
                differ |= token.is_some_and(|token| token != value);
                token = Some(value);
            }
            Ok(_) => {}
            Err(_) => differ = true,
        }
    });
    if differ { Err(AuthStatus::MultipleTokens) } else { Ok(token) }
}

/// RFC 6265, section 4.1.1: a cookie's value may stand in double quotes.
fn unquoted(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}

fn only_one<'a>(values: impl Iterator<Item = Cow<'a, [u8]>>) -> Result<Option<Cow<'a, [u8]>>, AuthStatus> {
    let mut only: Option<Cow<[u8]>> = None;
    for value in values {
        match &only {
            Some(former) if *former != value => return Err(AuthStatus::MultipleTokens),
            Some(_) => {}
            None => only = Some(value),
        }
    }
    Ok(only.filter(|value| !value.is_empty()))
}
