//! What a program can call: the deterministic part of VRL's library, and a few functions for business data.
//!
//! Each of ours gives null for a null `value`, so that an optional field needs no case distinction, and fails
//! (to be called with `!`) for a value that it cannot read:
//!
//! | Function | Yields |
//! |---|---|
//! | `money(value, currency)` | `{"amount": value, "currency": …}` from a decimal text such as `"119.00"` |
//! | `money_from_minor(value, digits, currency)` | the same from minor units: 11900 and 2 digits |
//! | `instant(value)` | RFC 3339 in UTC with microseconds, from RFC 3339 with any offset |
//! | `instant_from_unix(value)` | the same from seconds since 1970 |
//! | `date_from_unix(value)` | the UTC date `YYYY-MM-DD` of it |
//! | `micros(value)` | microseconds since 1970, from RFC 3339 with any offset |
//! | `digest(value)` | SHA-256 of the value's JSON with sorted keys, in hex: an identity for a body that carries none |

use sha2::{Digest as _, Sha256};
use vrl::compiler::prelude::*;

use crate::{compact::Compact, money, time};

/// Functions of VRL's library that a mapping must not have: they depend on the clock, on chance or on the machine (then
/// a retry would not send the same bytes), or have an effect. Most are not even compiled in; this list holds if some
/// other crate turns on the features.
const REFUSED: [&str; 19] = [
    "dns_lookup",
    "encode_proto",
    "get_env_var",
    "get_hostname",
    "get_timezone_name",
    "http_request",
    "log",
    "now",
    "parse_etld",
    "parse_groks",
    "parse_proto",
    "random_bool",
    "random_bytes",
    "random_float",
    "random_int",
    "reverse_dns",
    "uuid_v4",
    "uuid_v7",
    "validate_json_schema",
];

/// Every function that a program can call.
pub(crate) fn all() -> Vec<Box<dyn Function>> {
    let ours = OURS.iter().map(|f| Box::new(*f) as Box<dyn Function>);
    let ours: Vec<_> = ours.chain([Box::new(Compact) as Box<dyn Function>]).collect();
    let known = |name: &str| ours.iter().any(|of_ours| of_ours.identifier() == name);
    let mut all: Vec<_> = vrl::stdlib::all()
        .into_iter()
        .filter(|f| !REFUSED.contains(&f.identifier()) && !known(f.identifier()))
        .collect();
    all.extend(ours);
    all
}

const VALUE: Parameter = Parameter::required("value", kind::ANY, "What to convert; null gives null.");
const CURRENCY: Parameter = Parameter::required("currency", kind::ANY, "ISO 4217 code, in any case.");
const DIGITS: Parameter =
    Parameter::required("digits", kind::ANY, "Digits of a minor unit, such as 2 for cents.");

type Convert = fn(&Value, &[Value]) -> Option<Value>;

static OURS: [NullSafe; 7] = [
    NullSafe::new("money", &[VALUE, CURRENCY], |value, rest| {
        let text = value.to_str_lossy().filter(|t| money::is_decimal(t))?.into_owned();
        amount(text, rest.first()?)
    }),
    NullSafe::new("money_from_minor", &[VALUE, DIGITS, CURRENCY], |value, rest| {
        let places = usize::try_from(rest.first()?.as_integer()?).ok()?;
        let text = match value {
            Value::Integer(number) => number.to_string(),
            other => other.to_str_lossy()?.into_owned(),
        };
        amount(money::from_minor(&text, places)?, rest.get(1)?)
    }),
    NullSafe::new("instant", &[VALUE], |value, _| {
        Some(time::write_instant(time::parse(&value.to_str_lossy()?)?).into())
    }),
    NullSafe::new("instant_from_unix", &[VALUE], |value, _| {
        time::instant_of_unix(value.as_integer()?).map(Value::from)
    }),
    NullSafe::new("date_from_unix", &[VALUE], |value, _| {
        time::date_of_unix(value.as_integer()?).map(Value::from)
    }),
    NullSafe::new("micros", &[VALUE], |value, _| {
        Some(time::parse(&value.to_str_lossy()?)?.timestamp_micros().into())
    }),
    // Do not change: event ids depend on it. VRL's objects are sorted by key.
    NullSafe::new("digest", &[VALUE], |value, _| {
        Some(hex::encode(Sha256::digest(serde_json::to_vec(value).ok()?)).into())
    }),
];

fn amount(decimal: String, currency: &Value) -> Option<Value> {
    let currency = currency.to_str_lossy().filter(|c| c.len() == 3)?.to_ascii_uppercase();
    Some(Value::Object(ObjectMap::from([
        ("amount".into(), decimal.into()),
        ("currency".into(), currency.into()),
    ])))
}

/// A function over values that lets null through.
#[derive(Clone, Copy, Debug)]
struct NullSafe {
    name: &'static str,
    parameters: &'static [Parameter],
    convert: Convert,
}

impl NullSafe {
    const fn new(name: &'static str, parameters: &'static [Parameter], convert: Convert) -> Self {
        Self { name, parameters, convert }
    }
}

impl Function for NullSafe {
    fn identifier(&self) -> &'static str {
        self.name
    }

    fn usage(&self) -> &'static str {
        "Converts a value of a vendor into its canonical form; null stays null."
    }

    fn category(&self) -> &'static str {
        Category::Convert.as_ref()
    }

    fn return_kind(&self) -> u16 {
        kind::ANY
    }

    fn parameters(&self) -> &'static [Parameter] {
        self.parameters
    }

    fn examples(&self) -> &'static [Example] {
        &[]
    }

    fn compile(
        &self,
        _: &state::TypeState,
        _: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let arguments = self.parameters.iter().map(|p| arguments.required(p.keyword)).collect();
        Ok(NullSafeCall { function: *self, arguments }.as_expr())
    }
}

#[derive(Clone, Debug)]
struct NullSafeCall {
    function: NullSafe,
    arguments: Vec<Box<dyn Expression>>,
}

impl FunctionExpression for NullSafeCall {
    fn resolve(&self, ctx: &mut Context) -> Resolved {
        let values: Result<Vec<_>, _> = self.arguments.iter().map(|a| a.resolve(ctx)).collect();
        let values = values?;
        match values.split_first() {
            None | Some((Value::Null, _)) => Ok(Value::Null),
            Some((value, rest)) => (self.function.convert)(value, rest)
                .ok_or_else(|| format!("{} cannot read {}", self.function.name, shown(&values)).into()),
        }
    }

    fn type_def(&self, _: &state::TypeState) -> TypeDef {
        TypeDef::any().fallible()
    }
}

/// The arguments for a message: enough to recognise them, not a whole document.
fn shown(values: &[Value]) -> String {
    const LONGEST: usize = 40;
    let one = |value: &Value| match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        scalar => scalar.to_string().chars().take(LONGEST).collect(),
    };
    values.iter().map(one).collect::<Vec<_>>().join(", ")
}
