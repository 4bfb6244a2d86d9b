//! What is written is read as it was, and what is not whole is never read as if it were.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use proptest::prelude::*;

use super::{
    read::{Malformed, Part, Response, entities, responses},
    write::{Grouping, unused, write},
};

fn typed(content_type: &str) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::try_from(content_type).unwrap())])
}

/// Status, Content-ID and body of each; those of a change set between brackets.
fn told(content_type: &str, body: &str) -> Result<String, Malformed> {
    let headers = typed(content_type);
    let one = |response: &Response<'_>| {
        let id = response.content_id.as_deref().unwrap_or("-");
        format!("{} {id} {}", response.status, String::from_utf8_lossy(response.body).trim())
    };
    let part = |part: &Part<'_>| match part {
        Part::One(response) => one(response),
        Part::Set(set) => format!("[{}]", set.iter().map(one).collect::<Vec<_>>().join("; ")),
    };
    Ok(responses(&headers, body.as_bytes(), 3)?.iter().map(part).collect::<Vec<_>>().join("; "))
}

const MIXED: &str = "multipart/mixed; boundary=b";

/// The shape of learn.microsoft.com, "Execute batch operations": no empty line behind the head of an answer without a body.
const ANSWER: &str = "\
preamble, which is nobody's
--b
Content-Type: multipart/mixed; boundary=\"c\"

--c
Content-Type: application/http
Content-Transfer-Encoding: binary
Content-ID: 1

HTTP/1.1 204 No Content
OData-EntityId: [Organization URI]/api/data/v9.2/accounts(1)

--c
Content-Type: application/http
Content-ID: 2

HTTP/1.1 201 Created
Content-Type: application/json;
  odata.metadata=minimal

{\"id\": 2}
--c--
--b  
Content-Type: application/http; msgtype=response
content-transfer-encoding: BINARY

HTTP/1.1 400 Bad Request
Content-ID: 3

--bc is no delimiter
{\"error\": 1}

--b--
epilogue
--b
";

#[test]
fn an_answer_is_taken_apart_whatever_ends_its_lines() {
    let expected = "[204 1 ; 201 2 {\"id\": 2}]; 400 3 --bc is no delimiter\n{\"error\": 1}";
    assert_eq!(told(MIXED, ANSWER).unwrap(), expected);
    let crlf = ANSWER.replace('\n', "\r\n");
    assert_eq!(told(MIXED, &crlf).unwrap(), expected.replace('\n', "\r\n"));
    let headers = typed(MIXED);
    let parts = responses(&headers, ANSWER.as_bytes(), 3).unwrap();
    let Part::Set(set) = &parts[0] else { panic!("a change set") };
    assert_eq!(set[1].headers["content-type"], "application/json; odata.metadata=minimal", "unfolded");
}

#[test]
fn a_boundary_is_read_as_services_write_it() {
    let body = |boundary: &str| {
        format!(
            "--{boundary}\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n\r\n--{boundary}--"
        )
    };
    for (content_type, boundary) in [
        ("multipart/mixed;boundary=x", "x"),
        ("Multipart/Mixed; charset=utf-8; Boundary=\"x y;z\"", "x y;z"),
        (r#"multipart/mixed; boundary="a\"b""#, "a\"b"),
        ("multipart/mixed; boundary=batch(36522ad7-fc75)", "batch(36522ad7-fc75)"),
        ("multipart/mixed; boundary=a=b ; odata.metadata=minimal", "a=b"),
    ] {
        assert_eq!(told(content_type, &body(boundary)).as_deref(), Ok("204 - "), "{content_type}");
    }
    for none in [
        "multipart/mixed",
        "multipart/mixed; boundary=",
        "application/json; boundary=x",
        "multipart/form-data; boundary=x",
    ] {
        assert_eq!(told(none, &body("x")), Err(Malformed::NoBoundary), "{none}");
    }
}

#[test]
fn what_is_not_whole_is_an_error() {
    let part = "--b\nContent-Type: application/http\n\nHTTP/1.1 204 No Content\n\n\n";
    let whole = |parts: &str| format!("{parts}--b--\n");
    let long =
        format!("--b\nContent-Type: application/http\nX: {}\n\nHTTP/1.1 204 N\n\n--b--", "x".repeat(20_000));
    let fields =
        format!("--b\nContent-Type: application/http\n{}\nHTTP/1.1 204 N\n\n--b--", "X: y\n".repeat(65));
    for (what, body, error) in [
        ("nothing", String::new(), Malformed::NoParts),
        ("another boundary", whole(part).replace("--b", "--c"), Malformed::NoParts),
        ("no last delimiter", format!("{part}--b\n"), Malformed::Truncated),
        ("half a delimiter", format!("{part}--b-"), Malformed::Truncated),
        ("four of three", whole(&part.repeat(4)), Malformed::TooMany),
        ("no type", whole(&part.replace("Content-Type: application/http", "X: y")), Malformed::Type),
        ("JSON", whole(&part.replace("application/http", "application/json")), Malformed::Type),
        (
            "encoded",
            whole(&part.replace("http\n", "http\nContent-Transfer-Encoding: base64\n")),
            Malformed::Type,
        ),
        ("no answer", whole(&part.replace("HTTP/1.1 204", "GET /x")), Malformed::NoResponse),
        ("no status", whole(&part.replace("204 No Content", "")), Malformed::NoResponse),
        ("an empty part", whole("--b\n\n"), Malformed::Type),
        ("no field", whole(&part.replace("Content-Type:", "no colon\nContent-Type:")), Malformed::Head),
        ("a long head", long, Malformed::Head),
        ("many fields", fields, Malformed::Head),
        (
            "a set in a set",
            ANSWER.replace("application/http\nContent-ID: 2", "multipart/mixed; boundary=d"),
            Malformed::Type,
        ),
        ("a set that is cut", ANSWER.replace("--c--\n", ""), Malformed::Truncated),
    ] {
        assert_eq!(told(MIXED, &body), Err(error), "{what}");
    }
    assert_eq!(told(MIXED, "--b--").as_deref(), Ok(""), "no part is no error: it answers nobody");
}

#[test]
fn a_word_that_stands_in_a_request_is_no_boundary() {
    let requests = [Bytes::from_static(b"w0 is here"), Bytes::from_static(b"and w1\r\n--w2")];
    assert_eq!(unused(&requests, |salt| format!("w{salt}")), "w3");
}

fn grouping() -> impl Strategy<Value = Grouping> {
    prop_oneof![Just(Grouping::Single), Just(Grouping::SetEach), Just(Grouping::OneSet)]
}

/// Texts in which delimiters, heads and line breaks are likely.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("--b"),
        Just("--b--"),
        Just("--c"),
        Just("--c--"),
        Just("\r\n"),
        Just("\n"),
        Just("\n\n"),
        Just("Content-Type: application/http"),
        Just("Content-Type: multipart/mixed; boundary=c"),
        Just("HTTP/1.1 204 No Content"),
        Just("HTTP/1.1 "),
        Just("Content-ID: 1"),
        Just(" "),
        Just("\t"),
        Just("x"),
        Just("é"),
        Just("\0"),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn requests_are_read_as_they_were_written(
        requests in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..5),
        grouping in grouping(),
    ) {
        let requests: Vec<Bytes> = requests.into_iter().map(Bytes::from).collect();
        let written = write(&requests, grouping);
        let headers = typed(&written.content_type);
        let outer = entities(&headers, &written.body, 5).unwrap();
        let found: Vec<Vec<u8>> = match grouping {
            Grouping::Single => outer.iter().map(|one| one.body.to_vec()).collect(),
            _ => outer
                .iter()
                .flat_map(|set| entities(&set.headers, set.body, 5).unwrap())
                .map(|one| one.body.to_vec())
                .collect(),
        };
        prop_assert_eq!(found, requests);
        let sets = match grouping { Grouping::OneSet => 1, _ => outer.len() };
        prop_assert_eq!(outer.len(), sets);
    }

    #[test]
    fn a_body_in_a_part_is_only_its_text(text in "[a-z]{0,8}") {
        let request = Bytes::from(text);
        let body = String::from_utf8(write(std::slice::from_ref(&request), Grouping::Single).body.to_vec()).unwrap();
        // A request that has the whole of another body in it, its delimiters too.
        let nested = Bytes::from(body);
        let written = write(std::slice::from_ref(&nested), Grouping::Single);
        let headers = typed(&written.content_type);
        let parts = entities(&headers, &written.body, 2).unwrap();
        prop_assert_eq!(parts.len(), 1);
        prop_assert_eq!(parts[0].body, &nested[..]);
    }

    #[test]
    fn nothing_that_is_answered_is_a_panic(body in pieces(), noise in prop::collection::vec(any::<u8>(), 0..80)) {
        // What begins like a type with a boundary may be one; the rest may be anything.
        let types = [MIXED.to_owned(), format!("{MIXED}{}", body.replace(['\0', '\r', '\n', 'é'], ""))];
        for (content_type, body) in types.iter().flat_map(|kind| [(kind, body.as_bytes()), (kind, &noise)]) {
            if let Ok(parts) = responses(&typed(content_type), body, 3) {
                prop_assert!(parts.len() <= 3);
            }
        }
    }

    #[test]
    fn an_answer_that_is_cut_is_none(at in 0_usize..ANSWER.len()) {
        let end = ANSWER.rfind("--b--").unwrap() + "--b--".len();
        prop_assume!(at < end);
        prop_assert!(told(MIXED, &ANSWER[..at]).is_err());
    }
}
