//! References in a payload: `{"$lookup": "customer", "ref": "C-17"}` stands for the target's own id of that customer.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde_json::Value;

use crate::{finder::agree, path::JsonPath, template::plain};

/// The field that makes an object a reference.
pub(crate) const MARK: &str = "$lookup";
/// The most references that are remembered for an endpoint.
const MOST: usize = 10_000;
/// The most references of one payload.
pub(crate) const MOST_IN_ONE: usize = 1_000;

/// One reference of a payload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reference {
    /// The connector's object.
    pub(crate) object: String,
    /// Our reference of it.
    pub(crate) reference: String,
    /// What of it stands in the payload; absent means its id.
    pub(crate) get: Option<String>,
    /// What is put before it, for systems whose references name the model too: `account.invoice,17`.
    pub(crate) prefix: Option<String>,
    /// Whether null takes its place where it is not there.
    pub(crate) optional: bool,
    /// What the document must say, as JSON: an object of paths and values; empty for nothing.
    condition: String,
    /// What it says instead once the posting has been applied.
    done: String,
}

impl Reference {
    /// What takes its place, of a document that was found; none if that has no such field.
    pub(crate) fn pick(&self, id: Option<&Value>, whole: &Value) -> Option<Value> {
        let value = match self.get.as_deref().and_then(JsonPath::parse) {
            Some(path) => path.get(whole),
            None => id,
        };
        match (value.filter(|value| !value.is_null()), &self.prefix) {
            (Some(value), None) => Some(value.clone()),
            (Some(value), Some(prefix)) => Some(format!("{prefix}{}", plain(value)).into()),
            (None, _) => self.optional.then_some(Value::Null),
        }
    }
}

impl Reference {
    /// Whether what it finds may be different the next time, so that it is not remembered.
    pub(crate) fn is_conditional(&self) -> bool {
        !self.condition.is_empty()
    }

    /// Whether the document says what it must, or what it does once the posting has been applied: what it says instead.
    pub(crate) fn check(&self, whole: &Value) -> Result<(), String> {
        let said =
            |text: &str| serde_json::from_str::<serde_json::Map<String, Value>>(text).unwrap_or_default();
        let holds = |(path, wanted): (&String, &Value)| {
            JsonPath::parse(path).is_some_and(|path| agree(Some(wanted), path.get(whole)))
        };
        let (wanted, done) = (said(&self.condition), said(&self.done));
        let Some((path, value)) = wanted.iter().find(|condition| !holds(*condition)) else { return Ok(()) };
        if !done.is_empty() && done.iter().all(holds) {
            return Ok(());
        }
        let stands = JsonPath::parse(path).and_then(|path| path.get(whole).cloned()).unwrap_or_default();
        Err(format!("says {stands} at `{path}`, and the posting is for {value}"))
    }
}

/// What was found out about references. Ids of documents do not change; a refusal of the target drops all of them.
#[derive(Debug, Default)]
pub(crate) struct Found(Mutex<BTreeMap<Reference, Value>>);

impl Found {
    pub(crate) fn get(&self, reference: &Reference) -> Option<Value> {
        self.0.lock().get(reference).cloned()
    }

    pub(crate) fn put(&self, reference: Reference, value: Value) {
        let mut found = self.0.lock();
        if found.len() >= MOST {
            found.clear();
        }
        found.insert(reference, value);
    }

    pub(crate) fn forget(&self) {
        self.0.lock().clear();
    }
}

/// Whether a payload can have references, without parsing it.
pub(crate) fn may_have(payload: &[u8]) -> bool {
    memchr::memmem::find(payload, b"\"$lookup\"").is_some()
}

/// Every reference of a payload, each once. An error names the one that is not well formed.
pub(crate) fn collect(payload: &Value) -> Result<Vec<Reference>, String> {
    fn walk(value: &Value, found: &mut Vec<Reference>) -> Result<(), String> {
        match value {
            Value::Object(fields) if fields.contains_key(MARK) => {
                let reference = read(value)?;
                if !found.contains(&reference) {
                    found.push(reference);
                }
                Ok(())
            }
            Value::Object(fields) => fields.values().try_for_each(|value| walk(value, found)),
            Value::Array(items) => items.iter().try_for_each(|item| walk(item, found)),
            _ => Ok(()),
        }
    }
    let mut found = Vec::new();
    walk(payload, &mut found)?;
    if found.len() > MOST_IN_ONE {
        return Err(format!("the payload has {} references, {MOST_IN_ONE} are the most", found.len()));
    }
    Ok(found)
}

/// The payload with every reference replaced by what was found.
pub(crate) fn replace(payload: &mut Value, found: &BTreeMap<Reference, Value>) {
    match payload {
        Value::Object(fields) if fields.contains_key(MARK) => {
            let value = read(payload).ok().and_then(|reference| found.get(&reference).cloned());
            *payload = value.unwrap_or(Value::Null);
        }
        Value::Object(fields) => fields.values_mut().for_each(|value| replace(value, found)),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, found)),
        _ => {}
    }
}

fn read(value: &Value) -> Result<Reference, String> {
    let wrong = || {
        format!(
            "`{value}` is no reference, write {{\"$lookup\": \"<object>\", \"ref\": \"<our reference>\"}}"
        )
    };
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    // Paths and values; an empty text where nothing is said.
    let object = |name: &str| match value.get(name) {
        None => Ok(String::new()),
        Some(Value::Object(fields)) if fields.keys().all(|path| JsonPath::parse(path).is_some()) => {
            Ok(value[name].to_string())
        }
        Some(_) => Err(wrong()),
    };
    let get = text("get");
    if get.as_ref().is_some_and(|path| JsonPath::parse(path).is_none()) {
        return Err(wrong());
    }
    Ok(Reference {
        object: text(MARK).ok_or_else(wrong)?,
        reference: text("ref").filter(|r| !r.is_empty()).ok_or_else(wrong)?,
        get,
        prefix: text("prefix"),
        optional: value.get("optional").and_then(Value::as_bool).unwrap_or(false),
        condition: object("if")?,
        done: object("done")?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_found_once_and_replaced_everywhere() {
        let mut payload = json!({
            "party": {"$lookup": "customer", "ref": "C-1"},
            "lines": [{"product": {"$lookup": "product", "ref": "P-1"}}, {"product": {"$lookup": "product", "ref": "P-1"}}],
        });
        assert!(may_have(payload.to_string().as_bytes()));
        let references = collect(&payload).unwrap();
        assert_eq!(references.len(), 2);
        let value = |r: &Reference| if r.object == "customer" { json!(7) } else { json!("x") };
        let found = references.into_iter().map(|r| (r.clone(), value(&r))).collect();
        replace(&mut payload, &found);
        assert_eq!(payload, json!({"party": 7, "lines": [{"product": "x"}, {"product": "x"}]}));
        assert!(!may_have(payload.to_string().as_bytes()));
    }

    #[test]
    fn a_field_takes_its_place_with_what_stands_before_it() {
        let pick = |reference: Value| {
            let whole = json!({"id": 7, "account": 3, "term": null, "addresses": []});
            read(&reference).unwrap().pick(Some(&json!(7)), &whole)
        };
        assert_eq!(pick(json!({"$lookup": "a", "ref": "x"})), Some(json!(7)));
        assert_eq!(pick(json!({"$lookup": "a", "ref": "x", "get": "$.account"})), Some(json!(3)));
        assert_eq!(pick(json!({"$lookup": "a", "ref": "x", "prefix": "invoice,"})), Some(json!("invoice,7")));
        for nothing in ["$.term", "$.addresses[0]", "$.none"] {
            let mut reference = json!({"$lookup": "a", "ref": "x", "get": nothing});
            assert_eq!(pick(reference.clone()), None, "{nothing}");
            reference["optional"] = json!(true);
            assert_eq!(pick(reference), Some(Value::Null), "{nothing}");
        }
    }

    #[test]
    fn a_document_says_what_the_posting_is_for_or_that_it_is_done() {
        let reference =
            read(&json!({"$lookup": "invoice", "ref": "I-1", "if": {"$.left": 100}, "done": {"$.left": 0}}));
        let reference = reference.unwrap();
        let check = |left: Value| reference.check(&json!({"left": left}));
        for fine in [json!(100), json!("100.00"), json!(0)] {
            assert_eq!(check(fine.clone()), Ok(()), "{fine}");
        }
        assert_eq!(check(json!(40)).unwrap_err(), "says 40 at `$.left`, and the posting is for 100");
        assert!(check(Value::Null).is_err());
        assert!(reference.is_conditional());
    }

    #[test]
    fn what_is_no_reference_is_said() {
        for wrong in [
            json!({"$lookup": "a", "ref": "x", "if": "$.left"}),
            json!({"$lookup": "a", "ref": "x", "if": {"left": 1}}),
            json!({"$lookup": "customer"}),
            json!({"$lookup": 1, "ref": "x"}),
            json!({"$lookup": "a", "ref": ""}),
        ] {
            let error = collect(&json!([wrong])).unwrap_err();
            assert!(error.contains("is no reference"), "{error}");
        }
    }
}
