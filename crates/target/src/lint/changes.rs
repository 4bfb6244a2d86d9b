//! What is odd about how changes are asked for.

use super::{Lint, Severity};
use crate::definition::{Changes, Paging};

/// Many systems write moments in whole seconds.
const LEAST_OVERLAP_MS: u64 = 1_000;

impl Lint<'_> {
    pub(super) fn changes(&mut self, object: &str, changes: &Changes) {
        let line = self.object_line(object);
        if !format!("{:?}", changes.request).contains("{{payload.since") {
            let what = format!(
                "`changes` of `{object}` does not say {{{{payload.since}}}}: every round reads all that there is"
            );
            self.add(Severity::Warning, line, what);
        }
        if !matches!(changes.paging, Paging::Keyset) && changes.overlap_ms < LEAST_OVERLAP_MS {
            let what = format!(
                "the `overlap` of `{object}` is less than a second: where moments are whole seconds, what is changed later in one is missed"
            );
            self.add(Severity::Warning, line, what);
        }
        if let Paging::Cursor { query: Some(name), .. } = &changes.paging
            && changes.request.query.contains_key(name)
        {
            let what = format!(
                "the token of `{object}` takes the place of `{name}`, which the request gives itself: that holds for the first page only"
            );
            self.add(Severity::Warning, line, what);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::{Connector, lint};

    const SMALL: &str = r#"
connector: small
revision: 1
class: neither
errors: {rules: []}
objects:
  order:
    path: /docs
    changes:
      kind: modified_since
      request: {send: "GET {{path}}", query: {since: "{{payload.since}}", limit: "{{payload.page}}"}}
      paging: {kind: cursor, next: $.next, query: after}
      id: $.id
      modified: $.at
      overlap: 1m
      page: 10
    create: {request: "POST {{path}}", ok: [201]}
"#;

    fn findings(changes: &[(&str, &str)]) -> Vec<String> {
        let yaml = changes.iter().fold(SMALL.to_owned(), |yaml, (from, to)| {
            assert!(yaml.contains(from), "{from}");
            yaml.replace(from, to)
        });
        let connector = Connector::parse("small", &yaml).unwrap();
        lint(&connector, &yaml).iter().map(|f| format!("{}: {f}", f.line.unwrap_or(0))).collect()
    }

    const CURSOR: &str = "{kind: cursor, next: $.next, query: after}";

    #[test]
    fn each_kind_is_clean_with_what_it_needs_and_told_of_without() {
        let limit = "limit: \"{{payload.page}}\"";
        for (paging, more) in [
            (CURSOR, ""),
            ("{kind: cursor, last: $.id, more: $.more, body: $.variables.after}", ""),
            ("{kind: body_link, next: $.next}", ""),
            ("{kind: link_header}", ""),
            ("{kind: offset, more: $.more}", ", x: \"{{payload.offset}}\""),
            ("{kind: page_number, first: 0}", ", x: \"{{payload.number}}\""),
            ("{kind: keyset}", ", x: \"{{payload.after}}\""),
        ] {
            let all = format!("{limit}{more}");
            assert_eq!(findings(&[(CURSOR, paging), (limit, &all)]), [""; 0], "{paging}");
        }
        let told = |changes: &[(&str, &str)], what: &str| {
            let found = findings(changes);
            assert!(found.iter().any(|f| f.contains(what)), "{what}: {found:?}");
            assert!(found.iter().all(|f| f.starts_with("7: ")), "{found:?}");
        };
        told(&[(CURSOR, "{kind: offset}")], "says nowhere `{{payload.offset}}`");
        told(&[(CURSOR, "{kind: page_number}")], "says nowhere `{{payload.number}}`");
        told(&[(CURSOR, "{kind: keyset}")], "says nowhere `{{payload.after}}`");
        told(&[(limit, "x: \"{{payload.offset}}\"")], "can say of the payload: payload.since, payload.page");
        told(&[("query: after", "query: after, body: $.after")], "either `query` or `body`");
        told(&[(", query: after", "")], "either `query` or `body`");
        told(&[("query: after", "body: \"$.list[0]\"")], "is no place in a body");
        told(&[("next: $.next", "next: $.next, last: $.id")], "either `next` or `last`");
        told(&[("next: $.next", "next: next")], "`next` is no path");
        told(&[("overlap: 1m", "overlap: 0s")], "needs an `overlap`");
        told(&[("overlap: 1m", "overlap: 10ms")], "less than a second");
        told(&[("page: 10", "page: 1001")], "it can be 1 to 1000");
        told(&[("page: 10", "page: 10\n      max_pages: 0")], "`max_pages: 0`");
        told(&[("since: \"{{payload.since}}\", ", "")], "every round reads all");
        let offset = (limit, "limit: \"{{payload.page}}\", x: \"{{payload.offset}}\"");
        told(&[(CURSOR, "{kind: offset, most: 10}"), offset], "needs `order: modified`");
        told(&[(CURSOR, "{kind: offset, most: 9}\n      order: modified"), offset], "less than a page");
        told(&[("page: 10", "page: 10\n      with: {a: \"{{payload.since}}\"}")], "what no connection gives");
        told(&[("page: 10", "page: 10\n      with: {a: \"{{conn.nobody}}\"}")], "no value `nobody`");
        told(&[("query: after", "query: limit")], "takes the place of `limit`");
        let keyset = (limit, "limit: \"{{payload.page}}\", x: \"{{payload.after}}\"");
        told(&[(CURSOR, "{kind: keyset}\n      order: modified"), keyset], "an order of its own");
        told(&[(CURSOR, "{kind: offset}"), ("page: 10", "page: 1"), offset], "it can be 2 to 1000");
    }
}
