//! The header fields of one message, as they were decoded, ready to be read, edited and coded for another peer.

use super::field::{name_is_valid, value_is_valid};
use super::{Dictionary, Field, Token};
use std::rc::Rc;

/// A range of a list's `text`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

#[derive(Debug, Clone)]
pub(super) enum Name {
    Static(u8),
    Shared(Rc<Field>),
    Text(Span),
}

#[derive(Debug, Clone)]
pub struct Literal {
    pub(super) name: Name,
    pub(super) token: Token,
    pub(super) value: Span,
    pub(super) never_indexed: bool,
}

#[derive(Debug, Clone)]
pub enum Header {
    /// An entry of the static table.
    Static(u8),
    /// A field that some table holds, or that is worth holding.
    Shared(Rc<Field>),
    Literal(Literal),
}

/// What a message's header section may hold (SETTINGS_MAX_HEADER_LIST_SIZE counts name + value + 32 for each field).
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub bytes: usize,
    pub fields: usize,
}

/// Owns all that it refers to, so it can be kept for a retry; emptied and used again without allocating.
#[derive(Debug, Default)]
pub struct HeaderList {
    pub(super) headers: Vec<Header>,
    pub(super) text: Vec<u8>,
    pub(super) bytes: usize,
    /// Over the limits: the rest was decoded for the table's sake and dropped.
    pub(super) oversize: bool,
    pub(super) malformed: bool,
}

impl HeaderList {
    pub fn clear(&mut self) {
        self.headers.clear();
        self.text.clear();
        self.bytes = 0;
        self.oversize = false;
        self.malformed = false;
    }

    pub fn is_oversize(&self) -> bool {
        self.oversize
    }
    /// Some name or value has a character that is not allowed.
    pub fn is_malformed(&self) -> bool {
        self.malformed
    }
    pub fn len(&self) -> usize {
        self.headers.len()
    }
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty()
    }
    /// Bytes that this list keeps allocated, for budgets.
    pub fn footprint(&self) -> usize {
        self.text.capacity() + self.headers.capacity() * size_of::<Header>()
    }

    #[inline]
    pub fn token(&self, dictionary: &Dictionary, index: usize) -> Token {
        match &self.headers[index] {
            Header::Static(entry) => dictionary.fields[*entry as usize - 1].token(),
            Header::Shared(field) => field.token(),
            Header::Literal(literal) => literal.token,
        }
    }

    pub fn name<'a>(&'a self, dictionary: &'a Dictionary, index: usize) -> &'a [u8] {
        match &self.headers[index] {
            Header::Static(entry) => dictionary.fields[*entry as usize - 1].name(),
            Header::Shared(field) => field.name(),
            Header::Literal(literal) => match &literal.name {
                Name::Static(entry) => dictionary.fields[*entry as usize - 1].name(),
                Name::Shared(field) => field.name(),
                Name::Text(span) => self.span(*span),
            },
        }
    }

    #[inline]
    pub fn value<'a>(&'a self, dictionary: &'a Dictionary, index: usize) -> &'a [u8] {
        match &self.headers[index] {
            Header::Static(entry) => dictionary.fields[*entry as usize - 1].value(),
            Header::Shared(field) => field.value(),
            Header::Literal(literal) => self.span(literal.value),
        }
    }

    /// The field itself where some table holds it: equal fields of a worker are mostly the same allocation.
    pub fn shared(&self, index: usize) -> Option<&Rc<Field>> {
        match &self.headers[index] {
            Header::Shared(field) => Some(field),
            _ => None,
        }
    }

    pub fn push_shared(&mut self, field: &Rc<Field>) {
        self.headers.push(Header::Shared(field.clone()));
    }

    /// Adds a field that no table shall hold. False: a character that is not allowed, and nothing was added.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> bool {
        if !name_is_valid(name) || !value_is_valid(value) {
            return false;
        }
        let (name_span, token) = (self.append(name), Token::of(name));
        let value = self.append(value);
        self.headers.push(Header::Literal(Literal {
            name: Name::Text(name_span),
            token,
            value,
            never_indexed: token.is_credential(),
        }));
        true
    }

    /// As `push`, for a name in any case.
    pub fn push_lowercase(&mut self, name: &[u8], value: &[u8]) -> bool {
        match name.iter().any(u8::is_ascii_uppercase) {
            true => self.push(&name.to_ascii_lowercase(), value),
            false => self.push(name, value),
        }
    }

    /// Adds copies of all fields to another list.
    pub fn append_to(&self, dictionary: &Dictionary, other: &mut HeaderList) {
        for (index, header) in self.headers.iter().enumerate() {
            match header {
                Header::Static(entry) => other.headers.push(Header::Static(*entry)),
                Header::Shared(field) => other.headers.push(Header::Shared(field.clone())),
                Header::Literal(literal) => {
                    let name = match &literal.name {
                        Name::Text(_) => Name::Text(other.append(self.name(dictionary, index))),
                        name => name.clone(),
                    };
                    let value = other.append(self.value(dictionary, index));
                    other.headers.push(Header::Literal(Literal { name, value, ..*literal }));
                }
            }
        }
    }

    /// (name, value) of each field.
    pub fn iter<'a>(&'a self, dictionary: &'a Dictionary) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        (0..self.len()).map(move |index| (self.name(dictionary, index), self.value(dictionary, index)))
    }

    /// Adds a field whose name is that of `named` and whose value is known to be well-formed; no table shall hold it.
    pub fn push_named(&mut self, named: &Rc<Field>, value: &[u8]) {
        let value = self.append(value);
        let (token, name) = (named.token(), Name::Shared(named.clone()));
        let never_indexed = token.is_credential();
        self.headers.push(Header::Literal(Literal { name, token, value, never_indexed }));
    }

    /// Adds a pseudo field, which has to stand before all others.
    pub fn push_front(&mut self, dictionary: &Dictionary, name: &[u8], value: &[u8]) {
        self.headers.insert(0, Header::Shared(dictionary.field(name, value)));
    }

    /// Replaces a value; the name stays.
    pub fn set_value(&mut self, dictionary: &Dictionary, index: usize, value: &[u8]) {
        let name = match &self.headers[index] {
            Header::Static(entry) => Name::Static(dictionary.fields[*entry as usize - 1].static_name),
            Header::Shared(field) => Name::Shared(field.clone()),
            Header::Literal(literal) => literal.name.clone(),
        };
        let token = self.token(dictionary, index);
        let value = self.append(value);
        let never_indexed = token.is_credential();
        self.headers[index] = Header::Literal(Literal { name, token, value, never_indexed });
    }

    pub fn set_shared(&mut self, index: usize, field: &Rc<Field>) {
        self.headers[index] = Header::Shared(field.clone());
    }

    pub fn remove(&mut self, index: usize) {
        self.headers.remove(index);
    }

    /// Keeps the fields for which `keep(token, index)` says so, in order.
    pub fn retain(&mut self, dictionary: &Dictionary, mut keep: impl FnMut(Token) -> bool) {
        let fields = &dictionary.fields;
        self.headers.retain(|header| {
            keep(match header {
                Header::Static(entry) => fields[*entry as usize - 1].token(),
                Header::Shared(field) => field.token(),
                Header::Literal(literal) => literal.token,
            })
        });
    }

    /// Drops the fields whose names begin with `prefix`.
    pub fn remove_prefixed(&mut self, dictionary: &Dictionary, prefix: &[u8]) {
        for index in (0..self.len()).rev() {
            if self.name(dictionary, index).starts_with(prefix) {
                self.headers.remove(index);
            }
        }
    }

    /// Of several fields of this kind the last alone stays.
    pub fn keep_last(&mut self, dictionary: &Dictionary, token: Token) {
        let last = (0..self.len()).rfind(|&index| self.token(dictionary, index) == token);
        for index in (0..last.unwrap_or(0)).rev() {
            if self.token(dictionary, index) == token {
                self.headers.remove(index);
            }
        }
    }

    /// The first field with this name.
    pub fn find(&self, dictionary: &Dictionary, name: &[u8]) -> Option<usize> {
        (0..self.len()).find(|&index| self.name(dictionary, index) == name)
    }

    pub fn find_token(&self, dictionary: &Dictionary, token: Token) -> Option<usize> {
        (0..self.len()).find(|&index| self.token(dictionary, index) == token)
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Span {
        let start = self.text.len() as u32;
        self.text.extend_from_slice(bytes);
        Span { start, end: self.text.len() as u32 }
    }

    #[inline]
    fn span(&self, span: Span) -> &[u8] {
        &self.text[span.start as usize..span.end as usize]
    }
}
