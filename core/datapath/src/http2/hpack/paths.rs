//! Paths that a peer spells out with every request.
//!
//! Some clients (hyper's among them) keep `:path` out of the table, and it is the longest thing that they repeat. One that
//! comes again is recognised by its coded bytes, is not decoded again, and is the same field as before.

use super::Field;
use std::rc::Rc;

/// What is remembered for one connection.
const MOST: usize = 4;
const LONGEST: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Paths {
    /// (the coded string with its length in front, the field).
    entries: Vec<(Box<[u8]>, Rc<Field>)>,
    oldest: usize,
}

impl Paths {
    /// The field whose value is the string that `block` has here, and the string's coded length.
    #[inline]
    pub(super) fn find(&self, block: &[u8]) -> Option<(&Rc<Field>, usize)> {
        let known = self.entries.iter().find(|(coded, _)| block.starts_with(coded))?;
        Some((&known.1, known.0.len()))
    }

    pub(super) fn keep(&mut self, coded: &[u8], field: impl FnOnce() -> Rc<Field>) {
        if coded.len() > LONGEST {
            return;
        }
        let entry = (coded.into(), field());
        if self.entries.len() < MOST {
            self.entries.push(entry);
        } else {
            self.entries[self.oldest] = entry;
            self.oldest = (self.oldest + 1) % MOST;
        }
    }
}
