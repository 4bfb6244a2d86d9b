#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;
use crate::Contracts;

/// The full schema of invoices after `change` to the record of the data.
fn changed(change: impl FnOnce(&mut Vec<Value>)) -> String {
    let mut schema: Value = serde_json::from_str(current()).unwrap();
    change(schema["fields"][1]["type"]["fields"].as_array_mut().unwrap());
    schema.to_string()
}

fn current() -> &'static str {
    &Contracts::embedded().object(event::ObjectKind::Invoice).json
}

fn field<'f>(fields: &'f mut [Value], name: &str) -> &'f mut Value {
    fields.iter_mut().find(|f| f["name"] == name).unwrap()
}

fn full(new: &str) -> Vec<String> {
    let found = check(Compatibility::FullTransitive, Rules::Meaning, new, &[(1, current())]).unwrap();
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn evolutions_that_pass() {
    assert_eq!(full(current()), [""; 0]);
    let optional =
        changed(|f| f.push(json!({"name": "region", "type": ["null", "string"], "default": null})));
    assert_eq!(full(&optional), [""; 0], "a new optional field");
    // The definition of Money moves to the new field, and its old first use becomes a reference.
    let money_first: Value = serde_json::from_str(current()).unwrap();
    let text = crate::bundle::bundle(
        &include_str!("../../../schemas/invoice.v1.avsc").replacen(
            r#"{"name": "id", "type": "string", "check": "id", "doc": "The source's key of the entity; equals envelope.entity."}"#,
            r#"{"name": "deposit", "type": ["null", "com.counterfoil.common.v1.Money"], "default": null},
               {"name": "id", "type": "string", "check": "id", "doc": "The source's key of the entity; equals envelope.entity."}"#,
            1,
        ),
        &[
            include_str!("../../../schemas/common/Envelope.avsc"),
            include_str!("../../../schemas/common/Money.avsc"),
            include_str!("../../../schemas/common/Quantity.avsc"),
            include_str!("../../../schemas/common/Address.avsc"),
            include_str!("../../../schemas/common/Tax.avsc"),
            include_str!("../../../schemas/common/Discount.avsc"),
            include_str!("../../../schemas/common/PaymentMethod.avsc"),
        ],
    )
    .unwrap();
    assert_ne!(serde_json::from_str::<Value>(&text).unwrap(), money_first);
    assert!(text.contains("\"deposit\""));
    assert_eq!(full(&text), [""; 0], "an inlined type that moved");
    let symbol = changed(|f| {
        let symbols = field(f, "status")["type"][1]["symbols"].as_array_mut().unwrap();
        symbols.insert(0, json!("DISPUTED"));
    });
    assert_eq!(full(&symbol), [""; 0], "a new symbol of an enum with a default");
    let documented = changed(|f| field(f, "number")["doc"] = json!("Other words."));
    assert_eq!(full(&documented), [""; 0]);
    let removed = changed(|f| f.retain(|f| f["name"] != "notes"));
    assert_eq!(full(&removed), [""; 0], "a field with a default went");
}

#[test]
fn evolutions_that_fail_name_the_field() {
    let required = changed(|f| f.push(json!({"name": "region", "type": "string"})));
    assert_eq!(
        full(&required),
        ["data.region: has no default and may be absent (the new schema cannot read data of version 1)"]
    );
    let removed = changed(|f| f.retain(|f| f["name"] != "customer_id"));
    assert_eq!(
        full(&removed),
        ["data.customer_id: has no default and may be absent (version 1 cannot read data of the new schema)"]
    );
    let retyped = changed(|f| field(f, "number")["type"] = json!(["null", "long"]));
    assert_eq!(full(&retyped).len(), 2);
    assert!(
        full(&retyped)[0].starts_with("data.number: string cannot be read as long"),
        "{:?}",
        full(&retyped)
    );
    let renamed = changed(|f| field(f, "lines")["type"]["items"]["fields"][0]["name"] = json!("line_id"));
    assert_eq!(full(&renamed), [""; 0], "both are optional");
    let widened = changed(|f| field(f, "payment_terms_days")["type"] = json!(["null", "long"]));
    assert_eq!(
        full(&widened),
        [
            "data.payment_terms_days: long cannot be read as int (version 1 cannot read data of the new schema)"
        ]
    );
    let tightened = changed(|f| {
        let number = field(f, "number");
        number["type"] = json!("string");
        number["default"] = json!("");
    });
    assert_eq!(
        full(&tightened),
        ["data.number: null cannot be read as string (the new schema cannot read data of version 1)"]
    );
    let millis = changed(|f| field(f, "paid_at")["type"][1]["logicalType"] = json!("timestamp-millis"));
    assert_eq!(full(&millis).len(), 2, "Avro would read it, and every date would be wrong");
    assert!(
        full(&millis)[0].starts_with("data.paid_at: timestamp-micros would be taken for timestamp-millis")
    );
}

#[test]
fn deep_changes_name_the_whole_path() {
    let deep = changed(|f| {
        let line = field(f, "lines")["type"]["items"]["fields"].as_array_mut().unwrap();
        line.push(json!({"name": "weight", "type": "double"}));
    });
    assert_eq!(
        full(&deep),
        [
            "data.lines.weight: has no default and may be absent (the new schema cannot read data of version 1)"
        ]
    );
    // `payment_method` is an optional record: apache-avro alone calls this compatible in part.
    let scale = current().replacen(r#""precision": 20, "scale": 6"#, r#""precision": 20, "scale": 4"#, 1);
    let problems = full(&scale);
    assert!(
        problems.iter().any(|p| p.contains("decimal(20, 6) cannot be read as decimal(20, 4)")),
        "{problems:?}"
    );
    let no_default = changed(|f| {
        let status = &mut field(f, "status")["type"][1];
        status["symbols"] = json!(["DRAFT", "OPEN"]);
        status.as_object_mut().unwrap().remove("default");
    });
    let expected = "data.status: has no default symbol and does not know PARTIALLY_PAID, PAID, VOID, UNCOLLECTIBLE, UNKNOWN \
                    (the new schema cannot read data of version 1)";
    assert_eq!(full(&no_default), [expected]);
}

#[test]
fn levels_choose_direction_and_versions() {
    let wide = r#"{"name":"R","type":"record","fields":[{"name":"a","type":"long"}]}"#;
    let narrow = r#"{"name":"R","type":"record","fields":[{"name":"a","type":"int"}]}"#;
    let count = |level, new, older: &[(u32, &str)]| check_compatibility(level, new, older).unwrap().len();
    assert_eq!(count(Compatibility::Backward, wide, &[(1, narrow)]), 0);
    assert_eq!(count(Compatibility::Forward, wide, &[(1, narrow)]), 1);
    assert_eq!(count(Compatibility::Full, wide, &[(1, narrow)]), 1);
    assert_eq!(count(Compatibility::Backward, narrow, &[(1, wide)]), 1);
    assert_eq!(count(Compatibility::None, narrow, &[(1, wide)]), 0);
    assert_eq!(count(Compatibility::Backward, narrow, &[(1, wide), (2, narrow)]), 0, "only the last counts");
    assert_eq!(count(Compatibility::BackwardTransitive, narrow, &[(1, wide), (2, narrow)]), 1);
    assert_eq!(count(Compatibility::FullTransitive, narrow, &[]), 0);
}

#[test]
fn a_type_that_contains_itself_ends() {
    let list = |item: &str| {
        format!(
            r#"{{"name":"L","type":"record","fields":[{{"name":"v","type":"{item}"}},{{"name":"next","type":["null","L"],"default":null}}]}}"#
        )
    };
    let check =
        |new: &str, old: &str| check_compatibility(Compatibility::Backward, new, &[(1, old)]).unwrap();
    assert_eq!(check(&list("long"), &list("int")), []);
    assert_eq!(check(&list("int"), &list("long")).len(), 1);
}

/// Where apache-avro can be asked for the whole (no references that differ), both must agree.
#[test]
fn agrees_with_apache_avro() {
    let types = [
        r#""int""#,
        r#""long""#,
        r#""string""#,
        r#""bytes""#,
        r#"["null","int"]"#,
        r#"["null","long"]"#,
        r#"["int","string"]"#,
        r#"{"type":"array","items":"int"}"#,
        r#"{"type":"array","items":["null","int"]}"#,
        r#"{"type":"map","values":"long"}"#,
        r#"{"type":"enum","name":"E","symbols":["A","B"]}"#,
        r#"{"type":"enum","name":"E","symbols":["A"]}"#,
        r#"{"type":"enum","name":"E","symbols":["A"],"default":"A"}"#,
        r#"{"type":"record","name":"S","fields":[{"name":"x","type":"int"}]}"#,
        r#"{"type":"record","name":"S","fields":[{"name":"x","type":"int","default":1},{"name":"y","type":"int","default":2}]}"#,
        r#"{"type":"fixed","name":"F","size":4}"#,
        r#"{"type":"fixed","name":"F","size":5}"#,
        r#"{"type":"int","logicalType":"date"}"#,
    ];
    for writer in types {
        for reader in types {
            let wrap =
                |t: &str| format!(r#"{{"name":"R","type":"record","fields":[{{"name":"f","type":{t}}}]}}"#);
            let ours =
                check_compatibility(Compatibility::Backward, &wrap(reader), &[(1, &wrap(writer))]).unwrap();
            let (w, r) =
                (Schema::parse_str(&wrap(writer)).unwrap(), Schema::parse_str(&wrap(reader)).unwrap());
            let theirs = matches!(SchemaCompatibility::can_read(&w, &r), Ok(Verdict::Full));
            assert_eq!(ours.is_empty(), theirs, "{writer} as {reader}: {ours:?}");
        }
    }
}

#[test]
fn the_normal_form_forgets_white_space_and_order_only() {
    let one = normal_form(r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#).unwrap();
    let two = normal_form(r#" {"name":"R", "fields":[{"type":"int","name":"a"}],"type":"record"}"#).unwrap();
    let with_default =
        normal_form(r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":1}]}"#);
    assert_eq!(one, two);
    assert_ne!(one, with_default.unwrap());
    assert!(normal_form(r#"{"type":"record"}"#).is_err());
}
