//! Every connector against the shapes of its vendor: `connectors/<system>/tests/answers.yaml` says what an answer means,
//! `requests.yaml` what goes out for a payload. Neither needs the system, so neither proves that the system does so: a definition
//! says by `evidence` whether it was run. `facts.yaml` is what a second reader found out.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use delivery::{Answer, OnUnknown};
use event::{EventId, PostingKey, RouteId};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};
use target::{Account, ClassChoice, Connector, Endpoint, Meaning, Posting, definition::FieldKind, lint};
use uuid::Uuid;

#[path = "contracts/facts.rs"]
mod facts;
#[path = "contracts/mapped.rs"]
mod mapped;
#[path = "contracts/rules.rs"]
mod rules;

/// One answer of `answers.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerCase {
    name: String,
    /// The document or research row that it was taken from.
    source: String,
    /// The fact of `facts.yaml` that it is an answer of.
    fact: Option<String>,
    object: String,
    /// `lookup`, `create`, `upsert`, `keyed`, `update`, or the name of a step.
    request: String,
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// JSON, or a text that is sent as it is.
    body: Value,
    means: Means,
    /// What it tells of limits, in the order of the definition's `signals`; of those that it tells of.
    left: Option<Vec<LeftCase>>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct LeftCase {
    remaining: u64,
    max: Option<u64>,
    #[serde(default)]
    reserve: u64,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Means {
    class: Option<String>,
    /// `applied`, `not_applied`, `unknown`; of a look `found`, `absent`, `several`.
    outcome: String,
    /// Our stable code.
    code: Option<String>,
    wait_s: Option<f64>,
}

/// One posting of `requests.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestCase {
    name: String,
    object: String,
    class: Option<ClassChoice>,
    #[serde(default)]
    conn: BTreeMap<String, String>,
    reference: String,
    payload: Value,
    /// Every request that goes out, in order: the look, the write, the change, the steps.
    expect: Vec<Sent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    send: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// JSON, or a text; absent means that nobody looks at it.
    body: Option<Value>,
}

/// One request of `bulk.yaml`, for several postings, and answers to it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BulkCase {
    name: String,
    source: String,
    object: String,
    #[serde(default)]
    conn: BTreeMap<String, String>,
    references: Vec<String>,
    payloads: Vec<Value>,
    /// `KEY-0` stands for the key of the first posting.
    expect: Sent,
    answers: Vec<BulkAnswer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BulkAnswer {
    name: String,
    status: u16,
    body: Value,
    /// One for each posting.
    means: Vec<Means>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../connectors")
}

/// The definitions, by name.
fn definitions() -> BTreeMap<String, (Connector, String)> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let yaml = fs::read_to_string(&path).unwrap();
        let connector = Connector::parse(&name, &yaml).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        (name, (connector, yaml))
    };
    files.map(read).collect()
}

/// The cases of a file that stands in the `tests` of every system that has it.
fn cases<T: for<'a> Deserialize<'a>>(system: &str, file: &str) -> Vec<T> {
    let path = folder().join(system).join("tests").join(file);
    match fs::read_to_string(&path) {
        Ok(yaml) => {
            serde_saphyr::from_str(&yaml).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        }
        Err(_) => Vec::new(),
    }
}

fn endpoint(
    connector: &Connector,
    object: &str,
    class: Option<ClassChoice>,
    conn: &BTreeMap<String, String>,
) -> Endpoint {
    let given = |name: &String| conn.get(name).cloned();
    let values = connector
        .connection
        .iter()
        .filter(|(_, field)| field.kind != FieldKind::Secret)
        .filter_map(|(name, field)| {
            let stand_in = || match field.kind {
                FieldKind::Integer => "1".to_owned(),
                FieldKind::Url => format!("https://a-{}.example", name.replace('_', "-")),
                FieldKind::String | FieldKind::Secret => format!("a-{}", name.replace('_', "-")),
            };
            let value = given(name).or_else(|| field.default.is_none().then(stand_in));
            Some((name.clone(), value?))
        })
        .collect();
    let account = Account {
        base_url: connector.base_url.is_none().then_some("https://system.example"),
        class,
        on_unknown: OnUnknown::Park,
        auth: None,
        values: &values,
    };
    Endpoint::new(connector, object, &account).unwrap_or_else(|error| panic!("{object}: {error}"))
}

/// The object itself, or, of one that is only looked up, another one that refers to it.
fn written<'a>(connector: &'a Connector, object: &'a str) -> &'a str {
    let is_written = |name: &str| {
        let operation = &connector.objects[name].operation;
        operation.create.is_some() || operation.upsert.is_some() || operation.keyed.is_some()
    };
    match object.contains('.') || is_written(object) {
        true => object,
        false => connector.objects.keys().find(|name| is_written(name)).expect("an object that is written"),
    }
}

/// The class in which an operation sends a request of that name.
fn class_of(connector: &Connector, object: &str, request: &str) -> Option<ClassChoice> {
    let (name, operation) = object.split_once('.').map_or((object, None), |(name, of)| (name, Some(of)));
    let object = &connector.objects[name];
    let operation = operation.map_or(&object.operation, |of| &object.operations[of]);
    match request {
        "keyed" => Some(ClassChoice::Keyed),
        "upsert" => Some(ClassChoice::Upsert),
        "create" if operation.upsert.is_some() => Some(ClassChoice::Neither),
        _ => None,
    }
}

fn said(meaning: Meaning) -> Means {
    let plain = |outcome: &str| Means { class: None, outcome: outcome.into(), code: None, wait_s: None };
    let with = |reason: delivery::Reason, outcome: &str, after_ms: Option<u64>| Means {
        class: Some(json!(reason.class).as_str().unwrap().to_owned()),
        outcome: outcome.into(),
        code: Some(reason.code.to_string()),
        wait_s: after_ms.map(|ms| ms as f64 / 1_000.0),
    };
    match meaning {
        Meaning::Found(_) => plain("found"),
        Meaning::Absent => plain("absent"),
        Meaning::Several => plain("several"),
        Meaning::Answer(Answer::Applied { .. }) => plain("applied"),
        Meaning::Answer(Answer::Unknown(reason)) => with(reason, "unknown", None),
        Meaning::Answer(Answer::Replayed(reason)) => with(reason, "replayed", None),
        Meaning::Answer(Answer::Again { reason, after_ms, .. }) => with(reason, "not_applied", after_ms),
        Meaning::Answer(Answer::Refused(reason)) => with(reason, "not_applied", None),
        Meaning::Answer(other) => panic!("no answer of one request: {other:?}"),
    }
}

fn headers(of: &BTreeMap<String, String>) -> HeaderMap {
    let one = |(name, value): (&String, &String)| {
        (HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap())
    };
    of.iter().map(one).collect()
}

/// A body as it is sent: JSON, or a text as it is.
fn text(body: &Value) -> String {
    body.as_str().map_or_else(|| body.to_string(), str::to_owned)
}

/// The key of a posting of several.
fn key(event: u128) -> PostingKey {
    PostingKey { event: EventId(Uuid::from_u128(event)), route: RouteId(1), generation: 0 }
}

/// `KEY-0` stands for the key of the first posting.
fn with_keys(text: String, postings: usize) -> String {
    (0..postings as u128).fold(text, |text, event| {
        text.replace(&format!("KEY-{event}"), &key(event).idempotency_key().to_string())
    })
}

impl AnswerCase {
    /// What the definition makes of it, and the operation that it answers.
    fn understood(&self, connector: &Connector) -> (Endpoint, Meaning) {
        let class = class_of(connector, &self.object, &self.request);
        let endpoint = endpoint(connector, &self.object, class, &BTreeMap::new());
        let (headers, body) = (headers(&self.headers), text(&self.body));
        let meaning = endpoint.understands(&self.request, self.status, &headers, body.as_bytes());
        let name = &connector.connector;
        let meaning =
            meaning.unwrap_or_else(|| panic!("{name}: {}: no request `{}`", self.name, self.request));
        (endpoint, meaning)
    }
}

impl BulkCase {
    fn postings(&self, connector: &Connector) -> (Endpoint, Vec<Posting>) {
        let endpoint = endpoint(connector, &self.object, None, &self.conn);
        let postings = self.references.iter().zip(&self.payloads).zip(0..);
        let postings = postings.map(|((reference, payload), event)| {
            endpoint.posting(key(event), reference, 3, payload.to_string().into()).unwrap()
        });
        let postings = postings.collect();
        (endpoint, postings)
    }
}

impl BulkAnswer {
    /// What the definition makes of it for each posting.
    fn understood(&self, endpoint: &Endpoint, postings: &[&Posting]) -> Vec<Answer> {
        let body = with_keys(text(&self.body), postings.len());
        let means = endpoint.understands_together(postings, self.status, &HeaderMap::new(), body.as_bytes());
        means.unwrap()
    }
}

/// What the system answers, understood as its documentation says.
#[test]
fn every_answer_means_what_its_source_says() {
    let mut wrong = Vec::new();
    let mut number = 0;
    for (system, (connector, _)) in definitions() {
        for case in cases::<AnswerCase>(&system, "answers.yaml") {
            number += 1;
            assert!(!case.source.is_empty(), "{system}: {}: it names no source", case.name);
            let (endpoint, meaning) = case.understood(&connector);
            let mut said = said(meaning);
            if case.means.code.is_none() {
                said.code = None;
            }
            if let Some(expected) = &case.left {
                let one = |left: &delivery::Left| LeftCase {
                    remaining: left.remaining,
                    max: left.max,
                    reserve: left.reserve,
                };
                let left = endpoint.left(&headers(&case.headers), text(&case.body).as_bytes());
                let left: Vec<LeftCase> = left.iter().map(one).collect();
                assert_eq!(&left, expected, "{system}: {}", case.name);
            }
            if said != case.means {
                let (name, means) = (&case.name, &case.means);
                wrong.push(format!("{system}: {name}\n    is   {said:?}\n    not  {means:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {number} answers\n{}", wrong.len(), wrong.join("\n"));
    assert!(number > 0, "no connector has an answers.yaml");
}

/// What goes out for a payload, to the letter.
#[test]
fn every_request_is_as_its_documentation_says() {
    let mut number = 0;
    for (system, (connector, _)) in definitions() {
        for case in cases::<RequestCase>(&system, "requests.yaml") {
            number += 1;
            let at = format!("{system}: {}", case.name);
            let seen_from = written(&connector, &case.object);
            let endpoint = endpoint(&connector, seen_from, case.class, &case.conn);
            let key = PostingKey { event: EventId(Uuid::from_u128(7)), route: RouteId(1), generation: 0 };
            let posting = endpoint.posting(key, &case.reference, 3, case.payload.to_string().into());
            let posting = posting.unwrap_or_else(|error| panic!("{at}: {error}"));
            let sent = match seen_from == case.object {
                true => endpoint.preview(&posting, "ID-1", "5"),
                false => endpoint.preview_look(&case.object, &posting).unwrap().map(|look| vec![look]),
            };
            let sent = sent.unwrap_or_else(|error| panic!("{at}: {error}"));
            let lines: Vec<&str> = sent.iter().map(|one| one.send.as_str()).collect();
            let expected: Vec<&str> = case.expect.iter().map(|one| one.send.as_str()).collect();
            assert_eq!(lines, expected, "{at}");
            for (sent, expected) in sent.iter().zip(&case.expect) {
                let at = format!("{at}: {}", sent.request);
                for (name, value) in &expected.headers {
                    let found = sent.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
                    assert_eq!(found.map(|(_, value)| value), Some(value), "{at}: {name}");
                }
                match &expected.body {
                    None => {}
                    Some(Value::String(text)) => assert_eq!(&sent.body, text, "{at}"),
                    Some(json) => {
                        assert_eq!(&serde_json::from_str::<Value>(&sent.body).unwrap(), json, "{at}")
                    }
                }
            }
        }
    }
    assert!(number > 0, "no connector has a requests.yaml");
}

/// What goes out for several postings, and what the answer says of each.
#[test]
fn every_item_of_several_means_what_its_source_says() {
    let mut number = 0;
    for (system, (connector, _)) in definitions() {
        for case in cases::<BulkCase>(&system, "bulk.yaml") {
            number += 1;
            let at = format!("{system}: {}", case.name);
            assert!(!case.source.is_empty(), "{at}: it names no source");
            let (endpoint, postings) = case.postings(&connector);
            let postings: Vec<_> = postings.iter().collect();
            let sent = endpoint.preview_together(&postings).unwrap().unwrap();
            assert_eq!(sent.send, case.expect.send, "{at}");
            let expected = with_keys(case.expect.body.as_ref().unwrap().to_string(), postings.len());
            let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            assert_eq!(json(&sent.body), json(&expected), "{at}");
            for answer in &case.answers {
                let means = answer.understood(&endpoint, &postings).into_iter();
                let said = means.map(|one| Means { code: None, ..said(Meaning::Answer(one)) });
                assert_eq!(said.collect::<Vec<_>>(), answer.means, "{at}: {}", answer.name);
            }
        }
    }
    assert!(number >= 2, "{number} cases of several postings in one request");
}

/// A system has tests for what it can do, and a definition has nothing odd.
#[test]
fn every_definition_is_clean_and_tested() {
    for (system, (connector, yaml)) in definitions() {
        assert_eq!(lint(&connector, &yaml), [], "{system}");
        if yaml.lines().any(|line| line.starts_with("evidence: run")) {
            continue; // other tests run it against the system itself
        }
        let answers = cases::<AnswerCase>(&system, "answers.yaml");
        let requests = cases::<RequestCase>(&system, "requests.yaml");
        let tested: BTreeSet<&str> = requests.iter().map(|case| case.object.as_str()).collect();
        for (name, object) in &connector.objects {
            let operations = object.operations.keys().map(|operation| format!("{name}.{operation}"));
            let all = std::iter::once(name.clone()).chain(operations);
            all.for_each(|name| {
                assert!(tested.contains(&*name), "{system}: no request of `{name}` is tested")
            });
        }
        let outcomes: BTreeSet<&str> = answers.iter().map(|case| case.means.outcome.as_str()).collect();
        for outcome in ["applied", "not_applied", "unknown", "absent", "found"] {
            assert!(outcomes.contains(outcome), "{system}: no answer that means {outcome} is tested");
        }
    }
}
