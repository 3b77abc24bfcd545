//! The field names of a row, derived from its `Deserialize` implementation.
//!
//! A row is decoded from made-up values, and each value that it asks for is one of its fields. The
//! header of a part can therefore not name other fields than the rows have.
//!
//! A field of a field is named `outer.inner`, the elements of a tuple by their index, and a value
//! that may be missing has a `?` after its name.

use serde::de::value::{Error, StrDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

/// Returns the names of all fields, in the order in which they are written.
pub(super) fn names<T: DeserializeOwned>() -> Vec<String> {
    let mut names = Vec::new();
    let row = T::deserialize(Field { path: String::new(), names: &mut names });
    debug_assert!(row.is_ok(), "a row consists of fields that can't be named");
    names
}

/// A value at a path, which notes the names of the fields in it.
struct Field<'a> {
    path: String,
    names: &'a mut Vec<String>,
}

/// The fields of a value that have not been read.
struct Below<'a, I> {
    path: &'a str,
    left: I,
    names: &'a mut Vec<String>,
}

/// Each of these values is a field by itself.
macro_rules! values {
    ($($deserialize:ident $visit:ident $value:expr,)*) => {$(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.names.push(self.path);
            visitor.$visit($value)
        }
    )*};
}

impl<'de> Deserializer<'de> for Field<'_> {
    type Error = Error;

    values! {
        deserialize_bool visit_bool false,
        deserialize_i8 visit_i8 0,
        deserialize_i16 visit_i16 0,
        deserialize_i32 visit_i32 0,
        deserialize_i64 visit_i64 0,
        deserialize_i128 visit_i128 0,
        deserialize_u8 visit_u8 0,
        deserialize_u16 visit_u16 0,
        deserialize_u32 visit_u32 0,
        deserialize_u64 visit_u64 0,
        deserialize_u128 visit_u128 0,
        deserialize_f32 visit_f32 0.0,
        deserialize_f64 visit_f64 0.0,
        deserialize_str visit_str "A",
        deserialize_string visit_str "A",
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        self.path.push('?');
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Below { path: &self.path, left: 0..length, names: self.names })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_map(Below { path: &self.path, left: fields.iter().peekable(), names: self.names })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.names.push(self.path);
        let first = variants.first().ok_or_else(|| Error::custom("an enum without variants"))?;
        let variant: StrDeserializer<'_, Error> = (*first).into_deserializer();
        visitor.visit_enum(variant)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(Error::custom("a value without fixed fields"))
    }

    forward_to_deserialize_any! {
        char bytes byte_buf unit unit_struct seq tuple_struct map identifier ignored_any
    }
}

impl<I> Below<'_, I> {
    fn field(&mut self, name: &str) -> Field<'_> {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Field { path, names: self.names }
    }
}

impl<'de, I: Iterator<Item = usize>> SeqAccess<'de> for Below<'_, I> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(index) = self.left.next() else { return Ok(None) };
        seed.deserialize(self.field(&index.to_string())).map(Some)
    }
}

type Names = std::iter::Peekable<std::slice::Iter<'static, &'static str>>;

impl<'de> MapAccess<'de> for Below<'_, Names> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some(name) = self.left.peek() else { return Ok(None) };
        let key: StrDeserializer<'_, Error> = (**name).into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let name = self.left.next().ok_or_else(|| Error::custom("a value without a key"))?;
        seed.deserialize(self.field(name))
    }
}
