//! Values with a grammar of their own: names and base URLs.

use crate::{
    fields::Fields,
    problem::{Position, Report, code},
    secret::SecretSource,
};

/// The longest base URL, in bytes.
const MAX_URL: usize = 2048;

/// Whether `text` can be the name of a connection, route or region: the alphabet of a tenant id.
pub(crate) fn is_name(text: &str) -> bool {
    text.parse::<event::TenantId>().is_ok()
}

/// A name that must be there; anything else is reported.
pub(crate) fn name<'a>(fields: &Fields<'a>, field: &str) -> Option<&'a str> {
    let (text, at) = fields.text(field)?;
    if !is_name(text) {
        let message = format!(
            "`{field}` is `{text}`, but a name has 1 to 63 characters of a-z, 0-9 and `-`, \
             and starts and ends with a letter or digit"
        );
        fields.report.add(code::BAD_VALUE, at, message);
    }
    is_name(text).then_some(text)
}

/// The name of a connector, which is that of its file; anything else is reported.
pub(crate) fn connector<'a>(fields: &Fields<'a>, field: &str) -> Option<&'a str> {
    let (text, at) = fields.text(field)?;
    let known = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'));
    if known && (1..=63).contains(&text.len()) && text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Some(text);
    }
    let message = format!(
        "`{field}` is `{text}`, but the name of a connector has 1 to 63 characters of a-z, 0-9, `_` and `-`, \
         and starts with a letter or digit"
    );
    fields.report.add(code::BAD_VALUE, at, message);
    None
}

/// A name that must repeat the name of the file or folder it stands in, so that a copied file is noticed.
pub(crate) fn name_of_file<'a>(fields: &Fields<'a>, field: &str, place: &str) -> Option<&'a str> {
    let (text, at) = fields.text(field)?;
    if text == place {
        return name(fields, field);
    }
    let message = format!("`{field}` is `{text}`, but the name of its file or folder is `{place}`");
    fields.report.add_with(
        code::NAME_MISMATCH,
        at,
        message,
        Some(format!("write `{field}: {place}` or rename")),
    );
    None
}

/// Replaces `${NAME}` and `${NAME:-default}` by the variables of `source`, and checks that an HTTP base URL results.
/// Comes back without a slash at the end.
pub(crate) fn base_url(
    report: Report<'_>,
    text: &str,
    at: Position,
    source: &dyn SecretSource,
) -> Option<String> {
    url(report, "base_url", text, at, source).map(|url| url.trim_end_matches('/').to_owned())
}

/// The same for the URL that `field` holds, as it is.
pub(crate) fn url(
    report: Report<'_>,
    field: &str,
    text: &str,
    at: Position,
    source: &dyn SecretSource,
) -> Option<String> {
    let url = expand(report, text, at, source)?;
    match check_url(&url) {
        Ok(()) => Some(url),
        Err(why) => {
            // The text as written: what a variable expanded to is not ours to print, nor is what may be a password.
            let shown = if text.contains('@') { String::new() } else { format!(" `{text}`") };
            report.add(code::BAD_VALUE, at, format!("`{field}`{shown} {why}"));
            None
        }
    }
}

fn check_url(url: &str) -> Result<(), &'static str> {
    let uri: http::Uri = url.parse().map_err(|_| "is not a URL")?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("must begin with http:// or https://");
    }
    let authority = uri.authority().ok_or("names no host")?;
    if authority.host().is_empty() {
        return Err("names no host");
    }
    if authority.as_str().contains('@') {
        return Err("holds credentials; use `token` with a reference instead");
    }
    // http::Uri drops a fragment silently, so look at the text.
    if url.contains(['?', '#']) {
        return Err("must have no query and no fragment");
    }
    if url.len() > MAX_URL { Err("is too long") } else { Ok(()) }
}

/// Replaces `${NAME}` and `${NAME:-default}` by the variables of `source`.
pub(crate) fn expand(
    report: Report<'_>,
    text: &str,
    at: Position,
    source: &dyn SecretSource,
) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        out.push_str(&rest[..start]);
        let Some(length) = rest[start..].find('}') else {
            report.add(code::BAD_VALUE, at, format!("`{text}`: `${{` without `}}`"));
            return None;
        };
        let inside = &rest[start + 2..start + length];
        let (name, default) = inside.split_once(":-").map_or((inside, None), |(n, d)| (n, Some(d)));
        let unset = || default.map(str::to_owned).or_else(|| source.is_offline().then(|| stand_in(&out)));
        let value = source.variable(name).map(|v| v.to_string()).or_else(unset);
        let Some(value) = value else {
            let hint = format!("set it, or write a default: `${{{name}:-…}}`");
            report.add_with(code::VARIABLE_UNSET, at, format!("variable `{name}` is not set"), Some(hint));
            return None;
        };
        out.push_str(&value);
        rest = &rest[start + length + 1..];
    }
    out.push_str(rest);
    Some(out)
}

/// Something in the place of a variable that is not known here, so that the rest can be checked.
fn stand_in(before: &str) -> String {
    let text = match before.chars().last() {
        None => "https://unresolved.invalid",
        Some(':') => "443",
        Some(_) => "unresolved",
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_checked() {
        for good in ["http://127.0.0.1:8085/acme", "https://erp.example.com", "http://[::1]:80/"] {
            assert_eq!(check_url(good), Ok(()), "{good}");
        }
        let bad =
            ["", "erp", "ftp://h/", "http://", "https://u:p@h/", "http://h/?a=1", "http://h/#f", "http:///p"];
        for bad in bad {
            assert!(check_url(bad).is_err(), "{bad}");
        }
    }
}
