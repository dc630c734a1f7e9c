use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// The value of one member of a JSON object, as far as a JWT's registered names need it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Member<'a> {
    Text(Cow<'a, str>),
    /// A non-negative integer.
    Integer(u64),
    /// Any other number: negative, fractional or with an exponent.
    Number(f64),
    List(Vec<Member<'a>>),
    Other,
}

/// Why [`read`] gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MembersError {
    /// No JSON object, or bytes after it.
    NotAnObject,
    /// A wanted member stands twice.
    Duplicate,
}

/// Reads the members `names` of a JSON object; absent ones are `None`, others are skipped.
///
/// A wanted name that occurs twice is an error: a reader that takes the first and one that takes the last would see
/// different tokens. Lists are read one level deep. Skipped values cost neither memory nor stack, however deep.
pub(super) fn read<'a, const N: usize>(
    text: &'a str,
    names: [&'static str; N],
) -> Result<[Option<Member<'a>>; N], MembersError> {
    let mut duplicate = false;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let reader = ObjectReader { names, duplicate: &mut duplicate };
    let members = (&mut deserializer).deserialize_map(reader).and_then(|members| deserializer.end().map(|()| members));
    if duplicate { Err(MembersError::Duplicate) } else { members.map_err(|_| MembersError::NotAnObject) }
}

struct ObjectReader<'d, const N: usize> {
    names: [&'static str; N],
    duplicate: &'d mut bool,
}

impl<'de, const N: usize> Visitor<'de> for ObjectReader<'_, N> {
    type Value = [Option<Member<'de>>; N];

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = [const { None }; N];
        while let Some(Name(name)) = map.next_key::<Name>()? {
            let slot = self.names.iter().zip(&mut members).find(|(wanted, _)| **wanted == name);
            match slot {
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
                Some((_, Some(_))) => {
                    *self.duplicate = true;
                    return Err(A::Error::custom("duplicate member"));
                }
                Some((_, slot)) => *slot = Some(map.next_value()?),
            }
        }
        Ok(members)
    }
}

struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

impl<'de> Deserialize<'de> for Member<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MemberVisitor { lists: true })
    }
}

/// Reads a value; inside a list (`lists` false) a further list is skipped, which bounds the recursion.
struct MemberVisitor {
    lists: bool,
}

impl<'de> serde::de::DeserializeSeed<'de> for MemberVisitor {
    type Value = Member<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for MemberVisitor {
    type Value = Member<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Member::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Member::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Member::Integer(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Member::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Member::Number(number))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Member::Other)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Member::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        if !self.lists {
            while sequence.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Member::Other);
        }
        let mut list = Vec::new();
        while let Some(element) = sequence.next_element_seed(MemberVisitor { lists: false })? {
            list.push(element);
        }
        Ok(Member::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Member::Other)
    }
}
