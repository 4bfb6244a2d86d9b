//! The requests in a multipart body, taken out of it again, so that a case can say them one by one.

use serde::Deserialize;

use super::{Sent, headers};
use crate::{Preview, multipart};

/// The most parts of a case.
const MOST: usize = 1_024;
/// The most headers of a request in one.
const HEADERS: usize = 64;

/// A part of a multipart body.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum SentPart {
    /// A request. Its Content-ID is among its headers.
    One(Sent),
    /// The requests of a change set.
    Set(Vec<Sent>),
}

enum Found {
    One(Preview),
    Set(Vec<Preview>),
}

impl SentPart {
    /// The parts of the body of `sent`, held against `expected`; `filled` fills in what a case has stand-ins for.
    pub(super) fn fit(
        expected: &[Self],
        sent: &Preview,
        filled: &dyn Fn(&Sent) -> Sent,
    ) -> Result<(), String> {
        let found = parts(sent)?;
        if found.len() != expected.len() {
            return Err(format!(
                "its body has {} parts, and not {}:\n{}",
                found.len(),
                expected.len(),
                sent.body
            ));
        }
        let one = |expected: &Sent, found: &Preview| {
            let expected = filled(expected);
            if found.send != expected.send {
                return Err(format!("{}: it is {}, and not {}", found.request, found.send, expected.send));
            }
            expected.fits(found)
        };
        expected.iter().zip(&found).try_for_each(|pair| match pair {
            (Self::One(expected), Found::One(found)) => one(expected, found),
            (Self::Set(expected), Found::Set(found)) if expected.len() == found.len() => {
                expected.iter().zip(found).try_for_each(|(expected, found)| one(expected, found))
            }
            _ => Err(format!("its change sets are others than expected:\n{}", sent.body)),
        })
    }
}

fn parts(sent: &Preview) -> Result<Vec<Found>, String> {
    let said = headers(&sent.headers.iter().cloned().collect())?;
    let entities = multipart::entities(&said, sent.body.as_bytes(), MOST);
    let entities = entities.map_err(|what| format!("its body is no multipart: {what}"))?;
    let part = |(number, entity): (usize, multipart::Entity<'_>)| {
        let name = format!("part {number}");
        if !multipart::is_multipart(&entity.headers) {
            return request(name, &entity).map(Found::One);
        }
        let set = multipart::entities(&entity.headers, entity.body, MOST);
        let set = set.map_err(|what| format!("{name} is no multipart: {what}"))?;
        let inner = (1..).zip(&set).map(|(at, entity)| request(format!("{name}.{at}"), entity));
        inner.collect::<Result<_, _>>().map(Found::Set)
    };
    (1..).zip(entities).map(part).collect()
}

/// A request as it stands in a part.
fn request(name: String, entity: &multipart::Entity<'_>) -> Result<Preview, String> {
    let mut fields = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut fields);
    let no_request = || format!("{name} is no request: {}", String::from_utf8_lossy(entity.body));
    let parsed = request.parse(entity.body).map_err(|_| no_request())?;
    let httparse::Status::Complete(head) = parsed else { return Err(no_request()) };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let id = entity.headers.get("content-id").map(|id| ("content-id".to_owned(), text(id.as_bytes())));
    let headers = request.headers.iter().map(|field| (field.name.to_owned(), text(field.value)));
    let headers = headers.chain(id).collect();
    let send = format!("{} {}", request.method.unwrap_or_default(), request.path.unwrap_or_default());
    Ok(Preview { request: name, send, headers, body: text(&entity.body[head..]) })
}
