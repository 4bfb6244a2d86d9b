//! Records of older and newer versions of a contract are read as the current one.
#![allow(clippy::unwrap_used)]

mod common;

use apache_avro::{
    Decimal, Duration, Schema, reader::datum::GenericDatumReader, types::Value as Avro,
    writer::datum::GenericDatumWriter,
};
use common::{avro, contract, current, datum, envelope_of, example};
use contract::{WriterSchema, decode_event};
use event::ObjectKind;
use serde_json::{Value, json};

const KIND: ObjectKind = ObjectKind::Payment;

fn expected() -> Value {
    example(KIND)["data"].clone()
}

/// The contract after `change` to the fields of the data.
fn changed(change: impl FnOnce(&mut Vec<Value>)) -> String {
    let mut schema: Value = serde_json::from_str(&contract(KIND).json).unwrap();
    change(schema["fields"][1]["type"]["fields"].as_array_mut().unwrap());
    schema.to_string()
}

/// The example as apache-avro has it, after `change` to the fields of the data.
fn value(change: impl FnOnce(&mut Vec<(String, Avro)>)) -> Avro {
    let data = expected();
    let bytes = contract(KIND).encode(1, &envelope_of(KIND, &data), &data).unwrap();
    let reader = GenericDatumReader::builder(avro(KIND)).build().unwrap();
    let mut value = reader.read_value(&mut datum(&bytes)).unwrap();
    let Avro::Record(event) = &mut value else { unreachable!("an event is a record") };
    let Avro::Record(data) = &mut event[1].1 else { unreachable!("data is a record") };
    change(data);
    value
}

/// What we make of a value that another version of the contract wrote. apache-avro must resolve it to the same.
fn read(schema: &str, value: Avro) -> Value {
    let writer = Schema::parse_str(schema).unwrap();
    let bytes = GenericDatumWriter::builder(&writer).build().unwrap().write_value_to_vec(value).unwrap();
    let ours = decode_event(&WriterSchema::new(9, schema, &[]).unwrap(), &bytes).unwrap();
    let mut value =
        GenericDatumReader::builder(&writer).build().unwrap().read_value(&mut bytes.as_slice()).unwrap();
    widen(&mut value);
    let resolved = value.resolve(avro(KIND)).unwrap();
    let again =
        GenericDatumWriter::builder(avro(KIND)).build().unwrap().write_value_to_vec(resolved).unwrap();
    assert_eq!(decode_event(current(KIND), &again).unwrap(), ours);
    ours.data
}

/// apache-avro 0.22 refuses to resolve a decimal with fewer bytes than the largest of its precision needs, so give it
/// all of them.
fn widen(value: &mut Avro) {
    match value {
        Avro::Decimal(decimal) => {
            let bytes = Vec::try_from(&*decimal).unwrap();
            let sign = if bytes[0] & 0x80 == 0 { 0 } else { 0xff };
            let mut wide = vec![sign; 9_usize.saturating_sub(bytes.len())];
            wide.extend(bytes);
            *decimal = Decimal::from(wide);
        }
        Avro::Record(fields) => fields.iter_mut().for_each(|(_, v)| widen(v)),
        Avro::Array(items) => items.iter_mut().for_each(widen),
        Avro::Union(_, inner) => widen(inner),
        _ => {}
    }
}

#[test]
fn fields_of_a_newer_version_are_passed_over() {
    let decimal = json!({"type": "fixed", "name": "Big", "size": 20, "logicalType": "decimal", "precision": 40, "scale": 2});
    let new = [
        ("n1", json!("float"), Avro::Float(1.5)),
        ("n2", json!("double"), Avro::Double(-2.5)),
        ("n3", json!("bytes"), Avro::Bytes(vec![1, 2, 3])),
        ("n4", json!({"type": "fixed", "name": "F", "size": 3}), Avro::Fixed(3, vec![7, 8, 9])),
        ("n5", json!({"type": "enum", "name": "E", "symbols": ["A", "B"]}), Avro::Enum(1, "B".into())),
        (
            "n6",
            json!({"type": "array", "items": {"type": "record", "name": "X", "fields": [{"name": "x", "type": "long"}]}}),
            Avro::Array(vec![Avro::Record(vec![("x".into(), Avro::Long(1 << 40))])]),
        ),
        (
            "n7",
            json!({"type": "map", "values": {"type": "array", "items": "string"}}),
            Avro::Map([("k".to_owned(), Avro::Array(vec![Avro::String("v".into())]))].into()),
        ),
        ("n8", json!(["string", "null", "int"]), Avro::Union(2, Box::new(Avro::Int(-5)))),
        (
            "n9",
            json!({"type": {"type": "fixed", "name": "D", "size": 12, "logicalType": "duration"}})["type"]
                .clone(),
            Avro::Duration(Duration::from([1; 12])),
        ),
        ("n10", decimal, Avro::Decimal(Decimal::from(vec![0u8; 20]))),
        ("n11", json!("X"), Avro::Record(vec![("x".into(), Avro::Long(3))])),
        ("n12", json!("com.counterfoil.common.v1.Money"), money()),
    ];
    let schema = changed(|fields| {
        for (name, schema, _) in &new {
            fields.insert(fields.len() - 2, json!({"name": name, "type": schema}));
        }
    });
    let value =
        value(|data| data.extend(new.iter().map(|(name, _, value)| ((*name).to_owned(), value.clone()))));
    assert_eq!(read(&schema, value), expected());
}

fn money() -> Avro {
    let amount = Avro::Decimal(Decimal::from(vec![0x01u8]));
    Avro::Record(vec![("amount".into(), amount), ("currency".into(), Avro::String("EUR".into()))])
}

#[test]
fn fields_that_an_older_version_lacks_have_their_default() {
    let gone = ["reference", "external_ids", "value_date"];
    let schema = changed(|fields| fields.retain(|f| !gone.iter().any(|g| f["name"] == *g)));
    let value = value(|data| data.retain(|(name, _)| !gone.contains(&name.as_str())));
    let mut expected = expected();
    let object = expected.as_object_mut().unwrap();
    object.remove("reference");
    object.remove("value_date");
    object.insert("external_ids".into(), json!({}));
    assert_eq!(read(&schema, value), expected);
}

#[test]
fn the_order_of_fields_does_not_matter() {
    let schema = changed(|fields| {
        let id = fields.remove(0);
        fields.push(id);
    });
    assert_eq!(read(&schema, value(|_| {})), expected());
}

#[test]
fn an_unknown_symbol_becomes_the_default() {
    let schema = changed(|fields| {
        let status = fields.iter_mut().find(|f| f["name"] == "status").unwrap();
        status["type"][1]["symbols"] = json!(["DISPUTED", "SUCCEEDED", "UNKNOWN"]);
    });
    let set = |index, symbol: &str| {
        let status = Avro::Union(1, Box::new(Avro::Enum(index, symbol.into())));
        value(|data| data.iter_mut().find(|(n, _)| n == "status").unwrap().1 = status)
    };
    assert_eq!(read(&schema, set(1, "SUCCEEDED"))["status"], "SUCCEEDED");
    assert_eq!(read(&schema, set(0, "DISPUTED"))["status"], "UNKNOWN");
}

#[test]
fn an_int_is_read_as_a_long_and_a_plain_type_as_an_optional_one() {
    let schema = changed(|fields| {
        fields.iter_mut().find(|f| f["name"] == "reference").unwrap()["type"] = json!("string");
        fields.iter_mut().find(|f| f["name"] == "reference").unwrap()["default"] = json!("");
    })
    .replace(r#""name":"source_version","type":"long""#, r#""name":"source_version","type":"int""#);
    let mut value = value(|data| {
        let reference = &mut data.iter_mut().find(|(n, _)| n == "reference").unwrap().1;
        *reference = Avro::String("INV 2026-00042".into());
    });
    let Avro::Record(event) = &mut value else { unreachable!("an event is a record") };
    let Avro::Record(envelope) = &mut event[0].1 else { unreachable!("an envelope is a record") };
    envelope.iter_mut().filter(|(n, _)| n == "source_version").for_each(|(_, v)| *v = Avro::Int(7));
    assert_eq!(read(&schema, value), expected());
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    let refused = |schema: String| WriterSchema::new(9, &schema, &[]).unwrap_err().to_string();
    let no_id = changed(|fields| fields.retain(|f| f["name"] != "id"));
    assert_eq!(
        refused(no_id),
        "the contract of this build cannot read it: event.data.id: is missing and has no default"
    );
    let scale = contract(KIND).json.replacen("\"scale\": 6", "\"scale\": 2", 1);
    assert!(refused(scale).contains("event.data.amount.amount: is Decimal in place of Decimal"));
    assert!(refused("{".to_owned()).starts_with("it is not an Avro schema"));
    let endless = r#"{"type":"record","name":"com.counterfoil.payment.v1.PaymentEvent","fields":[
        {"name":"again","type":["null","com.counterfoil.payment.v1.PaymentEvent"]}]}"#;
    assert!(WriterSchema::new(9, endless, &[]).is_err(), "a schema that contains itself ends");
}

#[test]
fn references_to_other_registered_schemas_are_followed() {
    let invoice: Value = serde_json::from_str(&contract(KIND).json).unwrap();
    let envelope = invoice["fields"][0]["type"].to_string();
    let mut root = invoice.clone();
    root["fields"][0]["type"] = json!("com.counterfoil.common.v1.Envelope");
    let schema = WriterSchema::new(9, &root.to_string(), &[envelope]).unwrap();
    let data = expected();
    let bytes = contract(KIND).encode(9, &envelope_of(KIND, &data), &data).unwrap();
    assert_eq!(decode_event(&schema, datum(&bytes)).unwrap().data, data);
}
