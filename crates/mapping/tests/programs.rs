//! What a program can do and cannot, and what is said about it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use mapping::{Diagnostic, MappingError, Program};
use serde_json::{Value, json};

fn run(source: &str, body: Value) -> Result<Vec<Value>, MappingError> {
    Program::compile("test.vrl", source).unwrap().run(json!({"headers": {"x-topic": "t"}, "body": body}))
}

fn refused(source: &str) -> Vec<Diagnostic> {
    Program::compile("test.vrl", source).expect_err(source)
}

#[test]
fn one_event_several_or_none() {
    assert_eq!(
        run(r#"{"a": .body.n, "t": .headers."x-topic"}"#, json!({"n": 1})),
        Ok(vec![json!({"a": 1, "t": "t"})])
    );
    assert_eq!(run(r#"[{"a": 1}, {"a": 2}]"#, json!({})), Ok(vec![json!({"a": 1}), json!({"a": 2})]));
    assert_eq!(run("null", json!({})), Ok(vec![]));
    assert_eq!(run("if .body.n == 2 { return null }\n{}", json!({"n": 2})), Ok(vec![]));
    for other in ["1", r#""text""#, r#"[{"a": 1}, 2]"#, "true"] {
        let error = run(other, json!({})).unwrap_err();
        assert!(matches!(error, MappingError::Shape { .. }), "{other}: {error}");
        assert_eq!(error.code(), "CFG-0204");
    }
}

#[test]
fn a_program_that_gives_up_says_why() {
    let aborted = run(r#"abort "no " + string!(.body.what)"#, json!({"what": "money"})).unwrap_err();
    assert_eq!(aborted, MappingError::Refused { program: "test.vrl".into(), message: "no money".into() });
    let failed = run(r#"{"a": string!(.body.a)}"#, json!({"a": 1})).unwrap_err();
    assert_eq!(failed.code(), "CFG-0203");
    assert!(failed.to_string().contains("expected string, got integer"), "{failed}");
}

#[test]
fn mistakes_have_a_place_and_a_code() {
    let found = refused("x = 1\ny = {\"ö\": upcas(\"a\")}\n{\"a\": x, \"b\": y}");
    assert_eq!((found[0].line, found[0].column, found[0].code), (2, 11, "CFG-0201"));
    assert!(found[0].message.contains("upcase"), "it suggests the right name: {}", found[0].message);
    assert!(found[0].to_string().starts_with("test.vrl:2:11: CFG-0201: E105"), "{}", found[0]);
    let unhandled = refused(r#"{"a": upcase(.body.name)}"#);
    assert!(
        unhandled[0].message.starts_with("E110") || unhandled[0].message.starts_with("E103"),
        "{}",
        unhandled[0]
    );
    assert_eq!(refused("a = 1 b").len(), 1);
}

/// The same input must give the same bytes on every attempt, and a tenant's program must not look at the machine.
#[test]
fn nothing_but_the_input_is_visible() {
    let calls = [
        "get_env_var!(\"HOME\")",
        "dns_lookup!(\"localhost\")",
        "reverse_dns!(\"127.0.0.1\")",
        "http_request!(\"http://127.0.0.1\")",
        "get_hostname!()",
        "get_timezone_name!()",
        "now()",
        "random_int!(1, 9)",
        "random_float!(1.0, 9.0)",
        "random_bool()",
        "random_bytes!(8)",
        "uuid_v4()",
        "uuid_v7()",
        "parse_proto!(\"x\", \"/etc/passwd\", \"x\")",
        "parse_etld!(\"a.b\", psl: \"/etc/passwd\")",
        "validate_json_schema!(\"{}\", \"/etc/passwd\")",
        "parse_groks!(\"x\", [\"%{WORD:w}\"], alias_sources: [\"/etc/passwd\"])",
        "log(\"x\")",
    ];
    for call in calls {
        let found = refused(&format!("{{\"a\": {call}}}"));
        assert!(found[0].message.starts_with("E105"), "{call} is not an unknown function: {}", found[0]);
    }
}

#[test]
fn output_and_time_are_bounded() {
    let many = r#"map_values(array!(.body)) -> |v| { {"v": v} }"#;
    assert_eq!(run(many, json!(vec![1; 100])).unwrap().len(), 100);
    assert_eq!(run(many, json!(vec![1; 101])).unwrap_err().code(), "CFG-0205");
    let echo = r#"{"v": .body}"#;
    assert!(run(echo, json!("x".repeat(1_000_000))).is_ok());
    assert!(matches!(
        run(echo, json!("x".repeat(1_100_000))),
        Err(MappingError::TooLarge { limit: "1 MiB", .. })
    ));
    assert!(matches!(run(echo, json!(vec![0; 200_000])), Err(MappingError::TooLarge { .. })));
    let slow = "n = 0\nfor_each(array!(.body)) -> |_i, _v| { for_each(array!(.body)) -> |_j, _w| { n = n + 1 } }\n{\"n\": n}";
    assert_eq!(run(slow, json!(vec![0; 10])), Ok(vec![json!({"n": 100})]));
    assert!(matches!(run(slow, json!(vec![0; 2_000])), Err(MappingError::TooLong { .. })));
}

#[test]
fn nothing_passes_from_one_input_to_the_next() {
    let program = Program::compile("p.vrl", "if .body.set == true { .seen = 1 }\n{\"seen\": .seen}").unwrap();
    let run = |set: bool| program.run(json!({"headers": {}, "body": {"set": set}})).unwrap();
    assert_eq!(run(true), [json!({"seen": 1})]);
    assert_eq!(run(false), [json!({"seen": null})]);
}

#[test]
fn one_program_serves_many_threads() {
    let program = Program::compile("p.vrl", r#"{"double": int!(.body) * 2}"#).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let program = &program;
            scope.spawn(move || {
                for n in (thread * 1000)..(thread * 1000 + 200) {
                    let input = json!({"headers": {}, "body": n});
                    assert_eq!(program.run(input), Ok(vec![json!({"double": n * 2})]));
                }
            });
        }
    });
}

#[test]
fn our_functions_convert_and_let_null_through() {
    let call = |call: &str, body: Value| {
        run(&format!("{{\"v\": {call}}}"), body).map(|events| events[0]["v"].clone())
    };
    let money = |amount: &str, currency: &str| json!({"amount": amount, "currency": currency});
    assert_eq!(call(r#"money_from_minor!(.body, 2, "eur")"#, json!(11900)), Ok(money("119.00", "EUR")));
    assert_eq!(call(r#"money_from_minor!(.body, 0, "jpy")"#, json!("500")), Ok(money("500", "JPY")));
    assert_eq!(call(r#"money!(.body, "EUR")"#, json!("-0.50")), Ok(money("-0.50", "EUR")));
    assert_eq!(
        call("instant!(.body)", json!("2026-11-22T11:00:00+01:00")),
        Ok(json!("2026-11-22T10:00:00.000000Z"))
    );
    assert_eq!(call("instant_from_unix!(.body)", json!(0)), Ok(json!("1970-01-01T00:00:00.000000Z")));
    assert_eq!(call("date_from_unix!(.body)", json!(-1)), Ok(json!("1969-12-31")));
    assert_eq!(call("micros!(.body)", json!("1970-01-01T00:00:01.5Z")), Ok(json!(1_500_000)));
    let unreadable = [
        (r#"money_from_minor!(.body, 2, "eur")"#, json!(1.5)),
        (r#"money_from_minor!(.body, 2, "euro")"#, json!(1)),
        (r#"money_from_minor!(.body, "2", "eur")"#, json!(1)),
        (r#"money!(.body, "EUR")"#, json!("1,50")),
        (r#"money!(.body, null)"#, json!("1.50")),
        ("instant!(.body)", json!("2026-11-22")),
        ("instant_from_unix!(.body)", json!("1")),
        ("instant_from_unix!(.body)", json!(i64::MAX)),
        ("date_from_unix!(.body)", json!(true)),
        ("micros!(.body)", json!({})),
    ];
    for (source, body) in unreadable {
        let error = call(source, body).unwrap_err();
        assert!(error.to_string().contains("cannot read"), "{source}: {error}");
        assert_eq!(call(source, Value::Null), Ok(Value::Null), "{source}");
    }
}

#[test]
fn every_code_has_a_page() {
    for code in ["CFG-0201", "CFG-0202", "CFG-0203", "CFG-0204", "CFG-0205", "CFG-0206"] {
        let page = format!("{}/../../docs/errors/{code}.md", env!("CARGO_MANIFEST_DIR"));
        assert!(std::path::Path::new(&page).exists(), "{page}");
    }
}
