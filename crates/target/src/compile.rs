//! From a definition and a connection to an endpoint: every value is checked here, before anything is sent.

use std::{collections::BTreeMap, time::Duration};

use delivery::{Class, OnExisting};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    Account, ClassChoice, EndpointError, Secrets,
    auth::{self, captures},
    bulk::{Bulk, Parts},
    call::Call,
    definition::{
        self, Changes, Connector, Consistency, DefinitionError, FieldKind, Key, KeyPlace, Lookup,
        LookupFirst, Object, Operation, Request, Write,
    },
    each::Each,
    endpoint::{Done, Step, is_key},
    feed::{Feed, onward},
    finder::{Check, Finder},
    template::{Name, Text},
};

/// An operation that begins with a look, or goes on after a write, must be able to look.
pub(crate) const OPERATION_NEEDS_LOOKUP: &str =
    "begins with a look or has steps, so it needs a `lookup`, or the class keyed";
/// The longest lag that is waited for.
pub(crate) const MAX_LAG: Duration = Duration::from_secs(3_600);

/// Compiles the parts of an endpoint.
pub(crate) struct Compiler<'a> {
    pub(crate) connector: &'a Connector,
    base: String,
    /// `conn.<value>` → the value.
    known: BTreeMap<String, String>,
}

impl<'a> Compiler<'a> {
    pub(crate) fn new(connector: &'a Connector, account: &'a Account<'a>) -> Result<Self, EndpointError> {
        auth::check(connector, &known_in_auth(connector, account.base_url, account.values)?)?;
        let known = known(connector, account.values)?;
        let base = base(connector, account.base_url, &known);
        Ok(Self { connector, base, known })
    }

    /// An error of the definition.
    pub(crate) fn wrong(&self, what: String) -> EndpointError {
        DefinitionError::Value { name: self.connector.connector.clone(), what }.into()
    }

    fn unfit(&self, what: String) -> EndpointError {
        EndpointError::Connection { connector: self.connector.connector.clone(), what }
    }

    /// The object and the operation that `text` names.
    pub(crate) fn operation(&self, text: &str) -> Result<(&'a Object, &'a Operation), EndpointError> {
        let (object, operation) = match text.split_once('.') {
            Some((object, operation)) => (object, Some(operation)),
            None => (text, None),
        };
        let found = self.connector.objects.get(object).ok_or_else(|| {
            let known: Vec<&str> = self.connector.objects.keys().map(String::as_str).collect();
            self.wrong(format!(
                "it has no object `{object}`, which a route sends to it; it has {}",
                known.join(", ")
            ))
        })?;
        let Some(operation) = operation else { return Ok((found, &found.operation)) };
        match found.operations.get(operation) {
            Some(named) => Ok((found, named)),
            None => {
                let known: Vec<&str> = found.operations.keys().map(String::as_str).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                Err(self
                    .wrong(format!("its object `{object}` has no operation `{operation}`; it has {known}")))
            }
        }
    }

    /// The address that `{{path}}` stands for.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) fn call(&self, request: &Request, path: &str) -> Result<Call, EndpointError> {
        self.request(request, path, true)
    }

    pub(crate) fn request(&self, request: &Request, path: &str, writes: bool) -> Result<Call, EndpointError> {
        let call = self.any_request(request, path, writes)?;
        if call.has(&|name| matches!(name, Name::Items | Name::Each(_))) {
            let what = "{{items}} stands for something in the request of a `bulk` only, or, as {{each}}, of a step with `each`";
            return Err(self.wrong(what.into()));
        }
        if call.has(&|name| matches!(name, Name::Job | Name::Task)) {
            return Err(
                self.wrong("{{job}} and {{task}} stand for something in the requests of a `job` only".into())
            );
        }
        Ok(call)
    }

    /// A request that writes, with the key where the class has one.
    pub(crate) fn write(&self, request: &Request, path: &str, class: Class) -> Result<Call, EndpointError> {
        let mut call = self.call(request, path)?;
        if let (Some(key), Class::Keyed { .. }) = (&self.connector.key, class) {
            self.key(key, &call)?;
            if key.place == KeyPlace::Query {
                call.add_key(&key.name);
            }
        }
        Ok(call)
    }

    fn any_request(&self, request: &Request, path: &str, writes: bool) -> Result<Call, EndpointError> {
        let request = self.based(request);
        let call = Call::compile(&request, path, &self.known, writes).map_err(|what| self.unfit(what))?;
        self.only_captured(|which| call.has(which))?;
        Ok(call)
    }

    /// A request that asks for a job.
    pub(crate) fn asking(&self, request: &Request, path: &str) -> Result<Call, EndpointError> {
        let call = Call::compile(&self.based(request), path, &self.known, false);
        let call = call.map_err(|what| self.unfit(what))?;
        self.only_captured(|which| call.has(which))?;
        Ok(call)
    }

    /// How several are written in one request, where the operation allows it in this class: not where a repeat begins with a look.
    pub(crate) fn bulk(
        &self,
        object: &str,
        operation: &Operation,
        write: &Write,
        (class, path): (Class, &str),
    ) -> Result<Option<Bulk>, EndpointError> {
        let Some(bulk) = &write.bulk else { return Ok(None) };
        let wrong = |what: String| self.wrong(format!("`bulk` of `{object}`: {what}"));
        if !operation.then.is_empty() || operation.lookup_first == LookupFirst::Always {
            return Err(wrong(
                "an operation that has steps, or begins with a look, is carried out for one at a time".into(),
            ));
        }
        if class == Class::Upsert && operation.upsert.is_none() {
            return Ok(None);
        }
        let parts = bulk.parts.as_ref().map(|parts| {
            let own = self.write(parts.request.as_ref().unwrap_or(&write.request), path, class)?;
            let later = !self.headers()?.1.is_empty();
            Parts::compile(parts, bulk.kind, (own, later)).map_err(wrong)
        });
        let parts = parts.transpose()?;
        let call = Call::compile(&self.based(&bulk.request), path, &self.known, parts.is_some());
        let call = call.map_err(wrong)?;
        self.only_captured(|which| call.has(which))?;
        let of = format!("{}@{}/{object}", self.connector.connector, self.connector.revision);
        let requests = (call, parts, &self.known, of.as_str());
        Bulk::compile(bulk, requests, (class, self.connector.key.as_ref())).map(Some).map_err(wrong)
    }

    /// What signing in does not bring, no request can say.
    fn only_captured(&self, has: impl Fn(&dyn Fn(&Name) -> bool) -> bool) -> Result<(), EndpointError> {
        let captured = captures(&self.connector.auth);
        if has(&|name| matches!(name, Name::Captured(name) if !captured.contains(&**name))) {
            let names: Vec<&str> = captured.into_iter().collect();
            let names = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
            let what = format!(
                "a request says `{{{{auth.captured.…}}}}` of what `capture` does not name; it names {names}"
            );
            return Err(DefinitionError::Auth { name: self.connector.connector.clone(), what }.into());
        }
        Ok(())
    }

    /// A request whose address begins with `/` goes to the base URL.
    fn based(&self, request: &Request) -> Request {
        let mut request = request.clone();
        if let Some((method, address)) = request.send.split_once(' ')
            && address.starts_with('/')
        {
            request.send = format!("{method} {}{address}", self.base);
        }
        request
    }

    pub(crate) fn finder(&self, lookup: &Lookup, path: &str) -> Result<Finder, EndpointError> {
        let mut lookup = lookup.clone();
        lookup.request = self.based(&lookup.request);
        let finder =
            Finder::compile(&lookup, &self.path(path), &self.known).map_err(|what| self.unfit(what))?;
        self.only_captured(|which| finder.call.has(which))?;
        Ok(finder)
    }

    pub(crate) fn feed(&self, changes: &Changes, path: &str) -> Result<Feed, EndpointError> {
        let call = self.request(&changes.request, path, false)?;
        let onward = onward(&changes.paging, &changes.request).map_err(|what| self.wrong(what))?;
        let onward = onward.map(|request| self.request(&request, path, false)).transpose()?;
        Feed::compile(changes, call, onward, &self.known).map_err(|what| self.wrong(what))
    }

    /// How every object of the system is found.
    pub(crate) fn finders(&self) -> Result<BTreeMap<String, Finder>, EndpointError> {
        let lookups = self
            .connector
            .objects
            .iter()
            .filter_map(|(name, object)| Some((name, object.lookup.as_ref()?, &object.path)));
        lookups.map(|(name, lookup, path)| Ok((name.clone(), self.finder(lookup, path)?))).collect()
    }

    /// The class of the operation on this connection, and its write.
    pub(crate) fn class<'b>(
        &self,
        object: &str,
        operation: &'b Operation,
        account: &Account<'_>,
        readable: bool,
    ) -> Result<(Class, &'b Write), EndpointError> {
        let choice = account.class.unwrap_or_else(|| self.connector.class_of(object));
        let write = match choice {
            ClassChoice::Upsert => operation.upsert.as_ref().or(operation.create.as_ref()),
            ClassChoice::Keyed => operation.keyed.as_ref(),
            ClassChoice::Neither => operation.create.as_ref(),
        };
        let write = write
            .ok_or_else(|| self.wrong(format!("object `{object}` cannot be written as class {choice:?}")))?;
        let class = match (choice, &self.connector.key) {
            (ClassChoice::Keyed, Some(key)) => Class::Keyed { window_ms: key.window_ms, readable },
            (ClassChoice::Keyed, None) => return Err(self.wrong("class keyed needs `key`".into())),
            (ClassChoice::Upsert, _) if !readable => {
                return Err(self.wrong(format!("class upsert needs a `lookup` for `{object}`")));
            }
            (ClassChoice::Upsert, _) => Class::Upsert,
            (ClassChoice::Neither, _) => Class::Neither(account.on_unknown),
        };
        Ok((class, write))
    }

    /// What to do with a document that says something else.
    pub(crate) fn on_existing(
        &self,
        object: &str,
        operation: &Operation,
        write: &Write,
        class: Class,
        finder: Option<&Finder>,
    ) -> Result<OnExisting, EndpointError> {
        use definition::OnExisting as Said;
        let upserts = operation.upsert.as_ref().is_some_and(|upsert| std::ptr::eq(upsert, write));
        let can_change = upserts || class_keyed(class) || operation.update.is_some();
        let said = match write.on_existing {
            Some(said) => said,
            None if class == Class::Upsert && can_change => Said::Overwrite,
            None => Said::Verify,
        };
        let needs = |what: &str| Err(self.wrong(format!("`{object}`: `on_existing: {said:?}` needs {what}")));
        match said {
            Said::Verify => Ok(OnExisting::Verify),
            Said::Skip => Ok(OnExisting::Skip),
            Said::Overwrite if !can_change => needs("an `update`"),
            Said::Overwrite => Ok(OnExisting::Overwrite),
            Said::PatchIfUnchanged => {
                let conditional = match &operation.update {
                    Some(update) => self.call(&update.request, "http://x")?.has(&|n| *n == Name::Version),
                    None => false,
                };
                if !conditional || !finder.is_some_and(Finder::sees_version) {
                    return needs("an `update` that says `{{version}}`, and a `lookup` with `version`");
                }
                Ok(OnExisting::Overwrite)
            }
        }
    }

    /// The steps after the write, and how a look tells each of them done.
    pub(crate) fn steps(
        &self,
        operation: &Operation,
        path: &str,
        class: Class,
    ) -> Result<Vec<Step>, EndpointError> {
        operation.then.iter().map(|step| self.step(step, path, class)).collect()
    }

    fn step(&self, step: &definition::Step, path: &str, class: Class) -> Result<Step, EndpointError> {
        let wrong = |what: String| self.wrong(format!("step `{}`: {what}", step.name));
        // A step has no body unless it says so.
        let mut call = match &step.each {
            None => self.request(&step.request, path, false)?,
            Some(_) => self.any_request(&step.request, path, false)?,
        };
        let done = match (&step.done, &step.each) {
            (Some(condition), None) => Done::If(Check::compile(condition).map_err(wrong)?),
            (None, Some(each)) => Done::Each(Box::new(self.each(each, &call, path, class).map_err(wrong)?)),
            _ => return Err(wrong("it has either `done` or `each`".into())),
        };
        if let (Some(key), Class::Keyed { .. }) = (&self.connector.key, class)
            && key.place == KeyPlace::Query
        {
            call.add_key(&key.name);
        }
        Ok(Step { name: step.name.clone(), call, ok: step.ok.clone(), done })
    }

    fn each(&self, each: &definition::Each, write: &Call, path: &str, class: Class) -> Result<Each, String> {
        if class_keyed(class) && each.at_once > 1 {
            return Err("class keyed needs a key for each element: `at_once` is 1".into());
        }
        let call = |request: &Request| self.any_request(request, path, false).map_err(|e| e.to_string());
        let look = each.found.request.as_ref().map(call).transpose()?;
        let one = |one: &definition::OneElement| Ok::<_, String>((call(&one.request)?, one.ok.clone()));
        let (change, remove) = (each.change.as_ref().map(one), each.remove.as_ref().map(one));
        Each::compile(each, write, (look, change.transpose()?, remove.transpose()?), &self.known)
    }

    /// Whether the key really goes out with the write.
    fn key(&self, key: &Key, write: &Call) -> Result<(), EndpointError> {
        let named = !key.name.is_empty();
        match key.place {
            KeyPlace::Header | KeyPlace::Query if !named => {
                Err(self.wrong("`key` needs the `name` of its header or parameter".into()))
            }
            KeyPlace::Body if !write.has(&is_key) => {
                Err(self.wrong("`key` is in the body, but the request says nowhere `{{key}}`".into()))
            }
            _ => Ok(()),
        }
    }

    /// A lag stands with `consistency: eventual` and only there.
    pub(crate) fn lag(&self, lookup: Option<&Lookup>) -> Result<u64, EndpointError> {
        let wrong = |what: &str| Err(self.wrong(what.to_owned()));
        match lookup.map(|l| (l.consistency, l.lag_ms)) {
            None | Some((Consistency::Strong, 0)) => Ok(0),
            Some((Consistency::Eventual, lag)) if Duration::from_millis(lag) > MAX_LAG => {
                wrong("a `lag` of more than an hour is not waited for")
            }
            Some((Consistency::Eventual, lag)) if lag > 0 => Ok(lag),
            Some((Consistency::Eventual, _)) => {
                wrong("a lookup with `consistency: eventual` needs `lag`, for example 5s")
            }
            Some((Consistency::Strong, _)) => wrong("a lookup with `lag` needs `consistency: eventual`"),
        }
    }

    pub(crate) fn header(&self, text: &str) -> Result<HeaderName, EndpointError> {
        HeaderName::try_from(text).map_err(|_| self.wrong(format!("`{text}` is no header name")))
    }

    /// The headers of every request on the connection: those that are known now, and those that name what signing in brings.
    pub(crate) fn headers(&self) -> Result<(HeaderMap, Vec<(HeaderName, Text)>), EndpointError> {
        let (mut headers, mut later) = (HeaderMap::new(), Vec::new());
        for (name, value) in &self.connector.headers {
            let text = Text::compile(value, &self.known, false).map_err(|what| self.unfit(what))?;
            let header = self.header(name)?;
            let Some(constant) = text.constant() else {
                if text.has(|name: &Name| !matches!(name, Name::Captured(_))) {
                    return Err(self.wrong(format!(
                        "header `{name}` of every request can name what the connection and signing in give only"
                    )));
                }
                self.only_captured(|which| text.has(which))?;
                later.push((header, text));
                continue;
            };
            let value = HeaderValue::try_from(constant)
                .map_err(|_| self.unfit(format!("the value of header `{name}` cannot be sent")))?;
            headers.insert(header, value);
        }
        Ok((headers, later))
    }
}

fn class_keyed(class: Class) -> bool {
    matches!(class, Class::Keyed { .. })
}

/// What requests call `{{conn.<value>}}`: what the connection gives, and the connector's defaults.
fn known(
    connector: &Connector,
    values: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, EndpointError> {
    if let Some(misfit) = connector.misfits_of_values(values).into_iter().next() {
        return Err(EndpointError::misfit(connector, misfit));
    }
    let given = connector.connection.iter().filter_map(|(name, field)| {
        let value =
            values.get(name).or(field.default.as_ref()).filter(|_| field.kind != FieldKind::Secret)?;
        Some((format!("conn.{name}"), value.clone()))
    });
    Ok(given.collect())
}

/// Where the system answers, with the connection's values in it.
fn base(connector: &Connector, said: Option<&str>, known: &BTreeMap<String, String>) -> String {
    let base = said.or(connector.base_url.as_deref()).unwrap_or_default();
    let mut base = base.trim_end_matches('/').to_owned();
    for (name, value) in known {
        base = base.replace(&format!("{{{{{name}}}}}"), value);
    }
    base
}

/// Whether a connection gives all that its connector asks for.
pub(crate) fn check_access(
    connector: &Connector,
    values: &BTreeMap<String, String>,
    secrets: &Secrets,
) -> Result<(), EndpointError> {
    match connector.misfits(values, secrets).into_iter().next() {
        Some(misfit) => Err(EndpointError::misfit(connector, misfit)),
        None => Ok(()),
    }
}

/// What `auth` can name that is no secret. The base URL is not among it where it is known only after signing in.
pub(crate) fn known_in_auth(
    connector: &Connector,
    base_url: Option<&str>,
    values: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, EndpointError> {
    let mut known = known(connector, values)?;
    let base = base(connector, base_url, &known);
    if !base.contains("{{") {
        known.insert("base_url".to_owned(), base);
    }
    Ok(known)
}
