//! Encoding of header blocks (RFC 7541, section 6).
//!
//! The dynamic table is a queue of shared fields with an open-addressed index over their hashes beside it. The index is
//! four times as large as the number of entries that 4,096 bytes can hold, so a look-up ends after a step or two.

use super::list::{Form, HeaderList, Name, Span};
use super::{Field, TABLE_SIZE, integer};
use std::collections::VecDeque;
use std::rc::Rc;

const SLOTS: usize = 512;
const FREE: u32 = u32::MAX;
/// A field that takes half of the table would push out all that is worth keeping.
const LARGEST_INDEXED: usize = TABLE_SIZE / 2;

/// Encodes the blocks of one direction of a connection, in order.
#[derive(Debug)]
pub struct Encoder {
    /// The oldest first; its number is `first`.
    table: VecDeque<Rc<Field>>,
    first: u32,
    size: usize,
    limit: usize,
    /// (hash, number of the entry); made when the first field is indexed.
    index: Option<Box<[(u32, u32); SLOTS]>>,
    /// Table size updates that the next block has to begin with: the smallest since, then the current one.
    announce: Option<(usize, usize)>,
}

impl Default for Encoder {
    fn default() -> Self {
        Encoder { table: VecDeque::new(), first: 0, size: 0, limit: TABLE_SIZE, index: None, announce: None }
    }
}

impl Encoder {
    /// Takes the peer's SETTINGS_HEADER_TABLE_SIZE.
    pub fn set_limit(&mut self, limit: usize) {
        let limit = limit.min(TABLE_SIZE);
        if limit == self.limit {
            return;
        }
        let smallest = self.announce.map_or(limit, |(smallest, _)| smallest.min(limit));
        self.announce = Some((smallest, limit));
        self.limit = limit;
        self.make_room(0);
    }

    /// To be called once before the fields of each block.
    #[inline]
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        if let Some((smallest, current)) = self.announce.take() {
            if smallest < current {
                integer::write(out, 0x20, 5, smallest);
            }
            integer::write(out, 0x20, 5, current);
        }
    }

    /// Writes every field of `list`.
    pub fn list(&mut self, list: &HeaderList, out: &mut Vec<u8>) {
        for header in &list.headers {
            match &header.form {
                Form::Static(entry) => out.push(0x80 | entry),
                Form::Shared(field) => self.field(field, out),
                Form::Literal { name, value } => {
                    let never = header.never_indexed || header.token.is_credential();
                    self.literal(list, name, *value, never, out);
                }
            }
        }
    }

    /// A field that may enter the table.
    #[inline]
    pub fn field(&mut self, field: &Rc<Field>, out: &mut Vec<u8>) {
        if field.static_index != 0 {
            out.push(0x80 | field.static_index);
            return;
        }
        let token = field.token();
        let worth = token.worth_indexing();
        if worth && let Some(index) = self.find(field) {
            integer::write(out, 0x80, 7, index);
            return;
        }
        let keep = worth && field.size() <= LARGEST_INDEXED && field.size() <= self.limit;
        let (first, prefix) = match (keep, token.is_credential()) {
            (true, _) => (0x40, 6),
            (false, true) => (0x10, 4),
            (false, false) => (0x00, 4),
        };
        integer::write(out, first, prefix, field.static_name as usize);
        if field.static_name == 0 {
            integer::write_string(out, field.name());
        }
        integer::write_string(out, field.value());
        if keep {
            self.insert(field);
        }
    }

    /// A field of no table, from its parts.
    pub fn plain(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        out.push(0);
        integer::write_string(out, name);
        integer::write_string(out, value);
    }

    #[inline]
    fn literal(&mut self, list: &HeaderList, name: &Name, value: Span, never: bool, out: &mut Vec<u8>) {
        let first = if never { 0x10 } else { 0 };
        match name {
            Name::Static(entry) => integer::write(out, first, 4, *entry as usize),
            Name::Shared(field) if field.static_name != 0 => integer::write(out, first, 4, field.static_name as usize),
            Name::Shared(field) => {
                let held = if field.token().worth_indexing() { self.find(field) } else { None };
                match held {
                    Some(index) => integer::write(out, first, 4, index),
                    None => {
                        out.push(first);
                        integer::write_string(out, field.name());
                    }
                }
            }
            Name::Text(span) => {
                out.push(first);
                integer::write_string(out, &list.text[span.start as usize..span.end as usize]);
            }
        }
        let value = &list.text[value.start as usize..value.end as usize];
        integer::write(out, 0, 7, value.len());
        out.extend_from_slice(value);
    }

    /// The HPACK index of an equal field in the table.
    #[inline]
    fn find(&self, field: &Rc<Field>) -> Option<usize> {
        let guess = field.place.get().wrapping_sub(self.first) as usize;
        if self.table.get(guess).is_some_and(|held| held.is(field)) {
            return Some(61 + self.table.len() - guess);
        }
        self.search(field)
    }

    fn search(&self, field: &Rc<Field>) -> Option<usize> {
        let index = self.index.as_ref()?;
        let mut slot = field.hash as usize % SLOTS;
        loop {
            let (hash, number) = index[slot];
            if number == FREE {
                return None;
            }
            if hash == field.hash {
                let at = number.wrapping_sub(self.first) as usize;
                if self.table[at].is(field) {
                    field.place.set(number);
                    return Some(61 + self.table.len() - at);
                }
            }
            slot = (slot + 1) % SLOTS;
        }
    }

    fn insert(&mut self, field: &Rc<Field>) {
        self.make_room(field.size());
        let number = self.first.wrapping_add(self.table.len() as u32);
        self.size += field.size();
        self.table.push_back(field.clone());
        let index = self.index.get_or_insert_with(|| Box::new([(0, FREE); SLOTS]));
        let mut slot = field.hash as usize % SLOTS;
        while index[slot].1 != FREE {
            slot = (slot + 1) % SLOTS;
        }
        index[slot] = (field.hash, number);
    }

    fn make_room(&mut self, room: usize) {
        while self.size + room > self.limit {
            let Some(field) = self.table.pop_front() else { break };
            self.size -= field.size();
            if let Some(index) = &mut self.index {
                remove(index, field.hash, self.first);
            }
            self.first = self.first.wrapping_add(1);
        }
    }
}

/// Removes an entry and moves up those behind it, so that no probe sequence is interrupted.
fn remove(index: &mut [(u32, u32); SLOTS], hash: u32, number: u32) {
    let mut hole = hash as usize % SLOTS;
    while index[hole].1 != number {
        if index[hole].1 == FREE {
            return;
        }
        hole = (hole + 1) % SLOTS;
    }
    let mut slot = hole;
    loop {
        slot = (slot + 1) % SLOTS;
        if index[slot].1 == FREE {
            break;
        }
        let home = index[slot].0 as usize % SLOTS;
        if slot.wrapping_sub(home) % SLOTS >= slot.wrapping_sub(hole) % SLOTS {
            index[hole] = index[slot];
            hole = slot;
        }
    }
    index[hole].1 = FREE;
}
