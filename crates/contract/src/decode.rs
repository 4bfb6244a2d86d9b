//! An Avro datum to canonical JSON.

use serde_json::{Map, Value};

use crate::{DecodeError, resolve::Fields, resolve::Reader, scalar, wire::Datum};

/// No array or map of a datum may have more items.
const MAX_DECODED: usize = 100_000;

/// Reads one value. `Value::Null` stands for an absent field.
pub(crate) fn decode(reader: &Reader, datum: &mut Datum<'_>) -> Result<Value, DecodeError> {
    Ok(match reader {
        Reader::Null => Value::Null,
        Reader::Bool => match datum.byte()? {
            0 => Value::Bool(false),
            1 => Value::Bool(true),
            _ => return Err(DecodeError::Damaged("a boolean is neither 0 nor 1")),
        },
        Reader::Int => Value::from(datum.int()?),
        Reader::Long => Value::from(datum.long()?),
        Reader::Text => Value::from(datum.text()?),
        Reader::Uuid => Value::from(uuid(datum)?.hyphenated().to_string()),
        Reader::Decimal { precision, scale, digits } => match datum.decimal()? {
            unscaled if scalar::fits(unscaled, *precision) => {
                scalar::format_decimal(unscaled, *scale, *digits).into()
            }
            _ => return Err(DecodeError::Damaged("a decimal has more digits than its schema says")),
        },
        Reader::Date => {
            scalar::format_date(datum.int()?).ok_or(DecodeError::Damaged("a date is out of range"))?.into()
        }
        Reader::Instant => Value::from(scalar::format_instant(instant(datum)?).unwrap_or_default()),
        Reader::Enum(symbols) => {
            let symbol = at(symbols, datum.long()?)?.as_deref();
            Value::from(symbol.ok_or(DecodeError::Damaged("an enum has a symbol that our contract lacks"))?)
        }
        Reader::Union(branches) => decode(at(branches, datum.long()?)?, datum)?,
        Reader::Array(items) => array(items, datum)?,
        Reader::Map(values) => map(values, datum)?,
        Reader::Record(fields) => Value::Object(record(fields, datum)?),
        Reader::Skip(length) => {
            match length {
                Some(length) => datum.take(*length)?,
                None => datum.bytes()?,
            };
            Value::Null
        }
        Reader::Refuse => return Err(DecodeError::Damaged("a union has a branch that our contract lacks")),
    })
}

/// Reads a record's fields.
pub(crate) fn record(fields: &Fields, datum: &mut Datum<'_>) -> Result<Map<String, Value>, DecodeError> {
    let mut object = Map::new();
    for (name, reader) in &fields.written {
        let value = decode(reader, datum)?;
        if let (Some(name), false) = (name, value.is_null()) {
            object.insert(name.clone(), value);
        }
    }
    for (name, value) in &fields.defaults {
        object.insert(name.clone(), value.clone());
    }
    Ok(object)
}

/// Reads a record's fields as a list, with instants as numbers: for records that become a struct.
pub(crate) fn cells<'f>(fields: &'f Fields, datum: &mut Datum<'_>) -> Result<Cells<'f>, DecodeError> {
    let mut cells = Vec::with_capacity(fields.written.len() + fields.defaults.len());
    for (name, reader) in &fields.written {
        let value = raw(reader, datum)?;
        if let (Some(name), false) = (name, value.is_null()) {
            cells.push((name.as_str(), value));
        }
    }
    cells.extend(fields.defaults.iter().map(|(name, value)| (name.as_str(), value.clone())));
    Ok(Cells(cells))
}

fn raw(reader: &Reader, datum: &mut Datum<'_>) -> Result<Value, DecodeError> {
    match reader {
        Reader::Instant => Ok(Value::from(instant(datum)?)),
        Reader::Union(branches) => raw(at(branches, datum.long()?)?, datum),
        _ => decode(reader, datum),
    }
}

/// The fields of one record, each to be taken once.
pub(crate) struct Cells<'f>(Vec<(&'f str, Value)>);

impl Cells<'_> {
    pub(crate) fn take(&mut self, name: &'static str) -> Option<Value> {
        let (_, value) = self.0.iter_mut().find(|(n, _)| *n == name)?;
        Some(value.take()).filter(|v| !v.is_null())
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Result<String, DecodeError> {
        self.optional_text(name).ok_or(DecodeError::Field { name, what: "is missing".to_owned() })
    }

    pub(crate) fn optional_text(&mut self, name: &'static str) -> Option<String> {
        match self.take(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// A string of ours with a form of its own, such as a tenant id.
    pub(crate) fn parsed<T>(&mut self, name: &'static str) -> Result<T, DecodeError>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
    {
        self.text(name)?.parse().map_err(|e: T::Err| DecodeError::Field { name, what: e.to_string() })
    }

    pub(crate) fn optional_number(&mut self, name: &'static str) -> Option<i64> {
        self.take(name)?.as_i64()
    }

    pub(crate) fn number<T: TryFrom<i64>>(&mut self, name: &'static str) -> Result<T, DecodeError> {
        let number = self.optional_number(name).and_then(|n| T::try_from(n).ok());
        number.ok_or(DecodeError::Field { name, what: "is missing or out of range".to_owned() })
    }
}

fn array(items: &Reader, datum: &mut Datum<'_>) -> Result<Value, DecodeError> {
    let mut values = Vec::new();
    loop {
        let count = datum.block()?;
        if count == 0 {
            return Ok(Value::Array(values));
        }
        room(values.len() + count)?;
        for _ in 0..count {
            values.push(decode(items, datum)?);
        }
    }
}

fn map(values: &Reader, datum: &mut Datum<'_>) -> Result<Value, DecodeError> {
    let mut object = Map::new();
    loop {
        let count = datum.block()?;
        if count == 0 {
            return Ok(Value::Object(object));
        }
        room(object.len() + count)?;
        for _ in 0..count {
            let key = datum.text()?.to_owned();
            object.insert(key, decode(values, datum)?);
        }
    }
}

/// Items without bytes (of an empty record) would otherwise let a small datum grow without bound.
fn room(items: usize) -> Result<(), DecodeError> {
    if items > MAX_DECODED { Err(DecodeError::Damaged("an array or map has too many items")) } else { Ok(()) }
}

fn at<T>(choices: &[T], index: i64) -> Result<&T, DecodeError> {
    let choice = usize::try_from(index).ok().and_then(|i| choices.get(i));
    choice.ok_or(DecodeError::Damaged("a union or enum has no such position"))
}

pub(crate) fn uuid(datum: &mut Datum<'_>) -> Result<uuid::Uuid, DecodeError> {
    uuid::Uuid::try_parse(datum.text()?).map_err(|_| DecodeError::Damaged("a UUID is none"))
}

/// An instant that RFC 3339 can write.
pub(crate) fn instant(datum: &mut Datum<'_>) -> Result<i64, DecodeError> {
    let micros = datum.long()?;
    if scalar::is_instant(micros) {
        Ok(micros)
    } else {
        Err(DecodeError::Damaged("an instant is out of range"))
    }
}
