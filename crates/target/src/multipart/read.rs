//! Reads a multipart body down to the answers in it.

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};

/// The longest head of a part, or of an answer in it, in bytes.
const MAX_HEAD: usize = 16 << 10;
/// The most fields of a head.
const MAX_FIELDS: usize = 64;
/// The longest boundary; RFC 2046 says 70.
const MAX_BOUNDARY: usize = 200;

/// Why a body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// The type of it, or of a part of it, names no usable boundary.
    #[error("its type is no multipart/mixed with a boundary")]
    NoBoundary,
    /// Its boundary stands nowhere in it.
    #[error("its boundary stands nowhere in it")]
    NoParts,
    /// It ends before its last delimiter.
    #[error("it ends before its last delimiter")]
    Truncated,
    /// It has more parts than can answer anything.
    #[error("it has too many parts")]
    TooMany,
    /// A head is too long, or no list of fields.
    #[error("the head of a part cannot be read")]
    Head,
    /// A part is neither one answer nor a set of them.
    #[error("a part of it is no application/http, or is encoded")]
    Type,
    /// An answer is none.
    #[error("a part of it is no HTTP answer")]
    NoResponse,
}

/// A part, with its fields.
#[derive(Debug)]
pub(crate) struct Entity<'a> {
    pub(crate) headers: HeaderMap,
    pub(crate) body: &'a [u8],
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Response<'a> {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: &'a [u8],
    /// The request that it answers, where it says so.
    pub(crate) content_id: Option<String>,
}

/// What stands in the place of a request, or of a change set.
#[derive(Debug)]
pub(crate) enum Part<'a> {
    /// One answer.
    One(Response<'a>),
    /// One for each request of a change set.
    Set(Vec<Response<'a>>),
}

/// Whether the type says that it is a multipart body.
pub(crate) fn is_multipart(headers: &HeaderMap) -> bool {
    kind(headers).is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/mixed"))
}

/// Whether a body that is not called one may be one: it begins with a delimiter.
pub(crate) fn lacks_type(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"--")
}

/// The answers in a body; more than `most` in a row cannot be answers to anything.
pub(crate) fn responses<'a>(
    headers: &HeaderMap,
    body: &'a [u8],
    most: usize,
) -> Result<Vec<Part<'a>>, Malformed> {
    let part = |entity: Entity<'a>| {
        if !is_multipart(&entity.headers) {
            return response(&entity).map(Part::One);
        }
        let inner = entities(&entity.headers, entity.body, most)?;
        inner.iter().map(response).collect::<Result<_, _>>().map(Part::Set)
    };
    entities(headers, body, most)?.into_iter().map(part).collect()
}

/// The parts of a body whose type stands in `headers`. Preamble and epilogue are nobody's.
pub(crate) fn entities<'a>(
    headers: &HeaderMap,
    body: &'a [u8],
    most: usize,
) -> Result<Vec<Entity<'a>>, Malformed> {
    let boundary = boundary(headers).ok_or(Malformed::NoBoundary)?;
    let (mut parts, mut begin, mut at) = (Vec::new(), None, 0);
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let start = at;
        at += line.len();
        let Some(last) = delimiter(line, boundary.as_bytes()) else { continue };
        if let Some(begin) = begin.replace(at) {
            if parts.len() == most {
                return Err(Malformed::TooMany);
            }
            parts.push(entity(without_break(&body[begin..start]))?);
        }
        if last {
            return Ok(parts);
        }
    }
    Err(if begin.is_some() { Malformed::Truncated } else { Malformed::NoParts })
}

/// Whether a line is a delimiter, and if so, whether it is the last one.
fn delimiter(line: &[u8], boundary: &[u8]) -> Option<bool> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary)?;
    let (rest, last) = rest.strip_prefix(b"--").map_or((rest, false), |rest| (rest, true));
    rest.iter().all(u8::is_ascii_whitespace).then_some(last)
}

/// The line break before a delimiter belongs to the delimiter.
fn without_break(part: &[u8]) -> &[u8] {
    let part = part.strip_suffix(b"\n").unwrap_or(part);
    part.strip_suffix(b"\r").unwrap_or(part)
}

fn entity(part: &[u8]) -> Result<Entity<'_>, Malformed> {
    let (head, body) = split(part);
    let (mut fields, head) = ([httparse::EMPTY_HEADER; MAX_FIELDS], unfolded(head)?);
    match httparse::parse_headers(&head, &mut fields) {
        Ok(httparse::Status::Complete((_, fields))) => Ok(Entity { headers: map(fields)?, body }),
        _ => Err(Malformed::Head),
    }
}

fn response<'a>(entity: &Entity<'a>) -> Result<Response<'a>, Malformed> {
    let said = |name: &str| entity.headers.get(name).and_then(|value| value.to_str().ok());
    let plain = |encoding: &str| {
        ["binary", "8bit", "7bit"].iter().any(|one| encoding.trim().eq_ignore_ascii_case(one))
    };
    let http = kind(&entity.headers).is_some_and(|kind| kind.eq_ignore_ascii_case("application/http"));
    if !http || !said("content-transfer-encoding").is_none_or(plain) {
        return Err(Malformed::Type);
    }
    let (head, body) = split(entity.body.trim_ascii_start());
    let (mut fields, head) = ([httparse::EMPTY_HEADER; MAX_FIELDS], unfolded(head)?);
    let mut parsed = httparse::Response::new(&mut fields);
    let complete = parsed.parse(&head).is_ok_and(|status| status.is_complete());
    let status = parsed.code.filter(|_| complete).ok_or(Malformed::NoResponse)?;
    let headers = map(parsed.headers)?;
    // Old services have it among the fields of the answer, as old clients had it among those of the request.
    let content_id = [&entity.headers, &headers].into_iter().find_map(content_id);
    Ok(Response { status, headers, body, content_id })
}

fn content_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("content-id")?.to_str().ok()?.trim();
    Some(text.trim_start_matches('<').trim_end_matches('>').to_owned())
}

/// Head and body, with an empty line between them. Where there is none, all of it is head: a service may leave out the one of an
/// answer without a body.
fn split(text: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if matches!(line, b"\n" | b"\r\n") {
            return (&text[..at], &text[at + line.len()..]);
        }
        at += line.len();
    }
    (text, &[])
}

/// A head whose fields have a line each, and its end.
fn unfolded(head: &[u8]) -> Result<Vec<u8>, Malformed> {
    if head.len() > MAX_HEAD {
        return Err(Malformed::Head);
    }
    let mut text = Vec::with_capacity(head.len() + 4);
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            text.truncate(text.trim_ascii_end().len());
            text.push(b' ');
            text.extend(line.trim_ascii());
        } else {
            text.extend(line.trim_ascii_end());
        }
        text.extend(b"\r\n");
    }
    text.extend(b"\r\n");
    Ok(text)
}

fn map(fields: &[httparse::Header<'_>]) -> Result<HeaderMap, Malformed> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Malformed::Head)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| Malformed::Head)?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// The type without its parameters.
fn kind(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_TYPE)?.to_str().ok()?.split(';').next().map(str::trim)
}

/// The boundary that the type names.
fn boundary(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok().filter(|_| is_multipart(headers))?;
    let (mut quoted, mut escaped) = (false, false);
    let mut parameters = text.split(|c| {
        let ends = c == ';' && !quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            _ => {}
        }
        ends
    });
    let value = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim())
    })?;
    let value = match value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) {
        Some(inner) => unescaped(inner),
        None => value.to_owned(),
    };
    (1..=MAX_BOUNDARY).contains(&value.len()).then_some(value)
}

fn unescaped(text: &str) -> String {
    let mut escaped = false;
    text.chars()
        .filter(|c| {
            escaped = *c == '\\' && !escaped;
            !escaped
        })
        .collect()
}
