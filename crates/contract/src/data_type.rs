//! What an event's `data` looks like in JSON, for programs that are typed by it.

use crate::{ObjectContract, shape::Shape};

/// A type of canonical JSON. What may be null is absent instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataType {
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A text; decimals, dates, instants, identifiers and the symbols of enums are texts.
    Text,
    /// A list.
    List(Box<DataType>),
    /// Texts by names that no schema knows.
    Map,
    /// Fields by name.
    Record(Vec<DataField>),
}

/// A field of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataField {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Whether it may be absent.
    pub optional: bool,
}

impl ObjectContract {
    /// The type of the `data` of the object's events.
    pub fn data_type(&self) -> DataType {
        of(self.shape())
    }
}

fn of(shape: &Shape) -> DataType {
    match shape {
        Shape::Bool => DataType::Boolean,
        Shape::Int | Shape::Long => DataType::Integer,
        Shape::Text(_)
        | Shape::Uuid
        | Shape::Decimal { .. }
        | Shape::Date
        | Shape::Instant
        | Shape::Enum(_) => DataType::Text,
        Shape::Array { items, .. } => DataType::List(Box::new(of(items))),
        Shape::Map => DataType::Map,
        Shape::Optional(some) => of(some),
        Shape::Record(fields) => DataType::Record(
            fields
                .iter()
                .map(|field| DataField {
                    name: field.name.clone(),
                    data_type: of(&field.shape),
                    optional: matches!(field.shape, Shape::Optional(_)),
                })
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use event::ObjectKind;

    use super::*;
    use crate::Contracts;

    #[test]
    fn every_object_has_an_id_that_is_always_there() {
        for kind in ObjectKind::ALL {
            let DataType::Record(fields) = Contracts::embedded().object(kind).data_type() else {
                panic!("{kind} is no record")
            };
            let id = fields.iter().find(|field| field.name == "id");
            assert_eq!(id.map(|id| (&id.data_type, id.optional)), Some((&DataType::Text, false)), "{kind}");
        }
    }
}
