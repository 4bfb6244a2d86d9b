//! What goes out as the parts of a body, and what may be believed of the answer.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use delivery::{Answer, OnUnknown, Scope};
use event::{EventId, PostingKey, RouteId};
use http::{HeaderMap, HeaderValue};
use uuid::Uuid;

use crate::{Account, ClassChoice, Connector, Endpoint, Posting, lint};

const DEFINITION: &str = r#"
connector: small
revision: 1
class: upsert
connection: {company: {help: "the company", default: "7"}}
headers: {Content-Type: application/json, X-Company: "{{conn.company}}"}
key: {place: header, name: Idempotency-Key, window: 24h, replayed: {Replayed: "true"}}
event_id: {header: X-Event}
errors:
  code_path: $.error.code
  message_path: $.error.message
  rules:
    - {when: {status: 429}, class: throttled, outcome: not_applied, wait: header.Retry-After}
    - {when: {status: 503}, class: transient, outcome: not_applied}
    - {when: {status: 400}, class: validation, outcome: not_applied}
    - {when: {status: [500, 502]}, class: transient, outcome: unknown}
objects:
  note:
    path: /odata/notes
    lookup: {request: "GET {{path}}({{ref|quoted}})", absent: 404, id: $.id}
    upsert: &write
      request: {send: "PATCH {{path}}({{ref|quoted}})", headers: {Prefer: return=minimal}}
      ok: [200, 204]
      id: header.Location
      bulk: {max_items: 50, request: {send: "POST /odata/$batch", headers: {Prefer: odata.continue-on-error, Content-Type: text/x}}, ok: [200], parts: {}}
    keyed: *write
    create: *write
"#;

fn made(definition: &str, class: ClassChoice) -> Result<Endpoint, String> {
    let connector = Connector::parse("small", definition).unwrap();
    let values = BTreeMap::new();
    let account = Account {
        base_url: Some("https://erp.example/x"),
        class: Some(class),
        on_unknown: OnUnknown::Park,
        auth: None,
        values: &values,
    };
    Endpoint::new(&connector, "note", &account).map_err(|error| error.to_string())
}

fn with(parts: &str) -> Endpoint {
    made(&DEFINITION.replace("parts: {}", parts), ClassChoice::Upsert).unwrap()
}

fn postings(endpoint: &Endpoint, items: usize) -> Vec<Posting> {
    let posting = |at: usize| {
        let event = EventId(Uuid::from_u128(at as u128));
        let key = PostingKey { event, route: RouteId(1), generation: 0 };
        endpoint.posting(key, &format!("N/{at}"), 3, "{\"a\":1}".into()).unwrap()
    };
    (0..items).map(posting).collect()
}

/// The body that goes out for two, with the word that its boundaries have as `TOKEN`.
fn sent(endpoint: &Endpoint) -> String {
    let postings = postings(endpoint, 2);
    let postings: Vec<&Posting> = postings.iter().collect();
    let sent = endpoint.preview_together(&postings).unwrap().unwrap();
    assert_eq!(sent.send, "POST https://erp.example/x/odata/$batch");
    let types: Vec<&str> =
        sent.headers.iter().filter(|(n, _)| n == "content-type").map(|(_, v)| &**v).collect();
    let token = types[0].strip_prefix("multipart/mixed; boundary=batch_").unwrap();
    assert_eq!((types.len(), token.len()), (1, 32), "one type, with the boundary");
    sent.body.replace(token, "TOKEN")
}

#[test]
fn each_part_is_the_request_of_one_alone() {
    let part = |n: usize| {
        format!(
            "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: {}\r\n\r\n\
             PATCH https://erp.example/x/odata/notes(%27N%2F{n}%27) HTTP/1.1\r\n\
             content-type: application/json\r\nx-company: 7\r\nx-event: 00000000-0000-0000-0000-00000000000{n}\r\nprefer: return=minimal\r\n\
             Content-Length: 7\r\n\r\n{{\"a\":1}}\r\n",
            n + 1
        )
    };
    let side_by_side = sent(&with("parts: {}"));
    assert_eq!(
        side_by_side,
        format!("--batch_TOKEN\r\n{}--batch_TOKEN\r\n{}--batch_TOKEN--\r\n", part(0), part(1))
    );
    let set = |name: &str, parts: &[usize]| {
        let boundary = format!("changeset_TOKEN{name}");
        let parts: String = parts.iter().map(|n| format!("--{boundary}\r\n{}", part(*n))).collect();
        format!(
            "--batch_TOKEN\r\nContent-Type: multipart/mixed; boundary={boundary}\r\n\r\n{parts}--{boundary}--\r\n\r\n"
        )
    };
    let each = sent(&with("parts: {change_sets: true}"));
    assert_eq!(each, format!("{}{}--batch_TOKEN--\r\n", set("_1", &[0]), set("_2", &[1])));
    let one = sent(&with("parts: {}, kind: atomic"));
    assert_eq!(one, format!("{}--batch_TOKEN--\r\n", set("", &[0, 1])));
}

#[test]
fn an_address_is_written_as_the_system_wants_it_and_the_key_is_of_each() {
    let path = sent(&with("parts: {address: path}"));
    assert!(path.contains("PATCH /x/odata/notes(%27N%2F0%27) HTTP/1.1\r\nHost: erp.example\r\n"), "{path}");
    let relative = sent(&with("parts: {address: relative}"));
    assert!(relative.contains("PATCH notes(%27N%2F1%27) HTTP/1.1\r\ncontent-type"), "{relative}");
    let elsewhere = with("parts: {address: relative, request: \"PUT /other/{{ref}}\"}");
    let lone = postings(&elsewhere, 1);
    let error = elsewhere.preview_together(&[&lone[0]]).unwrap().unwrap_err();
    assert!(error.contains("is not below https://erp.example/x/odata/"), "{error}");
    let own = sent(&with("parts: {request: {send: \"PUT /other/{{ref}}\", body: {b: \"{{payload.a}}\"}}}"));
    assert!(
        own.contains("PUT https://erp.example/x/other/N%2F1 HTTP/1.1\r\n") && own.contains("{\"b\":1}"),
        "{own}"
    );
    let keyed = sent(&made(DEFINITION, ClassChoice::Keyed).unwrap());
    let keys: Vec<&str> = keyed.lines().filter(|line| line.starts_with("idempotency-key: ")).collect();
    assert!(keys.len() == 2 && keys[0] != keys[1], "{keyed}");
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_sent() {
    for (parts, told) in [
        ("parts: {}, item: {a: 1}", "leave out `item`"),
        ("parts: {}, answers: [{at: $}]", "leave out `item`"),
        ("parts: {}, named: \"{{ref}}\"", "leave out `item`"),
        ("parts: {change_sets: true}, kind: atomic", "leave out `change_sets`"),
        ("parts: {after_error: stops}, kind: atomic", "leave out `change_sets`"),
        ("parts: {request: \"PUT /x/{{id}}\"}", "before we sign in"),
        ("parts: {id: nowhere}", "is no path"),
    ] {
        let yaml = DEFINITION.replace("parts: {}", parts);
        let error = made(&yaml, ClassChoice::Upsert).unwrap_err();
        assert!(error.contains(told), "{parts}: {error}");
        let connector = Connector::parse("small", &yaml).unwrap();
        assert!(lint(&connector, &yaml).iter().any(|f| f.to_string().contains(told)), "{parts}");
    }
    let body = DEFINITION.replace("Content-Type: text/x}}", "X: y}, body: {a: 1}}");
    assert!(made(&body, ClassChoice::Upsert).unwrap_err().contains("and the `body` of its request"));
}

/// An answer of parts: `204`, `400 2` with a Content-ID, and a change set as a list.
fn answer(parts: &[&str]) -> String {
    let response = |text: &str| {
        let (status, id) =
            text.split_once(' ').map_or((text, String::new()), |(s, id)| (s, format!("Content-ID: {id}\n")));
        format!(
            "Content-Type: application/http\n{id}\nHTTP/1.1 {status} X\nLocation: /odata/notes('N{status}')\nRetry-After: 7\n\n{{}}\n"
        )
    };
    let part = |text: &&str| match text.strip_prefix('[') {
        None => format!("--b\n{}", response(text)),
        Some(set) => {
            let inner = set.trim_end_matches(']').split(',').filter(|text| !text.is_empty());
            let inner: String = inner.map(|text| format!("--c\n{}", response(text.trim()))).collect();
            format!("--b\nContent-Type: multipart/mixed; boundary=c\n\n{inner}--c--\n")
        }
    };
    format!("{}--b--\n", parts.iter().map(part).collect::<String>())
}

fn understood(endpoint: &Endpoint, items: usize, status: u16, content_type: &str, body: &str) -> Vec<Answer> {
    let postings = postings(endpoint, items);
    let postings: Vec<&Posting> = postings.iter().collect();
    let headers =
        HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::try_from(content_type).unwrap())]);
    endpoint.understands_together(&postings, status, &headers, body.as_bytes()).unwrap()
}

/// What the answers are, one letter each: Applied, Refused, aGain, held Connection, aPart, Unknown, rePlayed.
fn letters(answers: Vec<Answer>) -> String {
    let letter = |answer: Answer| match answer {
        Answer::Applied { .. } => 'A',
        Answer::Refused(_) => 'R',
        Answer::Again { scope: Scope::Apart, .. } => 'P',
        Answer::Again { scope: Scope::Connection, .. } => 'C',
        Answer::Again { .. } => 'G',
        Answer::Unknown(_) => 'U',
        Answer::Unfinished { .. } | Answer::Stuck(_) | Answer::Replayed(_) => '?',
    };
    answers.into_iter().map(letter).collect()
}

const MIXED: &str = "multipart/mixed; boundary=b";

#[test]
fn side_by_side_each_has_its_own_answer_or_none() {
    let goes_on = with("parts: {}");
    let said = |parts: &[&str]| letters(understood(&goes_on, 3, 200, MIXED, &answer(parts)));
    assert_eq!(said(&["204", "400", "500"]), "ARU", "by position");
    assert_eq!(said(&["204", "429", "503"]), "ACG");
    assert_eq!(said(&["204 1", "400", "204 3"]), "ARA", "a failed one need not be named");
    assert_eq!(said(&["204 3", "400 1", "500 2"]), "RUA", "by name");
    assert_eq!(said(&["204 3", "400 1"]), "RUA", "the one that is not named is unknown");
    assert_eq!(said(&["204", "204"]), "UUU", "too few");
    assert_eq!(said(&["204", "400"]), "UUU", "too few, and nobody said that it stops");
    assert_eq!(said(&["204", "204", "204", "204"]), "UUU", "too many");
    assert_eq!(said(&[]), "UUU");
    assert_eq!(said(&["204 1", "204 1", "400 3"]), "UUU", "two for one");
    assert_eq!(said(&["204 2", "204", "204"]), "UUU", "in another order, and not all named");
    assert_eq!(said(&["204 0", "204 x", "204 99999999999999999999"]), "UUU", "nobody's names");
    assert_eq!(said(&["[204 1]", "400", "[204 3]"]), "ARA", "change sets of one");
    assert_eq!(said(&["[204 1, 204 2]", "204 3", "204"]), "UUU", "a change set that nobody sent");
    let applied = understood(&goes_on, 1, 200, MIXED, &answer(&["204"]));
    assert_eq!(applied, [Answer::Applied { document: Some("N204".into()) }], "the id of the address");
    let [Answer::Again { after_ms, .. }] = &understood(&goes_on, 1, 200, MIXED, &answer(&["429"]))[..] else {
        panic!("throttled")
    };
    assert_eq!(*after_ms, Some(7_000), "the wait that the part asks for");
}

#[test]
fn behind_the_first_failure_nothing_was_run_only_where_the_definition_says_so() {
    let stops = with("parts: {after_error: stops}");
    let said = |status: u16, parts: &[&str]| letters(understood(&stops, 4, status, MIXED, &answer(parts)));
    assert_eq!(said(200, &["204", "400"]), "ARGG");
    assert_eq!(said(400, &["204", "400"]), "ARGG", "with the status of the one that failed");
    assert_eq!(said(500, &["500"]), "UGGG");
    assert_eq!(said(200, &["204 1", "400 2"]), "ARGG");
    assert_eq!(said(200, &["204", "204"]), "UUUU", "it ends with no failure: nobody knows why");
    assert_eq!(said(200, &["400", "204"]), "UUUU", "it did not stop");
    assert_eq!(said(200, &["400", "400"]), "UUUU");
    assert_eq!(said(200, &["204 1", "400 3"]), "AURU", "one is missing in between");
    assert_eq!(said(200, &["204", "400", "204", "204"]), "ARAA", "it went on, and says so");
    assert_eq!(said(200, &[]), "UUUU");
    let cut = answer(&["204", "400"]).replace("--b--", "");
    assert_eq!(letters(understood(&stops, 4, 200, MIXED, &cut)), "UUUU", "nobody knows what is missing");
}

#[test]
fn a_change_set_is_applied_or_not_as_a_whole() {
    let atomic = with("parts: {}, kind: atomic");
    let said = |status: u16, parts: &[&str]| letters(understood(&atomic, 3, status, MIXED, &answer(parts)));
    assert_eq!(said(200, &["[204 2, 204 3, 204 1]"]), "AAA");
    assert_eq!(said(200, &["400"]), "PPP", "one of them failed, nobody knows which");
    assert_eq!(said(400, &["400 2"]), "PPP");
    assert_eq!(said(200, &["429"]), "CCC");
    assert_eq!(said(200, &["500"]), "UUU");
    assert_eq!(said(200, &["204"]), "UUU", "one success for all is against the protocol");
    assert_eq!(said(200, &["[204 1, 400 2, 204 3]"]), "GRG");
    assert_eq!(said(200, &["[204 1, 500 2, 204 3]"]), "UUU");
    assert_eq!(said(200, &["[204 1, 204 2]"]), "UUU");
    assert_eq!(said(200, &["[204, 204]"]), "UUU");
    assert_eq!(said(200, &["[]"]), "UUU", "none of none is not all");
    assert_eq!(said(200, &["[204, 400, 204]"]), "UUU", "one failed, and its place tells nothing");
    assert_eq!(said(200, &["[204 1, 204, 204 3]"]), "UUU");
    assert_eq!(said(200, &["[204 1, 204 2, 204 3]", "204"]), "UUU");
    let ids = |parts: &[&str]| understood(&atomic, 2, 200, MIXED, &answer(parts));
    let applied = |id: Option<&str>| Answer::Applied { document: id.map(Into::into) };
    assert_eq!(ids(&["[200 2, 204 1]"]), [applied(Some("N204")), applied(Some("N200"))]);
    assert_eq!(ids(&["[204, 200]"]), [applied(None), applied(None)], "whose ids these are is not said");
}

#[test]
fn what_cannot_be_read_says_nothing_of_any() {
    for kind in ["parts: {}", "parts: {after_error: stops}", "parts: {}, kind: atomic"] {
        let endpoint = with(kind);
        let said = |status, content_type: &str, body: &str| {
            letters(understood(&endpoint, 2, status, content_type, body))
        };
        let whole = answer(&["204", "204"]);
        assert_eq!(said(200, "multipart/mixed; boundary=other", &whole), "UU", "{kind}");
        assert_eq!(said(200, MIXED, &whole[..whole.len() - 3]), "UU", "{kind}");
        assert_eq!(said(400, MIXED, "what"), "UU", "{kind}: some may have been applied");
        assert_eq!(said(400, "text/plain", &whole), "UU", "{kind}: parts that are not called so");
        assert_eq!(said(200, "application/json", "{}"), "UU", "{kind}");
        assert_eq!(said(400, "application/json", "{}"), "PP", "{kind}: refused before any was run");
        assert_eq!(said(429, "application/json", "{}"), "CC", "{kind}");
        assert_eq!(said(502, "text/html", "<html>"), "UU", "{kind}");
    }
}

#[test]
fn the_same_rules_as_for_one_alone() {
    let keyed = made(DEFINITION, ClassChoice::Keyed).unwrap();
    let replayed = answer(&["503", "204"]).replacen("Location", "Replayed: true\nLocation", 1);
    let answers = understood(&keyed, 2, 200, MIXED, &replayed);
    assert!(
        matches!(answers[0], Answer::Replayed(_)),
        "{answers:?}: the stored answer will be the same for ever"
    );
    assert!(matches!(answers[1], Answer::Applied { .. }));
    let atomic =
        made(&DEFINITION.replace("parts: {}", "parts: {}, kind: atomic"), ClassChoice::Keyed).unwrap();
    let replayed = answer(&["[503 1, 204 2]"]).replacen("Location", "Replayed: true\nLocation", 1);
    let answers = understood(&atomic, 2, 200, MIXED, &replayed);
    assert!(
        matches!(answers[..], [Answer::Replayed(_), Answer::Unknown(_)]),
        "{answers:?}: together or not at all"
    );
    let creates = made(DEFINITION, ClassChoice::Neither).unwrap();
    assert_eq!(letters(understood(&creates, 2, 200, MIXED, &answer(&["204", "400"]))), "AR");
    let yaml = DEFINITION.replace("parts: {}", "parts: {id: $.id}");
    let body = made(&yaml, ClassChoice::Upsert).unwrap();
    let said = answer(&["200"]).replace("{}", "{\"id\": 12}");
    assert_eq!(understood(&body, 1, 200, MIXED, &said), [Answer::Applied { document: Some("12".into()) }]);
}
