//! The fields of a connector's object, and whether a payload has others: by the types of a mapping, and by what it made.

use contract::DataType;
use serde_json::Value as Json;
use vrl::value::{Kind, kind::Collection};

use super::{kinds, lookups::LOOKUP};
use crate::{Diagnostic, payload::Source};

/// The fields of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// Those that are known.
    pub known: Vec<Field>,
    /// Names that others may have; `*` stands for anything.
    pub others: Vec<String>,
}

/// A field of a connector's object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub field_type: FieldType,
    /// Whether it must be there.
    pub required: bool,
    /// The most characters of a text.
    pub max_len: Option<usize>,
}

/// What can stand in a field of a connector's object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// Any number, or a text that is one.
    Decimal,
    /// True or false.
    Boolean,
    /// A list, of objects with these fields where they are known.
    List(Option<Fields>),
    /// An object, with these fields where they are known.
    Object(Option<Fields>),
    /// Anything.
    Any,
}

impl Fields {
    /// Lets a field stand that is not known: `cost_center`, `properties.vip`, `Line.Memo` (of the items of a list).
    pub fn allow(&mut self, path: &str) {
        let Some((first, rest)) = path.split_once('.') else { return self.others.push(path.to_owned()) };
        let known = self.known.iter_mut().find(|field| field.name == first);
        match known.map(|field| &mut field.field_type) {
            Some(FieldType::List(Some(inner)) | FieldType::Object(Some(inner))) => inner.allow(rest),
            Some(_) => {}
            None => self.others.push(first.to_owned()),
        }
    }

    fn of(&self, name: &str) -> Option<&Field> {
        self.known.iter().find(|field| field.name == name)
    }

    fn allows(&self, name: &str) -> bool {
        self.others.iter().any(|pattern| match pattern.split_once('*') {
            None => pattern == name,
            Some((start, end)) => {
                name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
            }
        })
    }

    fn unknown(&self, at: &str, name: &str) -> String {
        let near =
            self.known.iter().map(|f| (strsim::normalized_damerau_levenshtein(&f.name, name), &f.name));
        let near = near.filter(|(score, _)| *score > 0.5).max_by(|a, b| a.0.total_cmp(&b.0));
        let hint = near.map(|(_, near)| format!("; did you mean `{near}`?")).unwrap_or_default();
        format!("the connector's object has no field `{at}`{hint}")
    }

    /// What the object has that an event's data, sent as it is, has not, then the other way round; a line for each thing.
    pub fn misfits_of(&self, data: &DataType) -> Vec<String> {
        let mut found = Vec::new();
        if let Some(made) = kinds::of(data).as_object() {
            self.object("", made, &mut found);
        }
        found.into_iter().rev().map(|(_, what)| what).collect()
    }

    /// What a payload of that type has that the object has not, or the other way round. `programs` made it, the last one first.
    pub(super) fn misfits(&self, programs: &[&Source], kind: &Kind) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        match kind.as_object() {
            Some(made) => self.object("", made, &mut found),
            None => found.push((String::new(), "it does not make an object".to_owned())),
        }
        let told = found.into_iter().map(|(path, what)| Diagnostic::misfit(programs, &path, what));
        told.collect()
    }

    fn object(
        &self,
        at: &str,
        made: &Collection<vrl::value::kind::Field>,
        found: &mut Vec<(String, String)>,
    ) {
        for (name, kind) in made.known() {
            let path = join(at, name.as_str());
            match self.of(name.as_str()) {
                Some(field) => field.typed(&path, kind, found),
                None if self.allows(name.as_str()) => {}
                None => found.push((path.clone(), self.unknown(&path, name.as_str()))),
            }
        }
        for field in self.known.iter().filter(|field| field.required) {
            let path = join(at, &field.name);
            match made.known().get(&field.name.as_str().into()) {
                None if made.unknown_kind().is_undefined() => {
                    found.push((path.clone(), format!("`{path}` is required, and is not made")));
                }
                Some(kind) if kind.contains_null() => {
                    found.push((path.clone(), format!("`{path}` is required, and may be null")));
                }
                _ => {}
            }
        }
    }

    /// What is wrong with a payload, a line for each thing.
    pub fn check(&self, payload: &Json) -> Vec<String> {
        let mut wrong = Vec::new();
        self.check_at("", payload, &mut wrong);
        wrong
    }

    fn check_at(&self, at: &str, payload: &Json, wrong: &mut Vec<String>) {
        let Some(made) = payload.as_object() else { return wrong.push(format!("`{at}` is no object")) };
        for (name, value) in made {
            let path = join(at, name);
            match self.of(name) {
                Some(field) => field.check(&path, value, wrong),
                None if self.allows(name) => {}
                None => wrong.push(self.unknown(&path, name)),
            }
        }
        let missing = self.known.iter().filter(|f| f.required && made.get(&f.name).is_none_or(Json::is_null));
        wrong.extend(missing.map(|field| format!("`{}` is required, and not there", join(at, &field.name))));
    }
}

impl Field {
    fn typed(&self, path: &str, kind: &Kind, found: &mut Vec<(String, String)>) {
        let mut some = kind.without_undefined();
        some.remove_null();
        if some.as_object().is_some_and(|object| object.known().contains_key(&LOOKUP.into())) {
            some.remove_object();
        }
        if !some.is_never() && !self.field_type.kind().intersects(&some) {
            found.push((
                path.to_owned(),
                format!("`{path}` must be {}, and is {some}", self.field_type.word()),
            ));
            return;
        }
        match (&self.field_type, some.as_object(), some.as_array()) {
            (FieldType::Object(Some(fields)), Some(made), _) => fields.object(path, made, found),
            (FieldType::List(Some(fields)), _, Some(list)) => {
                let path = format!("{path}[]");
                let unknown = list.unknown_kind();
                let mut of_items = Vec::new();
                for item in list.known().values().chain([&unknown]) {
                    if let Some(made) = item.as_object() {
                        fields.object(&path, made, &mut of_items);
                    }
                }
                of_items.sort();
                of_items.dedup();
                found.extend(of_items);
            }
            _ => {}
        }
    }

    fn check(&self, path: &str, value: &Json, wrong: &mut Vec<String>) {
        let fits = match (&self.field_type, value) {
            (_, Json::Null) | (FieldType::Any, _) => true,
            (_, Json::Object(fields)) if fields.contains_key(LOOKUP) => true,
            (FieldType::Text, Json::String(text)) => {
                if let Some(most) = self.max_len.filter(|most| text.chars().count() > *most) {
                    wrong.push(format!("`{path}` has more than {most} characters"));
                }
                true
            }
            (FieldType::Integer, Json::Number(number)) => number.is_i64() || number.is_u64(),
            (FieldType::Decimal, Json::Number(_)) | (FieldType::Boolean, Json::Bool(_)) => true,
            (FieldType::Decimal, Json::String(text)) => text.parse::<f64>().is_ok(),
            (FieldType::List(fields), Json::Array(items)) => {
                for item in items.iter().filter(|item| item.is_object()) {
                    fields.iter().for_each(|fields| fields.check_at(&format!("{path}[]"), item, wrong));
                }
                true
            }
            (FieldType::Object(fields), Json::Object(_)) => {
                fields.iter().for_each(|fields| fields.check_at(path, value, wrong));
                true
            }
            _ => false,
        };
        if !fits {
            wrong.push(format!("`{path}` must be {}, and is {value}", self.field_type.word()));
        }
    }
}

impl FieldType {
    fn kind(&self) -> Kind {
        match self {
            Self::Text => Kind::bytes(),
            Self::Integer => Kind::integer(),
            Self::Decimal => Kind::integer().or_float().or_bytes(),
            Self::Boolean => Kind::boolean(),
            Self::List(_) => Kind::array(Collection::any()),
            Self::Object(_) => Kind::object(Collection::any()),
            Self::Any => Kind::any(),
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Boolean => "boolean",
            Self::List(_) => "list",
            Self::Object(_) => "object",
            Self::Any => "any",
        }
    }
}

fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}
