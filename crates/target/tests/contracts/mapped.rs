//! Where mapping and definition meet: what a base mapping makes (`connectors/<system>/mappings/tests`) becomes the requests of its
//! object, and each part of it is of use there.

use delivery::OnExisting;
use event::{EventId, PostingKey, RouteId};
use serde_json::Value;
use target::{
    Endpoint,
    cases::endpoint,
    definition::{Compare, Each},
};

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
    let (mut pointer, mut rest) = (String::new(), path.trim_start_matches('$'));
    while !rest.is_empty() {
        let (name, after) = match rest.strip_prefix("['") {
            Some(quoted) => quoted.split_once("']").unwrap(),
            None => {
                let named = rest.trim_start_matches(['.', '[']);
                let (name, after) = named.split_at(named.find(['.', '[', ']']).unwrap_or(named.len()));
                (name, after.trim_start_matches(']'))
            }
        };
        pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
        rest = after;
    }
    pointer
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
                if idle && !compared.iter().any(|path| is_below(&place, path)) {
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

/// The request that changes a document, alone.
fn change(endpoint: &Endpoint, reference: &str, payload: &Value) -> Option<String> {
    let posting = endpoint.posting(KEY, reference, 3, payload.to_string().into()).unwrap();
    let sent = endpoint.preview(&posting, "ID-1", "5").unwrap();
    let change = sent.into_iter().find(|one| one.request == "update")?;
    Some(format!("{} {:?} {}", change.send, change.headers, change.body))
}

/// Whether a place is that of a path, or below it; where the path names no indexes, `/lines/0/text` is below `/lines` and `/lines/text`.
fn is_below(place: &str, path: &str) -> bool {
    let plain: Vec<&str> = place.split('/').filter(|name| name.parse::<usize>().is_err()).collect();
    [place, &plain.join("/")]
        .iter()
        .any(|at| at.strip_prefix(path).is_some_and(|rest| !rest.starts_with(|c| c != '/')))
}

/// The paths that the elements of lists are compared by, in the steps that write them one by one.
fn compared_of_elements(connector: &Connector, object: &str) -> Vec<String> {
    let lists = connector.objects[object].operation.then.iter().filter_map(|step| step.each.as_ref());
    let paths = |each: &Each| {
        let (list, found) = (each.list.clone(), &each.found);
        let paths: Vec<&String> = found.by.keys().chain(found.compare.keys()).collect();
        paths.into_iter().map(|path| format!("/{list}{}", pointer(path))).collect::<Vec<_>>()
    };
    lists.flat_map(paths).collect()
}

/// Holds the places of every mapped payload of the objects that `open` picks against what a definition says that it leaves out: a place
/// that `open` leaves must be named, and what is named must be such a place.
fn all_is_named(
    list: &str,
    named: impl Fn(&Connector, &str) -> Vec<String>,
    open: impl Fn(&Connector, &Endpoint, &str, (&str, &Value)) -> Option<Vec<String>>,
) -> usize {
    let (mut wrong, mut number) = (Vec::new(), 0);
    for (system, (connector, _)) in definitions() {
        let (mut idle, mut files) = (BTreeMap::new(), BTreeSet::new());
        for (object, name, reference, payload) in payloads(&system, &connector) {
            if object.contains('.') {
                continue; // an operation says nothing of the document's fields
            }
            let endpoint = endpoint(&connector, &object, None, &BTreeMap::new()).unwrap();
            let named: Vec<String> = named(&connector, &object);
            let idle: &mut BTreeSet<String> =
                idle.entry(object.clone()).or_insert_with(|| named.iter().cloned().collect());
            let Some(places) = open(&connector, &endpoint, &object, (&reference, &payload)) else { continue };
            number += 1;
            for place in places {
                match named.iter().find(|path| is_below(&place, &pointer(path))) {
                    Some(path) => drop(idle.remove(path)),
                    None if files.insert(format!("{object}{place}")) => {
                        wrong.push(format!("{system}: {name}: `{place}` is missing in `{list}`"));
                    }
                    None => {}
                }
            }
        }
        for (object, paths) in idle {
            wrong.extend(
                paths.iter().map(|path| format!("{system}: {object}: `{path}` of `{list}` is of no use")),
            );
        }
    }
    assert!(wrong.is_empty(), "of {number} payloads\n{}", wrong.join("\n"));
    number
}

/// A document that is not written over counts as delivered when what the look compares is the same: what it leaves out is said.
#[test]
fn a_look_compares_all_of_what_is_not_written_over_or_says_what_it_leaves_out() {
    let unread = |connector: &Connector, object: &str| {
        connector.objects[object].lookup.as_ref().map_or(Vec::new(), |lookup| lookup.unread.clone())
    };
    let open = |connector: &Connector, endpoint: &Endpoint, object: &str, (_, payload): (&str, &Value)| {
        if !endpoint.is_readable() || endpoint.on_existing() == OnExisting::Overwrite {
            return None;
        }
        let mut compared = compared(connector, object);
        compared.extend(compared_of_elements(connector, object));
        let mut found = Vec::new();
        places("", payload, &mut found);
        // What a reference names is looked up on the way: only by its `ref` is it compared with anything.
        found.retain(|place| match payload.pointer(place).and_then(|value| value.get("$lookup")) {
            Some(_) => !compared.contains(&format!("{place}/ref")),
            None => !compared.iter().any(|path| is_below(place, path)),
        });
        Some(found)
    };
    let number = all_is_named("unread", unread, open);
    assert!(number > 20, "{number} payloads");
}

/// What a mapping makes goes out in a change too, or the definition says that it is written once.
#[test]
fn a_change_carries_over_all_that_is_mapped_or_says_what_it_leaves() {
    let kept = |connector: &Connector, object: &str| {
        connector.objects[object].operation.update.as_ref().map_or(Vec::new(), |update| update.kept.clone())
    };
    let open = |_: &Connector, endpoint: &Endpoint, _: &str, (reference, payload): (&str, &Value)| {
        let whole = change(endpoint, reference, payload)?;
        let mut found = Vec::new();
        places("", payload, &mut found);
        found.retain(|place| {
            let mut other = payload.clone();
            *other.pointer_mut(place).unwrap() = "ANOTHER".into();
            change(endpoint, reference, &other).as_ref() == Some(&whole)
        });
        Some(found)
    };
    let number = all_is_named("kept", kept, open);
    assert!(number > 25, "{number} payloads");
}
