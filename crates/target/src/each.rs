//! A step for each element of a list of the payload: which of them stand at the target already, and what answers to several mean.

use std::collections::{BTreeMap, BTreeSet};

use delivery::{Answer, ErrorClass, OnExisting};
use http::HeaderMap;
use serde_json::Value;

use crate::{
    bulk::List,
    call::{Call, Impossible},
    classify::{Classifier, lost, reason},
    definition,
    finder::{agree, is_blank, json_path, pairs, written},
    path::JsonPath,
    template::{Json, Name, Scope as Names, Text},
};

/// Paths into what we send, and into what stands there.
type Pairs = Vec<(JsonPath, JsonPath)>;

/// A step for each element, compiled.
#[derive(Debug)]
pub(crate) struct Each {
    /// The field of the payload.
    pub(crate) list: String,
    /// What lists the elements that are there; none where they stand in the document.
    pub(crate) look: Option<Call>,
    found: u16,
    absent: Option<u16>,
    items: JsonPath,
    id: Option<JsonPath>,
    by: Pairs,
    compare: Pairs,
    more: Option<JsonPath>,
    on_existing: OnExisting,
    pub(crate) at_once: usize,
    item: Option<Json>,
    pub(crate) answers: Option<List>,
    pub(crate) change: Option<One>,
    pub(crate) remove: Option<One>,
}

/// Request and statuses of what is done to one element that is there.
pub(crate) type One = (Call, Vec<u16>);

/// What is between the payload's elements and those that stand there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Gaps {
    /// The places of elements that are not there.
    pub(crate) missing: Vec<usize>,
    /// The places of those that are there and say something else, with the ids that they have there.
    pub(crate) differing: Vec<(usize, Option<Value>)>,
    /// The ids of those that the payload does not have.
    pub(crate) extra: Vec<Option<Value>>,
}

impl Gaps {
    /// Nothing is there yet.
    pub(crate) fn all(elements: usize) -> Self {
        Self { missing: (0..elements).collect(), ..Self::default() }
    }

    /// Whether what is there is something else than what the payload says.
    pub(crate) fn differ(&self) -> bool {
        !self.differing.is_empty() || !self.extra.is_empty()
    }
}

impl Each {
    /// Compiles it; `write` is the request of the step.
    pub(crate) fn compile(
        each: &definition::Each,
        write: &Call,
        (look, change, remove): (Option<Call>, Option<One>, Option<One>),
        known: &BTreeMap<String, String>,
    ) -> Result<Self, String> {
        let item = each.item.as_ref().map(|item| Json::compile(item, known)).transpose()?;
        check(each, write, (look.as_ref(), change.as_ref(), remove.as_ref()))?;
        let (found, path) = (&each.found, |text: &String| json_path(text));
        Ok(Self {
            list: each.list.clone(),
            look,
            found: found.found,
            absent: found.absent,
            items: json_path(&found.items)?,
            id: found.id.as_ref().map(path).transpose()?,
            by: pairs(&named(&found.by, known)?)?,
            compare: pairs(&named(&found.compare, known)?)?,
            more: found.more.as_ref().map(path).transpose()?,
            on_existing: match each.on_existing {
                definition::OnExisting::Overwrite => OnExisting::Overwrite,
                definition::OnExisting::Skip => OnExisting::Skip,
                _ => OnExisting::Verify,
            },
            at_once: each.at_once as usize,
            item,
            answers: each.answers.as_ref().map(List::compile).transpose()?,
            change,
            remove,
        })
    }

    /// The elements of a payload; an absent list has none. An error says which of them cannot be told apart.
    pub(crate) fn elements<'a>(&self, payload: &'a Value) -> Result<&'a [Value], String> {
        let elements = match payload.get(&self.list) {
            None | Some(Value::Null) => return Ok(&[]),
            Some(Value::Array(elements)) => elements,
            Some(_) => return Err(format!("`{}` of the payload is no list", self.list)),
        };
        let mut known = BTreeSet::new();
        for (at, element) in elements.iter().enumerate() {
            let name = name(self.by.iter().map(|(ours, _)| ours), element);
            let name = name.ok_or_else(|| {
                format!("`{}[{at}]` of the payload does not say which one it is (`by`)", self.list)
            })?;
            if !known.insert(name) {
                return Err(format!("`{}[{at}]` of the payload is there twice (`by`)", self.list));
            }
        }
        Ok(elements)
    }

    /// The elements that an answer lists.
    pub(crate) fn see(
        &self,
        classifier: &Classifier,
        (status, headers, body): (u16, &HeaderMap, &[u8]),
    ) -> Result<Vec<Value>, Answer> {
        if self.absent == Some(status) {
            return Ok(Vec::new());
        }
        if status != self.found {
            return Err(classifier.classify(status, headers, body));
        }
        let json: Value = serde_json::from_slice(body)
            .map_err(|_| lost("the target's answer to a look for elements is not JSON"))?;
        if classifier.is_error(&json) {
            return Err(classifier.classify(status, headers, body));
        }
        self.pick(&json)
    }

    /// The elements that stand in a document, or in an answer.
    pub(crate) fn pick(&self, json: &Value) -> Result<Vec<Value>, Answer> {
        if self.more.as_ref().and_then(|more| more.get(json)).is_some_and(|more| !is_blank(more)) {
            let what = format!("the target has more of `{}` than it lists in one answer", self.list);
            return Err(Answer::Refused(reason(ErrorClass::Unsupported, None, &what)));
        }
        match self.items.get(json) {
            Some(Value::Array(items)) => Ok(items.clone()),
            Some(Value::Null) => Ok(Vec::new()),
            _ => Err(lost(&format!("the answer to a look for elements has no list at `{}`", self.items))),
        }
    }

    /// What is between `elements` and those that stand there. What the step leaves alone is no gap. An error says which one is there
    /// several times.
    pub(crate) fn gaps(&self, elements: &[Value], there: &[Value]) -> Result<Gaps, String> {
        let mut stand: BTreeMap<Vec<String>, &Value> = BTreeMap::new();
        for one in there {
            let Some(name) = name(self.by.iter().map(|(_, theirs)| theirs), one) else { continue };
            if stand.insert(name.clone(), one).is_some() {
                return Err(format!("`{}` {} is there several times", self.list, name.join(", ")));
            }
        }
        let id = |one: &Value| self.id.as_ref().and_then(|path| path.get(one)).cloned();
        let mut gaps = Gaps::default();
        for (at, element) in elements.iter().enumerate() {
            let name = name(self.by.iter().map(|(ours, _)| ours), element).unwrap_or_default();
            match stand.remove(&name) {
                None => gaps.missing.push(at),
                Some(one) if self.is_same(element, one) => {}
                Some(one) => gaps.differing.push((at, id(one))),
            }
        }
        gaps.extra = stand.into_values().map(id).collect();
        if self.on_existing == OnExisting::Skip {
            gaps = Gaps { missing: gaps.missing, ..Gaps::default() };
        }
        Ok(gaps)
    }

    fn is_same(&self, element: &Value, one: &Value) -> bool {
        self.compare.iter().all(|(ours, theirs)| agree(ours.get(element), theirs.get(one)))
    }

    /// Whether the step may do away with what is between: what else would have to be done.
    pub(crate) fn check(&self, gaps: &Gaps, elements: &[Value]) -> Result<(), Answer> {
        let refused = |what: &str| Err(Answer::Refused(reason(ErrorClass::Duplicate, None, what)));
        let overwrites = self.on_existing == OnExisting::Overwrite;
        if let Some((at, _)) = gaps.differing.first().filter(|_| !overwrites) {
            let name = elements.get(*at).and_then(|element| name(self.by.iter().map(|(o, _)| o), element));
            let name = name.unwrap_or_default().join(", ");
            return refused(&format!("`{}` {name} is there and says something else", self.list));
        }
        if !gaps.extra.is_empty() && (!overwrites || self.remove.is_none()) {
            let number = gaps.extra.len();
            return refused(&format!(
                "the target has {number} of `{}` that the posting does not have",
                self.list
            ));
        }
        Ok(())
    }

    /// What an element is in the list of a request for several.
    pub(crate) fn item(&self, names: &Names<'_>, element: &Value) -> Result<Value, Impossible> {
        match &self.item {
            None => Ok(element.clone()),
            Some(item) => Ok(item.render(&Names { each: Some(element), ..*names })?),
        }
    }
}

/// What tells an element from others; none if something of it is not there.
fn name<'a>(mut paths: impl Iterator<Item = &'a JsonPath>, element: &Value) -> Option<Vec<String>> {
    paths.try_fold(Vec::new(), |mut name, path| {
        let value = path.get(element).filter(|value| !is_blank(value) && !value.is_object())?;
        name.push(written(value));
        Some(name)
    })
}

/// Paths with what the connection gives: accounts name fields of their own.
fn named(
    paths: &BTreeMap<String, String>,
    known: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, String> {
    let named = |(ours, theirs): (&String, &String)| {
        let text = Text::compile(theirs, known, false)?;
        let theirs = text.constant().map(str::to_owned);
        let theirs =
            theirs.ok_or_else(|| format!("the path of `{ours}` can say {{{{conn.<value>}}}} only"))?;
        Ok((ours.clone(), theirs))
    };
    paths.iter().map(named).collect()
}

/// What does not fit together.
fn check(
    each: &definition::Each,
    write: &Call,
    (look, change, remove): (Option<&Call>, Option<&One>, Option<&One>),
) -> Result<(), String> {
    let wrong = |what: &str| Err(what.to_owned());
    let of_each = |name: &Name| matches!(name, Name::Each(_));
    let of_items = |name: &Name| *name == Name::Items;
    if each.found.by.is_empty() {
        return wrong("`by` says nothing: what tells one element from another?");
    }
    if each.at_once == 0 {
        return wrong("`at_once` is at least 1");
    }
    match each.at_once {
        1 if !write.has(&of_each) => {
            return wrong("its request does not say {{each}}: it would be the same for each");
        }
        1 if write.has(&of_items) || each.item.is_some() || each.answers.is_some() => {
            return wrong("{{items}}, `item` and `answers` are of a request for several: set `at_once`");
        }
        1 => {}
        _ if !write.has(&of_items) || write.has(&of_each) => {
            return wrong("the request for several says {{items}}, and {{each}} stands in `item`");
        }
        _ => {}
    }
    if each.answers.as_ref().is_some_and(|answers| answers.name.is_some()) {
        return wrong("`answers` stand in the order of the elements: they have no `name`");
    }
    if each.on_existing == definition::OnExisting::PatchIfUnchanged {
        return wrong("`on_existing` of elements is verify, overwrite or skip");
    }
    let overwrites = each.on_existing == definition::OnExisting::Overwrite && each.found.id.is_some();
    if (change.is_some() || remove.is_some()) && !overwrites {
        return wrong(
            "`change` and `remove` go with `on_existing: overwrite`, and need the `id` of what is found",
        );
    }
    let (change, remove) = (change.map(|(call, _)| call), remove.map(|(call, _)| call));
    let says_each = [look, remove].into_iter().flatten().any(|call| call.has(&of_each));
    if says_each || [look, change, remove].into_iter().flatten().any(|call| call.has(&of_items)) {
        return wrong(
            "{{items}} stands for something in the request of the step only, {{each}} there and in `change`",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;
