//! How one goes on from a page of records to the next.

use schemars::JsonSchema;
use serde::Deserialize;

/// How the next page is asked for. docs/adr/0025 says what each kind rests on.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Paging {
    /// By the last record: the request says `{{payload.since}}` and `{{payload.after}}`, its moment and id, and the answer begins behind
    /// both, in their order.
    #[default]
    Keyset,
    /// By a link in the body, to the same host.
    BodyLink {
        /// Where the link stands: a text, or a list of `{rel, href}` of which the one with `rel: next` counts. None, null or empty at
        /// the end.
        next: String,
    },
    /// By a link of the header `Link` with `rel=next` (RFC 8288), to the same host.
    LinkHeader,
    /// By a token, which goes back with the same request: exactly one of `next` and `last`, and of `query` and `body`.
    Cursor {
        /// Where the token stands in the answer. Without `more`: none, null or empty at the end.
        next: Option<String>,
        /// Where it stands in the last record, if it is of that one.
        last: Option<String>,
        /// Where true stands as long as there is more.
        more: Option<String>,
        /// The parameter of the query that takes it.
        query: Option<String>,
        /// The place in the body that takes it, for example `$.variables.after`.
        body: Option<String>,
    },
    /// By how many records come before: the request says `{{payload.offset}}`. Each page begins with the last record of the page
    /// before, so that a list that moves meanwhile is noticed.
    Offset {
        /// The number of the first record.
        #[serde(default)]
        first: u32,
        /// How many records of one list the system gives, where it does not give all. Behind them the walk goes on with a list that
        /// begins at the last record's moment; so it needs `order: modified`.
        most: Option<u32>,
        /// Where true stands as long as there is more. Absent: a page without new records is the end.
        more: Option<String>,
    },
    /// By the page's number: the request says `{{payload.number}}`. Each page is asked for once more after the one behind it, so that
    /// a list that moves meanwhile is noticed.
    PageNumber {
        /// The number of the first page.
        #[serde(default = "one")]
        first: u32,
        /// Where true stands as long as there is more. Absent: an empty page is the end.
        more: Option<String>,
    },
}

fn one() -> u32 {
    1
}
