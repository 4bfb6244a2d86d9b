//! The compiled form of a contract that events are checked and encoded with.
//!
//! apache-avro encodes from a tree of its own values, in which every record is a list of owned names that it
//! looks up again in a hash map per record. An event passes here at full rate, so the schema is compiled once into
//! this tree, which reads JSON and writes bytes in one pass. Tests hold the bytes against apache-avro's.

use std::collections::HashMap;

use apache_avro::schema::{
    DecimalSchema, InnerDecimalSchema, Name, RecordField, RecordSchema, Schema, UuidSchema,
};
use serde_json::Value;

use crate::{invalid::Path, invalid::Problems, wire};

/// A type of a contract.
pub(crate) enum Shape {
    Bool,
    Int,
    Long,
    Text(Check),
    Uuid,
    Decimal {
        precision: u32,
        scale: u32,
    },
    Date,
    Instant,
    Enum(Vec<String>),
    Array {
        items: Box<Shape>,
        min: usize,
    },
    /// A map of strings.
    Map,
    /// A union of null, at position 0, and one other type.
    Optional(Box<Shape>),
    Record(Vec<Field>),
}

/// A field of a record.
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) shape: Shape,
    /// What is written if the field is absent. Without it, it must be there.
    pub(crate) default: Option<Vec<u8>>,
}

/// A rule for a string beyond its type: the attribute `check` of the field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    None,
    Currency,
    Country,
    Unit,
    Id,
}

/// A schema uses what contracts do not use.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {what} cannot stand in a contract")]
pub(crate) struct Unsupported {
    pub(crate) path: String,
    pub(crate) what: String,
}

/// Named types by full name, for references.
pub(crate) type Names<'s> = HashMap<Name, &'s Schema>;

/// Compiles `schema`; the attributes are those of the field it stands in.
pub(crate) fn compile(schema: &Schema, names: &Names<'_>, path: &Path<'_>) -> Result<Shape, Unsupported> {
    compile_with(schema, None, names, path)
}

fn compile_with(
    schema: &Schema,
    field: Option<&RecordField>,
    names: &Names<'_>,
    path: &Path<'_>,
) -> Result<Shape, Unsupported> {
    let unsupported = |what: &str| Unsupported { path: path.to_string(), what: what.to_owned() };
    Ok(match schema {
        Schema::Boolean => Shape::Bool,
        Schema::Int => Shape::Int,
        Schema::Long => Shape::Long,
        Schema::String => Shape::Text(check(field).ok_or_else(|| unsupported("an unknown `check`"))?),
        Schema::Uuid(UuidSchema::String) => Shape::Uuid,
        Schema::Date => Shape::Date,
        Schema::TimestampMicros => Shape::Instant,
        Schema::Decimal(DecimalSchema { precision, scale, inner: InnerDecimalSchema::Bytes }) => {
            match (u32::try_from(*precision), u32::try_from(*scale)) {
                (Ok(precision @ 1..=38), Ok(scale)) if scale <= precision => {
                    Shape::Decimal { precision, scale }
                }
                _ => return Err(unsupported("a decimal of more than 38 digits")),
            }
        }
        Schema::Enum(e) => Shape::Enum(e.symbols.clone()),
        Schema::Array(array) => {
            let items = Box::new(compile_with(&array.items, None, names, path)?);
            let min = attribute(field, "min_items").map_or(Some(0), Value::as_u64);
            let min = min.and_then(|min| usize::try_from(min).ok());
            Shape::Array { items, min: min.ok_or_else(|| unsupported("a `min_items` that is no number"))? }
        }
        Schema::Map(map) if matches!(*map.types, Schema::String) => Shape::Map,
        Schema::Union(union) => match union.variants() {
            [Schema::Null, other] => Shape::Optional(Box::new(compile_with(other, field, names, path)?)),
            _ => return Err(unsupported("a union other than of null and one type")),
        },
        Schema::Record(record) => Shape::Record(compile_fields(record, names, path)?),
        Schema::Ref { name } => {
            let target = names.get(name).ok_or_else(|| unsupported("a reference to an unknown type"))?;
            compile_with(target, field, names, path)?
        }
        other => return Err(unsupported(&format!("the type {other}"))),
    })
}

fn compile_fields(
    record: &RecordSchema,
    names: &Names<'_>,
    path: &Path<'_>,
) -> Result<Vec<Field>, Unsupported> {
    record
        .fields
        .iter()
        .map(|field| {
            let path = path.field(&field.name);
            let shape = compile_with(&field.schema, Some(field), names, &path)?;
            let default =
                field.default.as_ref().map(|value| default_bytes(&shape, value, &path)).transpose()?;
            Ok(Field { name: field.name.clone(), shape, default })
        })
        .collect()
}

/// The default of a field as bytes. A default of `[]` stands even where an event must have an item.
fn default_bytes(shape: &Shape, value: &Value, path: &Path<'_>) -> Result<Vec<u8>, Unsupported> {
    let mut out = Vec::new();
    let mut problems = Problems::default();
    match shape {
        Shape::Array { .. } if value.as_array().is_some_and(Vec::is_empty) => wire::put_long(&mut out, 0),
        Shape::Decimal { .. } | Shape::Date | Shape::Instant => {
            return Err(Unsupported {
                path: path.to_string(),
                what: "a default of a logical type".to_owned(),
            });
        }
        _ => crate::encode::encode(shape, value, path, &mut out, &mut problems),
    }
    problems
        .into_result()
        .map_err(|e| Unsupported { path: path.to_string(), what: format!("the default ({e})") })?;
    Ok(out)
}

/// An attribute of the field, which Avro itself does not know.
pub(crate) fn attribute<'f>(field: Option<&'f RecordField>, name: &str) -> Option<&'f Value> {
    field?.custom_attributes.get(name)
}

fn check(field: Option<&RecordField>) -> Option<Check> {
    match attribute(field, "check").map(Value::as_str) {
        None => Some(Check::None),
        Some(Some("currency")) => Some(Check::Currency),
        Some(Some("country")) => Some(Check::Country),
        Some(Some("unit")) => Some(Check::Unit),
        Some(Some("id")) => Some(Check::Id),
        Some(_) => None,
    }
}
