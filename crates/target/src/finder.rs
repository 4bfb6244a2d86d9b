//! How a document is found by our reference, and what a look says about it.

use std::collections::BTreeMap;

use delivery::Answer;
use http::HeaderMap;
use serde_json::Value;

use crate::{
    call::Call,
    classify::{Classifier, lost},
    definition::{Compare, CompareWord, Condition, Lookup},
    path::JsonPath,
    template::plain,
};

/// Where a value of an answer stands.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Body(JsonPath),
    Header(String),
}

#[derive(Clone, Debug)]
enum Sameness {
    Payload,
    Exists,
    Fields(Vec<(JsonPath, JsonPath)>),
}

/// A look-up, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Finder {
    pub(crate) call: Call,
    found: u16,
    absent: Option<u16>,
    several: Option<u16>,
    items: Option<JsonPath>,
    empty: Option<JsonPath>,
    id: JsonPath,
    version: Option<Place>,
    copies: Option<JsonPath>,
    document: JsonPath,
    sameness: Sameness,
}

/// A condition on a document, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    path: JsonPath,
    is: Vec<Value>,
}

/// What was found.
pub(crate) enum Sight {
    Absent,
    Several,
    Failed(Answer),
    Found {
        id: Option<Value>,
        version: Option<String>,
        /// The document, with everything that the target says about it.
        whole: Value,
    },
}

impl Finder {
    pub(crate) fn compile(
        lookup: &Lookup,
        path: &str,
        known: &BTreeMap<String, String>,
    ) -> Result<Self, String> {
        Ok(Self {
            call: Call::compile(&lookup.request, path, known, false)?,
            found: lookup.found,
            absent: lookup.absent,
            several: lookup.several,
            items: lookup.items.as_deref().map(json_path).transpose()?,
            empty: lookup.empty.as_deref().map(json_path).transpose()?,
            id: json_path(&lookup.id)?,
            version: lookup.version.as_deref().map(Place::parse).transpose()?,
            copies: lookup.copies.as_deref().map(json_path).transpose()?,
            document: json_path(&lookup.document)?,
            sameness: sameness(&lookup.compare)?,
        })
    }

    /// Whether it finds the version that a conditional write needs.
    pub(crate) fn sees_version(&self) -> bool {
        self.version.is_some()
    }

    /// What the answer to a look says.
    pub(crate) fn see(
        &self,
        classifier: &Classifier,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Sight {
        if self.absent == Some(status) {
            return Sight::Absent;
        }
        if self.several == Some(status) {
            return Sight::Several;
        }
        if status != self.found {
            return Sight::Failed(classifier.classify(status, headers, body));
        }
        let Ok(json) = serde_json::from_slice::<Value>(body) else {
            return Sight::Failed(lost("the target's answer to a look-up is not JSON"));
        };
        if classifier.is_error(&json) {
            return Sight::Failed(classifier.classify(status, headers, body));
        }
        self.pick(json, headers)
    }

    fn pick(&self, json: Value, headers: &HeaderMap) -> Sight {
        let copies = self.copies.as_ref().and_then(|c| c.get(&json)).and_then(Value::as_u64);
        if copies.is_some_and(|copies| copies > 1) {
            return Sight::Several;
        }
        let whole = match &self.items {
            None => json,
            Some(path) => match path.get(&json) {
                Some(Value::Null) => return Sight::Absent,
                Some(one @ Value::Object(_)) => one.clone(),
                Some(Value::Array(items)) => match items.as_slice() {
                    [] => return Sight::Absent,
                    [one] => one.clone(),
                    _ => return Sight::Several,
                },
                None if self.empty.as_ref().is_some_and(|path| path.get(&json).is_some()) => {
                    return Sight::Absent;
                }
                _ => {
                    let what = format!("the answer to a look-up has no list at `{path}`");
                    return Sight::Failed(lost(&what));
                }
            },
        };
        let id = self.id.get(&whole).filter(|id| !id.is_null()).cloned();
        let version = self.version.as_ref().and_then(|place| place.text(&whole, headers));
        Sight::Found { id, version, whole }
    }

    /// Whether what was found says what the posting says.
    pub(crate) fn is_same(&self, found: &Value, sent: &Value) -> bool {
        let Some(stands) = self.document.get(found) else { return false };
        match &self.sameness {
            Sameness::Exists => true,
            Sameness::Payload => contains(stands, sent),
            Sameness::Fields(fields) => {
                fields.iter().all(|(ours, theirs)| agree(ours.get(sent), theirs.get(stands)))
            }
        }
    }

    /// Whether all that is sent is compared: else a document that agrees can say something else all the same.
    pub(crate) fn compares_all(&self, sent: &Value) -> bool {
        match &self.sameness {
            Sameness::Exists => false,
            Sameness::Payload => true,
            Sameness::Fields(fields) => is_covered("", sent, fields),
        }
    }
}

impl Check {
    pub(crate) fn compile(condition: &Condition) -> Result<Self, String> {
        Ok(Self { path: json_path(&condition.path)?, is: condition.is.clone() })
    }

    pub(crate) fn holds(&self, found: &Value) -> bool {
        let stands = self.path.get(found).unwrap_or(&Value::Null);
        match self.is.as_slice() {
            [] => match stands {
                Value::Null => false,
                Value::Bool(yes) => *yes,
                Value::Number(number) => number.as_f64() != Some(0.0),
                Value::String(text) => !text.is_empty(),
                Value::Array(items) => !items.is_empty(),
                Value::Object(fields) => !fields.is_empty(),
            },
            wanted => wanted.contains(stands),
        }
    }
}

impl Place {
    /// Reads `$.id` or `header.ETag`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text.strip_prefix("header.") {
            Some(name) if !name.is_empty() => Ok(Self::Header(name.to_owned())),
            _ => json_path(text).map(Self::Body),
        }
    }

    /// The value there.
    pub(crate) fn value(&self, json: &Value, headers: &HeaderMap) -> Option<Value> {
        match self {
            Self::Body(path) => path.get(json).filter(|v| !v.is_null()).cloned(),
            Self::Header(name) => {
                let text = headers.get(name.as_str())?.to_str().ok()?;
                Some(Value::from(if text.contains('/') { last_of(text)? } else { text.to_owned() }))
            }
        }
    }

    pub(crate) fn text(&self, json: &Value, headers: &HeaderMap) -> Option<String> {
        match self {
            Self::Body(path) => path.text(json),
            Self::Header(name) => headers.get(name.as_str())?.to_str().ok().map(str::to_owned),
        }
    }
}

/// An address of a document ends with its id; in OData's it stands between parentheses: `/accounts(7)`, `/Customers('A')`.
fn last_of(address: &str) -> Option<String> {
    let last = address.trim_end_matches('/').rsplit('/').next()?;
    let key = last.split_once('(').and_then(|(_, key)| key.strip_suffix(')')).filter(|key| !key.is_empty());
    let Some(key) = key else { return Some(last.to_owned()) };
    let text = key.strip_prefix('\'').and_then(|key| key.strip_suffix('\''));
    Some(text.map_or_else(|| key.to_owned(), |text| text.replace("''", "'")))
}

pub(crate) fn json_path(text: &str) -> Result<JsonPath, String> {
    JsonPath::parse(text).ok_or_else(|| format!("`{text}` is no path, write for example $.error.code"))
}

fn sameness(compare: &Compare) -> Result<Sameness, String> {
    Ok(match compare {
        Compare::Word(CompareWord::Payload) => Sameness::Payload,
        Compare::Word(CompareWord::Exists) => Sameness::Exists,
        Compare::Fields(fields) => Sameness::Fields(pairs(fields)?),
    })
}

/// Paths into what we send, and into what stands there.
pub(crate) fn pairs(paths: &BTreeMap<String, String>) -> Result<Vec<(JsonPath, JsonPath)>, String> {
    paths.iter().map(|(ours, theirs)| Ok((json_path(ours)?, json_path(theirs)?))).collect()
}

/// Whether what we send and what stands there are the same.
pub(crate) fn agree(ours: Option<&Value>, theirs: Option<&Value>) -> bool {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => contains(theirs, ours) || written(ours) == written(theirs),
        (ours, theirs) => ours.or(theirs).is_none_or(is_blank),
    }
}

/// Whether everything that was sent stands there; the target may have added fields of its own. What was looked up on
/// the way says nothing that could be compared.
fn contains(stands: &Value, sent: &Value) -> bool {
    match (stands, sent) {
        (_, Value::Object(sent)) if sent.contains_key(crate::references::MARK) => true,
        (Value::Object(stands), Value::Object(sent)) => sent
            .iter()
            .all(|(name, value)| stands.get(name).map_or_else(|| is_blank(value), |s| contains(s, value))),
        (Value::Array(stands), Value::Array(sent)) => {
            stands.len() == sent.len() && stands.iter().zip(sent).all(|(a, b)| contains(a, b))
        }
        (stands, sent) if is_blank(stands) || is_blank(sent) => is_blank(stands) && is_blank(sent),
        (Value::Object(_) | Value::Array(_), _) | (_, Value::Object(_) | Value::Array(_)) => false,
        (stands, sent) => written(stands) == written(sent),
    }
}

/// Whether what stands at `at` (a JSON Pointer) is below one of our paths. What is looked up on the way is compared nowhere.
fn is_covered(at: &str, sent: &Value, paths: &[(JsonPath, JsonPath)]) -> bool {
    if is_blank(sent) || paths.iter().any(|(ours, _)| ours.is(at)) {
        return true;
    }
    match sent {
        Value::Object(fields) if fields.contains_key(crate::references::MARK) => true,
        Value::Object(fields) => fields.iter().all(|(name, value)| {
            is_covered(&format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), value, paths)
        }),
        Value::Array(items) => {
            items.iter().enumerate().all(|(n, value)| is_covered(&format!("{at}/{n}"), value, paths))
        }
        _ => false,
    }
}

/// What stands for nothing: systems give back an empty text, null or no field at all for a field that is not set.
pub(crate) fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(fields) => fields.values().all(is_blank),
        _ => false,
    }
}

/// A value as text, a number in its shortest form: systems write `1` and `"1"`, `"10.50"` and `10.5` for what is the same.
pub(crate) fn written(value: &Value) -> String {
    let text = plain(value);
    let is_decimal =
        text.contains('.') && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '+'));
    if is_decimal { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::last_of;

    #[test]
    fn an_address_ends_with_the_id() {
        let id = |address: &str| last_of(address).unwrap_or_default();
        assert_eq!(id("https://x.example/rest/salesOrder/123"), "123");
        assert_eq!(id("/orders/123/"), "123");
        assert_eq!(id("https://x.example/api/accounts(00aa-11)"), "00aa-11");
        assert_eq!(id("/odata/Customers('O''Neill')"), "O'Neill");
        assert_eq!(id("/odata/Lines(order='1',line=2)"), "order='1',line=2");
        assert_eq!(id("/odata/things()"), "things()");
    }
}
