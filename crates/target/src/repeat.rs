//! The part of an operation that is made for each element of a list.

use bytes::Bytes;
use delivery::{Answer, ErrorClass, ReadBack, Scope};
use serde_json::Value;

use crate::{
    call::Impossible,
    classify::{impossible, lost, reason},
    each::{Each, Gaps, One},
    endpoint::{Done, Step},
    finder::Sight,
    operation::{Exchange, Run},
    posting::Standing,
    template::{Scope as Names, plain},
};

impl Run<'_> {
    /// The first step that is not done for a document that a look has found, and whether elements of it say something else.
    pub(crate) async fn progress(
        &self,
        whole: &Value,
        standing: &Standing,
    ) -> Result<(usize, bool), ReadBack> {
        for (at, step) in self.endpoint.steps.iter().enumerate() {
            let done = match &step.done {
                Done::If(check) => check.holds(whole),
                // It is looked at anew when the change is made.
                Done::Each(_) if standing.differs => false,
                Done::Each(each) => {
                    let gaps = self.gaps_of(each, whole, standing.id.as_ref()).await?;
                    if gaps.differ() {
                        return Ok((at, true));
                    }
                    gaps.missing.is_empty()
                }
            };
            if !done {
                return Ok((at, false));
            }
        }
        Ok((self.endpoint.steps.len(), false))
    }

    async fn gaps_of(&self, each: &Each, whole: &Value, id: Option<&Value>) -> Result<Gaps, ReadBack> {
        let payload = serde_json::from_slice(&self.posting.payload).unwrap_or(Value::Null);
        let there = match &each.look {
            None => each.pick(whole),
            Some(_) => self.elements_there(each, id).await,
        };
        let there = there.map_err(ReadBack::Failed)?;
        // Elements that could not be told apart were never written, so there is none of them.
        let elements = each.elements(&payload).unwrap_or_default();
        each.gaps(elements, &there).map_err(|_| ReadBack::Several)
    }

    /// The elements that stand at the target.
    async fn elements_there(&self, each: &Each, id: Option<&Value>) -> Result<Vec<Value>, Answer> {
        let names = self.names(&Value::Null, id, None);
        if let Some(look) = &each.look {
            let (status, headers, body) = self.exchange(look, &names, None, &Bytes::new(), false).await?;
            return each.see(&self.endpoint.classifier, (status, &headers, &body));
        }
        let Some(finder) = &self.endpoint.finder else { return Err(lost("the target cannot be read")) };
        match self.sight(finder, &self.names(&self.look_payload(finder), None, None)).await {
            Sight::Found { whole, .. } => each.pick(&whole),
            Sight::Failed(answer) => Err(answer),
            Sight::Absent | Sight::Several => Err(lost("the document is not found any more")),
        }
    }

    /// Whether the elements of the payload can be told apart: else nothing is written at all.
    pub(crate) fn check_elements(&self) -> Result<(), Answer> {
        let mut eaches = self.endpoint.steps.iter().filter_map(|step| step.done.each()).peekable();
        if eaches.peek().is_none() {
            return Ok(());
        }
        let payload: Value = serde_json::from_slice(&self.posting.payload).unwrap_or(Value::Null);
        eaches.try_for_each(|each| each.elements(&payload).map(drop).map_err(|what| impossible(&what)))
    }

    /// Makes the step for all elements that are not there. `fresh` says that the document was made a moment ago, by us, so that none is.
    pub(crate) async fn repeat(
        &self,
        (step, each): (&Step, &Each),
        id: Option<&Value>,
        fresh: bool,
    ) -> Result<(), Answer> {
        let (payload, _) = self.payload(&step.call, true).await?;
        let elements = each.elements(&payload).map_err(|what| impossible(&what))?;
        let gaps = if fresh { Gaps::all(elements.len()) } else { self.gaps_now(each, elements, id).await? };
        each.check(&gaps, elements)?;
        let names = self.names(&payload, id, None);
        for extra in &gaps.extra {
            let remove = (step, "remove", each.remove.as_ref());
            settled(self.one_element(remove, None, extra.as_ref(), &names).await)?;
        }
        let mut places = gaps.missing;
        for (at, id) in &gaps.differing {
            match &each.change {
                None => places.push(*at),
                change => {
                    let change = (step, "change", change.as_ref());
                    settled(self.one_element(change, elements.get(*at), id.as_ref(), &names).await)?;
                }
            }
        }
        places.sort_unstable();
        for places in places.chunks(each.at_once) {
            let chosen: Vec<&Value> = places.iter().filter_map(|at| elements.get(*at)).collect();
            let first = places.first().map_or(0, |at| at + 1);
            settled(self.write_elements((step, each), &chosen, first, &names).await)?;
        }
        Ok(())
    }

    async fn gaps_now(&self, each: &Each, elements: &[Value], id: Option<&Value>) -> Result<Gaps, Answer> {
        let there = match self.elements_there(each, id).await {
            Ok(there) => there,
            // The look has changed nothing, so that it can be made again.
            Err(Answer::Unknown(reason)) => {
                self.rest(true);
                return Err(Answer::Again { reason, after_ms: None, scope: Scope::Lane });
            }
            Err(answer) => return Err(answer),
        };
        each.gaps(elements, &there)
            .map_err(|what| Answer::Refused(reason(ErrorClass::AmbiguousKey, None, &what)))
    }

    /// One request, for one element or for several; `first` is the number of the first of them, from 1.
    async fn write_elements(
        &self,
        (step, each): (&Step, &Each),
        elements: &[&Value],
        first: usize,
        names: &Names<'_>,
    ) -> Result<(), Answer> {
        let key = format!("{}-{first}", step.name);
        let items = match each.at_once {
            1 => None,
            _ => Some(elements.iter().map(|element| each.item(names, element)).collect::<Result<Value, _>>()),
        };
        let items = items.transpose().map_err(|Impossible(what)| impossible(&what))?;
        let one = elements.first().copied();
        let names = Names { step: Some(&key), each: one, items: items.as_ref(), ..*names };
        let exchange = self.exchange(&step.call, &names, None, &Bytes::new(), true).await?;
        self.endpoint.stepped_for(step, each, &exchange, elements.len())
    }

    /// One request for one element that is there.
    async fn one_element(
        &self,
        (step, verb, one): (&Step, &str, Option<&One>),
        element: Option<&Value>,
        id: Option<&Value>,
        names: &Names<'_>,
    ) -> Result<(), Answer> {
        let (Some((call, ok)), Some(id)) = (one, id) else {
            return Err(impossible(&format!("step `{}` knows no id to {verb} an element by", step.name)));
        };
        let key = format!("{}-{verb}-{}", step.name, plain(id));
        let names = Names { step: Some(&key), id: Some(id), each: element, ..*names };
        let (status, headers, body): Exchange =
            self.exchange(call, &names, None, &Bytes::new(), true).await?;
        self.endpoint.is_ok(ok, status, &headers, &body)
    }
}

/// A rule can say that it was done before.
fn settled(result: Result<(), Answer>) -> Result<(), Answer> {
    match result {
        Err(Answer::Applied { .. }) => Ok(()),
        other => other,
    }
}
