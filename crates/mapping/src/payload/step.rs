//! One program of a mapping: typed, and held against what it reads.

use vrl::{
    compiler::{
        CompileConfig, Program, TypeState,
        state::{ExternalEnv, LocalEnv},
    },
    path::{OwnedTargetPath, OwnedValuePath, PathPrefix},
    value::Kind,
};

use crate::{Diagnostic, functions};

/// A program that changes `.`.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) program: Program,
    /// The type of `.` behind it.
    pub(super) makes: Kind,
    /// The type of its own value.
    pub(super) value: Kind,
}

impl Step {
    /// Compiles `source`, whose `.` is an `input`.
    pub(super) fn compile(
        name: &str,
        source: &str,
        input: &Kind,
        metadata: &Kind,
    ) -> Result<Self, Vec<Diagnostic>> {
        let external = ExternalEnv::new_with_kind(input.clone(), metadata.clone());
        let state = TypeState { local: LocalEnv::default(), external };
        let result =
            vrl::compiler::compile_with_state(source, &functions::all(), &state, CompileConfig::default());
        let program = match result {
            Ok(result) => result.program,
            Err(found) => return Err(found.iter().map(|d| Diagnostic::new(name, source, d)).collect()),
        };
        let after = program.final_type_info();
        let (makes, value) = (after.state.external.target_kind().clone(), after.result.kind().clone());
        let unknown = unknown_fields((name, source), &program, [input, &makes], metadata);
        if !unknown.is_empty() {
            return Err(unknown);
        }
        Ok(Self { name: name.to_owned(), program, makes, value })
    }
}

/// VRL reads a field that no schema has as null; here it is a mistake. A program may read what it has written, too.
fn unknown_fields(
    (name, source): (&str, &str),
    program: &Program,
    of_target: [&Kind; 2],
    metadata: &Kind,
) -> Vec<Diagnostic> {
    let written = &program.info().target_assignments;
    let mut unknown: Vec<&OwnedTargetPath> = Vec::new();
    for path in &program.info().target_queries {
        let there = match path.prefix {
            PathPrefix::Event => of_target.iter().any(|kind| exists(kind, &path.path)),
            PathPrefix::Metadata => exists(metadata, &path.path),
        };
        if !there && !written.iter().any(|other| within(other, path)) && !unknown.contains(&path) {
            unknown.push(path);
        }
    }
    let of = |path: &OwnedTargetPath| if path.prefix == PathPrefix::Event { of_target[0] } else { metadata };
    unknown.into_iter().map(|path| Diagnostic::unknown_field(name, source, path, of(path))).collect()
}

/// Whether anything can stand there.
fn exists(kind: &Kind, path: &OwnedValuePath) -> bool {
    !kind.at_path(path).without_undefined().is_never()
}

/// Whether one of the two lies within the other; not of all that there is.
fn within(one: &OwnedTargetPath, other: &OwnedTargetPath) -> bool {
    let same = |(one, other)| one == other;
    one.prefix == other.prefix
        && !one.path.segments.is_empty()
        && one.path.segments.iter().zip(&other.path.segments).all(same)
}
