//! Links to a next page: where they stand, and where they may lead.

use http::{HeaderMap, Uri, header::LINK};
use serde_json::Value;
use url::Url;

use super::WalkError;

/// The longest link or token that is followed, in bytes.
pub(super) const LONGEST: usize = 8 * 1024;
const NEXT: &str = "next";

/// The link that a value of a body is: a text, or the one with `rel: next` of a list of `{rel, href}`. None at the end.
pub(super) fn in_body(value: Option<&Value>) -> Result<Option<&str>, &'static str> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(link)) => Ok(Some(link.as_str()).filter(|link| !link.is_empty())),
        Some(Value::Array(links)) => {
            let next = links.iter().find(|link| link.get("rel").and_then(Value::as_str) == Some(NEXT));
            let Some(next) = next else { return Ok(None) };
            let href = next.get("href").and_then(Value::as_str);
            href.map(Some).ok_or("the link with `rel: next` has no `href`")
        }
        Some(_) => Err("the next link is neither a text nor a list of links"),
    }
}

/// The target of the first `rel=next` of `Link` headers (RFC 8288). None at the end.
pub(super) fn in_headers(headers: &HeaderMap) -> Option<&str> {
    headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok()).find_map(next_of)
}

/// The target of the first `rel=next` of one header: `<target>; name=value; …, <target>; …`.
fn next_of(mut rest: &str) -> Option<&str> {
    loop {
        let (target, after) = rest.split_once('<')?.1.split_once('>')?;
        let (parameters, following) = until(',', after);
        if leads_on(parameters) {
            return Some(target.trim());
        }
        rest = following;
    }
}

/// What stands before the first `end` that is not within quotes, and what behind it.
fn until(end: char, text: &str) -> (&str, &str) {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if c == end && !quoted => return (&text[..at], &text[at + c.len_utf8()..]),
            _ => {}
        }
    }
    (text, "")
}

/// Whether parameters of a link say `rel=next`, and not that it is one of another document. Of several `rel` the first counts.
fn leads_on(mut parameters: &str) -> bool {
    let (mut rel, mut anchored) = (None, false);
    while !parameters.is_empty() {
        let (parameter, rest) = until(';', parameters);
        parameters = rest;
        let Some((name, value)) = parameter.split_once('=') else { continue };
        match name.trim() {
            name if name.eq_ignore_ascii_case("rel") && rel.is_none() => rel = Some(value),
            name => anchored |= name.eq_ignore_ascii_case("anchor"),
        }
    }
    let rel = rel.unwrap_or_default().trim().trim_matches('"');
    !anchored && rel.split_ascii_whitespace().any(|rel| rel.eq_ignore_ascii_case(NEXT))
}

/// Where a link of the answer to `asked` leads, if that is the same scheme, host and port: credentials go nowhere else.
pub(super) fn resolve(asked: &Uri, link: &str) -> Result<Uri, WalkError> {
    let from = Url::parse(&asked.to_string());
    let elsewhere = |to: &str| WalkError::Elsewhere {
        from: from.as_ref().map_or_else(|_| "the system".to_owned(), origin),
        to: to.to_owned(),
    };
    let Ok(base) = &from else { return Err(elsewhere("a place that cannot be compared")) };
    if link.len() > LONGEST {
        return Err(elsewhere("a place whose address is longer than 8 KiB"));
    }
    let mut to = base.join(link).map_err(|_| elsewhere("no address"))?;
    if to.origin() != base.origin() || !to.origin().is_tuple() {
        return Err(elsewhere(&origin(&to)));
    }
    if !to.username().is_empty() || to.password().is_some() {
        return Err(elsewhere("a place with credentials of its own"));
    }
    to.set_fragment(None);
    Uri::try_from(to.as_str()).map_err(|_| elsewhere("no address"))
}

/// Scheme, host and port; what else stands in an address may be secret.
fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn next(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(LINK, HeaderValue::from_str(value).unwrap());
        }
        in_headers(&headers).map(str::to_owned)
    }

    #[test]
    fn the_next_of_link_headers_is_found_however_it_is_written() {
        for value in [
            "</p?c=2>; rel=next",
            r#"</p?c=1>; rel="prev", </p?c=2>; rel="next""#,
            r#"</p?c=1>; title="a, <b>; rel=next"; rel="prev first",</p?c=2> ; title="x\"," ; REL = "last NEXT""#,
            r#"</other>; rel=next; anchor="/elsewhere", </p?c=2>; rel=next"#,
        ] {
            assert_eq!(next(&[value]).as_deref(), Some("/p?c=2"), "{value}");
        }
        assert_eq!(next(&["</a>; rel=last", "</p?c=2>; rel=next"]).as_deref(), Some("/p?c=2"));
        for none in [
            "",
            "</a>",
            "</a>; rel=nextish",
            "</a>; rel=prev; rel=next",
            "next",
            "<broken; rel=next",
            "</a>; title=rel=next",
            "</a>; title=\"b; rel=next\"",
        ] {
            assert_eq!(next(&[none]), None, "{none}");
        }
    }

    #[test]
    fn the_link_of_a_body_is_a_text_or_one_of_a_list() {
        let list = json!([{"rel": "self", "href": "/1"}, {"rel": "next", "href": "/2"}]);
        assert_eq!(in_body(Some(&list)), Ok(Some("/2")));
        assert_eq!(in_body(Some(&json!("/2"))), Ok(Some("/2")));
        for end in [json!(null), json!(""), json!([]), json!([{"rel": "self", "href": "/1"}])] {
            assert_eq!(in_body(Some(&end)), Ok(None), "{end}");
        }
        assert_eq!(in_body(None), Ok(None));
        for odd in [json!(2), json!(true), json!({"href": "/2"}), json!([{"rel": "next"}])] {
            assert!(in_body(Some(&odd)).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_link_leads_to_the_same_host_or_nowhere() {
        let asked = Uri::from_static("https://erp.example/api/orders?since=1");
        let to = |link: &str| resolve(&asked, link).map(|uri| uri.to_string());
        for (link, expected) in [
            ("https://erp.example/api/orders?c=2", "https://erp.example/api/orders?c=2"),
            ("https://ERP.example:443/x#y", "https://erp.example/x"),
            ("/services/q/01-2000", "https://erp.example/services/q/01-2000"),
            ("?c=2", "https://erp.example/api/orders?c=2"),
            ("orders/2", "https://erp.example/api/orders/2"),
            ("//erp.example/y", "https://erp.example/y"),
        ] {
            assert_eq!(to(link).as_deref(), Ok(expected), "{link}");
        }
        for foreign in [
            "https://evil.example/api/orders?c=2",
            "//evil.example/x",
            "http://erp.example/x",
            "https://erp.example:8443/x",
            "https://erp.example.evil.example/x",
            "https://erp.example@evil.example/x",
            "https://user:word@erp.example/x",
            r"\\evil.example\x",
            "/\\evil.example/x",
            "\t//evil.example/x",
            "file:///etc/passwd",
            "data:,x",
            "http://169.254.169.254/latest",
        ] {
            let error = to(foreign).unwrap_err();
            let WalkError::Elsewhere { from, .. } = &error else { panic!("{foreign}: {error:?}") };
            assert_eq!(from, "https://erp.example", "{foreign}");
            assert!(!error.to_string().contains("word"), "{error}");
        }
        assert!(to(&format!("/{}", "x".repeat(LONGEST))).is_err());
    }
}
