//! Several postings in one request, and each one's answer out of the answer to all (docs/adr/0024).

mod check;
mod parts;

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use bytes::Bytes;
use delivery::{Answer, Class, ErrorClass, Scope};
use http::HeaderMap;
use serde_json::Value;
use sha2::{Digest, Sha256};

use self::check::check;
pub(crate) use self::parts::Parts;
use crate::{
    Endpoint, Posting,
    call::{Call, Impossible},
    classify::{Classifier, lost, reason},
    definition::{self, AppliedWhen, BulkKind, CountsAs, ItemAnswers, ItemStatus, Key},
    endpoint::{is_key, nothing_captured},
    finder::{Check, json_path},
    path::JsonPath,
    references,
    template::{Json, Scope as Names, Text, plain},
};

/// What an item has around its payload, at most, in bytes; a guess, since its request is measured when it is made.
const AROUND: usize = 256;
/// What a request that is a part has around its payload.
const AROUND_PART: usize = 1_024;

/// How several postings share a request, compiled for a connection.
#[derive(Debug)]
pub(crate) struct Bulk {
    call: Call,
    item: Option<Json>,
    /// In the place of `item`, `named` and `lists`.
    parts: Option<Parts>,
    named: Option<Text>,
    ok: Vec<u16>,
    kind: BulkKind,
    counts_each: bool,
    max_items: u32,
    pub(crate) max_bytes: u32,
    lists: Vec<List>,
    /// Postings of the same print can share a request.
    print: u64,
}

/// What a posting is in a request for several.
pub(crate) enum Item {
    /// An item of a list.
    Json(Value),
    /// A request of its own.
    Request(Bytes),
}

/// A request for several: what it is made of.
pub(crate) struct Whole<'a> {
    pub(crate) call: Cow<'a, Call>,
    /// What `{{items}}` stands for.
    pub(crate) items: Value,
    /// The body, where it is not made of the items by the call.
    pub(crate) raw: Bytes,
}

/// A list of answers to items, compiled.
#[derive(Debug)]
pub(crate) struct List {
    at: JsonPath,
    name: Option<JsonPath>,
    applied: Applied,
    status: Option<StatusOf>,
    code: Vec<JsonPath>,
    message: Vec<JsonPath>,
    id: Option<JsonPath>,
}

#[derive(Debug)]
enum Applied {
    Always(bool),
    If(Check),
}

#[derive(Debug)]
enum StatusOf {
    Is(u16),
    At(JsonPath),
}

impl Item {
    /// What it takes in the body.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Json(value) => value.to_string().len() + 1,
            Self::Request(request) => request.len() + AROUND,
        }
    }
}

impl Bulk {
    /// Compiles `bulk`; `call` is its request, `of` says whose it is.
    pub(crate) fn compile(
        bulk: &definition::Bulk,
        (call, parts, known, of): (Call, Option<Parts>, &BTreeMap<String, String>, &str),
        (class, key): (Class, Option<&Key>),
    ) -> Result<Self, String> {
        let item = bulk.item.as_ref().map(|item| Json::compile(item, known)).transpose()?;
        let named = bulk.named.as_ref().map(|text| Text::compile(text, known, false)).transpose()?;
        check(bulk, &call, (item.as_ref(), named.as_ref()))?;
        if parts.is_none()
            && matches!(class, Class::Keyed { .. })
            && key.is_some()
            && !item.as_ref().is_some_and(|item| item.has(&is_key))
        {
            return Err(
                "class keyed needs the key of each item: say {{key}} in `item`; a key for the whole request \
                        would stand for other items when some of them are sent again"
                    .to_owned(),
            );
        }
        if parts.is_none() && matches!(class, Class::Neither(_)) && bulk.answers.is_empty() {
            return Err("class neither needs an answer for each item: name its list in `answers`".to_owned());
        }
        let lists = bulk.answers.iter().map(List::compile).collect::<Result<Vec<_>, _>>()?;
        let print =
            Sha256::digest(format!("{of} {call:?} {item:?} {parts:?} {named:?} {lists:?} {:?}", bulk.kind));
        Ok(Self {
            call,
            item,
            parts,
            named,
            ok: bulk.ok.clone(),
            kind: bulk.kind,
            counts_each: bulk.counts_as == CountsAs::Items,
            max_items: bulk.max_items,
            max_bytes: bulk.max_bytes.unwrap_or(u32::MAX),
            lists,
            print: print.iter().take(8).fold(0, |print, byte| print << 8 | u64::from(*byte)),
        })
    }

    /// How a posting shares a request with at most `most` in all. One whose references have to be looked up first goes by itself.
    pub(crate) fn share(&self, posting: &Posting, most: u32) -> Option<delivery::Bulk> {
        let max_items = self.max_items.min(most);
        let around = if self.parts.is_some() { AROUND_PART } else { AROUND };
        let bytes = posting.payload.len() + posting.reference().len() + around;
        (max_items > 1 && !references::may_have(&posting.payload)).then(|| delivery::Bulk {
            kind: self.print,
            max_items,
            max_bytes: self.max_bytes,
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            counts_each: self.counts_each,
        })
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.print == other.print
    }

    pub(crate) fn max_items(&self) -> u32 {
        self.max_items
    }

    /// What a posting is in the request, and what the answer names it by.
    pub(crate) fn item(
        &self,
        endpoint: &Endpoint,
        posting: &Posting,
    ) -> Result<(Item, Option<String>), Impossible> {
        let payload: Value = serde_json::from_slice(&posting.payload)
            .map_err(|error| Impossible(format!("the payload is no JSON: {error}")))?;
        let names = Names::of(posting, &payload, nothing_captured());
        if let Some(parts) = &self.parts {
            return Ok((Item::Request(parts.request(endpoint, &self.call, &names)?), None));
        }
        let name = self.named.as_ref().map(|named| named.render(&names)).transpose()?;
        let item = self.item.as_ref().map(|item| item.render(&names)).transpose()?;
        Ok((Item::Json(item.unwrap_or(payload)), name))
    }

    /// The request that has all of `items`.
    pub(crate) fn whole(&self, items: Vec<Item>) -> Whole<'_> {
        let (mut values, mut requests) = (Vec::new(), Vec::new());
        for item in items {
            match item {
                Item::Json(value) => values.push(value),
                Item::Request(request) => requests.push(request),
            }
        }
        match &self.parts {
            Some(parts) => parts.whole(&self.call, &requests),
            None => Whole { call: Cow::Borrowed(&self.call), items: values.into(), raw: Bytes::new() },
        }
    }

    /// What the answer means for each of the items that were sent: `names` has an entry for each.
    pub(crate) fn answers(
        &self,
        endpoint: &Endpoint,
        answer: (u16, &HeaderMap, &[u8]),
        names: &[Option<String>],
    ) -> Result<Vec<Answer>, Answer> {
        let mut found = match &self.parts {
            Some(parts) => parts.answers(endpoint, &self.ok, answer, names.len())?,
            None => self.listed(&endpoint.classifier, answer, names)?,
        };
        if self.kind == BulkKind::Atomic {
            undo(&mut found);
        }
        let unmatched = || lost("the answer does not say what became of this one of several");
        Ok(found.into_iter().map(|answer| answer.unwrap_or_else(unmatched)).collect())
    }

    /// What the lists of an answer say of each item, where they do.
    fn listed(
        &self,
        classifier: &Classifier,
        (status, headers, body): (u16, &HeaderMap, &[u8]),
        names: &[Option<String>],
    ) -> Result<Vec<Option<Answer>>, Answer> {
        if !self.ok.contains(&status) {
            return Err(classifier.classify(status, headers, body));
        }
        let json: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        // What tells the error of a single item, or of the whole, may be met in the answer of an item too.
        if classifier.is_error(&json) && !self.answers_items(&json) {
            return Err(classifier.classify(status, headers, body));
        }
        if self.lists.is_empty() {
            return Ok(names.iter().map(|_| Some(Answer::Applied { document: None })).collect());
        }
        let means = |list: &List, item: &Value| list.means(classifier, (status, headers), item);
        Ok(match self.named {
            None => self.by_position(&json, names.len(), means),
            Some(_) => self.by_name(&json, names, means),
        })
    }

    /// Whether the answer says something of single items.
    fn answers_items(&self, json: &Value) -> bool {
        let said =
            |list: &List| list.at.get(json).and_then(Value::as_array).is_some_and(|items| !items.is_empty());
        self.lists.iter().any(said)
    }

    /// Too few answers, or too many, and none of them can be trusted to be anybody's.
    fn by_position(
        &self,
        json: &Value,
        items: usize,
        means: impl Fn(&List, &Value) -> Answer,
    ) -> Vec<Option<Answer>> {
        let list = self.lists.first();
        let answers = list.and_then(|list| Some((list, list.at.get(json)?.as_array()?)));
        match answers.filter(|(_, answers)| answers.len() == items) {
            Some((list, answers)) => answers.iter().map(|item| Some(means(list, item))).collect(),
            None => vec![None; items],
        }
    }

    fn by_name(
        &self,
        json: &Value,
        names: &[Option<String>],
        means: impl Fn(&List, &Value) -> Answer,
    ) -> Vec<Option<Answer>> {
        let mut said: HashMap<String, Option<Answer>> = HashMap::new();
        for list in &self.lists {
            for item in list.at.get(json).and_then(Value::as_array).into_iter().flatten() {
                let Some(name) = list.name.as_ref().and_then(|path| path.text(item)) else { continue };
                let answer = means(list, item);
                let before = said.entry(name).or_insert_with(|| Some(answer.clone()));
                // Two answers that contradict each other are none.
                if before.as_ref() != Some(&answer) {
                    *before = None;
                }
            }
        }
        names.iter().map(|name| said.get(name.as_ref()?).cloned().flatten()).collect()
    }
}

impl List {
    pub(crate) fn compile(list: &ItemAnswers) -> Result<Self, String> {
        let path = |text: &String| json_path(text);
        let paths = |texts: &[String]| texts.iter().map(path).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            at: json_path(&list.at)?,
            name: list.name.as_ref().map(path).transpose()?,
            applied: match &list.applied {
                AppliedWhen::Always(always) => Applied::Always(*always),
                AppliedWhen::If(condition) => Applied::If(Check::compile(condition)?),
            },
            status: match &list.status {
                None => None,
                Some(ItemStatus::Is(status)) => Some(StatusOf::Is(*status)),
                Some(ItemStatus::At(text)) => Some(StatusOf::At(json_path(text)?)),
            },
            code: paths(&list.code)?,
            message: paths(&list.message)?,
            id: list.id.as_ref().map(path).transpose()?,
        })
    }

    /// The answers themselves.
    pub(crate) fn items<'a>(&self, json: &'a Value) -> Option<&'a Vec<Value>> {
        self.at.get(json)?.as_array()
    }

    pub(crate) fn means(
        &self,
        classifier: &Classifier,
        (status, headers): (u16, &HeaderMap),
        item: &Value,
    ) -> Answer {
        let applied = match &self.applied {
            Applied::Always(always) => *always,
            Applied::If(check) => check.holds(item),
        };
        if applied {
            let id = self.id.as_ref().and_then(|path| path.get(item)).filter(|id| !id.is_null());
            return Answer::Applied { document: id.map(|id| plain(id).into()) };
        }
        let status = match &self.status {
            None => status,
            Some(StatusOf::Is(status)) => *status,
            Some(StatusOf::At(path)) => path.text(item).and_then(|s| s.parse().ok()).unwrap_or(status),
        };
        classifier.classify_item(status, headers, item, (&self.code, &self.message))
    }
}

/// What the answer to a request means for all of its items alike, where it says nothing of single ones. A refusal of the whole is no
/// refusal of any: each may well be taken by itself.
pub(crate) fn of_all(answer: Answer) -> Answer {
    match answer {
        Answer::Refused(reason) | Answer::Stuck(reason) => {
            Answer::Again { reason, after_ms: Some(0), scope: Scope::Apart }
        }
        Answer::Unfinished { reason, .. } => Answer::Unknown(reason),
        Answer::Applied { .. } => {
            let what = "a rule calls the answer to several applied, which says of none that it is";
            Answer::Unknown(reason(ErrorClass::Unsupported, None, what))
        }
        Answer::Again { .. } | Answer::Unknown(_) | Answer::Replayed(_) => answer,
    }
}

/// All or nothing: one that was not applied takes the others with it, and one of which nobody knows leaves nobody knowing.
fn undo(answers: &mut [Option<Answer>]) {
    let failed = answers.iter().flatten().find_map(|answer| match answer {
        Answer::Refused(reason) | Answer::Again { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    let unknown =
        |answer: &Option<Answer>| matches!(answer, None | Some(Answer::Unknown(_) | Answer::Replayed(_)));
    let certain = !answers.iter().any(unknown);
    for answer in answers.iter_mut().filter(|answer| matches!(answer, Some(Answer::Applied { .. }))) {
        match &failed {
            Some(failed) => {
                let what = format!("another one of its request was not applied: {}", failed.message);
                let reason = reason(ErrorClass::Transient, failed.status, &what);
                *answer = Some(Answer::Again { reason, after_ms: Some(0), scope: Scope::Lane });
            }
            None if !certain => *answer = None,
            None => {}
        }
    }
}

#[cfg(test)]
mod tests;
