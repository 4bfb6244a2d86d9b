//! The fields of a connector's object, as mappings are held against them.

use std::collections::BTreeMap;

use mapping::payload::{Field, FieldType, Fields};
use target::{
    Connector,
    definition::{PayloadField, PayloadType},
};

/// The fields of an object of a connector, if its definition lists them; none of an operation such as `invoice.void`, whose payload
/// is its own.
pub fn payload_fields(connector: &Connector, object: &str) -> Option<Fields> {
    let object = connector.objects.get(object)?;
    object.fields.as_ref().map(|fields| all(fields, &object.other_fields))
}

fn all(fields: &BTreeMap<String, PayloadField>, others: &[String]) -> Fields {
    Fields { known: fields.iter().map(|(name, field)| one(name, field)).collect(), others: others.to_vec() }
}

fn one(name: &str, field: &PayloadField) -> Field {
    let inner = || field.fields.as_ref().map(|fields| all(fields, &field.other_fields));
    let field_type = match field.kind {
        PayloadType::Text => FieldType::Text,
        PayloadType::Integer => FieldType::Integer,
        PayloadType::Decimal => FieldType::Decimal,
        PayloadType::Boolean => FieldType::Boolean,
        PayloadType::List => FieldType::List(inner()),
        PayloadType::Object => FieldType::Object(inner()),
        PayloadType::Any => FieldType::Any,
    };
    Field { name: name.to_owned(), field_type, required: field.required, max_len: field.max_len }
}
