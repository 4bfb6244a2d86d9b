//! A compiled program.

use std::{cell::RefCell, ops::ControlFlow, sync::LazyLock};

use serde_json::Value as Json;
use vrl::{
    compiler::{
        CompileConfig, TargetValue, TimeZone, TypeState,
        runtime::{Runtime, Terminate},
        state::{ExternalEnv, LocalEnv},
    },
    value::{KeyString, Kind, Secrets, Value, kind::Collection},
};

use crate::{diagnostic::Diagnostic, error::MappingError, functions};

/// The most steps (expressions) of a run. A mapping of an order with 100 lines takes a few thousand.
const MAX_STEPS: u32 = 1_000_000;
/// The most events of a run.
const MAX_EVENTS: usize = 100;
/// The most bytes of an output, about those of its JSON.
const MAX_BYTES: usize = 1024 * 1024;

/// The time zone of dates without one; the machine's must not matter.
static UTC: LazyLock<TimeZone> = LazyLock::new(|| TimeZone::parse("UTC").unwrap_or_default());

thread_local! {
    /// Kept from run to run for its buffers; cleared after each, so nothing passes from one input to another.
    static RUNTIME: RefCell<Runtime> = RefCell::default();
}

/// A program that maps an input to events. Compiled once, run by any number of threads.
#[derive(Debug)]
pub struct Program {
    name: String,
    compiled: vrl::compiler::Program,
}

impl Program {
    /// Compiles `source`. The input is an object with `headers` (an object) and `body` (anything); other fields may be
    /// given. `name` stands in messages.
    ///
    /// # Errors
    /// Everything that is wrong with the program.
    pub fn compile(name: &str, source: &str) -> Result<Self, Vec<Diagnostic>> {
        let external = ExternalEnv::new_with_kind(input_kind(), Kind::object(Collection::empty()));
        let state = TypeState { local: LocalEnv::default(), external };
        let result =
            vrl::compiler::compile_with_state(source, &functions::all(), &state, CompileConfig::default());
        match result {
            Ok(result) => Ok(Self { name: name.to_owned(), compiled: result.program }),
            Err(found) => Err(found.iter().map(|d| Diagnostic::new(name, source, d)).collect()),
        }
    }

    /// The name that the program was compiled under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs the program over `input`: none if it yields null, one event for an object, several for a list.
    ///
    /// # Errors
    /// The program refuses the input, or its output is not of the right shape or too large.
    pub fn run(&self, input: Json) -> Result<Vec<Json>, MappingError> {
        let mut target = TargetValue {
            value: input.into(),
            metadata: Value::Object(Default::default()),
            secrets: Secrets::new(),
        };
        let mut steps = 0;
        let mut within_limit = || {
            steps += 1;
            if steps > MAX_STEPS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let output = RUNTIME.with_borrow_mut(|runtime| {
            let output = runtime.resolve_with_control(&mut target, &self.compiled, &UTC, &mut within_limit);
            runtime.clear();
            output
        });
        self.events(output.map_err(|why| self.refused(why))?)
    }

    fn refused(&self, why: Terminate) -> MappingError {
        let program = self.name.clone();
        match why {
            Terminate::Interrupted => MappingError::TooLong { program, steps: MAX_STEPS },
            Terminate::Abort(error) | Terminate::Error(error) => {
                MappingError::Refused { program, message: error.to_string() }
            }
        }
    }

    fn events(&self, output: Value) -> Result<Vec<Json>, MappingError> {
        let too_large = |limit| MappingError::TooLarge { program: self.name.clone(), limit };
        let values = match output {
            Value::Null => return Ok(Vec::new()),
            Value::Array(values) => values,
            one => vec![one],
        };
        if values.len() > MAX_EVENTS {
            return Err(too_large("100 events"));
        }
        let mut budget = MAX_BYTES;
        if !values.iter().all(|v| fits(v, &mut budget)) {
            return Err(too_large("1 MiB"));
        }
        values.into_iter().map(|value| self.event(value)).collect()
    }

    fn event(&self, value: Value) -> Result<Json, MappingError> {
        let shape = |found: String| MappingError::Shape { program: self.name.clone(), found };
        if !value.is_object() {
            return Err(shape(value.kind_str().to_owned()));
        }
        value.try_into().map_err(|_| shape("text that is not UTF-8".to_owned()))
    }
}

/// Takes what `value` needs from `budget`; false once it is used up.
pub(crate) fn fits(value: &Value, budget: &mut usize) -> bool {
    // Two for quotes or brackets, two for the comma and colon around it.
    const AROUND: usize = 4;
    let own = match value {
        Value::Bytes(bytes) => bytes.len(),
        Value::String(text) => text.len(),
        Value::Object(_) | Value::Array(_) => 0,
        _ => 8,
    };
    let Some(rest) = budget.checked_sub(own + AROUND) else { return false };
    *budget = rest;
    match value {
        Value::Object(fields) => fields.iter().all(|(key, value)| {
            *budget = budget.saturating_sub(key.len());
            fits(value, budget)
        }),
        Value::Array(items) => items.iter().all(|item| fits(item, budget)),
        _ => true,
    }
}

fn input_kind() -> Kind {
    let fields = Collection::empty()
        .with_known(KeyString::from("headers"), Kind::object(Collection::any()))
        .with_known(KeyString::from("body"), Kind::any())
        .with_unknown(Kind::any());
    Kind::object(fields)
}
