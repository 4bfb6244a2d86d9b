//! VRL's `compact`, which keeps the types of what it leaves: with the library's own, everything behind it is an object of anything, and
//! nobody notices a misspelt field.

use vrl::{
    compiler::prelude::*,
    value::{Kind, kind::Collection},
};

/// The options of `compact`; with any of them its result has the library's type.
const OPTIONS: [&str; 6] = ["recursive", "null", "string", "object", "array", "nullish"];

/// The library's function with a type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compact;

impl Function for Compact {
    fn identifier(&self) -> &'static str {
        vrl::stdlib::Compact.identifier()
    }

    fn usage(&self) -> &'static str {
        vrl::stdlib::Compact.usage()
    }

    fn category(&self) -> &'static str {
        vrl::stdlib::Compact.category()
    }

    fn return_kind(&self) -> u16 {
        vrl::stdlib::Compact.return_kind()
    }

    fn parameters(&self) -> &'static [Parameter] {
        vrl::stdlib::Compact.parameters()
    }

    fn examples(&self) -> &'static [Example] {
        &[]
    }

    fn compile(
        &self,
        state: &state::TypeState,
        context: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let kind = arguments.required("value").type_def(state).kind().clone();
        let plain = OPTIONS.iter().all(|option| arguments.optional(option).is_none());
        let inner = vrl::stdlib::Compact.compile(state, context, arguments)?;
        let left = kind.as_object().filter(|_| plain && !kind.contains_array()).map(compacted);
        Ok(Typed { inner, left: left.map(Kind::object) }.as_expr())
    }
}

#[derive(Clone, Debug)]
struct Typed {
    inner: Box<dyn Expression>,
    /// What it leaves, where that is known. Found out once: types are asked for again and again.
    left: Option<Kind>,
}

impl FunctionExpression for Typed {
    fn resolve(&self, context: &mut Context) -> Resolved {
        self.inner.resolve(context)
    }

    fn type_def(&self, state: &state::TypeState) -> TypeDef {
        match &self.left {
            Some(left) => TypeDef::from(left.clone()).infallible(),
            None => self.inner.type_def(state),
        }
    }
}

/// What is left of an object's fields: each may be gone that was null or empty.
fn compacted(fields: &Collection<vrl::value::kind::Field>) -> Collection<vrl::value::kind::Field> {
    let mut left = fields.clone();
    for kind in left.known_mut().values_mut() {
        *kind = remaining(kind);
    }
    if !left.unknown_kind().is_undefined() {
        left.set_unknown(Kind::any());
    }
    left
}

fn remaining(kind: &Kind) -> Kind {
    let mut left = kind.clone();
    if left.contains_object() && left.contains_array() && left.contains_bytes() {
        return Kind::any(); // anything at all, which contains itself
    }
    let may_go =
        left.contains_null() || left.contains_bytes() || left.contains_object() || left.contains_array();
    if !left.is_null() {
        left.remove_null();
    }
    if let Some(fields) = left.as_object().map(compacted) {
        left.add_object(fields);
    }
    if left.contains_array() {
        left.add_array(items(kind));
    }
    if may_go { left.or_undefined() } else { left }
}

/// Of a list nobody knows any more which item stands where.
fn items(kind: &Kind) -> Collection<vrl::value::kind::Index> {
    let Some(list) = kind.as_array() else { return Collection::any() };
    let all = list.known().values().fold(list.unknown_kind(), |all, one| all.union(one.clone()));
    Collection::from_unknown(remaining(&all.without_undefined()))
}
