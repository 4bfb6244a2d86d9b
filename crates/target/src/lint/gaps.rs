//! What a definition knowingly leaves out: it is said, and must be sayable.

use super::{Lint, Severity};
use crate::{
    Connector,
    definition::{Operation, Write},
    path::JsonPath,
};

/// What the objects of a definition do not compare, and what their changes do not carry over, each a line.
pub fn gaps(connector: &Connector) -> Vec<String> {
    let mut told = Vec::new();
    for (name, object) in &connector.objects {
        let unread = object.lookup.as_ref().map_or(&[][..], |lookup| &lookup.unread);
        if !unread.is_empty() {
            told.push(format!("`{name}`: a look does not compare {}", unread.join(", ")));
        }
        let verbs = object.operations.iter().map(|(verb, operation)| (format!("{name}.{verb}"), operation));
        for (name, operation) in [(name.clone(), &object.operation)].into_iter().chain(verbs) {
            if let Some(update) = operation.update.as_ref().filter(|update| !update.kept.is_empty()) {
                told.push(format!("`{name}`: a change leaves {} as first written", update.kept.join(", ")));
            }
        }
    }
    told
}

impl Lint<'_> {
    pub(super) fn unread(&mut self, object: &str, unread: &[String]) {
        self.paths(object, "unread", unread);
    }

    pub(super) fn kept(&mut self, object: &str, operation: &Operation) {
        let Operation { create, upsert, keyed, update, .. } = operation;
        let firsts: [&Option<Write>; 3] = [create, upsert, keyed];
        if firsts.into_iter().flatten().any(|write| !write.kept.is_empty()) {
            let what =
                format!("`kept` of `{object}` stands in a write that makes documents: it is of `update`");
            self.add(Severity::Error, self.object_line(object), what);
        }
        if let Some(update) = update {
            self.paths(object, "kept", &update.kept);
        }
    }

    fn paths(&mut self, object: &str, list: &str, paths: &[String]) {
        for path in paths.iter().filter(|path| JsonPath::parse(path).is_none()) {
            let what =
                format!("`{list}` of `{object}` says `{path}`, which is no path: write for example $.lines");
            self.add(Severity::Error, self.object_line(object), what);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::{Connector, gaps, lint};

    const YAML: &str = "
connector: x
revision: 1
class: upsert
base_url: https://x.example
auth: {kind: static_token, header: Authorization}
errors: {rules: []}
objects:
  invoice:
    path: /invoices
    lookup: {request: 'GET {{path}}/{{ref}}', absent: 404, id: $.id, compare: {$.total: $.total}, unread: [$.lines, $.date]}
    create: {request: 'POST {{path}}', ok: [201], on_existing: overwrite}
    update: {request: 'PUT {{path}}/{{id}}', ok: [200], kept: [$.lines]}
";

    #[test]
    fn what_is_left_out_is_told_and_is_no_finding() {
        let connector = Connector::parse("x", YAML).unwrap();
        assert_eq!(lint(&connector, YAML), []);
        let told = [
            "`invoice`: a look does not compare $.lines, $.date",
            "`invoice`: a change leaves $.lines as first written",
        ];
        assert_eq!(gaps(&connector), told);
    }

    #[test]
    fn a_list_that_says_nothing_is_an_error() {
        for (from, to, what) in [
            ("unread: [$.lines,", "unread: [lines,", "`unread` of `invoice` says `lines`, which is no path"),
            ("kept: [$.lines]", "kept: ['']", "`kept` of `invoice` says ``, which is no path"),
            ("ok: [201],", "ok: [201], kept: [$.a],", "in a write that makes documents"),
        ] {
            let yaml = YAML.replace(from, to);
            let found = lint(&Connector::parse("x", &yaml).unwrap(), &yaml);
            assert!(found.len() == 1 && found[0].what.contains(what), "{what}: {found:?}");
        }
    }
}
