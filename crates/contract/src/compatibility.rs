//! Whether one version of a schema reads the data of another, field by field.
//!
//! apache-avro answers for pairs of types. Around it stands a walk through records and unions of its own, for three
//! reasons: the error must name the field; apache-avro calls a union or enum of which only a part can be read
//! compatible; and it compares a type with a mere reference to it as if they were different types.

use std::fmt;

use apache_avro::{
    Schema,
    schema::{EnumSchema, RecordSchema, UnionSchema},
    schema_compatibility::{Compatibility as Verdict, SchemaCompatibility},
};

use crate::{
    Compatibility, UnusableSchema, bundle,
    parse::{self, ParsedSchema},
    shape::Names,
};

/// Schemas that unfold to more pairs of types than this are refused.
const MAX_PAIRS: usize = 100_000;

/// Which of two versions cannot read the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The new schema cannot read data of the old one.
    Backward,
    /// The old schema cannot read data of the new one.
    Forward,
}

/// One reason why two versions of a schema do not go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incompatibility {
    /// The older version.
    pub version: u32,
    /// Which one cannot read the other.
    pub direction: Direction,
    /// The field, such as `data.lines.quantity`.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Incompatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, path, message, direction } = self;
        match direction {
            Direction::Backward => {
                write!(f, "{path}: {message} (the new schema cannot read data of version {version})")
            }
            Direction::Forward => {
                write!(f, "{path}: {message} (version {version} cannot read data of the new schema)")
            }
        }
    }
}

/// How much may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// What Avro can read.
    Avro,
    /// Nor may a value get another meaning: an instant in microseconds stays one.
    Meaning,
}

/// Checks a new schema against older versions, oldest first, as a registry at `level` does.
///
/// # Errors
/// [`UnusableSchema`] if one of them does not parse.
pub fn check_compatibility(
    level: Compatibility,
    new: &str,
    older: &[(u32, &str)],
) -> Result<Vec<Incompatibility>, UnusableSchema> {
    check(level, Rules::Avro, new, older)
}

pub(crate) fn check(
    level: Compatibility,
    rules: Rules,
    new: &str,
    older: &[(u32, &str)],
) -> Result<Vec<Incompatibility>, UnusableSchema> {
    let new = parse::parse(new, &[]).map_err(Box::new)?;
    let first = if level.is_transitive() { 0 } else { older.len().saturating_sub(1) };
    let mut found = Vec::new();
    for (version, old) in &older[first..] {
        let old = parse::parse(old, &[]).map_err(Box::new)?;
        let mut add = |direction, problems: Vec<Problem>| {
            found.extend(problems.into_iter().map(|Problem { path, message }| {
                let path = if path.is_empty() { "(the schema itself)".to_owned() } else { path };
                Incompatibility { version: *version, direction, path, message }
            }));
        };
        if level.is_backward() {
            add(Direction::Backward, problems(&old, &new, rules)?);
        }
        if level.is_forward() {
            add(Direction::Forward, problems(&new, &old, rules)?);
        }
    }
    Ok(found)
}

/// A schema's text without the accidents of white space and attribute order. Two schemas of the same normal form are
/// the same schema. Unlike Avro's parsing canonical form it keeps defaults and documentation, since both matter.
///
/// # Errors
/// [`UnusableSchema`] if it is not an Avro schema.
pub fn normal_form(schema: &str) -> Result<String, UnusableSchema> {
    parse::parse(schema, &[]).map_err(Box::new)?;
    let json = serde_json::from_str(schema).map_err(|e| UnusableSchema::Unreadable(e.to_string()))?;
    Ok(bundle::text_of(&json))
}

/// Why `reader` cannot read all that `writer` may write.
fn problems(
    writer: &ParsedSchema,
    reader: &ParsedSchema,
    rules: Rules,
) -> Result<Vec<Problem>, UnusableSchema> {
    let (writers, readers) = (writer.names().map_err(Box::new)?, reader.names().map_err(Box::new)?);
    let mut walk = Walk { writers: &writers, readers: &readers, rules, open: Vec::new(), pairs: 0 };
    Ok(walk.compare(&writer.root, &reader.root, ""))
}

struct Problem {
    path: String,
    message: String,
}

fn problem(path: &str, message: impl Into<String>) -> Vec<Problem> {
    vec![Problem { path: path.to_owned(), message: message.into() }]
}

struct Walk<'s> {
    writers: &'s Names<'s>,
    readers: &'s Names<'s>,
    rules: Rules,
    /// The pairs being compared further up: a type that contains itself is compatible if the rest of it is.
    open: Vec<(*const Schema, *const Schema)>,
    pairs: usize,
}

impl<'s> Walk<'s> {
    fn compare(&mut self, writer: &'s Schema, reader: &'s Schema, path: &str) -> Vec<Problem> {
        let (Some(writer), Some(reader)) = (follow(writer, self.writers), follow(reader, self.readers))
        else {
            return problem(path, "refers to an unknown type");
        };
        let pair = (std::ptr::from_ref(writer), std::ptr::from_ref(reader));
        if self.open.contains(&pair) {
            return Vec::new();
        }
        self.pairs += 1;
        if self.pairs > MAX_PAIRS {
            return problem(path, "is too large to compare");
        }
        self.open.push(pair);
        let problems = self.compare_types(writer, reader, path);
        self.open.pop();
        problems
    }

    fn compare_types(&mut self, writer: &'s Schema, reader: &'s Schema, path: &str) -> Vec<Problem> {
        match (writer, reader) {
            (Schema::Union(w), _) => {
                w.variants().iter().flat_map(|w| self.compare(w, reader, path)).collect()
            }
            (_, Schema::Union(r)) => self.any_branch(writer, r, path),
            (Schema::Record(w), Schema::Record(r)) => self.records(w, r, path),
            (Schema::Enum(w), Schema::Enum(r)) => enums(w, r, path),
            (Schema::Array(w), Schema::Array(r)) => self.compare(&w.items, &r.items, path),
            (Schema::Map(w), Schema::Map(r)) => self.compare(&w.types, &r.types, path),
            _ => self.leaf(writer, reader, path),
        }
    }

    /// A value that the reader wants as a union needs one branch that takes it.
    fn any_branch(&mut self, writer: &'s Schema, reader: &'s UnionSchema, path: &str) -> Vec<Problem> {
        let mut nearest = None;
        for branch in reader.variants() {
            let problems = self.compare(writer, branch, path);
            if problems.is_empty() {
                return problems;
            }
            // The problems of the branch that was meant say more than that nothing fits.
            let others = reader.variants().iter().filter(|b| !matches!(b, Schema::Null)).count();
            let meant = others == 1 && !matches!(branch, Schema::Null);
            if meant || follow(branch, self.readers).is_some_and(|b| same_kind(writer, b)) {
                nearest = Some(problems);
            }
        }
        nearest.unwrap_or_else(|| problem(path, format!("has no place for {}", name(writer))))
    }

    fn records(&mut self, writer: &'s RecordSchema, reader: &'s RecordSchema, path: &str) -> Vec<Problem> {
        let known = reader.aliases.iter().flatten().any(|a| a.name() == writer.name.name());
        if writer.name.name() != reader.name.name() && !known {
            return problem(path, format!("{} is not {}", writer.name.name(), reader.name.name()));
        }
        let mut problems = Vec::new();
        for r in &reader.fields {
            let path = if path.is_empty() { r.name.clone() } else { format!("{path}.{}", r.name) };
            match writer.fields.iter().find(|w| w.name == r.name || r.aliases.contains(&w.name)) {
                Some(w) => problems.extend(self.compare(&w.schema, &r.schema, &path)),
                None if r.default.is_none() => {
                    problems.extend(problem(&path, "has no default and may be absent"))
                }
                None => {}
            }
        }
        problems
    }

    fn leaf(&self, writer: &Schema, reader: &Schema, path: &str) -> Vec<Problem> {
        if !matches!(SchemaCompatibility::can_read(writer, reader), Ok(Verdict::Full)) {
            return problem(path, format!("{} cannot be read as {}", name(writer), name(reader)));
        }
        let renamed = self.rules == Rules::Meaning && !same_kind(writer, reader);
        if renamed && (is_logical(writer) || is_logical(reader)) {
            return problem(path, format!("{} would be taken for {}", name(writer), name(reader)));
        }
        Vec::new()
    }
}

fn follow<'s>(schema: &'s Schema, names: &Names<'s>) -> Option<&'s Schema> {
    match schema {
        Schema::Ref { name } => names.get(name).copied(),
        other => Some(other),
    }
}

fn enums(writer: &EnumSchema, reader: &EnumSchema, path: &str) -> Vec<Problem> {
    if writer.name.name() != reader.name.name() {
        return problem(path, format!("{} is not {}", writer.name.name(), reader.name.name()));
    }
    let unknown: Vec<&str> =
        writer.symbols.iter().filter(|s| !reader.symbols.contains(s)).map(String::as_str).collect();
    if unknown.is_empty() || reader.default.is_some() {
        return Vec::new();
    }
    problem(path, format!("has no default symbol and does not know {}", unknown.join(", ")))
}

fn same_kind(a: &Schema, b: &Schema) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

fn is_logical(schema: &Schema) -> bool {
    !matches!(
        schema,
        Schema::Null
            | Schema::Boolean
            | Schema::Int
            | Schema::Long
            | Schema::Float
            | Schema::Double
            | Schema::Bytes
            | Schema::String
            | Schema::Fixed(_)
    )
}

/// A type, in words of the specification.
fn name(schema: &Schema) -> String {
    match schema {
        Schema::Record(r) => r.name.name().to_owned(),
        Schema::Enum(e) => e.name.name().to_owned(),
        Schema::Fixed(f) => format!("fixed({})", f.size),
        Schema::Decimal(d) => format!("decimal({}, {})", d.precision, d.scale),
        Schema::TimestampMillis => "timestamp-millis".to_owned(),
        Schema::TimestampMicros => "timestamp-micros".to_owned(),
        other => other.to_string().to_lowercase(),
    }
}

#[cfg(test)]
#[path = "compatibility_tests.rs"]
mod tests;
