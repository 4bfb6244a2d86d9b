#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

fn each(yaml: &str, write: &str) -> Result<Each, String> {
    let each: definition::Each = serde_saphyr::from_str(yaml).unwrap();
    let call = |text: &str| {
        let request: definition::Request = serde_saphyr::from_str(text).unwrap();
        Call::compile(&request, "http://x", &BTreeMap::new(), false)
    };
    let remove = each.remove.as_ref().map(|one| (call("DELETE {{path}}/{{id}}").unwrap(), one.ok.clone()));
    let known = BTreeMap::from([("conn.field".to_owned(), "no".to_owned())]);
    Each::compile(&each, &call(write).unwrap(), (None, None, remove), &known)
}

const ONE: &str = "{send: 'POST {{path}}', body: '{{each}}'}";
const LINES: &str = "list: lines\nfound: {items: $.lines, id: $.id, by: {$.number: '$.{{conn.field}}'}, compare: {$.quantity: $.qty}, more: $.next}\n";

fn lines(more: &str) -> Each {
    each(&format!("{LINES}{more}"), ONE).unwrap()
}

#[test]
fn elements_are_told_apart_however_numbers_are_written() {
    let lines = lines("");
    let ours = [
        json!({"number": 1, "quantity": "10.50"}),
        json!({"number": "2", "quantity": 3}),
        json!({"number": 3}),
    ];
    let there = [
        json!({"id": "a", "no": "1", "qty": 10.5}),
        json!({"id": "b", "no": 2.0, "qty": 4}),
        json!({"id": "c", "no": 9, "qty": 1}),
        json!({"id": "d", "no": null, "qty": 1}), // somebody's own line
    ];
    let gaps = lines.gaps(&ours, &there).unwrap();
    assert_eq!(
        gaps,
        Gaps { missing: vec![2], differing: vec![(1, Some(json!("b")))], extra: vec![Some(json!("c"))] }
    );
    assert!(gaps.differ());
    assert_eq!(lines.gaps(&ours, &[]).unwrap(), Gaps::all(3));
    let twice = lines.gaps(&ours, &[json!({"no": 1}), json!({"no": "1"})]).unwrap_err();
    assert!(twice.contains("`lines` 1 is there several times"), "{twice}");
}

#[test]
fn elements_of_a_payload_that_cannot_be_told_apart_are_said() {
    let lines = lines("");
    let said = |payload: Value| lines.elements(&payload).map(<[Value]>::len);
    assert_eq!(said(json!({"lines": [{"number": 1}, {"number": 2}]})), Ok(2));
    assert_eq!(said(json!({})), Ok(0));
    assert_eq!(said(json!({"lines": null})), Ok(0));
    assert!(said(json!({"lines": {}})).unwrap_err().contains("is no list"));
    assert!(said(json!({"lines": [{"number": 1}, {"number": "1"}]})).unwrap_err().contains("`lines[1]`"));
    assert!(said(json!({"lines": [{"quantity": 1}]})).unwrap_err().contains("does not say which"));
}

#[test]
fn what_may_not_be_done_away_with_is_refused() {
    let ours = [json!({"number": 1, "quantity": 1})];
    let (other, extra) =
        ([json!({"id": 1, "no": 1, "qty": 2})], [json!({"no": 1, "qty": 1}), json!({"id": 7, "no": 2})]);
    let refused = |each: &Each, there: &[Value]| {
        let gaps = each.gaps(&ours, there).unwrap();
        match each.check(&gaps, &ours) {
            Ok(()) => None,
            Err(Answer::Refused(reason)) => Some(reason.message.to_string()),
            Err(other) => panic!("{other:?}"),
        }
    };
    let verify = lines("");
    assert_eq!(refused(&verify, &other).unwrap(), "`lines` 1 is there and says something else");
    assert_eq!(
        refused(&verify, &extra).unwrap(),
        "the target has 1 of `lines` that the posting does not have"
    );
    let overwrite = lines("on_existing: overwrite");
    assert_eq!(refused(&overwrite, &other), None);
    assert!(refused(&overwrite, &extra).is_some(), "nothing says how one is removed");
    let remove = lines("on_existing: overwrite\nremove: {request: 'DELETE {{path}}/{{id}}', ok: [204]}");
    assert_eq!((refused(&remove, &other), refused(&remove, &extra)), (None, None));
    let skip = lines("on_existing: skip");
    assert_eq!((refused(&skip, &other), refused(&skip, &extra)), (None, None));
    assert!(!skip.gaps(&ours, &other).unwrap().differ());
}

#[test]
fn an_answer_that_does_not_list_all_is_none() {
    let lines = lines("");
    assert_eq!(lines.pick(&json!({"lines": [1], "next": null})).unwrap(), [json!(1)]);
    assert!(lines.pick(&json!({"lines": null})).unwrap().is_empty());
    let Err(Answer::Refused(more)) = lines.pick(&json!({"lines": [1], "next": "/page/2"})) else { panic!() };
    assert!(more.message.contains("more of `lines` than it lists"), "{more:?}");
    assert!(matches!(lines.pick(&json!({"error": "no"})), Err(Answer::Unknown(_))));
}

#[test]
fn what_does_not_fit_together_is_said() {
    let several = "{send: 'POST {{path}}', body: {all: '{{items}}'}}";
    let says = |yaml: &str, write: &str, what: &str| {
        let error = each(yaml, write).map(drop).unwrap_err();
        assert!(error.contains(what), "{error}");
    };
    says(LINES, "POST {{path}}", "does not say {{each}}");
    says(LINES, "{send: 'POST {{path}}', body: ['{{each}}', '{{items}}']}", "set `at_once`");
    says(&format!("{LINES}at_once: 2"), ONE, "says {{items}}");
    says(&format!("{LINES}at_once: 0"), ONE, "at least 1");
    says(&format!("{LINES}item: '{{{{each}}}}'"), ONE, "set `at_once`");
    says(&format!("{LINES}on_existing: patch_if_unchanged"), ONE, "verify, overwrite or skip");
    says(
        &format!("{LINES}remove: {{request: 'DELETE /x', ok: [204]}}"),
        ONE,
        "go with `on_existing: overwrite`",
    );
    says("list: lines\nfound: {items: $, by: {}}", ONE, "`by` says nothing");
    says(&format!("{LINES}at_once: 2\nanswers: {{at: $, name: $.n}}"), several, "no `name`");
    assert!(each(&format!("{LINES}at_once: 2"), several).is_ok());
}
