//! Query strings: `a=1&b.c=x+y`.

use crate::route::path::percent_decode;
use std::borrow::Cow;

/// More parameters are refused.
pub const MAX_PARAMETERS: usize = 1000;

/// The (name, value) pairs of a query, decoded; a name without `=` has an empty value, empty pairs are skipped.
pub fn parameters(query: &[u8]) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    query.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let place = pair.iter().position(|&byte| byte == b'=');
        let (name, value) = match place {
            Some(place) => (pair.get(..place).unwrap_or_default(), pair.get(place + 1..).unwrap_or_default()),
            None => (pair, &[][..]),
        };
        (decode(name), decode(value))
    })
}

fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let spaced: Vec<u8> = text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    let mut out = Vec::with_capacity(spaced.len());
    percent_decode(&spaced, |_| true, &mut out);
    Cow::Owned(out)
}
