//! What earlier requests were found to ask for.
//!
//! A client names the same few methods again and again, and names them by the same entries of its HPACK table. What
//! follows from method, path and authority alone is then known without looking at them: that they are well-formed and in
//! normal form, the method that they call, its route and its backend. Who the caller is, is asked every time.

use super::facts::Facts;
use crate::bytes::hash::GOLDEN;
use crate::http2::hpack::{Field, HeaderList};
use std::rc::Rc;

/// Places; two requests that share one forget each other.
const PLACES: usize = 256;
/// Longer names are found out anew: each place keeps its two fields in memory.
const LONGEST: usize = 256;

/// What a request asks for, as numbers of the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// None: a method that is not known.
    pub(crate) method: Option<u32>,
    pub(crate) route: Option<u32>,
    pub(crate) backend: u32,
}

#[derive(Debug)]
struct Known {
    path: Rc<Field>,
    authority: Rc<Field>,
    /// Entry of the static table.
    method: u8,
    grpc: bool,
    found: Found,
}

#[derive(Debug)]
pub(super) struct Memo {
    places: Vec<Option<Known>>,
}

impl Memo {
    pub(super) fn new() -> Memo {
        Memo { places: std::iter::repeat_with(|| None).take(PLACES).collect() }
    }

    /// For a new snapshot, whose numbers are others.
    pub(super) fn clear(&mut self) {
        self.places.fill_with(|| None);
    }

    #[inline]
    pub(super) fn recall(&self, facts: &Facts, list: &HeaderList) -> Option<Found> {
        let (path, authority, method) = key(facts, list)?;
        let known = self.places[place(path, authority)].as_ref()?;
        let same = Rc::ptr_eq(&known.path, path)
            && Rc::ptr_eq(&known.authority, authority)
            && known.method == method
            && known.grpc == facts.grpc;
        same.then_some(known.found)
    }

    pub(super) fn keep(&mut self, facts: &Facts, list: &HeaderList, found: Found) {
        let Some((path, authority, method)) = key(facts, list) else { return };
        if path.value().len() <= LONGEST && authority.value().len() <= LONGEST {
            let at = place(path, authority);
            let (path, authority) = (path.clone(), authority.clone());
            self.places[at] = Some(Known { path, authority, method, grpc: facts.grpc, found });
        }
    }
}

/// Only fields of a table have an identity. `host` has to be compared with the authority.
#[inline]
fn key<'a>(facts: &Facts, list: &'a HeaderList) -> Option<(&'a Rc<Field>, &'a Rc<Field>, u8)> {
    if facts.host.get().is_some() {
        return None;
    }
    let method = list.static_entry(facts.method.get()?)?;
    Some((list.shared(facts.path.get()?)?, list.shared(facts.authority.get()?)?, method))
}

#[inline]
fn place(path: &Rc<Field>, authority: &Rc<Field>) -> usize {
    let mixed = (Rc::as_ptr(path) as usize).wrapping_mul(31).wrapping_add(Rc::as_ptr(authority) as usize);
    ((mixed as u64).wrapping_mul(GOLDEN) >> 32) as usize % PLACES
}
