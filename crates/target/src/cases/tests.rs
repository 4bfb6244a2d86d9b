#![allow(clippy::unwrap_used)]

use super::*;

fn sandbox() -> Connector {
    Connector::embedded("sandbox").unwrap()
}

fn run<C: Case>(yaml: &str) -> Result<(), String> {
    let cases: Vec<C> = serde_saphyr::from_str(yaml).unwrap();
    assert_eq!((cases.len(), cases[0].name()), (1, "a case"));
    cases[0].run(&sandbox())
}

const ANSWER: &str = "
- name: a case
  source: crates/sandbox/README.md
  object: customer
  request: upsert
  status: 429
  headers: {Retry-After: '7'}
  body: {error: {code: rate_limited, message: slowly}}
  means: {class: throttled, outcome: not_applied, wait_s: 7}
";

#[test]
fn an_answer_that_means_something_else_is_told() {
    assert_eq!(run::<AnswerCase>(ANSWER), Ok(()));
    for (from, to, what) in [
        ("class: throttled", "class: transient", "it means Means { class: Some(\"throttled\")"),
        ("wait_s: 7", "wait_s: 8", "wait_s: Some(7.0)"),
        ("wait_s: 7}", "wait_s: 7, code: SNK-9999}", "and not"),
        ("status: 429", "status: 200", "outcome: \"applied\""),
        ("upsert", "settle", "there is no request `settle`"),
        ("object: customer", "object: custmer", "there is no object `custmer`"),
        ("object: customer", "object: customer.void", "there is no object `customer.void`"),
        ("source: crates/sandbox/README.md", "source: ''", "names no source"),
        ("Retry-After:", "'no header':", "is no header"),
        ("wait_s: 7}", "wait_s: 7}\n  left: [{remaining: 3}]", "it leaves []"),
    ] {
        assert!(ANSWER.contains(from), "{from}");
        let wrong = run::<AnswerCase>(&ANSWER.replace(from, to)).unwrap_err();
        assert!(wrong.contains(what), "{what}: {wrong}");
    }
}

const REQUEST: &str = "
- name: a case
  object: customer
  reference: C-1
  payload: {name: Ann}
  expect:
    - send: GET https://system.example/api/v1/customers/by-external-id/C-1
    - send: PUT https://system.example/api/v1/customers/by-external-id/C-1
      headers: {content-type: application/json, authorization: '***'}
      body: {name: Ann}
";

#[test]
fn a_request_that_is_another_one_is_told() {
    assert_eq!(run::<RequestCase>(REQUEST), Ok(()));
    for (from, to, what) in [
        ("reference: C-1", "reference: C-2", "it sends ["),
        (
            "content-type: application/json",
            "content-type: text/plain",
            "write: header `content-type` is Some",
        ),
        (
            "body: {name: Ann}",
            "body: {name: Bob}",
            "write: the body is {\"name\":\"Ann\"}, and not {\"name\":\"Bob\"}",
        ),
        ("body: {name: Ann}", "body: name=Ann", "the body is"),
        ("object: customer", "object: custmer", "`custmer` cannot be looked up"),
    ] {
        assert!(REQUEST.contains(from), "{from}");
        let wrong = run::<RequestCase>(&REQUEST.replace(from, to)).unwrap_err();
        assert!(wrong.contains(what), "{what}: {wrong}");
    }
}

#[test]
fn a_file_that_is_not_there_has_no_cases_and_one_of_another_form_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    assert!(read::<AnswerCase>(dir.path()).unwrap().is_empty());
    fs::write(dir.path().join("answers.yaml"), ANSWER.replace("means", "meens")).unwrap();
    assert!(matches!(read::<AnswerCase>(dir.path()), Err(CaseError::Form(_))));
    fs::create_dir(dir.path().join("requests.yaml")).unwrap();
    assert!(matches!(read::<RequestCase>(dir.path()), Err(CaseError::Unreadable(_))));
}

const BATCH: &str = r#"
connector: small
revision: 1
class: upsert
headers: {Content-Type: application/json}
key: {place: header, name: Idempotency-Key, window: 24h}
errors: {rules: []}
objects:
  note:
    path: /notes
    lookup: {request: "GET {{path}}/{{ref}}", absent: 404, id: $.id}
    upsert: {request: {send: "PUT {{path}}/{{ref}}", headers: {X-Key: "{{key}}"}}, ok: [204], bulk: {max_items: 9, request: "POST /$batch", ok: [200], parts: {}}}
"#;

const PARTS: &str = r#"
- name: a case
  source: this file
  object: note
  references: [N-1, N-2]
  payloads: [{a: 1}, {a: 2}]
  expect: {send: "POST https://system.example/$batch"}
  parts:
    - {send: "PUT https://system.example/notes/N-1", headers: {content-id: "1", x-key: KEY-0}, body: {a: 1}}
    - {send: "PUT https://system.example/notes/N-2", headers: {content-id: "2", x-key: KEY-1}, body: {a: 2}}
  answers:
    - name: an answer
      status: 200
      headers: {Content-Type: multipart/mixed; boundary=b}
      body: |
        --b
        Content-Type: application/http

        HTTP/1.1 204 No Content

        --b
        Content-Type: application/http

        HTTP/1.1 404 Not Found

        --b--
      means: [{outcome: applied}, {class: unsupported, outcome: not_applied}]
"#;

#[test]
fn a_part_that_is_another_one_is_told() {
    let run = |definition: &str, cases: &str| {
        let connector = Connector::parse("small", definition).unwrap();
        serde_saphyr::from_str::<Vec<BulkCase>>(cases).unwrap()[0].run(&connector)
    };
    assert_eq!(run(BATCH, PARTS), Ok(()));
    for (from, to, what) in [
        ("notes/N-2\"", "notes/N-3\"", "part 2: it is PUT https://system.example/notes/N-2, and not"),
        ("x-key: KEY-1", "x-key: KEY-0", "part 2: header `x-key` is"),
        ("body: {a: 1}", "body: {a: 3}", "part 1: the body is {\"a\":1}"),
        ("headers: {content-id: \"2\"", "headers: {content-id: \"3\"", "part 2: header `content-id`"),
        ("references: [N-1, N-2]", "references: [N-1]", "its body has 1 parts, and not 2"),
        ("boundary=b", "boundary=c", "an answer: it means"),
        ("multipart/mixed; boundary=b}", "\"a\\nb\"}", "is no header"),
    ] {
        assert!(PARTS.contains(from), "{from}");
        let wrong = run(BATCH, &PARTS.replace(from, to)).unwrap_err();
        assert!(wrong.contains(what), "{what}: {wrong}");
    }
    let atomic = BATCH.replace("parts: {}", "parts: {}, kind: atomic");
    assert!(run(&atomic, PARTS).unwrap_err().contains("1 parts, and not 2"));
    let list = PARTS
        .replace("    - {send: \"PUT", "      - {send: \"PUT")
        .replace("  parts:\n", "  parts:\n    -\n");
    let set = run(&atomic, &list).unwrap_err();
    assert!(set.contains("an answer: it means"), "the change set is as expected, the answer is not: {set}");
    let each = BATCH.replace("parts: {}", "parts: {change_sets: true}");
    assert!(run(&each, PARTS).unwrap_err().contains("its change sets are others"));
    let listed = BATCH.replace(
        "request: \"POST /$batch\", ok: [200], parts: {}",
        "request: {send: \"POST /$batch\", body: \"{{items}}\"}, ok: [200], answers: [{at: $}]",
    );
    assert!(run(&listed, PARTS).unwrap_err().contains("its body is no multipart"));
}

const CHANGES: &str = "
- name: a case
  source: a document
  object: order
  since: '2026-11-20T00:00:00Z'
  pages:
    - expect: {send: 'GET https://system.example/docs?since=2026-11-20T00%3A00%3A00Z&limit=2'}
      body: {docs: [{id: A, at: '2026-11-20T09:00:00.000+0000'}, {id: B, at: '2026-11-20T10:00:00Z'}], next: t1}
      records: [[A, '2026-11-20T09:00:00Z'], [B, '2026-11-20T11:00:00+01:00']]
      read_to: '2026-11-20T10:00:00Z'
    - expect: {send: 'GET https://system.example/docs?since=2026-11-20T00%3A00%3A00Z&limit=2&after=t1', headers: {accept: application/json}}
      body: {docs: []}
      records: []
  resumes: {send: 'GET https://system.example/docs?since=2026-11-20T09%3A59%3A00Z&limit=2'}
";

const READ: &str = r#"
connector: small
revision: 1
class: neither
headers: {Accept: application/json}
errors: {rules: []}
objects:
  order:
    path: /docs
    changes:
      kind: modified_since
      request: {send: "GET {{path}}", query: {since: "{{payload.since}}", limit: "{{payload.page}}"}}
      paging: {kind: cursor, next: $.next, query: after}
      order: modified
      items: $.docs
      id: $.id
      ids: text
      modified: $.at
      format: rfc3339_s
      overlap: 1m
      page: 2
    create: {request: "POST {{path}}", ok: [201]}
"#;

#[test]
fn a_walk_that_goes_another_way_is_told() {
    let connector = Connector::parse("small", READ).unwrap();
    let run = |yaml: &str| {
        let cases: Vec<ChangesCase> = serde_saphyr::from_str(yaml).unwrap();
        cases[0].run(&connector)
    };
    assert_eq!(run(CHANGES), Ok(()));
    for (from, to, what) in [
        ("since: '2026-11-20T00:00:00Z'", "since: '2026-11-21T00:00:00Z'", "page 1: it sends GET"),
        ("source: a document", "source: ''", "names no source"),
        ("object: order", "object: ordr", "ordr"),
        ("after=t1", "after=t2", "page 2: it sends GET"),
        ("accept: application/json", "accept: text/plain", "header `accept` is Some"),
        ("[A, '2026-11-20T09:00:00Z']", "[A, '2026-11-20T09:00:01Z']", "page 1: it tells [(\"A\""),
        ("read_to: '2026-11-20T10:00:00Z'", "read_to: '2026-11-20T10:00:01Z'", "page 1: it reads to Some"),
        ("      read_to: '2026-11-20T10:00:00Z'\n", "", "page 1: it reads to Some"),
        ("body: {docs: []}", "body: {docs: [], next: t3}", "not at its end: it asks GET"),
        ("body: {docs: []}", "status: 500\n      body: {docs: []}", "page 2: SNK"),
        ("next: t1", "then: t1", "page 2: the walk is at its end already"),
        ("A59%3A00Z", "A58%3A00Z", "the next walk: it sends GET"),
    ] {
        assert!(CHANGES.contains(from), "{from}");
        let wrong = run(&CHANGES.replace(from, to)).unwrap_err();
        assert!(wrong.contains(what), "{what}: {wrong}");
    }
}
