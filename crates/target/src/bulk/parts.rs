//! Items that are requests of their own: the parts of a multipart body, and their answers (docs/adr/0029).

use std::borrow::Cow;

use bytes::Bytes;
use delivery::{Answer, ErrorClass, Scope};
use http::{HeaderMap, HeaderValue, Uri};
use serde_json::Value;

use super::Whole;
use crate::{
    Endpoint, Posting,
    call::{Call, Impossible},
    classify::{lost, reason},
    definition::{self, AfterError, BulkKind, PartAddress},
    endpoint::nothing_captured,
    finder::Place,
    multipart::{self, Grouping, Part, Response},
    template::{Name, Scope as Names, plain},
};

/// What became of each item, where the answer says so.
type Found = Vec<Option<Answer>>;

/// How the parts are made and understood, compiled.
#[derive(Debug)]
pub(crate) struct Parts {
    call: Call,
    id: Option<Place>,
    address: PartAddress,
    grouping: Grouping,
    stops: bool,
}

impl Parts {
    /// Compiles `parts`; `call` is the request of one, `later` says whether headers of every request are known only when it is sent.
    pub(crate) fn compile(
        parts: &definition::Parts,
        kind: BulkKind,
        (call, later): (Call, bool),
    ) -> Result<Self, String> {
        let unknown =
            |name: &Name| matches!(name, Name::Id | Name::Version | Name::Items | Name::Captured(_));
        if later || call.has(&unknown) {
            return Err("a part says what is known of one posting before we sign in: neither the base URL nor headers, nor \
                        the request in `parts`, can name what signing in gives"
                .to_owned());
        }
        let grouping = match (kind, parts.change_sets) {
            (BulkKind::Atomic, false) if parts.after_error == AfterError::GoesOn => Grouping::OneSet,
            (BulkKind::Atomic, _) => {
                return Err("with `kind: atomic` all parts are in one change set: leave out `change_sets` and `after_error`"
                    .to_owned());
            }
            (BulkKind::Partial, true) => Grouping::SetEach,
            (BulkKind::Partial, false) => Grouping::Single,
        };
        Ok(Self {
            call,
            id: parts.id.as_deref().map(Place::parse).transpose()?,
            address: parts.address,
            grouping,
            stops: parts.after_error == AfterError::Stops,
        })
    }

    /// The request of one posting, as it stands in its part. What signs is of the request around it.
    pub(crate) fn request(
        &self,
        endpoint: &Endpoint,
        around: &Call,
        names: &Names<'_>,
    ) -> Result<Bytes, Impossible> {
        let headers = endpoint.headers(names, true)?;
        let wire = self.call.wire(names, None, &headers, &names.posting.payload)?;
        let path = wire.uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(match self.address {
            PartAddress::Whole => multipart::message(&wire, &wire.uri.to_string(), None),
            PartAddress::Path => {
                multipart::message(&wire, path, wire.uri.authority().map(|host| host.as_str()))
            }
            PartAddress::Relative => {
                let nobody = Posting::asking();
                let around = around.uri(&Names::of(&nobody, &Value::Null, nothing_captured()))?;
                multipart::message(&wire, &below(&wire.uri, &around)?, None)
            }
        })
    }

    /// The request that has all of them.
    pub(crate) fn whole<'a>(&self, call: &'a Call, requests: &[Bytes]) -> Whole<'a> {
        let written = multipart::write(requests, self.grouping);
        // Made of letters that every header takes.
        let call = HeaderValue::try_from(written.content_type)
            .map_or(Cow::Borrowed(call), |content_type| Cow::Owned(call.of_type(content_type)));
        Whole { call, items: Value::Null, raw: written.body }
    }

    /// What the answer says of each of the requests; an error is for all of them.
    ///
    /// Its own status tells nothing where it has parts: some services answer with that of the part that failed, though others before
    /// it were applied.
    pub(crate) fn answers(
        &self,
        endpoint: &Endpoint,
        ok: &[u16],
        (status, headers, body): (u16, &HeaderMap, &[u8]),
        items: usize,
    ) -> Result<Found, Answer> {
        if !multipart::is_multipart(headers) {
            let readable = !ok.contains(&status) && !multipart::lacks_type(body);
            return Err(match readable {
                true => endpoint.classifier.classify(status, headers, body),
                false => lost("the answer to several is no multipart/mixed"),
            });
        }
        let parts = multipart::responses(headers, body, items)
            .map_err(|what| lost(&format!("the answer to several cannot be read: {what}")))?;
        match self.grouping {
            Grouping::OneSet => self.of_set(endpoint, parts, items),
            Grouping::Single | Grouping::SetEach => Ok(self.side_by_side(endpoint, parts, items)),
        }
    }

    /// The answers to parts that stand side by side, which are carried out, and answered, in their order.
    fn side_by_side(&self, endpoint: &Endpoint, parts: Vec<Part<'_>>, items: usize) -> Found {
        let single = |part| match part {
            Part::One(response) => Some(response),
            Part::Set(mut set) => set.pop().filter(|_| set.is_empty()),
        };
        let Some(responses) = parts.into_iter().map(single).collect::<Option<Vec<_>>>() else {
            return vec![None; items];
        };
        let mut places = responses.iter().map(place).enumerate();
        let in_order = places.all(|(at, place)| place.is_none_or(|place| place == at));
        if !in_order || responses.len() != items && !(self.stops && is_stopped(&responses)) {
            return self.by_name(endpoint, &responses, items);
        }
        let said = responses.iter().map(|response| Some(self.means(endpoint, response)));
        said.chain(std::iter::repeat_with(|| Some(not_run()))).take(items).collect()
    }

    /// The answers to a change set: one for each request of it, in any order, or one for all of them, which then failed.
    fn of_set(&self, endpoint: &Endpoint, parts: Vec<Part<'_>>, items: usize) -> Result<Found, Answer> {
        let mut parts = parts.into_iter();
        let set = match (parts.next(), parts.next()) {
            (Some(Part::One(response)), None) => return Err(self.means(endpoint, &response)),
            (Some(Part::Set(set)), None) if set.len() == items => set,
            _ => return Ok(vec![None; items]),
        };
        if set.iter().any(|response| response.content_id.is_some()) {
            return Ok(self.by_name(endpoint, &set, items));
        }
        // Nobody knows which is whose; that does not matter where all are applied, but for their ids.
        let applied = set.iter().all(|one| matches!(self.means(endpoint, one), Answer::Applied { .. }));
        Ok(vec![applied.then_some(Answer::Applied { document: None }); items])
    }

    /// The answers by what each says it answers. If one does not, or says the same as another, none can be trusted.
    fn by_name(&self, endpoint: &Endpoint, responses: &[Response<'_>], items: usize) -> Found {
        let mut found = vec![None; items];
        for response in responses {
            match place(response).and_then(|place| found.get_mut(place)) {
                Some(free @ None) => *free = Some(self.means(endpoint, response)),
                _ => return vec![None; items],
            }
        }
        found
    }

    /// What an answer means, as it would alone.
    fn means(&self, endpoint: &Endpoint, response: &Response<'_>) -> Answer {
        let Response { status, headers, body, .. } = response;
        let written = endpoint.written(None, *status, headers, body).map(|id| match &self.id {
            Some(place) => place.value(&serde_json::from_slice(body).unwrap_or(Value::Null), headers),
            None => id,
        });
        match written {
            Ok(id) => Answer::Applied { document: id.map(|id| plain(&id).into()) },
            Err(answer) => answer,
        }
    }
}

/// The place of the request that an answer says it answers; one that nobody has, where it says something else.
fn place(response: &Response<'_>) -> Option<usize> {
    let number = response.content_id.as_ref()?.parse::<usize>().unwrap_or_default();
    Some(number.wrapping_sub(1))
}

/// Whether the answers end where a service stops that stops at the first failure.
fn is_stopped(responses: &[Response<'_>]) -> bool {
    let failed = |response: &Response<'_>| response.status >= 400;
    responses.split_last().is_some_and(|(last, before)| failed(last) && !before.iter().any(failed))
}

fn not_run() -> Answer {
    let what = "it was not carried out: the request for several ended at one before it, which failed";
    let reason = reason(ErrorClass::Transient, None, what);
    Answer::Again { reason, after_ms: Some(0), scope: Scope::Lane }
}

/// An address as seen from the folder of another one.
fn below(address: &Uri, from: &Uri) -> Result<String, Impossible> {
    let (address, from) = (address.to_string(), from.to_string());
    let path = from.split('?').next().unwrap_or_default();
    let folder = path.rfind('/').map_or("", |end| &path[..=end]);
    address.strip_prefix(folder).filter(|rest| !rest.is_empty()).map(str::to_owned).ok_or_else(|| {
        Impossible(format!("the address {address} of a part is not below {folder}: write `address: whole`"))
    })
}

#[cfg(test)]
mod tests;
