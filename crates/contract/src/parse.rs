//! Schema texts to schemas whose references can be followed.

use apache_avro::{Schema, schema::ResolvedSchema};

use crate::shape::Names;

/// A schema with the schemas that it refers to.
pub(crate) struct ParsedSchema {
    pub(crate) root: Schema,
    others: Vec<Schema>,
}

impl ParsedSchema {
    /// Every named type, for references.
    pub(crate) fn names(&self) -> Result<Names<'_>, apache_avro::Error> {
        let schemata: Vec<&Schema> = self.others.iter().chain([&self.root]).collect();
        Ok(ResolvedSchema::new_with_schemata(schemata)?.get_names().clone())
    }
}

/// Parses `text`, which may use the types of `references`.
pub(crate) fn parse(text: &str, references: &[String]) -> Result<ParsedSchema, apache_avro::Error> {
    if references.is_empty() {
        return Ok(ParsedSchema { root: Schema::parse_str(text)?, others: Vec::new() });
    }
    let (root, others) = Schema::parse_str_with_list(text, references)?;
    Ok(ParsedSchema { root, others })
}
