//! The types that the schema of an event gives a mapping.

use std::collections::BTreeMap;

use contract::DataType;
use vrl::value::{Kind, kind::Collection};

/// The type of an event's data.
pub(super) fn of(data: &DataType) -> Kind {
    match data {
        DataType::Boolean => Kind::boolean(),
        DataType::Integer => Kind::integer(),
        DataType::Text => Kind::bytes(),
        DataType::List(items) => Kind::array(Collection::from_unknown(of(items))),
        DataType::Map => Kind::object(Collection::from_unknown(absent(Kind::bytes()))),
        DataType::Record(fields) => {
            let field = |field: &contract::DataField| {
                let kind = of(&field.data_type);
                (field.name.as_str().into(), if field.optional { absent(kind) } else { kind })
            };
            Kind::object(Collection::from(fields.iter().map(field).collect::<BTreeMap<_, _>>()))
        }
    }
}

/// The same, or not there.
pub(super) fn absent(kind: Kind) -> Kind {
    kind.or_null().or_undefined()
}

/// The type of `%event`.
pub(super) fn event() -> Kind {
    let texts = ["id", "object", "type", "entity_id", "tenant", "occurred_at"];
    let mut fields: BTreeMap<_, _> = texts.into_iter().map(|name| (name.into(), Kind::bytes())).collect();
    fields.insert("source_version".into(), Kind::integer());
    Kind::object(Collection::from(fields))
}

/// The type of the metadata: `%event`, and `%data` where `.` is no longer the event's data.
pub(super) fn metadata(data: Option<&Kind>) -> Kind {
    let mut fields = BTreeMap::from([("event".into(), event())]);
    fields.extend(data.map(|data| ("data".into(), data.clone())));
    Kind::object(Collection::from(fields))
}

/// Gives the event's `extensions` the names that a tenant declares; others are not there.
pub(super) fn with_extensions(data: &Kind, names: &[(String, bool)]) -> Kind {
    let field = |(name, required): &(String, bool)| {
        (name.as_str().into(), if *required { Kind::bytes() } else { absent(Kind::bytes()) })
    };
    let extensions = Kind::object(Collection::from(names.iter().map(field).collect::<BTreeMap<_, _>>()));
    let mut data = data.clone();
    data.insert(&vrl::path::OwnedValuePath::single_field("extensions"), extensions);
    data
}
