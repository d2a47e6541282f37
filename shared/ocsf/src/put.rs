//! A record as values of columns. Each value goes to its leaf as it is serialized, without a tree of the record.

use std::fmt::Display;

use serde::{
    Serialize, Serializer,
    ser::{Impossible, SerializeMap, SerializeSeq, SerializeStruct},
};

use crate::{
    leaves::{Leaves, Levels, Nested, OtherType, Shape, Slot},
    record::OcsfEvent,
};

/// The reason why a record doesn't fit into its columns.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Mismatch {
    #[error(transparent)]
    OtherType(#[from] OtherType),
    #[error("a record has no {0}, which its class requires")]
    Missing(&'static str),
    #[error("a record has {0}, which is no column, or not in their order")]
    NoColumn(&'static str),
    #[error("{0}")]
    Other(String),
}

impl serde::ser::Error for Mismatch {
    fn custom<T: Display>(message: T) -> Self {
        Self::Other(message.to_string())
    }
}

/// Puts a record, whose shape is `shape`, into the leaves.
pub(crate) fn put_record(record: &OcsfEvent<'_>, shape: &Shape, leaves: &mut Leaves) -> Result<(), Mismatch> {
    record.serialize(ValuePutter { shape, leaves, levels: Levels::default() })
}

/// A serializer of one value.
struct ValuePutter<'a> {
    shape: &'a Shape,
    leaves: &'a mut Leaves,
    levels: Levels,
}

impl ValuePutter<'_> {
    fn number(self, number: u64) -> Result<(), Mismatch> {
        let leaf = self.shape.scalar()?;
        Ok(self.leaves.put_number(leaf, number, self.levels)?)
    }
}

/// A serializer of the fields of a struct, which come in the order of its slots.
struct FieldPutter<'a> {
    slots: std::slice::Iter<'a, Slot>,
    leaves: &'a mut Leaves,
    levels: Levels,
}

impl FieldPutter<'_> {
    fn put_absent(&mut self, slot: &Slot) -> Result<(), Mismatch> {
        if slot.required {
            return Err(Mismatch::Missing(slot.name));
        }
        self.leaves.put_absent(&slot.shape.leaves, self.levels);
        Ok(())
    }
}

impl SerializeStruct for FieldPutter<'_> {
    type Ok = ();
    type Error = Mismatch;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Mismatch> {
        loop {
            let slot = self.slots.next().ok_or(Mismatch::NoColumn(name))?;
            if slot.name == name {
                let levels = if slot.required { self.levels } else { self.levels.present() };
                return value.serialize(ValuePutter { shape: &slot.shape, leaves: self.leaves, levels });
            }
            self.put_absent(slot)?;
        }
    }

    fn end(mut self) -> Result<(), Mismatch> {
        while let Some(slot) = self.slots.next() {
            self.put_absent(slot)?;
        }
        Ok(())
    }
}

/// A serializer of the elements of a list, or of the entries of a map.
struct ElementPutter<'a> {
    /// That of the whole list.
    whole: &'a Shape,
    /// That of an element, or of a key.
    element: &'a Shape,
    /// That of a value of a map.
    value: &'a Shape,
    leaves: &'a mut Leaves,
    levels: Levels,
    count: usize,
}

impl ElementPutter<'_> {
    /// An empty list is written as one that is absent, but for the level of its presence.
    fn end(self) {
        if self.count == 0 {
            self.leaves.put_absent(&self.whole.leaves, self.levels);
        }
    }
}

impl SerializeSeq for ElementPutter<'_> {
    type Ok = ();
    type Error = Mismatch;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<(), Mismatch> {
        let levels = self.levels.element(self.count);
        self.count += 1;
        element.serialize(ValuePutter { shape: self.element, leaves: self.leaves, levels })
    }

    fn end(self) -> Result<(), Mismatch> {
        self.end();
        Ok(())
    }
}

impl SerializeMap for ElementPutter<'_> {
    type Ok = ();
    type Error = Mismatch;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Mismatch> {
        let levels = self.levels.element(self.count);
        key.serialize(ValuePutter { shape: self.element, leaves: self.leaves, levels })
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Mismatch> {
        let levels = self.levels.element(self.count);
        self.count += 1;
        value.serialize(ValuePutter { shape: self.value, leaves: self.leaves, levels })
    }

    fn end(self) -> Result<(), Mismatch> {
        self.end();
        Ok(())
    }
}

/// Refuses values of types that no record has.
macro_rules! refuse {
    ($($name:ident($($argument:ty),*) -> $made:ty;)*) => {
        $(fn $name(self, $(_: $argument),*) -> Result<$made, Mismatch> {
            Err(OtherType.into())
        })*
    };
}

impl<'a> Serializer for ValuePutter<'a> {
    type Ok = ();
    type Error = Mismatch;
    type SerializeSeq = ElementPutter<'a>;
    type SerializeTuple = Impossible<(), Mismatch>;
    type SerializeTupleStruct = Impossible<(), Mismatch>;
    type SerializeTupleVariant = Impossible<(), Mismatch>;
    type SerializeMap = ElementPutter<'a>;
    type SerializeStruct = FieldPutter<'a>;
    type SerializeStructVariant = Impossible<(), Mismatch>;

    fn serialize_str(self, text: &str) -> Result<(), Mismatch> {
        let leaf = self.shape.scalar()?;
        Ok(self.leaves.put_text(leaf, text, self.levels)?)
    }

    fn serialize_u8(self, number: u8) -> Result<(), Mismatch> {
        self.number(number.into())
    }

    fn serialize_u16(self, number: u16) -> Result<(), Mismatch> {
        self.number(number.into())
    }

    fn serialize_u32(self, number: u32) -> Result<(), Mismatch> {
        self.number(number.into())
    }

    fn serialize_u64(self, number: u64) -> Result<(), Mismatch> {
        self.number(number)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Mismatch> {
        value.serialize(self)
    }

    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<FieldPutter<'a>, Mismatch> {
        let Nested::Struct(slots) = &self.shape.nested else { return Err(OtherType.into()) };
        Ok(FieldPutter { slots: slots.iter(), leaves: self.leaves, levels: self.levels })
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<ElementPutter<'a>, Mismatch> {
        let Self { shape: whole, leaves, levels } = self;
        let Nested::List(element) = &whole.nested else { return Err(OtherType.into()) };
        Ok(ElementPutter { whole, element, value: element, leaves, levels, count: 0 })
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<ElementPutter<'a>, Mismatch> {
        let Self { shape: whole, leaves, levels } = self;
        let Nested::TextMap { key, value } = &whole.nested else { return Err(OtherType.into()) };
        Ok(ElementPutter { whole, element: key, value, leaves, levels, count: 0 })
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, _: &T) -> Result<(), Mismatch> {
        Err(OtherType.into())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Mismatch> {
        Err(OtherType.into())
    }

    refuse! {
        serialize_bool(bool) -> ();
        serialize_i8(i8) -> ();
        serialize_i16(i16) -> ();
        serialize_i32(i32) -> ();
        serialize_i64(i64) -> ();
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_char(char) -> ();
        serialize_bytes(&[u8]) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_unit_variant(&'static str, u32, &'static str) -> ();
        serialize_tuple(usize) -> Impossible<(), Mismatch>;
        serialize_tuple_struct(&'static str, usize) -> Impossible<(), Mismatch>;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Impossible<(), Mismatch>;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Impossible<(), Mismatch>;
    }
}
