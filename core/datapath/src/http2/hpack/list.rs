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
pub(super) struct Header {
    pub(super) token: Token,
    /// The sender forbids tables to hold it.
    pub(super) never_indexed: bool,
    pub(super) form: Form,
}

#[derive(Debug, Clone)]
pub(super) enum Form {
    /// An entry of the static table.
    Static(u8),
    /// A field that some table holds, or that is worth holding.
    Shared(Rc<Field>),
    Literal {
        name: Name,
        value: Span,
    },
}

impl Header {
    #[inline]
    pub(super) fn shared(field: &Rc<Field>) -> Header {
        Header { token: field.token(), never_indexed: false, form: Form::Shared(field.clone()) }
    }

    #[inline]
    fn literal(name: Name, token: Token, value: Span) -> Header {
        Header { token, never_indexed: token.is_credential(), form: Form::Literal { name, value } }
    }
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
    pub fn token(&self, index: usize) -> Token {
        self.headers[index].token
    }

    /// Of all fields, in order.
    #[inline]
    pub fn tokens(&self) -> impl Iterator<Item = Token> {
        self.headers.iter().map(|header| header.token)
    }

    pub fn name<'a>(&'a self, dictionary: &'a Dictionary, index: usize) -> &'a [u8] {
        match &self.headers[index].form {
            Form::Static(entry) => dictionary.fields[*entry as usize - 1].name(),
            Form::Shared(field) => field.name(),
            Form::Literal { name: Name::Static(entry), .. } => dictionary.fields[*entry as usize - 1].name(),
            Form::Literal { name: Name::Shared(field), .. } => field.name(),
            Form::Literal { name: Name::Text(span), .. } => self.span(*span),
        }
    }

    #[inline]
    pub fn value<'a>(&'a self, dictionary: &'a Dictionary, index: usize) -> &'a [u8] {
        match &self.headers[index].form {
            Form::Static(entry) => dictionary.fields[*entry as usize - 1].value(),
            Form::Shared(field) => field.value(),
            Form::Literal { value, .. } => self.span(*value),
        }
    }

    /// The field itself where some table holds it: equal fields of a worker are mostly the same allocation.
    pub fn shared(&self, index: usize) -> Option<&Rc<Field>> {
        match &self.headers[index].form {
            Form::Shared(field) => Some(field),
            _ => None,
        }
    }

    /// The entry of the static table that the field is.
    pub fn static_entry(&self, index: usize) -> Option<u8> {
        match self.headers[index].form {
            Form::Static(entry) => Some(entry),
            _ => None,
        }
    }

    pub fn push_shared(&mut self, field: &Rc<Field>) {
        self.headers.push(Header::shared(field));
    }

    /// Adds a field that no table shall hold. False: a character that is not allowed, and nothing was added.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> bool {
        if !name_is_valid(name) || !value_is_valid(value) {
            return false;
        }
        let (name_span, token) = (self.append(name), Token::of(name));
        let value = self.append(value);
        self.headers.push(Header::literal(Name::Text(name_span), token, value));
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
            let mut copy = header.clone();
            if let Form::Literal { name, value } = &mut copy.form {
                if matches!(name, Name::Text(_)) {
                    *name = Name::Text(other.append(self.name(dictionary, index)));
                }
                *value = other.append(self.value(dictionary, index));
            }
            other.headers.push(copy);
        }
    }

    /// (name, value) of each field.
    pub fn iter<'a>(&'a self, dictionary: &'a Dictionary) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        (0..self.len()).map(move |index| (self.name(dictionary, index), self.value(dictionary, index)))
    }

    /// Adds a field whose name is that of `named` and whose value is known to be well-formed; no table shall hold it.
    pub fn push_named(&mut self, named: &Rc<Field>, value: &[u8]) {
        let value = self.append(value);
        self.headers.push(Header::literal(Name::Shared(named.clone()), named.token(), value));
    }

    /// Adds a pseudo field, which has to stand before all others.
    pub fn push_front(&mut self, dictionary: &Dictionary, name: &[u8], value: &[u8]) {
        self.headers.insert(0, Header::shared(&dictionary.field(name, value)));
    }

    /// Replaces a value; the name stays.
    pub fn set_value(&mut self, dictionary: &Dictionary, index: usize, value: &[u8]) {
        let name = match &self.headers[index].form {
            Form::Static(entry) => Name::Static(dictionary.fields[*entry as usize - 1].static_name),
            Form::Shared(field) => Name::Shared(field.clone()),
            Form::Literal { name, .. } => name.clone(),
        };
        let (token, value) = (self.token(index), self.append(value));
        self.headers[index] = Header::literal(name, token, value);
    }

    pub fn set_shared(&mut self, index: usize, field: &Rc<Field>) {
        self.headers[index] = Header::shared(field);
    }

    pub fn remove(&mut self, index: usize) {
        self.headers.remove(index);
    }

    /// Keeps the fields for which `keep(token)` says so, in order.
    pub fn retain(&mut self, mut keep: impl FnMut(Token) -> bool) {
        self.headers.retain(|header| keep(header.token));
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
    pub fn keep_last(&mut self, token: Token) {
        let last = (0..self.len()).rfind(|&index| self.token(index) == token);
        for index in (0..last.unwrap_or(0)).rev() {
            if self.token(index) == token {
                self.headers.remove(index);
            }
        }
    }

    /// The first field with this name.
    pub fn find(&self, dictionary: &Dictionary, name: &[u8]) -> Option<usize> {
        (0..self.len()).find(|&index| self.name(dictionary, index) == name)
    }

    pub fn find_token(&self, token: Token) -> Option<usize> {
        (0..self.len()).find(|&index| self.token(index) == token)
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
