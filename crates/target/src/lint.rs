//! What is odd about a connector definition that can be read: it would do something else than its author thinks.

mod changes;
mod class;
mod gaps;

use std::{collections::BTreeMap, fmt};

use delivery::OnUnknown;

pub use gaps::gaps;

use crate::{
    Account, ClassChoice, Connector, Endpoint, auth,
    definition::{KeyPlace, Lookup, Operation, Rule, RuleOutcome},
};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It works, and may surprise.
    Warning,
    /// It does not work.
    Error,
}

/// Something odd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The line of the file, counted from 1, where it could be found out.
    pub line: Option<usize>,
    /// What is odd, and what to do.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.severity == Severity::Error { "error" } else { "warning" };
        write!(f, "{severity}: {}", self.what)
    }
}

/// Looks through a definition; `yaml` is its text, for the lines.
pub fn lint(connector: &Connector, yaml: &str) -> Vec<Finding> {
    let mut lint = Lint { connector, yaml, findings: Vec::new() };
    lint.rules();
    lint.key();
    lint.values();
    lint.signing_in();
    for (name, object) in &connector.objects {
        if let Some(lookup) = &object.lookup {
            lint.lookup(name, lookup);
            lint.unread(name, &lookup.unread);
        }
        if let Some(changes) = &object.changes {
            lint.changes(name, changes);
        }
        lint.operation(name, &object.operation);
        for (verb, operation) in &object.operations {
            lint.operation(&format!("{name}.{verb}"), operation);
        }
    }
    lint.findings.sort_by_key(|finding| (finding.line, std::cmp::Reverse(finding.severity)));
    lint.findings.dedup();
    lint.findings
}

/// The name that an author may have meant, where a parser's message lists the ones that there are.
pub fn meant(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("unknown ")?;
    let mut parts = rest.lines().next()?.splitn(3, '`').skip(1);
    let (given, rest) = (parts.next()?, parts.next()?);
    let (_, names) = rest.split_once("expected ")?;
    let names = names.trim_start_matches("one of ").split(", ").map(|name| name.trim_matches('`'));
    let nearest = names.max_by(|a, b| strsim::jaro(given, a).total_cmp(&strsim::jaro(given, b)))?;
    (strsim::jaro(given, nearest) > 0.7).then(|| nearest.to_owned())
}

struct Lint<'a> {
    connector: &'a Connector,
    yaml: &'a str,
    findings: Vec<Finding>,
}

impl Lint<'_> {
    fn add(&mut self, severity: Severity, line: Option<usize>, what: String) {
        self.findings.push(Finding { severity, line, what });
    }

    /// The line of the n-th occurrence of a text.
    fn line(&self, text: &str, n: usize) -> Option<usize> {
        let lines = self.yaml.lines().enumerate();
        lines.filter(|(_, line)| line.contains(text)).nth(n).map(|(at, _)| at + 1)
    }

    fn object_line(&self, name: &str) -> Option<usize> {
        let object = name.split('.').next().unwrap_or(name);
        self.line(&format!("  {object}:"), 0)
    }

    fn rules(&mut self) {
        let rules = &self.connector.errors.rules;
        for (at, rule) in rules.iter().enumerate() {
            let line = self.line("when:", at);
            if let Some(by) = rules[..at].iter().position(|earlier| covers(earlier, rule)) {
                let what = format!(
                    "rule {} never decides: rule {} before it matches all that it does",
                    at + 1,
                    by + 1
                );
                self.add(Severity::Error, line, what);
            }
            let server = |status: &u16| matches!(status, 500 | 502 | 504);
            if rule.outcome == RuleOutcome::NotApplied
                && rule.when.code.is_empty()
                && rule.when.message.is_empty()
                && rule.when.header.is_empty()
                && rule.when.status.iter().any(server)
            {
                let what = format!(
                    "rule {} calls a server error not applied: if the system may have applied it, write `outcome: unknown`, or name the code or the message",
                    at + 1
                );
                self.add(Severity::Warning, line, what);
            }
        }
    }

    fn key(&mut self) {
        let operations = || {
            self.connector
                .objects
                .values()
                .flat_map(|o| std::iter::once(&o.operation).chain(o.operations.values()))
        };
        let line = self.line("key:", 0);
        match &self.connector.key {
            Some(_) if operations().all(|o| o.keyed.is_none()) => {
                self.add(
                    Severity::Warning,
                    line,
                    "`key` is never used: no object has a `keyed` write".to_owned(),
                );
            }
            Some(key) if key.window_ms == 0 => {
                let what = "the `window` of the key is 0: class keyed never repeats under it".to_owned();
                self.add(Severity::Warning, line, what);
            }
            Some(key) if key.place == KeyPlace::Body && !key.name.is_empty() => {
                self.add(
                    Severity::Warning,
                    line,
                    "a key in the body needs no `name`: write {{key}} there".to_owned(),
                );
            }
            None if operations().any(|o| o.keyed.is_some()) => {
                let line = self.line("keyed:", 0);
                self.add(Severity::Error, line, "a `keyed` write needs the connector's `key`".to_owned());
            }
            _ => {}
        }
    }

    fn values(&mut self) {
        for name in self.connector.connection.keys() {
            if !self.yaml.contains(&format!("conn.{name}")) {
                let line = self.line(&format!("  {name}:"), 0);
                self.add(Severity::Warning, line, format!("the value `{name}` is never used"));
            }
        }
    }

    fn signing_in(&mut self) {
        if let Some(address) = auth::address(&self.connector.auth).filter(|a| a.starts_with("http://")) {
            let line = self.line("http://", 0);
            let what = format!("`auth` sends secrets in the clear to `{address}`: write https://");
            self.add(Severity::Warning, line, what);
        }
    }

    fn lookup(&mut self, object: &str, lookup: &Lookup) {
        let line = self.object_line(object);
        if lookup.absent.is_none() && lookup.items.is_none() {
            let what = format!(
                "the look for a `{object}` can never say that there is none: it needs `absent` or `items`"
            );
            self.add(Severity::Error, line, what);
        }
        if lookup.absent == Some(lookup.found) {
            let what =
                format!("the look for a `{object}` says found and absent by the same status; use `items`");
            self.add(Severity::Error, line, what);
        }
        if !lookup_names_reference(lookup) {
            let what = format!(
                "the look for a `{object}` does not say {{{{ref}}}}: it finds the same whatever is looked for"
            );
            self.add(Severity::Error, line, what);
        }
    }

    /// Compiles the operation in every class that it could be used in.
    fn operation(&mut self, name: &str, operation: &Operation) {
        self.kept(name, operation);
        let line = self.object_line(name);
        let readable = self.connector.objects.get(name.split('.').next().unwrap_or(name));
        let readable = readable.is_some_and(|object| object.lookup.is_some());
        let classes = [
            (ClassChoice::Keyed, operation.keyed.is_some() && self.connector.key.is_some()),
            (ClassChoice::Upsert, readable && (operation.upsert.is_some() || operation.create.is_some())),
            (ClassChoice::Neither, operation.create.is_some()),
        ];
        if classes.iter().all(|(_, possible)| !possible) && !is_lookup_only(operation) {
            let what = format!(
                "`{name}` cannot be written in any class: it needs `create`, `upsert` with a `lookup`, or `keyed`"
            );
            self.add(Severity::Error, line, what);
        } else {
            self.class(name, operation, readable);
        }
        let values = self.connector.stand_ins();
        for (class, _) in classes.iter().filter(|(_, possible)| *possible) {
            if let Some(error) = self.compile(name, *class, &values) {
                self.add(Severity::Error, line, error);
            }
        }
        if operation
            .then
            .iter()
            .any(|step| !step.ok.iter().all(|s| (100..600).contains(s)) || step.ok.is_empty())
        {
            self.add(Severity::Error, line, format!("a step of `{name}` has no status that says it is done"));
        }
    }

    fn compile(&self, name: &str, class: ClassChoice, values: &BTreeMap<String, String>) -> Option<String> {
        let account = Account {
            base_url: Some("https://connector.invalid"),
            class: Some(class),
            on_unknown: OnUnknown::Park,
            auth: None,
            values,
        };
        let error = Endpoint::new(self.connector, name, &account).err()?;
        Some(format!("`{name}`: {error}"))
    }
}

/// An object that is only looked up, as a reference of others, writes nothing.
fn is_lookup_only(operation: &Operation) -> bool {
    operation.create.is_none()
        && operation.upsert.is_none()
        && operation.keyed.is_none()
        && operation.update.is_none()
        && operation.then.is_empty()
}

fn lookup_names_reference(lookup: &Lookup) -> bool {
    let request = format!("{:?}", lookup.request);
    request.contains("{{ref") || request.contains("{{payload.") // a part of the payload can be the reference
}

/// Whether every answer that `rule` matches is matched by `earlier`, as [`crate::classify`] matches: a text by a part of it, a code `*50` by its end.
fn covers(earlier: &Rule, rule: &Rule) -> bool {
    fn within_by<T>(wide: &[T], narrow: &[T], covers: impl Fn(&T, &T) -> bool) -> bool {
        wide.is_empty() || !narrow.is_empty() && narrow.iter().all(|n| wide.iter().any(|w| covers(w, n)))
    }
    fn within<T: PartialEq>(wide: &[T], narrow: &[T]) -> bool {
        within_by(wide, narrow, |w, n| w == n)
    }
    let code = |w: &String, n: &String| w == n || w.strip_prefix('*').is_some_and(|end| n.ends_with(end));
    let message = |w: &String, n: &String| n.to_lowercase().contains(&w.to_lowercase());
    let (wide, narrow) = (&earlier.when, &rule.when);
    if !narrow.transport.is_empty() || !wide.transport.is_empty() {
        return !wide.transport.is_empty()
            && !narrow.transport.is_empty()
            && within(&wide.transport, &narrow.transport);
    }
    within(&wide.status, &narrow.status)
        && within_by(&wide.code, &narrow.code, code)
        && within_by(&wide.message, &narrow.message, message)
        && wide.header.iter().all(|(name, value)| {
            narrow.header.iter().any(|(n, v)| n.eq_ignore_ascii_case(name) && v.eq_ignore_ascii_case(value))
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SMALL: &str = include_str!("../../../connectors/sandbox.yaml");

    fn findings(from: &str, to: &str) -> Vec<String> {
        assert!(SMALL.contains(from), "{from}");
        let yaml = SMALL.replace(from, to);
        let connector = Connector::parse("sandbox", &yaml).unwrap();
        lint(&connector, &yaml).iter().map(|f| format!("{}: {f}", f.line.unwrap_or(0))).collect()
    }

    #[test]
    fn the_sandbox_is_clean_and_each_oddity_is_told_with_its_line() {
        assert_eq!(findings("revision: 1", "revision: 2"), [""; 0]);
        let told = |from: &str, to: &str, what: &str| {
            let found = findings(from, to);
            assert!(found.iter().any(|f| f.contains(what)), "{what}: {found:?}");
            assert!(found.iter().all(|f| !f.starts_with("0:")), "{found:?}");
        };
        told("{status: 403}", "{status: [401]}", "rule 2 never decides: rule 1");
        told(
            "{status: 403}, class: auth_denied",
            "{status: 500}, class: transient",
            "calls a server error not applied",
        );
        told("window: 24h", "window: 0s", "never repeats");
        told(
            "revision: 1",
            "revision: 1\nconnection: {\n  company: {default: x}}",
            "`company` is never used",
        );
        told(
            "auth: {kind: static_token, header: Authorization, prefix: \"Bearer \"}",
            "auth: {kind: oauth2_client, client: {id: x}, token: {url: 'http://login.example/token'}}",
            "sends secrets in the clear to `http://login.example/token`",
        );
        told("found: 200, absent: 404, id", "id", "can never say that there is none");
        told("absent: 404", "absent: 200", "by the same status");
        told("by-external-id/{{ref}}\", found", "all\", found", "does not say {{ref}}");
        told(
            "key: {place: header, name: Idempotency-Key, window: 24h, replayed: {Idempotent-Replayed: \"true\"}}",
            "",
            "needs the connector's `key`",
        );
    }

    #[test]
    fn a_rule_covers_what_it_matches_before_another() {
        let rule = |when: &str| -> Rule {
            serde_saphyr::from_str(&format!("{{when: {{{when}}}, class: validation, outcome: not_applied}}"))
                .unwrap()
        };
        for (earlier, later) in [
            ("message: exist", "message: [already exists, 'it EXISTS']"),
            ("code: '*50'", "status: 400, code: [x50, '*150']"),
            ("header: {X-Day: over}", "status: 429, header: {x-day: OVER}"),
            ("status: [400, 409]", "status: 409, message: nope"),
        ] {
            assert!(covers(&rule(earlier), &rule(later)), "{earlier} before {later}");
            assert!(!covers(&rule(later), &rule(earlier)), "{later} before {earlier}");
        }
        for (earlier, later) in [
            ("message: already exists", "message: exist"),
            ("code: x50", "code: '*50'"),
            ("code: x", "message: x"),
        ] {
            assert!(!covers(&rule(earlier), &rule(later)), "{earlier} before {later}");
        }
    }

    #[test]
    fn a_class_that_an_object_or_an_operation_cannot_have_is_told() {
        let told = |from: &str, to: &str, what: &str| {
            let found = findings(from, to);
            assert!(found.iter().any(|f| f.contains(what) && !f.starts_with("0:")), "{what}: {found:?}");
        };
        let path = "    path: /api/v1/customers\n";
        assert_eq!(findings(path, &format!("{path}    class: upsert\n")), [""; 0]);
        let only = |class: &str, write: &str| {
            format!(
                "  note:\n    class: {class}\n    path: /notes\n    {write}: {{request: \"POST {{{{path}}}}\", ok: [200]}}\n"
            )
        };
        let first = "  customer:\n";
        let objects = |note: String| format!("{note}{first}");
        told(first, &objects(only("keyed", "create")), "`note` is of class keyed, and has no `keyed` write");
        told(first, &objects(only("upsert", "create")), "`note` is of class upsert, and has no `lookup`");
        told(first, &objects(only("neither", "keyed")), "`note` is of class neither, and has no `create`");
        assert_eq!(findings(first, &objects(only("neither", "create"))), [""; 0]);
        let verb = "    operations: {close: {class: neither, upsert: {request: \"PUT {{path}}/{{ref}}\", ok: [200]}}}\n";
        told(path, &format!("{path}{verb}"), "`customer.close` is of class neither, and has no `create`");
    }

    #[test]
    fn a_misspelt_word_is_guessed() {
        let error = Connector::parse("x", &SMALL.replace("class: throttled", "class: throtled")).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(meant(&source).as_deref(), Some("throttled"), "{source}");
        assert_eq!(meant("all is well"), None);
    }
}
