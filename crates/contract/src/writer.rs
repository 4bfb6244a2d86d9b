//! The schema that a record was written with, made ready to read by ours.

use event::{Envelope, ObjectKind};
use serde_json::Value;

use crate::{
    Contracts, DecodeError, decode, envelope,
    invalid::Path,
    parse::{self, ParsedSchema},
    resolve::{Fields, Reader, Resolver},
    wire::Datum,
};

/// A registered schema, resolved against the contract of this build that it is a version of.
pub struct WriterSchema {
    /// Its id in the registry.
    pub id: u32,
    /// Full name of the record it describes.
    pub name: String,
    pub(crate) target: Target,
}

/// What a writer's schema describes.
pub(crate) enum Target {
    Event {
        kind: ObjectKind,
        envelope: Fields,
        data: Reader,
    },
    Outcome(Fields),
    /// Nothing of ours.
    Foreign,
}

/// An event as it came from a topic.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodedEvent {
    /// What does not depend on the object.
    pub envelope: Envelope,
    /// The object, as canonical JSON: absent optional fields are left out.
    pub data: Value,
}

impl std::fmt::Debug for WriterSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriterSchema").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

/// A registered schema cannot be used to read events of ours.
#[derive(Debug, thiserror::Error)]
pub enum UnusableSchema {
    /// Not an Avro schema.
    #[error("it is not an Avro schema: {0}")]
    Syntax(#[from] Box<apache_avro::Error>),
    /// A version of a contract that ours cannot read.
    #[error("the contract of this build cannot read it: {0}")]
    Unreadable(String),
}

impl WriterSchema {
    /// Resolves a schema text, with the texts it refers to, against the contracts of this build.
    ///
    /// # Errors
    /// [`UnusableSchema`] if it does not parse, or bears the name of a contract and is incompatible with it.
    pub fn new(id: u32, text: &str, references: &[String]) -> Result<Self, UnusableSchema> {
        let parsed = parse::parse(text, references).map_err(Box::new)?;
        let name = parsed.root.name().map_or_else(|| parsed.root.to_string(), |n| n.fullname(None));
        let target = target(&parsed, &name)?;
        Ok(Self { id, name, target })
    }

    /// The canonical object whose events it describes, if it describes events.
    pub fn kind(&self) -> Option<ObjectKind> {
        match &self.target {
            Target::Event { kind, .. } => Some(*kind),
            _ => None,
        }
    }

    pub(crate) fn foreign(&self, wanted: &'static str) -> DecodeError {
        DecodeError::Foreign { id: self.id, name: self.name.clone(), wanted }
    }
}

fn target(parsed: &ParsedSchema, name: &str) -> Result<Target, UnusableSchema> {
    let contracts = Contracts::embedded();
    let outcome = &contracts.outcome().schema;
    let full_name = |s: &ParsedSchema| s.root.name().map(|n| n.fullname(None));
    if full_name(outcome).as_deref() == Some(name) {
        return Ok(Target::Outcome(fields(resolve(parsed, outcome)?)?));
    }
    for kind in ObjectKind::ALL {
        let ours = &contracts.object(kind).schema;
        if full_name(ours).as_deref() == Some(name) {
            let (envelope, data) = event_readers(resolve(parsed, ours)?)?;
            return Ok(Target::Event { kind, envelope, data });
        }
    }
    Ok(Target::Foreign)
}

fn resolve(writer: &ParsedSchema, reader: &ParsedSchema) -> Result<Reader, UnusableSchema> {
    let (writer_names, reader_names) = (writer.names().map_err(Box::new)?, reader.names().map_err(Box::new)?);
    let mut resolver = Resolver::new(&writer_names, &reader_names);
    let reader = resolver.resolve(&writer.root, &reader.root, None, &Path::root("event"));
    reader.map_err(|e| UnusableSchema::Unreadable(format!("{}: {}", e.path, e.what)))
}

fn fields(reader: Reader) -> Result<Fields, UnusableSchema> {
    match reader {
        Reader::Record(fields) => Ok(*fields),
        _ => Err(UnusableSchema::Unreadable("it is not a record".to_owned())),
    }
}

/// The two halves of an event. The order is the contract's, and a writer that has another one is not ours.
fn event_readers(reader: Reader) -> Result<(Fields, Reader), UnusableSchema> {
    let mut written = fields(reader)?.written.into_iter();
    match (written.next(), written.next(), written.next()) {
        (Some((Some(first), envelope)), Some((Some(second), data)), None)
            if first == "envelope" && second == "data" =>
        {
            Ok((fields(envelope)?, data))
        }
        _ => Err(UnusableSchema::Unreadable("its fields are not `envelope` and `data`".to_owned())),
    }
}

/// Reads an event from the datum behind the header of its record value.
///
/// # Errors
/// [`DecodeError`] if the schema is not that of events or the bytes do not fit it.
pub fn decode_event(schema: &WriterSchema, datum: &[u8]) -> Result<DecodedEvent, DecodeError> {
    let Target::Event { kind, envelope, data } = &schema.target else {
        return Err(schema.foreign("an event"));
    };
    let mut datum = Datum(datum);
    let envelope = envelope::read(envelope, &mut datum)?;
    let data = decode::decode(data, &mut datum)?;
    datum.end()?;
    if envelope.event_type.object() != *kind {
        let what = format!("is `{}`, which is not an event of {kind}", envelope.event_type);
        return Err(DecodeError::Field { name: "event_type", what });
    }
    Ok(DecodedEvent { envelope, data })
}
