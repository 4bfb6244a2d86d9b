//! Writes requests as the parts of a body.

use bytes::Bytes;
use http::HeaderMap;
use memchr::memmem;
use sha2::{Digest, Sha256};

use crate::call::Wire;

/// How requests stand in the body. A change set is applied as a whole or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grouping {
    /// Each by itself.
    Single,
    /// Each in a change set of its own: OData before version 4 has no other place for what changes something.
    SetEach,
    /// All in one change set.
    OneSet,
}

/// A body, and the type that names its boundary.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) content_type: String,
    pub(crate) body: Bytes,
}

/// A request as the text that a part has; `target` is its address, as the system wants it there.
pub(crate) fn message(wire: &Wire, target: &str, host: Option<&str>) -> Bytes {
    let mut text = format!("{} {target} HTTP/1.1\r\n", wire.method).into_bytes();
    put(&mut text, "Host", host.map(str::as_bytes));
    fields(&mut text, &wire.headers);
    let length = wire.body.len().to_string();
    put(&mut text, "Content-Length", (!wire.body.is_empty()).then_some(length.as_bytes()));
    text.extend(b"\r\n");
    text.extend(&wire.body);
    text.into()
}

fn fields(text: &mut Vec<u8>, headers: &HeaderMap) {
    headers.iter().for_each(|(name, value)| put(text, name.as_str(), Some(value.as_bytes())));
}

fn put(text: &mut Vec<u8>, name: &str, value: Option<&[u8]>) {
    if let Some(value) = value {
        text.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
}

/// The body that has `requests` as its parts; their numbers, from 1, are their Content-IDs. The same requests give the same bytes.
pub(crate) fn write(requests: &[Bytes], grouping: Grouping) -> Written {
    let token = unused(requests, |salt| word(requests, salt));
    let parts = || (1_usize..).zip(requests).map(|(number, request)| part(number, request));
    let set = |name: &str, parts: Vec<Vec<u8>>| {
        let boundary = format!("changeset_{token}{name}");
        let head = format!("Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n").into_bytes();
        [head, enclosed(&boundary, parts)].concat()
    };
    let parts: Vec<Vec<u8>> = match grouping {
        Grouping::Single => parts().collect(),
        Grouping::SetEach => {
            (1_usize..).zip(parts()).map(|(n, part)| set(&format!("_{n}"), vec![part])).collect()
        }
        Grouping::OneSet => vec![set("", parts().collect())],
    };
    let boundary = format!("batch_{token}");
    let content_type = format!("multipart/mixed; boundary={boundary}");
    Written { content_type, body: enclosed(&boundary, parts).into() }
}

fn part(number: usize, request: &[u8]) -> Vec<u8> {
    let head = format!(
        "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: {number}\r\n\r\n"
    );
    [head.as_bytes(), request].concat()
}

fn enclosed(boundary: &str, parts: Vec<Vec<u8>>) -> Vec<u8> {
    let mut text = Vec::new();
    for part in parts {
        text.extend(format!("--{boundary}\r\n").as_bytes());
        text.extend(part);
        text.extend(b"\r\n");
    }
    text.extend(format!("--{boundary}--\r\n").as_bytes());
    text
}

/// The first word that stands in none of the requests, so that no boundary with it does.
pub(super) fn unused(requests: &[Bytes], word: impl Fn(u64) -> String) -> String {
    let mut salt = 0;
    loop {
        let word = word(salt);
        if requests.iter().all(|request| memmem::find(request, word.as_bytes()).is_none()) {
            return word;
        }
        salt += 1;
    }
}

/// A word that depends on the requests, so that they can hardly have it in them, and on nothing else.
fn word(requests: &[Bytes], salt: u64) -> String {
    let mut hash = Sha256::new();
    hash.update(salt.to_be_bytes());
    requests.iter().for_each(|request| hash.update(request));
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
