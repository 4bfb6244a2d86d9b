//! How one goes on from a page: a definition's `paging`, compiled.

use http::Uri;
use serde_json::{Value, json};

use super::{
    Place, WalkError,
    link::{self, LONGEST, resolve},
    read::Reply,
};
use crate::{
    definition::{self, Request},
    finder::json_path,
    path::JsonPath,
};

/// How the next page is asked for.
#[derive(Debug)]
pub(super) enum Paging {
    Keyset,
    BodyLink(JsonPath),
    LinkHeader,
    Cursor { token: Token, more: Option<JsonPath> },
    Offset { first: u32, most: Option<u64>, more: Option<JsonPath> },
    Number { first: u32, more: Option<JsonPath> },
}

/// Where a token stands.
#[derive(Debug)]
pub(super) enum Token {
    InAnswer(JsonPath),
    InLastRecord(JsonPath),
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ask {
    /// The request as the definition has it.
    First,
    /// Behind this record.
    Behind(Place),
    /// What a link leads to.
    Link(Uri),
    /// The request with this token.
    Token(Value),
    /// From the record with this number on; 0 is the first.
    Offset(u64),
    /// The page with this number.
    Number(u64),
}

impl Ask {
    /// The address that it is, where it is one.
    pub(crate) fn link(&self) -> Option<&Uri> {
        match self {
            Self::Link(uri) => Some(uri),
            _ => None,
        }
    }
}

impl Paging {
    pub(super) fn compile(paging: &definition::Paging) -> Result<Self, String> {
        use definition::Paging as Said;
        let path = |text: &Option<String>| text.as_deref().map(json_path).transpose();
        Ok(match paging {
            Said::Keyset => Self::Keyset,
            Said::BodyLink { next } => Self::BodyLink(json_path(next)?),
            Said::LinkHeader => Self::LinkHeader,
            Said::Cursor { next, last, more, .. } => {
                let token = match (path(next)?, path(last)?) {
                    (Some(next), None) => Token::InAnswer(next),
                    (None, Some(last)) => Token::InLastRecord(last),
                    _ => return Err("`paging` by cursor has either `next` or `last`".into()),
                };
                Self::Cursor { token, more: path(more)? }
            }
            Said::Offset { first, most, more } => {
                Self::Offset { first: *first, most: most.map(u64::from), more: path(more)? }
            }
            Said::PageNumber { first, more } => Self::Number { first: *first, more: path(more)? },
        })
    }

    /// What the first page is asked by.
    pub(super) fn first(&self) -> Ask {
        match self {
            Self::Offset { .. } => Ask::Offset(0),
            Self::Number { first, .. } => Ask::Number((*first).into()),
            _ => Ask::First,
        }
    }

    /// Whether what is asked for lies beyond what the system lists.
    pub(super) fn is_beyond(&self, ask: &Ask, page: u32) -> bool {
        match (self, ask) {
            (Self::Offset { most: Some(most), .. }, Ask::Offset(from)) => {
                from.saturating_sub(1).saturating_add(page.into()) > *most
            }
            _ => false,
        }
    }

    /// What is asked for after a reply, whose records are all new; none at the end.
    pub(super) fn next(&self, asked: &Ask, from: &Reply) -> Result<Option<Ask>, WalkError> {
        match self {
            Self::Keyset => Ok(from.changes.last().map(|last| Ask::Behind(last.place.clone()))),
            Self::BodyLink(path) => {
                let link = link::in_body(path.get(&from.json)).map_err(odd)?;
                link.map(|link| resolve(&from.uri, link).map(Ask::Link)).transpose()
            }
            Self::LinkHeader => {
                let link = link::in_headers(&from.headers);
                link.map(|link| resolve(&from.uri, link).map(Ask::Link)).transpose()
            }
            Self::Cursor { token, more } => token.next(more.as_ref(), from),
            Self::Offset { more, .. } | Self::Number { more, .. } => counted(more.as_ref(), asked, from),
        }
    }
}

impl Token {
    fn next(&self, more: Option<&JsonPath>, from: &Reply) -> Result<Option<Ask>, WalkError> {
        let more = more.map(|path| says_more(path, &from.json)).transpose()?;
        if more == Some(false) {
            return Ok(None);
        }
        let token = match self {
            Self::InAnswer(path) => path.get(&from.json),
            Self::InLastRecord(path) => from.changes.last().and_then(|last| path.get(&last.record)),
        };
        match token {
            Some(Value::String(text)) if text.len() > LONGEST => Err(odd("the token is longer than 8 KiB")),
            Some(Value::String(text)) if text.is_empty() && more.is_none() => Ok(None),
            Some(token @ (Value::String(_) | Value::Number(_))) => Ok(Some(Ask::Token(token.clone()))),
            None | Some(Value::Null) if more.is_none() && self.may_be_missing(from) => Ok(None),
            _ => Err(odd("the answer does not end the list, and has no token to go on with")),
        }
    }

    /// A record without the token that each should have is no end.
    fn may_be_missing(&self, from: &Reply) -> bool {
        matches!(self, Self::InAnswer(_)) || from.changes.is_empty()
    }
}

/// What follows a page that is found by counting.
fn counted(more: Option<&JsonPath>, asked: &Ask, from: &Reply) -> Result<Option<Ask>, WalkError> {
    let more = more.map(|path| says_more(path, &from.json)).transpose()?;
    if more == Some(false) || more.is_none() && from.changes.is_empty() {
        return Ok(None);
    }
    match asked {
        Ask::Offset(_) if from.changes.is_empty() => {
            Err(odd("the answer says that there is more, and has no records"))
        }
        Ask::Offset(offset) => Ok(Some(Ask::Offset(offset.saturating_add(from.changes.len() as u64)))),
        Ask::Number(number) => Ok(Some(Ask::Number(number.saturating_add(1)))),
        _ => Ok(None),
    }
}

fn says_more(path: &JsonPath, json: &Value) -> Result<bool, WalkError> {
    let more = path.get(json).and_then(Value::as_bool);
    more.ok_or_else(|| odd(&format!("the answer has neither true nor false at `{path}`")))
}

fn odd(what: &str) -> WalkError {
    WalkError::unreadable(what)
}

/// The request of the pages after the first, where it is another one.
pub(crate) fn onward(paging: &definition::Paging, request: &Request) -> Result<Option<Request>, String> {
    let definition::Paging::Cursor { query, body, .. } = paging else { return Ok(None) };
    let mut request = request.clone();
    let token = "{{payload.cursor}}";
    match (query, body) {
        (Some(name), None) => {
            request.query.insert(name.clone(), definition::Query::Text(token.to_owned()));
        }
        (None, Some(place)) => {
            let names = json_path(place)?;
            let put =
                names.put(Value::from(token)).ok_or_else(|| format!("`{place}` is no place in a body"))?;
            let before = request.body.take().unwrap_or_else(|| json!({}));
            request.body = Some(json!({"$merge": [before, put]}));
        }
        _ => return Err("`paging` by cursor has either `query` or `body`, for the token to go back".into()),
    }
    Ok(Some(request))
}
