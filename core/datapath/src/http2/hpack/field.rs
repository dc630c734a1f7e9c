//! One header field, shared by every table and list of a worker.

use super::Token;
use super::static_table::STATIC_FIELDS;
use crate::bytes::hash::hash;
use std::cell::Cell;
use std::rc::Rc;

/// A name and a value, with what would otherwise be found out again for every request.
#[derive(Debug)]
pub struct Field {
    bytes: Bytes,
    name_length: u32,
    /// 0 where no table of ours will ever hold it.
    pub(super) hash: u32,
    /// The number of its entry in the table that was last seen to hold it: a guess for the next one.
    pub(super) place: Cell<u32>,
    token: Token,
    /// No character in it that RFC 9113, section 8.2.1, forbids.
    pub(super) well_formed: bool,
    /// Index of this field, and of its name, in the static table; 0: not there.
    pub(super) static_index: u8,
    pub(super) static_name: u8,
}

/// Name and value, one behind the other. Most fit into the field itself, which saves an allocation for each that a
/// client adds to its table; `traceparent`, which many add with every request, has 66 bytes.
#[derive(Debug)]
enum Bytes {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(Box<[u8]>),
}

const SHORT: usize = 86;

impl Bytes {
    #[inline(always)]
    fn get(&self) -> &[u8] {
        match self {
            Bytes::Short { length, bytes } => &bytes[..*length as usize],
            Bytes::Long(bytes) => bytes,
        }
    }

    fn join(name: &[u8], value: &[u8]) -> Bytes {
        let length = name.len() + value.len();
        if length > SHORT {
            return Bytes::Long([name, value].concat().into_boxed_slice());
        }
        let mut bytes = [0; SHORT];
        bytes[..name.len()].copy_from_slice(name);
        bytes[name.len()..length].copy_from_slice(value);
        Bytes::Short { length: length as u8, bytes }
    }
}

impl Field {
    pub fn name(&self) -> &[u8] {
        &self.bytes.get()[..self.name_length as usize]
    }
    pub fn value(&self) -> &[u8] {
        &self.bytes.get()[self.name_length as usize..]
    }
    pub fn token(&self) -> Token {
        self.token
    }
    /// As the tables count it (RFC 7541, section 4.1).
    pub fn size(&self) -> usize {
        self.bytes.get().len() + 32
    }
    /// Whether it is the same name and value. Both have to be worth a place in a table.
    #[inline]
    pub(super) fn is(&self, other: &Field) -> bool {
        std::ptr::eq(self, other)
            || (self.hash == other.hash
                && self.name_length == other.name_length
                && self.bytes.get() == other.bytes.get())
    }
}

/// What all connections of a worker share: the static table as fields, and the key of the hashes.
#[derive(Debug)]
pub struct Dictionary {
    pub(super) fields: Vec<Rc<Field>>,
    seed: u64,
    /// Indices in the static table of the first entry of each name, by the name's length.
    names: [Vec<u8>; LONGEST_STATIC_NAME + 1],
}

/// `access-control-allow-origin`.
const LONGEST_STATIC_NAME: usize = 27;

/// What is known of a field before it is made: of its name, and whether all of it is well-formed.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownName {
    pub(super) token: Token,
    pub(super) static_name: u8,
    pub(super) well_formed: bool,
}

impl Field {
    pub(super) fn known_name(&self) -> KnownName {
        KnownName { token: self.token, static_name: self.static_name, well_formed: name_is_valid(self.name()) }
    }
}

impl Dictionary {
    /// `seed` must be unpredictable to clients, or they could choose fields that collide.
    pub fn new(seed: u64) -> Self {
        let mut names: [Vec<u8>; LONGEST_STATIC_NAME + 1] = Default::default();
        for (index, (name, _)) in (1..).zip(STATIC_FIELDS) {
            if index == 1 || STATIC_FIELDS[index as usize - 2].0 != name {
                names[name.len()].push(index);
            }
        }
        let mut dictionary = Dictionary { fields: Vec::with_capacity(STATIC_FIELDS.len()), seed, names };
        for (name, value) in STATIC_FIELDS {
            let field = dictionary.build(name.as_bytes(), value.as_bytes());
            dictionary.fields.push(Rc::new(field));
        }
        dictionary
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    pub fn field(&self, name: &[u8], value: &[u8]) -> Rc<Field> {
        Rc::new(self.build(name, value))
    }

    /// The same for what is known already; `spare`, if nobody else has it, is used again.
    pub(super) fn known_field(
        &self,
        known: KnownName,
        name: &[u8],
        value: &[u8],
        spare: Option<Rc<Field>>,
    ) -> Rc<Field> {
        let built = self.build_known(known, name, value);
        if let Some(mut spare) = spare
            && let Some(field) = Rc::get_mut(&mut spare)
        {
            *field = built;
            return spare;
        }
        Rc::new(built)
    }

    pub(super) fn known_name(&self, name: &[u8]) -> KnownName {
        let named = self.names.get(name.len()).into_iter().flatten();
        let found = named.copied().find(|&index| STATIC_FIELDS[index as usize - 1].0.as_bytes() == name);
        KnownName { token: Token::of(name), static_name: found.unwrap_or(0), well_formed: name_is_valid(name) }
    }

    fn build(&self, name: &[u8], value: &[u8]) -> Field {
        let mut known = self.known_name(name);
        known.well_formed &= value_is_valid(value);
        self.build_known(known, name, value)
    }

    #[inline]
    fn build_known(&self, known: KnownName, name: &[u8], value: &[u8]) -> Field {
        let bytes = Bytes::join(name, value);
        let hash = if known.token.worth_indexing() { hash(self.seed ^ name.len() as u64, bytes.get()) } else { 0 };
        Field {
            hash: hash as u32,
            place: Cell::new(0),
            bytes,
            name_length: name.len() as u32,
            token: known.token,
            well_formed: known.well_formed,
            static_index: static_index(known.static_name, value),
            static_name: known.static_name,
        }
    }
}

/// The entry of the static table with this value, among those of the name whose first entry is `first`.
fn static_index(first: u8, value: &[u8]) -> u8 {
    if first == 0 {
        return 0;
    }
    let name = STATIC_FIELDS[first as usize - 1].0;
    let entries = (first..).zip(&STATIC_FIELDS[first as usize - 1..]).take_while(|(_, field)| field.0 == name);
    entries.into_iter().find(|(_, field)| field.1.as_bytes() == value).map_or(0, |(index, _)| index)
}

/// RFC 9113, section 8.2.1, and the token rule of RFC 9110: what passes here may be written into HTTP/1.1 too.
pub(super) fn name_is_valid(name: &[u8]) -> bool {
    let rest = name.strip_prefix(b":").unwrap_or(name);
    !rest.is_empty() && rest.iter().all(|&byte| NAME[byte as usize])
}

/// No control characters, no blanks at either end.
#[inline]
pub(super) fn value_is_valid(value: &[u8]) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let (words, rest) = value.as_chunks::<8>();
    let bad = words.iter().fold(false, |bad, word| bad | may_hold_control(u64::from_le_bytes(*word)));
    let is_control = |byte: &u8| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f;
    let controls = rest.iter().any(is_control) || (bad && value.iter().any(is_control));
    !controls && !blank(value.first()) && !blank(value.last())
}

/// Whether one of eight bytes is below 0x20 or is 0x7f. Some others may be taken for such, never the reverse.
#[inline(always)]
fn may_hold_control(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let low = word.wrapping_sub(ONES * 0x20) & !word;
    let delete = (word ^ (ONES * 0x7f)).wrapping_sub(ONES) & !(word ^ (ONES * 0x7f));
    (low | delete) & TOPS != 0
}

/// Lower-case token characters (RFC 9110, section 5.6.2).
const NAME: [bool; 256] = {
    let mut table = [false; 256];
    let allowed = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz";
    let mut at = 0;
    while at < allowed.len() {
        table[allowed[at] as usize] = true;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_are_looked_through_byte_by_byte(value in proptest::collection::vec(any::<u8>(), 0..40)) {
            let control = value.iter().any(|&byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f);
            let blank = |byte: Option<&u8>| byte.is_some_and(|byte| b" \t".contains(byte));
            prop_assert_eq!(value_is_valid(&value), !control && !blank(value.first()) && !blank(value.last()));
        }

        #[test]
        fn text_is_valid_wherever_one_byte_is_not(text in "[a-z \t]{0,40}", at in 0usize..40, byte: u8) {
            let mut value = format!("a{text}a").into_bytes();
            let at = at % value.len();
            value[at] = byte;
            let control = (byte < 0x20 && byte != b'\t') || byte == 0x7f;
            let blank = b" \t".contains(&byte) && (at == 0 || at + 1 == value.len());
            prop_assert_eq!(value_is_valid(&value), !control && !blank);
        }
    }
}
