//! What turns a datum of a writer's schema into canonical JSON of ours.
//!
//! Schema resolution by the rules of the Avro specification, done once per writer's schema instead of once per
//! datum. apache-avro 0.22 cannot do it for us: it refuses a decimal in its shortest form (19.00 of precision 20),
//! and takes the end of the bytes within a string or union for null. Tests hold the result against its resolution.

use apache_avro::schema::{
    DecimalSchema, EnumSchema, InnerDecimalSchema, RecordField, RecordSchema, Schema, UuidSchema,
};
use serde_json::Value;

use crate::{
    invalid::Path,
    shape::{Names, attribute},
};

/// Deeper schemas, or schemas that contain themselves, are refused.
const MAX_DEPTH: usize = 32;
/// Schemas that unfold to more nodes than this are refused.
const MAX_NODES: usize = 20_000;

/// A writer's schema cannot be read as ours.
#[derive(Debug)]
pub(crate) struct Mismatch {
    pub(crate) path: String,
    pub(crate) what: String,
}

/// How to read one type.
pub(crate) enum Reader {
    Null,
    Bool,
    Int,
    Long,
    Text,
    Uuid,
    Decimal {
        precision: u32,
        scale: u32,
        digits: u32,
    },
    Date,
    Instant,
    /// By the writer's position: the symbol to give.
    Enum(Vec<Option<String>>),
    Array(Box<Reader>),
    Map(Box<Reader>),
    /// By the writer's position.
    Union(Vec<Reader>),
    Record(Box<Fields>),
    /// Bytes that are skipped: of a fixed length, or with their length in front.
    Skip(Option<usize>),
    /// A branch of the writer's union that has no place in our schema.
    Refuse,
}

/// How to read a record.
pub(crate) struct Fields {
    /// The writer's fields in their order, with our name for each; without one, the field is read and dropped.
    pub(crate) written: Vec<(Option<String>, Reader)>,
    /// Fields of ours that the writer does not know.
    pub(crate) defaults: Vec<(String, Value)>,
}

/// Compiles schemas of a writer against ours.
pub(crate) struct Resolver<'s> {
    pub(crate) writer: &'s Names<'s>,
    pub(crate) reader: &'s Names<'s>,
    pub(crate) nodes: usize,
}

impl<'s> Resolver<'s> {
    pub(crate) fn new(writer: &'s Names<'s>, reader: &'s Names<'s>) -> Self {
        Self { writer, reader, nodes: 0 }
    }

    /// How to read what `writer` wrote as `reader`. `field` is the field of ours, for its attributes.
    pub(crate) fn resolve(
        &mut self,
        writer: &'s Schema,
        reader: &'s Schema,
        field: Option<&RecordField>,
        path: &Path<'_>,
    ) -> Result<Reader, Mismatch> {
        self.enter(path)?;
        let writer = follow(writer, self.writer, path)?;
        let reader = follow(reader, self.reader, path)?;
        Ok(match (writer, reader) {
            (Schema::Union(union), _) => {
                let branches = union.variants().iter().map(|w| self.resolve(w, reader, field, path));
                let branches: Vec<_> = branches.map(|r| r.unwrap_or(Reader::Refuse)).collect();
                if branches.iter().all(|b| matches!(b, Reader::Refuse)) {
                    return Err(mismatch(path, writer, reader));
                }
                Reader::Union(branches)
            }
            (_, Schema::Union(union)) => {
                let fits = union.variants().iter().find_map(|r| self.resolve(writer, r, field, path).ok());
                fits.ok_or_else(|| mismatch(path, writer, reader))?
            }
            (Schema::Record(w), Schema::Record(r)) => Reader::Record(Box::new(self.fields(w, r, path)?)),
            (Schema::Enum(w), Schema::Enum(r)) => symbols(w, r, path)?,
            (Schema::Array(w), Schema::Array(r)) => {
                Reader::Array(Box::new(self.resolve(&w.items, &r.items, None, path)?))
            }
            (Schema::Map(w), Schema::Map(r)) => {
                Reader::Map(Box::new(self.resolve(&w.types, &r.types, None, path)?))
            }
            _ => scalar(writer, reader, field).ok_or_else(|| mismatch(path, writer, reader))?,
        })
    }

    fn fields(
        &mut self,
        writer: &'s RecordSchema,
        reader: &'s RecordSchema,
        path: &Path<'_>,
    ) -> Result<Fields, Mismatch> {
        if writer.name.name() != reader.name.name() {
            let what = format!("is {} in place of {}", writer.name.name(), reader.name.name());
            return Err(Mismatch { path: path.to_string(), what });
        }
        let mut written = Vec::with_capacity(writer.fields.len());
        for w in &writer.fields {
            let path = path.field(&w.name);
            let ours = reader.fields.iter().find(|r| r.name == w.name || r.aliases.contains(&w.name));
            written.push(match ours {
                Some(r) => (Some(r.name.clone()), self.resolve(&w.schema, &r.schema, Some(r), &path)?),
                None => (None, self.skip(&w.schema, &path)?),
            });
        }
        let mut defaults = Vec::new();
        for r in &reader.fields {
            if !written.iter().any(|(name, _)| name.as_ref() == Some(&r.name)) {
                let missing = || Mismatch {
                    path: path.field(&r.name).to_string(),
                    what: "is missing and has no default".to_owned(),
                };
                defaults.push((r.name.clone(), r.default.clone().ok_or_else(missing)?));
            }
        }
        defaults.retain(|(_, value)| !value.is_null());
        Ok(Fields { written, defaults })
    }

    /// How to pass over what `writer` wrote.
    fn skip(&mut self, writer: &'s Schema, path: &Path<'_>) -> Result<Reader, Mismatch> {
        self.enter(path)?;
        Ok(match follow(writer, self.writer, path)? {
            Schema::Union(u) => {
                Reader::Union(u.variants().iter().map(|w| self.skip(w, path)).collect::<Result<_, _>>()?)
            }
            Schema::Record(r) => {
                let written =
                    r.fields.iter().map(|f| Ok((None, self.skip(&f.schema, &path.field(&f.name))?)));
                let written = written.collect::<Result<_, _>>()?;
                Reader::Record(Box::new(Fields { written, defaults: Vec::new() }))
            }
            Schema::Array(a) => Reader::Array(Box::new(self.skip(&a.items, path)?)),
            Schema::Map(m) => Reader::Map(Box::new(self.skip(&m.types, path)?)),
            Schema::Null => Reader::Null,
            Schema::Boolean => Reader::Bool,
            Schema::Enum(_) | Schema::Int | Schema::Long | Schema::Date => Reader::Long,
            Schema::TimeMillis | Schema::TimeMicros => Reader::Long,
            Schema::TimestampMillis | Schema::TimestampMicros | Schema::TimestampNanos => Reader::Long,
            Schema::LocalTimestampMillis | Schema::LocalTimestampMicros | Schema::LocalTimestampNanos => {
                Reader::Long
            }
            Schema::Float => Reader::Skip(Some(4)),
            Schema::Double => Reader::Skip(Some(8)),
            Schema::Fixed(f) | Schema::Duration(f) | Schema::Uuid(UuidSchema::Fixed(f)) => {
                Reader::Skip(Some(f.size))
            }
            Schema::Decimal(DecimalSchema { inner: InnerDecimalSchema::Fixed(f), .. }) => {
                Reader::Skip(Some(f.size))
            }
            _ => Reader::Skip(None),
        })
    }

    fn enter(&mut self, path: &Path<'_>) -> Result<(), Mismatch> {
        self.nodes += 1;
        if path.depth() > MAX_DEPTH || self.nodes > MAX_NODES {
            return Err(Mismatch {
                path: path.to_string(),
                what: "the schema is too deep or too large".to_owned(),
            });
        }
        Ok(())
    }
}

fn follow<'s>(schema: &'s Schema, names: &Names<'s>, path: &Path<'_>) -> Result<&'s Schema, Mismatch> {
    let Schema::Ref { name } = schema else { return Ok(schema) };
    names.get(name).copied().ok_or_else(|| Mismatch {
        path: path.to_string(),
        what: format!("refers to the unknown type {}", name.fullname(None)),
    })
}

fn symbols(writer: &EnumSchema, reader: &EnumSchema, path: &Path<'_>) -> Result<Reader, Mismatch> {
    if writer.name.name() != reader.name.name() {
        return Err(Mismatch {
            path: path.to_string(),
            what: format!("is the enum {} in place of {}", writer.name.name(), reader.name.name()),
        });
    }
    let known = |symbol: &String| reader.symbols.contains(symbol).then(|| symbol.clone());
    Ok(Reader::Enum(writer.symbols.iter().map(|s| known(s).or_else(|| reader.default.clone())).collect()))
}

/// Types of one value. An int may become a long, bytes and string are the same on the wire; another logical type
/// would change what the value says, so it is refused although Avro would read it.
fn scalar(writer: &Schema, reader: &Schema, field: Option<&RecordField>) -> Option<Reader> {
    Some(match (writer, reader) {
        (Schema::Null, Schema::Null) => Reader::Null,
        (Schema::Boolean, Schema::Boolean) => Reader::Bool,
        (Schema::Int, Schema::Int) => Reader::Int,
        (Schema::Int | Schema::Long, Schema::Long) => Reader::Long,
        (Schema::String, Schema::String) => Reader::Text,
        (Schema::Uuid(UuidSchema::String) | Schema::String, Schema::Uuid(UuidSchema::String)) => Reader::Uuid,
        (Schema::Date, Schema::Date) => Reader::Date,
        (Schema::TimestampMicros, Schema::TimestampMicros) => Reader::Instant,
        (Schema::Decimal(w), Schema::Decimal(r)) if same_decimal(w, r) => {
            let digits = attribute(field, "fraction_digits").and_then(Value::as_u64).unwrap_or(0);
            Reader::Decimal {
                precision: u32::try_from(r.precision).ok()?,
                scale: u32::try_from(r.scale).ok()?,
                digits: u32::try_from(digits).ok()?,
            }
        }
        _ => return None,
    })
}

fn same_decimal(writer: &DecimalSchema, reader: &DecimalSchema) -> bool {
    let bytes = |d: &DecimalSchema| matches!(d.inner, InnerDecimalSchema::Bytes);
    bytes(writer) && bytes(reader) && writer.precision == reader.precision && writer.scale == reader.scale
}

fn mismatch(path: &Path<'_>, writer: &Schema, reader: &Schema) -> Mismatch {
    Mismatch { path: path.to_string(), what: format!("is {writer} in place of {reader}") }
}
