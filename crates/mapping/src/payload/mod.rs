//! From an event to what a target is sent: the connector's base mapping, the tenant's overlay, its rules.

mod case;
mod fields;
mod kinds;
mod lookups;
mod step;

use std::{cell::RefCell, ops::ControlFlow, sync::LazyLock};

use contract::{Contracts, DataType};
use event::ObjectKind;
use serde_json::Value as Json;
use vrl::{
    compiler::{
        TargetValue, TimeZone,
        runtime::{Runtime, Terminate},
    },
    value::{Secrets, Value},
};

use self::step::Step;
pub use self::{
    case::{Case, Refused, event},
    fields::{Field, FieldType, Fields},
    lookups::Lookups,
};
use crate::{Diagnostic, program::fits};

/// The most steps (expressions) of one program's run.
const MAX_STEPS: u32 = 1_000_000;
/// The most bytes of a payload, about those of its JSON.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// The time zone of dates without one; the machine's must not matter.
static UTC: LazyLock<TimeZone> = LazyLock::new(|| TimeZone::parse("UTC").unwrap_or_default());

thread_local! {
    /// Kept from run to run for its buffers; cleared after each.
    static RUNTIME: RefCell<Runtime> = RefCell::default();
}

/// A text with the name that messages give it, such as the path of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// The text.
    pub text: String,
}

/// Something that must hold of each payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// A VRL expression that is true or false; `.` is the payload, `%data` the event's data.
    pub must: Source,
    /// What whoever gets the dead letter is told.
    pub message: String,
    /// The field that it is about.
    pub field: Option<String>,
}

/// What a mapping is made of. Each part is optional; without all of them the event's data is sent as it is.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// The connector's program for the object.
    pub base: Option<Source>,
    /// The tenant's, for its route; `.` is what the base has made.
    pub overlay: Option<Source>,
    /// The tenant's rules.
    pub rules: Vec<Rule>,
    /// Names that the tenant's events have under `extensions`, and whether they must be there. Absent: any.
    pub extensions: Option<Vec<(String, bool)>>,
    /// The fields that the connector's object has. Absent: nobody knows.
    pub fields: Option<Fields>,
    /// The objects that the connector can look up. Absent: nobody knows.
    pub lookups: Option<Lookups>,
}

/// Why an event does not become a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Stable code; docs/errors has a page for each.
    pub code: &'static str,
    /// The field that it is about, if that is known.
    pub field: Option<String>,
    /// Why, in the words of the program or rule.
    pub message: String,
}

/// A compiled mapping. Run by any number of threads.
#[derive(Debug)]
pub struct Mapping {
    steps: Vec<Step>,
    rules: Vec<(Step, Rule)>,
    required: Vec<String>,
    /// The fields of the object, for whoever tests what was made.
    fields: Option<Fields>,
    /// What it can refer to, for the same.
    lookups: Option<Lookups>,
}

impl Mapping {
    /// Compiles the parts for events of `object`. None where there is nothing to do.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub fn compile(object: ObjectKind, parts: &Parts) -> Result<Option<Self>, Vec<Diagnostic>> {
        Self::compile_for(&Contracts::embedded().object(object).data_type(), parts)
    }

    /// The same for data of any type: what a change of a schema would break.
    ///
    /// # Errors
    /// As [`Mapping::compile`].
    pub fn compile_for(data: &DataType, parts: &Parts) -> Result<Option<Self>, Vec<Diagnostic>> {
        let mut data = kinds::of(data);
        if let Some(names) = &parts.extensions {
            data = kinds::with_extensions(&data, names);
        }
        let (mut steps, mut kind) = (Vec::new(), data.clone());
        if let Some(base) = &parts.base {
            let step = Step::compile(&base.name, &base.text, &kind, &kinds::metadata(None))?;
            kind = step.makes.clone();
            steps.push(step);
        }
        let metadata = kinds::metadata(Some(&data));
        if let Some(overlay) = &parts.overlay {
            let step = Step::compile(&overlay.name, &overlay.text, &kind, &metadata)?;
            kind = step.makes.clone();
            steps.push(step);
        }
        let mut problems = Vec::new();
        let programs: Vec<&Source> = [&parts.overlay, &parts.base].into_iter().flatten().collect();
        if let Some(fields) = parts.fields.as_ref().filter(|_| !programs.is_empty()) {
            problems.extend(fields.misfits(&programs, &kind));
        }
        if let Some(lookups) = &parts.lookups {
            problems.extend(programs.iter().flat_map(|program| lookups.misspelt(program)));
        }
        let mut rules = Vec::new();
        for rule in &parts.rules {
            match Step::compile(&rule.must.name, &rule.must.text, &kind, &metadata) {
                Ok(step) if step.value.is_boolean() => rules.push((step, rule.clone())),
                Ok(_) => {
                    let message = format!("`{}` is neither true nor false", rule.must.text.trim());
                    problems.push(Diagnostic::whole(&rule.must.name, Diagnostic::NO_RULE, message));
                }
                Err(found) => problems.extend(found),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let required = parts.extensions.iter().flatten().filter(|(_, required)| *required);
        let required = required.map(|(name, _)| name.clone()).collect();
        let (fields, lookups) = (parts.fields.clone(), parts.lookups.clone());
        let made = Self { steps, rules, required, fields, lookups };
        Ok(if made.is_empty() { None } else { Some(made) })
    }

    fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.rules.is_empty() && self.required.is_empty()
    }

    /// What the target is sent for an event with `data`; `event` is what a program sees as `%event`.
    ///
    /// # Errors
    /// A program, a rule or a limit refuses it.
    pub fn apply(&self, data: &Json, event: &Json) -> Result<Json, Refusal> {
        for name in &self.required {
            if data["extensions"][name].as_str().is_none_or(str::is_empty) {
                let message = format!("the event has no `{name}` among its extensions");
                return Err(Refusal { code: RULE, field: Some(format!("extensions.{name}")), message });
            }
        }
        let data: Value = data.clone().into();
        let metadata =
            Value::Object([("event".into(), event.clone().into()), ("data".into(), data.clone())].into());
        let mut target = TargetValue { value: data, metadata, secrets: Secrets::new() };
        for step in &self.steps {
            run(step, &mut target)?;
        }
        let mut budget = MAX_BYTES;
        if !fits(&target.value, &mut budget) {
            return Err(limit("the payload has more than 4 MiB".to_owned()));
        }
        for (step, rule) in &self.rules {
            let before = target.value.clone();
            if run(step, &mut target)? != Value::Boolean(true) {
                return Err(Refusal { code: RULE, field: rule.field.clone(), message: rule.message.clone() });
            }
            target.value = before; // a rule changes nothing
        }
        target.value.try_into().map_err(|_| limit("the payload has text that is not UTF-8".to_owned()))
    }
}

const REFUSED: &str = "SNK-0060";
const RULE: &str = "SNK-0061";
const LIMIT: &str = "SNK-0062";

fn limit(message: String) -> Refusal {
    Refusal { code: LIMIT, field: None, message }
}

fn run(step: &Step, target: &mut TargetValue) -> Result<Value, Refusal> {
    let mut steps = 0;
    let mut within_limit = || {
        steps += 1;
        if steps > MAX_STEPS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let output = RUNTIME.with_borrow_mut(|runtime| {
        let output = runtime.resolve_with_control(target, &step.program, &UTC, &mut within_limit);
        runtime.clear();
        output
    });
    output.map_err(|why| match why {
        Terminate::Interrupted => limit(format!("`{}` ran for more than {MAX_STEPS} steps", step.name)),
        Terminate::Abort(error) | Terminate::Error(error) => {
            Refusal { code: REFUSED, field: None, message: format!("{}: {error}", step.name) }
        }
    })
}
