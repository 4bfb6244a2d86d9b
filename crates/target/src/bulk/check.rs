//! What of a `bulk` does not fit together.

use crate::{
    call::Call,
    definition::{self, BulkKind},
    endpoint::is_key,
    template::{Json, Name, Text},
};

/// What does not fit together, whatever the class.
pub(super) fn check(
    bulk: &definition::Bulk,
    call: &Call,
    (item, named): (Option<&Json>, Option<&Text>),
) -> Result<(), String> {
    let wrong = |what: &str| Err(what.to_owned());
    let of_none = |name: &Name| !matches!(name, Name::Items | Name::Captured(_));
    let of_later = |name: &Name| {
        matches!(name, Name::Id | Name::Version | Name::Items | Name::Each(_) | Name::Captured(_))
    };
    if bulk.max_items < 2 {
        return wrong("`max_items` is at least 2");
    }
    if bulk.ok.is_empty() {
        return wrong("`ok` names the statuses of an answer that says of each item what became of it");
    }
    if bulk.parts.is_some() {
        let list = bulk.item.is_some() || bulk.named.is_some() || !bulk.answers.is_empty();
        if list || call.has_body_of_its_own() {
            return wrong(
                "with `parts`, the body is made of them, and each has an answer of its own: leave out `item`, `named`, `answers` and the `body` of its request",
            );
        }
    } else if !call.has(&|name| *name == Name::Items) {
        return wrong("its request says nowhere {{items}}");
    }
    if call.has(&is_key) {
        return wrong("its request says {{key}}: a key is of one item, so it belongs into `item`");
    }
    if call.has(&of_none) {
        return wrong(
            "its request can name {{items}} and what the connection gives; the rest is of one item",
        );
    }
    if item.is_some_and(|item| item.has(&of_later)) || named.is_some_and(|named| named.has(of_later)) {
        return wrong("`item` and `named` can name what is known of one posting before it is sent");
    }
    if bulk.answers.is_empty() && bulk.parts.is_none() && bulk.kind == BulkKind::Partial {
        return wrong(
            "`answers` says where the answers to the items stand; only `kind: atomic` can do without",
        );
    }
    match named {
        Some(named) if named.constant().is_some() => wrong("`named` is the same for all items"),
        Some(_) if bulk.answers.iter().any(|list| list.name.is_none()) => {
            wrong("with `named`, each list of `answers` says by `name` where it stands")
        }
        None if bulk.answers.len() > 1 || bulk.answers.iter().any(|list| list.name.is_some()) => wrong(
            "answers in the order of the items stand in one list; else say by `named` what they name them by",
        ),
        _ => Ok(()),
    }
}
