//! Requests as they stand in a definition. docs/connectors.md has the placeholders.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::Value;

/// A request. Stands as `POST {{path}}`, or as a map where it has more than method and address.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
pub struct Request {
    /// Method and address.
    pub send: String,
    /// The query: a text, a list of texts (the name is repeated), or `{json: …}`, `{base64url: …}` for JSON in it.
    #[serde(default)]
    pub query: IndexMap<String, Query>,
    /// Headers beside the connector's.
    #[serde(default)]
    pub headers: IndexMap<String, String>,
    /// The body. Absent: the payload where something is written, else none.
    pub body: Option<Value>,
    /// How the body is written.
    #[serde(default)]
    pub encode: Encode,
}

/// The value of a query's parameter.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Query {
    /// A text.
    Text(String),
    /// The parameter several times.
    Texts(Vec<String>),
    /// JSON.
    Json {
        /// As it is.
        json: Value,
    },
    /// JSON in URL-safe base64, with padding.
    Base64url {
        /// Before it is encoded.
        base64url: Value,
    },
}

/// How a body is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encode {
    /// As JSON.
    #[default]
    Json,
    /// As a form, with brackets for what is nested: `a[b][0]=c`.
    Form,
}

impl<'de> Deserialize<'de> for Request {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct TextOrMap;
        impl<'de> Visitor<'de> for TextOrMap {
            type Value = Request;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a request such as `POST {{path}}`, or a map with `send`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Request, E> {
                Ok(Request {
                    send: text.to_owned(),
                    query: IndexMap::new(),
                    headers: IndexMap::new(),
                    body: None,
                    encode: Encode::Json,
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Request, A::Error> {
                Request::deserialize(MapAccessDeserializer::new(map)) // the derived one, see `remote`
            }
        }
        input.deserialize_any(TextOrMap)
    }
}

/// [`Request`] where it stands as a map: for the schema, which the derive cannot make beside `remote`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code)] // stands for its schema only
struct RequestMap {
    /// Method and address.
    send: String,
    /// The query: a text, a list of texts (the name is repeated), or `{json: …}`, `{base64url: …}` for JSON in it.
    #[serde(default)]
    query: BTreeMap<String, Query>,
    /// Headers beside the connector's.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// The body. Absent: the payload where something is written, else none.
    body: Option<Value>,
    /// How the body is written.
    #[serde(default)]
    encode: Encode,
}

impl JsonSchema for Request {
    fn schema_name() -> Cow<'static, str> {
        "Request".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let map = generator.subschema_for::<RequestMap>();
        json_schema!({"oneOf": [{"type": "string", "pattern": "^[A-Z]+ .+$"}, map]})
    }
}
