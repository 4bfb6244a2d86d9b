//! What holds for all events and for all bytes.
#![allow(clippy::unwrap_used)]

mod common;

use apache_avro::{Schema, schema::Name};
use common::{avro, contract, current, datum, envelope_of};
use contract::{Contracts, WriterSchema, decode_event, decode_outcome, split_wire};
use event::ObjectKind;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::HashMap;

type Names<'s> = HashMap<Name, &'s Schema>;

/// Canonical JSON for a type of a contract, as the decoder would give it.
fn canonical(schema: &Schema, check: &str, digits: usize, names: &Names<'_>) -> BoxedStrategy<Value> {
    match schema {
        Schema::Boolean => any::<bool>().prop_map(Value::from).boxed(),
        Schema::Int => any::<i32>().prop_map(Value::from).boxed(),
        Schema::Long => any::<i64>().prop_map(Value::from).boxed(),
        Schema::String => text(check).prop_map(Value::from).boxed(),
        Schema::Date => (-719_162i32..=2_932_896).prop_map(|d| json!(date(d))).boxed(),
        Schema::TimestampMicros => {
            (-62_135_596_800_000_000i64..253_402_300_800_000_000).prop_map(|m| json!(instant(m))).boxed()
        }
        Schema::Decimal(d) => decimal(d.precision, d.scale, digits).prop_map(Value::from).boxed(),
        Schema::Enum(e) => prop::sample::select(e.symbols.clone()).prop_map(Value::from).boxed(),
        Schema::Array(a) => {
            prop::collection::vec(canonical(&a.items, "", 0, names), 1..3).prop_map(Value::from).boxed()
        }
        Schema::Map(_) => {
            prop::collection::btree_map("[a-z]{1,8}", ".{0,12}", 0..2).prop_map(|m| json!(m)).boxed()
        }
        Schema::Union(u) => {
            let inner = canonical(&u.variants()[1], check, digits, names);
            prop::option::weighted(0.4, inner).prop_map(|v| v.unwrap_or_default()).boxed()
        }
        Schema::Record(record) => {
            let fields: Vec<_> = record
                .fields
                .iter()
                .map(|f| {
                    let check = f.custom_attributes.get("check").and_then(Value::as_str).unwrap_or("");
                    let digits =
                        f.custom_attributes.get("fraction_digits").and_then(Value::as_u64).unwrap_or(0);
                    let value = canonical(&f.schema, check, usize::try_from(digits).unwrap(), names);
                    (Just(f.name.clone()), value)
                })
                .collect();
            let object =
                |fields: Vec<(String, Value)>| fields.into_iter().filter(|(_, v)| !v.is_null()).collect();
            fields.prop_map(move |fields| Value::Object(object(fields))).boxed()
        }
        Schema::Ref { name } => canonical(names[name], check, digits, names),
        other => unreachable!("{other} is not in the contracts"),
    }
}

fn text(check: &str) -> BoxedStrategy<String> {
    match check {
        "currency" => "[A-Z]{3}".boxed(),
        "country" => "[A-Z]{2}".boxed(),
        "unit" => "[A-Z0-9]{2,3}".boxed(),
        "id" => "[^\\p{Cc}]{1,40}".boxed(),
        _ => ".{0,20}".boxed(),
    }
}

fn decimal(precision: usize, scale: usize, digits: usize) -> impl Strategy<Value = String> {
    (any::<bool>(), prop::collection::vec(0u8..10, precision)).prop_map(move |(negative, all)| {
        let number: String = all.iter().map(|d| char::from(b'0' + d)).collect();
        let (whole, fraction) = number.split_at(precision - scale);
        let whole = whole.trim_start_matches('0');
        let mut fraction = fraction.trim_end_matches('0').to_owned();
        while fraction.len() < digits {
            fraction.push('0');
        }
        let zero = whole.is_empty() && fraction.bytes().all(|b| b == b'0');
        let sign = if negative && !zero { "-" } else { "" };
        let whole = if whole.is_empty() { "0" } else { whole };
        if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    })
}

fn date(days: i32) -> String {
    let epoch = chrono::NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
    (epoch + chrono::Duration::days(days.into())).to_string()
}

fn instant(micros: i64) -> String {
    let instant = chrono::DateTime::from_timestamp_micros(micros).unwrap();
    instant.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

fn any_event() -> impl Strategy<Value = (ObjectKind, Value)> {
    prop::sample::select(ObjectKind::ALL.to_vec()).prop_flat_map(|kind| {
        let schema = avro(kind);
        let resolved = apache_avro::schema::ResolvedSchema::new(schema).unwrap();
        let Schema::Record(event) = schema else { unreachable!("an event is a record") };
        (Just(kind), canonical(&event.fields[1].schema, "", 0, resolved.get_names()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn canonical_json_comes_back_as_it_was((kind, data) in any_event()) {
        let envelope = envelope_of(kind, &data);
        let bytes = contract(kind).encode(7, &envelope, &data).unwrap();
        let event = decode_event(current(kind), datum(&bytes)).unwrap();
        prop_assert_eq!(&event.data, &data);
        prop_assert_eq!(&event.envelope, &envelope);
        // and apache-avro finds the same bytes right
        let schema = avro(kind);
        let value = apache_avro::reader::datum::GenericDatumReader::builder(schema).build().unwrap()
            .read_value(&mut datum(&bytes)).unwrap();
        let again = apache_avro::writer::datum::GenericDatumWriter::builder(schema).build().unwrap()
            .write_value_to_vec(value).unwrap();
        prop_assert_eq!(again, datum(&bytes));
    }

    #[test]
    fn a_cut_datum_is_refused((kind, data) in any_event(), cut in any::<prop::sample::Index>()) {
        let bytes = contract(kind).encode(7, &envelope_of(kind, &data), &data).unwrap();
        let datum = datum(&bytes);
        prop_assert!(decode_event(current(kind), &datum[..cut.index(datum.len())]).is_err());
        let longer = [datum, &[0][..]].concat();
        prop_assert!(decode_event(current(kind), &longer).is_err());
    }

    #[test]
    fn a_damaged_datum_never_panics((kind, data) in any_event(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let bytes = contract(kind).encode(7, &envelope_of(kind, &data), &data).unwrap();
        let mut datum = datum(&bytes).to_vec();
        let at = at.index(datum.len());
        datum[at] = byte;
        if let Ok(event) = decode_event(current(kind), &datum) {
            prop_assert!(event.data.is_object());
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), kind in prop::sample::select(ObjectKind::ALL.to_vec())) {
        let outcomes = WriterSchema::new(1, &Contracts::embedded().outcome().json, &[]).unwrap();
        if let Ok((_, datum)) = split_wire(&bytes) {
            prop_assert!(decode_event(current(kind), datum).is_err());
        }
        prop_assert!(decode_event(current(kind), &bytes).is_err());
        prop_assert!(decode_outcome(&outcomes, &bytes).is_err());
    }
}
