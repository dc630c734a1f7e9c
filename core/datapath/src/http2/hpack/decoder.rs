//! Decoding of header blocks (RFC 7541, section 3).

use super::field::{Field, KnownName, value_is_valid};
use super::list::{Form, Header, HeaderList, Limits, Name, Span};
use super::paths::Paths;
use super::{Dictionary, TABLE_SIZE, Token, huffman, integer};
use std::collections::VecDeque;
use std::rc::Rc;

/// The block cannot be decoded; the connection's tables no longer agree, so it has to end (RFC 7541, section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeError;

/// Decodes the blocks of one direction of a connection, in order.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The newest first.
    table: VecDeque<Rc<Field>>,
    size: usize,
    limit: Option<usize>,
    /// What was pushed out of the table last, to be used for what is added next.
    spare: Option<Rc<Field>>,
    paths: Paths,
    /// The last credential: (as it was coded, its text).
    credential: Option<Box<(Vec<u8>, Vec<u8>)>>,
}

/// Credentials from this length on are worth remembering: decoding one costs more than comparing it with the last.
const LONG_CREDENTIAL: usize = 64;

impl Decoder {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(TABLE_SIZE)
    }

    fn make_room(&mut self, room: usize) {
        while self.size + room > self.limit() {
            let Some(field) = self.table.pop_back() else { break };
            self.size -= field.size();
            self.spare = Some(field);
        }
    }

    /// Adds what there is room for; a field larger than the table empties it (RFC 7541, section 4.4).
    fn insert(&mut self, field: Rc<Field>) {
        if field.size() <= self.limit() {
            self.size += field.size();
            self.table.push_front(field);
        }
    }

    /// Decodes one whole block into `list`, which the caller has cleared.
    ///
    /// A list that exceeds `limits`, or a name or value with forbidden characters, is marked in the list and is no error:
    /// the table has to follow all the same.
    pub fn decode(
        &mut self,
        dictionary: &Dictionary,
        block: &[u8],
        limits: Limits,
        list: &mut HeaderList,
    ) -> Result<(), DecodeError> {
        let mut at = 0;
        let mut fields_seen = false;
        while let Some(&first) = block.get(at) {
            if first & 0x80 != 0 {
                let index = integer::read(block, &mut at, 7).ok_or(DecodeError)?;
                let (field, form) = match index {
                    0 => return Err(DecodeError),
                    1..=61 => (&dictionary.fields[index - 1], Form::Static(index as u8)),
                    _ => {
                        let field = self.table.get(index - 62).ok_or(DecodeError)?;
                        (field, Form::Shared(field.clone()))
                    }
                };
                let header = Header { token: field.token(), never_indexed: false, form };
                admit(list, limits, header, field.size(), field.well_formed);
            } else if first & 0xe0 == 0x20 {
                let size = integer::read(block, &mut at, 5).ok_or(DecodeError)?;
                if fields_seen || size > TABLE_SIZE {
                    return Err(DecodeError);
                }
                self.limit = Some(size);
                self.make_room(0);
                continue;
            } else {
                self.literal(dictionary, block, &mut at, first, limits, list)?;
            }
            fields_seen = true;
        }
        Ok(())
    }

    #[inline]
    fn literal(
        &mut self,
        dictionary: &Dictionary,
        block: &[u8],
        at: &mut usize,
        first: u8,
        limits: Limits,
        list: &mut HeaderList,
    ) -> Result<(), DecodeError> {
        let indexed = first & 0x40 != 0;
        let text_before = list.text.len();
        let index = integer::read(block, at, if indexed { 6 } else { 4 }).ok_or(DecodeError)?;
        let (name, known) = match index {
            0 => {
                let span = read_string(block, at, &mut list.text)?;
                let name = &list.text[span.start as usize..span.end as usize];
                (Name::Text(span), dictionary.known_name(name))
            }
            1..=61 => (Name::Static(index as u8), dictionary.fields[index - 1].known_name()),
            _ => {
                let field = self.table.get(index - 62).ok_or(DecodeError)?;
                (Name::Shared(field.clone()), field.known_name())
            }
        };
        let token = known.token;
        let is_path = token == Token::Path && first & 0xf0 == 0;
        if is_path && let Some((field, length)) = self.paths.find(&block[*at..]) {
            list.text.truncate(text_before);
            *at += length;
            admit(list, limits, Header::shared(field), field.size(), field.well_formed);
            return Ok(());
        }
        let coded_from = *at;
        let value = if token == Token::Authorization {
            self.read_credential(block, at, &mut list.text)?
        } else {
            read_string(block, at, &mut list.text)?
        };
        let well_formed = known.well_formed && value_is_valid(&list.text[value.start as usize..value.end as usize]);
        let name_length = match &name {
            Name::Static(entry) => dictionary.fields[*entry as usize - 1].name().len(),
            Name::Shared(field) => field.name().len(),
            Name::Text(span) => (span.end - span.start) as usize,
        };
        if is_path && well_formed {
            let value = &list.text[value.start as usize..value.end as usize];
            self.paths.keep(&block[coded_from..*at], || dictionary.field(b":path", value));
        }
        let size = name_length + (value.end - value.start) as usize + 32;
        let header = if indexed {
            self.make_room(size);
            let bytes = |span: Span| &list.text[span.start as usize..span.end as usize];
            let text = match &name {
                Name::Static(entry) => dictionary.fields[*entry as usize - 1].name(),
                Name::Shared(named) => named.name(),
                Name::Text(span) => bytes(*span),
            };
            let known = KnownName { well_formed, ..known };
            let field = dictionary.known_field(known, text, bytes(value), self.spare.take());
            list.text.truncate(text_before);
            self.insert(field.clone());
            Header { token, never_indexed: false, form: Form::Shared(field) }
        } else {
            Header { token, never_indexed: first & 0x10 != 0, form: Form::Literal { name, value } }
        };
        if !admit(list, limits, header, size, well_formed) {
            list.text.truncate(text_before);
        }
        Ok(())
    }
}

impl Decoder {
    /// As `read_string`. Clients send the same token with every request and keep it out of the table: the last one is
    /// recognised by its coded bytes and not decoded again.
    fn read_credential(&mut self, block: &[u8], at: &mut usize, text: &mut Vec<u8>) -> Result<Span, DecodeError> {
        let mut behind = *at;
        let huffman = block.get(*at).is_some_and(|byte| byte & 0x80 != 0);
        let length = integer::read(block, &mut behind, 7).ok_or(DecodeError)?;
        let coded = block.get(behind..behind + length).ok_or(DecodeError)?;
        if !huffman || length < LONG_CREDENTIAL {
            return read_string(block, at, text);
        }
        *at = behind + length;
        let start = text.len() as u32;
        match &mut self.credential {
            Some(last) if last.0 == coded => text.extend_from_slice(&last.1),
            last => {
                huffman::decode(coded, text).map_err(|_| DecodeError)?;
                let last = last.get_or_insert_default();
                last.0.clear();
                last.0.extend_from_slice(coded);
                last.1.clear();
                last.1.extend_from_slice(&text[start as usize..]);
            }
        }
        Ok(Span { start, end: text.len() as u32 })
    }
}

#[inline]
fn admit(list: &mut HeaderList, limits: Limits, header: Header, size: usize, well_formed: bool) -> bool {
    list.bytes += size;
    list.malformed |= !well_formed;
    if list.bytes > limits.bytes || list.headers.len() >= limits.fields {
        list.oversize = true;
        return false;
    }
    list.headers.push(header);
    true
}

fn read_plain(block: &[u8], at: &mut usize, text: &mut Vec<u8>) -> Result<Span, DecodeError> {
    let length = integer::read(block, at, 7).ok_or(DecodeError)?;
    let bytes = block.get(*at..*at + length).ok_or(DecodeError)?;
    *at += length;
    let start = text.len() as u32;
    text.extend_from_slice(bytes);
    Ok(Span { start, end: text.len() as u32 })
}

#[inline]
fn read_string(block: &[u8], at: &mut usize, text: &mut Vec<u8>) -> Result<Span, DecodeError> {
    if block.get(*at).ok_or(DecodeError)? & 0x80 == 0 {
        return read_plain(block, at, text);
    }
    let length = integer::read(block, at, 7).ok_or(DecodeError)?;
    let bytes = block.get(*at..*at + length).ok_or(DecodeError)?;
    *at += length;
    let start = text.len() as u32;
    huffman::decode(bytes, text).map_err(|_| DecodeError)?;
    Ok(Span { start, end: text.len() as u32 })
}
