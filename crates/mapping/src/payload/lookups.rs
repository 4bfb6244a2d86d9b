//! The objects that a payload refers to, `{"$lookup": "customer", "ref": …}`, held against those that the connector can look up.

use std::str::CharIndices;

use serde_json::Value as Json;

use crate::{Diagnostic, payload::Source};

/// The name by which a payload says that something has to be looked up: whatever is found takes its place.
pub(super) const LOOKUP: &str = "$lookup";

/// The objects that a connector can look up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lookups(Vec<String>);

impl Lookups {
    /// These objects.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }

    /// The objects that a program names and nobody can look up, each with its place. A name that is only made while the program runs
    /// is not seen.
    pub fn misspelt(&self, program: &Source) -> Vec<Diagnostic> {
        let unknown = named(&program.text).into_iter().filter(|(_, name)| !self.has(name));
        unknown.map(|(offset, name)| Diagnostic::lookup(program, offset, self.unknown(name))).collect()
    }

    /// The same of a payload, a line for each.
    pub(super) fn check(&self, payload: &Json) -> Vec<String> {
        let mut wrong = Vec::new();
        self.check_within(payload, &mut wrong);
        wrong
    }

    fn check_within(&self, value: &Json, wrong: &mut Vec<String>) {
        match value {
            Json::Object(fields) => {
                let name = fields.get(LOOKUP).and_then(Json::as_str).filter(|name| !self.has(name));
                wrong.extend(name.map(|name| self.unknown(name)));
                fields.values().for_each(|value| self.check_within(value, wrong));
            }
            Json::Array(items) => items.iter().for_each(|item| self.check_within(item, wrong)),
            _ => {}
        }
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|known| known == name)
    }

    fn unknown(&self, name: &str) -> String {
        let scored = self.0.iter().map(|known| (strsim::normalized_damerau_levenshtein(known, name), known));
        let near = scored.filter(|(score, _)| *score > 0.5).max_by(|a, b| a.0.total_cmp(&b.0));
        let hint = match near {
            Some((_, near)) => format!("did you mean `{near}`?"),
            None if self.0.is_empty() => "it looks up nothing".to_owned(),
            None => format!("it looks up {}", self.0.join(", ")),
        };
        format!("`{LOOKUP}` names `{name}`, which the connector cannot look up; {hint}")
    }
}

/// The names that stand behind `"$lookup":` or `"$lookup" =` in a program, with the offset of each.
fn named(program: &str) -> Vec<(usize, &str)> {
    let pieces = pieces(program);
    let whole = |at: usize| pieces.get(at).is_none_or(|(_, piece)| *piece != Piece::Other('+'));
    let found = pieces.windows(3).enumerate().filter_map(|(at, three)| match three {
        [(_, Piece::Text(LOOKUP)), (_, Piece::Other(':' | '=')), (offset, Piece::Text(name))] => {
            (whole(at + 3) && !name.contains("{{") && !name.contains('\\')).then_some((*offset, *name))
        }
        _ => None,
    });
    found.collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    /// What stands between double quotes.
    Text(&'a str),
    /// Any other character; of what stands between single quotes the first quote.
    Other(char),
}

/// A program without its comments and spaces, each piece with its offset.
fn pieces(program: &str) -> Vec<(usize, Piece<'_>)> {
    let mut pieces = Vec::new();
    let mut chars = program.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '#' => drop(chars.find(|(_, c)| *c == '\n')),
            '"' => {
                let end = closing(&mut chars, '"').unwrap_or(program.len());
                pieces.push((at, Piece::Text(program.get(at + 1..end).unwrap_or_default())));
            }
            '\'' => {
                pieces.push((at, Piece::Other(c)));
                closing(&mut chars, '\'');
            }
            c if c.is_whitespace() => {}
            c => pieces.push((at, Piece::Other(c))),
        }
    }
    pieces
}

/// The offset of the quote that ends a literal.
fn closing(chars: &mut CharIndices<'_>, quote: char) -> Option<usize> {
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            c if c == quote => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn literal_names_are_found_wherever_they_stand() {
        let program = r#"# {"$lookup": "comment"}
note = "{\"$lookup\": \"text\"}"
. = {"a": {"$lookup": "one", "ref": .id}, "b": r'"$lookup": "pattern"', "it's": 1} # "$lookup": "late"
.c."$lookup" = "two"
.d = {"$lookup": "made-" + .kind, "ref": "x"}
.e = {"$lookup": "{{ kind }}"}
.f = {"ref": "x", "$lookup"  :
  "three"}
ok = .c."$lookup" == "compared""#;
        let names: Vec<&str> = named(program).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["one", "two", "three"]);
        assert!(named("\"$lookup\": \"open").len() == 1 && named("'").is_empty(), "no end is no panic");
    }

    #[test]
    fn what_nobody_can_look_up_is_told_with_its_place() {
        let known = Lookups::new(["customer", "product"]);
        let told = |text: &str| {
            let program = Source { name: "a.vrl".into(), text: text.into() };
            known.misspelt(&program).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(told(".x = {\"$lookup\": \"customer\", \"ref\": .id}"), [""; 0]);
        assert_eq!(
            told(".y = 1\n.x = {\"$lookup\": \"custmer\", \"ref\": .id}"),
            [
                "a.vrl:2:18: CFG-0224: `$lookup` names `custmer`, which the connector cannot look up; did you mean `customer`?"
            ]
        );
        assert!(told("{\"$lookup\": \"warehouse\"}")[0].ends_with("; it looks up customer, product"));
    }

    #[test]
    fn what_a_case_makes_is_looked_through() {
        let known = Lookups::new(["customer"]);
        let made = json!({"lines": [{"to": {"$lookup": "custmer", "ref": "C-1"}}, {"to": {"$lookup": "customer", "ref": "C-1"}}]});
        let wrong = known.check(&made);
        assert!(wrong.len() == 1 && wrong[0].contains("did you mean `customer`?"), "{wrong:?}");
    }
}
