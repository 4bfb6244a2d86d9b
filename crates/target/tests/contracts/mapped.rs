//! Where mapping and definition meet: what a base mapping makes (`connectors/<system>/mappings/tests`) becomes the requests of its
//! object, and each part of it is of use there.

use event::{EventId, PostingKey, RouteId};
use serde_json::Value;
use target::{Endpoint, cases::endpoint, definition::Compare};

use super::*;

const KEY: PostingKey =
    PostingKey { event: EventId(uuid::Uuid::from_u128(7)), route: RouteId(1), generation: 0 };

/// A case of a base mapping; here only what comes of it counts.
#[derive(Deserialize)]
struct MappingCase {
    input: Value,
    expected: Option<Value>,
}

/// What the base mappings make: system, object, name of the case, our reference, payload.
fn payloads(system: &str, connector: &Connector) -> Vec<(String, String, String, Value)> {
    let files = fs::read_dir(folder().join(system).join("mappings/tests")).into_iter().flatten();
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: PathBuf| {
        let case: MappingCase = serde_saphyr::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let object = object_of(connector, &name);
        Some((object, name, case.input["id"].as_str()?.to_owned(), case.expected?))
    };
    files.into_iter().filter_map(read).collect()
}

/// The object that a case is of, or the operation: `invoice.void.<case>`.
fn object_of(connector: &Connector, case: &str) -> String {
    let mut names = case.split('.');
    let (object, second) = (names.next().unwrap(), names.next().unwrap());
    let operation = names.next().is_some() && connector.objects[object].operations.contains_key(second);
    if operation { format!("{object}.{second}") } else { object.to_owned() }
}

/// Everything that goes out for a payload, or why nothing can.
fn requests(endpoint: &Endpoint, reference: &str, payload: &Value) -> Result<String, String> {
    let posting = endpoint.posting(KEY, reference, 3, payload.to_string().into())?;
    let sent = endpoint.preview(&posting, "ID-1", "5")?;
    Ok(sent.iter().map(|one| format!("{} {:?} {}\n", one.send, one.headers, one.body)).collect())
}

/// The places of a payload that hold a value; a reference to another document is one.
fn places(at: &str, value: &Value, found: &mut Vec<String>) {
    let mut inner = |name: &str, value: &Value| places(&format!("{at}/{name}"), value, found);
    match value {
        Value::Object(fields) if !fields.is_empty() && !fields.contains_key("$lookup") => {
            fields.iter().for_each(|(name, value)| inner(&name.replace('~', "~0").replace('/', "~1"), value));
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(n, value)| inner(&n.to_string(), value));
        }
        _ => found.push(at.to_owned()),
    }
}

/// The paths of a payload that a look compares, as JSON Pointers.
fn compared(connector: &Connector, object: &str) -> Vec<String> {
    let lookup = connector.objects[object.split('.').next().unwrap()].lookup.as_ref();
    match lookup.map(|lookup| &lookup.compare) {
        Some(Compare::Fields(fields)) => fields.keys().map(|path| pointer(path)).collect(),
        _ => Vec::new(),
    }
}

/// `$.a[0]['b']` as `/a/0/b`.
fn pointer(path: &str) -> String {
    let text =
        path.trim_start_matches('$').replace("['", "/").replace("']", "").replace('[', "/").replace(']', "");
    text.replace('.', "/")
}

/// A request can be made of everything that a base mapping makes, and no part of it is for nothing: another value there makes another
/// request, or is what a look compares.
#[test]
fn every_mapped_payload_goes_out_whole() {
    let (mut wrong, mut number) = (Vec::new(), 0);
    for (system, (connector, _)) in definitions() {
        for (object, name, reference, payload) in payloads(&system, &connector) {
            number += 1;
            let endpoint = endpoint(&connector, &object, None, &BTreeMap::new()).unwrap();
            let whole = match requests(&endpoint, &reference, &payload) {
                Ok(whole) => whole,
                Err(why) => {
                    wrong.push(format!("{system}: {name}: {why}"));
                    continue;
                }
            };
            let (compared, mut places_of) = (compared(&connector, &object), Vec::new());
            places("", &payload, &mut places_of);
            for place in places_of {
                let mut other = payload.clone();
                *other.pointer_mut(&place).unwrap() = "ANOTHER".into();
                let idle = requests(&endpoint, &reference, &other).as_deref() == Ok(&whole);
                if idle && !compared.iter().any(|path| place.starts_with(path.as_str())) {
                    wrong.push(format!("{system}: {name}: `{place}` is used nowhere"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "of {number} payloads\n{}", wrong.join("\n"));
    assert!(number > 80, "{number} payloads");
}

/// What a look compares stands in what the mapping makes: else it would compare nothing, and every document would be ours and right.
#[test]
fn what_a_look_compares_is_mapped() {
    let (mut wrong, mut number) = (Vec::new(), 0);
    for (system, (connector, _)) in definitions() {
        let payloads = payloads(&system, &connector);
        // An operation such as a void is meant to differ from what it finds.
        let mapped = payloads.iter().map(|(object, ..)| object.as_str()).filter(|o| !o.contains('.'));
        let mapped: BTreeSet<&str> = mapped.collect();
        for object in mapped {
            for path in compared(&connector, object) {
                number += 1;
                let made = |(of, _, _, payload): &(String, _, _, Value)| {
                    of == object && payload.pointer(&path).is_some_and(|value| !value.is_null())
                };
                if !payloads.iter().any(made) {
                    wrong.push(format!("{system}: {object}: `{path}` is compared, and no case makes it"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(number > 30, "{number} paths");
}
